/// Memory of the objects that were once seen ready on this host. It is no state store: objects carry their own marks,
/// and a ledger that is gone is rebuilt from them. It only serves to refuse: making a vanished object again, removing
/// too much within a day, purging by a clock that runs backwards or jumped ahead.
package struct Ledger: Hashable, Codable, Sendable {
    package static let currentVersion = 1
    /// Seconds for which a removal counts for the guard.
    package static let removalWindow: Int64 = 86400

    package struct Entry: Hashable, Codable, Sendable {
        package enum Standing: String, Codable, Sendable {
            /// Seen ready; if it vanishes it is lost.
            case live
            /// In the trash or released, or on its way there. If it vanishes without a purge of ours it is lost too.
            case leaving
            /// Destroyed by us, as consented to: a volume of its name is a new one.
            case purged
        }

        package var stack: String
        package var resource: ResourceID
        package var standing: Standing
        /// Nil for pools.
        package var uid: UID?
        /// LVM's uuid of the volume; of the group, and after a slash of the thin pool, for a pool. Nil for files.
        package var uuid: String?
        /// The object's last place, for messages: `vg0/v-db`. For a directory pool its path, by which it is looked for
        /// again.
        package var place: String
        package var seen: Instant
        /// The most bytes that it was seen with when it was complete; nil for pools, and in ledgers that do not say.
        package var size: ByteCount?
        /// When two initiators were first seen to have a volume under `sharing: handover`; nil: they do not.
        package var sharedSince: Instant?
        /// Why it could not be activated when that was last tried; nil: it could, or nobody tried.
        package var activationFault: String?
        /// The name of its target, and its serial number where that is not its uid's: nothing new gets them without a
        /// word.
        package var iqn: String?
        package var serial: String?
        /// Names that its document had before it was renamed, the last one last; nil: none.
        package var formerly: [String]?
        /// Volumes that no document declared when this one was made in their pool with their size. Nil once a person
        /// said that it is a new one, or where there were none.
        package var beside: [UID]?
        /// Directory pools: the NFS share that was mounted at `place`. While it is not, nobody knows what is there.
        package var share: NFSShare?

        package init(
            stack: String, resource: ResourceID, standing: Standing = .live, uid: UID? = nil, uuid: String? = nil,
            place: String, seen: Instant, size: ByteCount? = nil, sharedSince: Instant? = nil
        ) {
            self.stack = stack
            self.resource = resource
            self.standing = standing
            self.uid = uid
            self.uuid = uuid
            self.place = place
            self.seen = seen
            self.size = size
            self.sharedSince = sharedSince
        }
    }

    /// Something that was taken away, as consented to.
    package struct Removal: Hashable, Codable, Sendable {
        package var stack: String
        package var resource: ResourceID
        package var at: Instant

        package init(stack: String, resource: ResourceID, at: Instant) {
            self.stack = stack
            self.resource = resource
            self.at = at
        }
    }

    /// A document of another stack that could not be carried out because of an object.
    package struct Wait: Hashable, Codable, Sendable {
        package var stack: String
        package var resource: ResourceID
        /// The object that has the name or the target that it asks for.
        package var uid: UID
        /// The last pass of that stack in which it did.
        package var seen: Instant

        package init(stack: String, resource: ResourceID, uid: UID, seen: Instant) {
            self.stack = stack
            self.resource = resource
            self.uid = uid
            self.seen = seen
        }

        /// A stack that nobody has applied for a month waits for nothing any more.
        package func isCurrent(at now: Int64) -> Bool { seen.secondsSince1970 > now - 30 * 86400 }
    }

    package var version = Self.currentVersion
    /// Sorted by stack and resource; one for each.
    package var entries: [Entry] = []
    /// Removals of the last 24 hours, oldest first.
    package var removals: [Removal] = []
    /// The objects that documents of any stack waited for in the last pass of theirs, because it is another stack's;
    /// nil: nothing.
    package var waits: [Wait]?
    /// Backup repositories that were read, by stack and name; nil: none.
    package var repositories: [RepositoryMemory]?
    /// Named Backups that are done, by stack and name; nil: none.
    package var backups: [BackupMemory]?
    /// When the last pass observed.
    package var lastPass: Instant?
    /// The clock at the last pass that believed it; nil: none did since it was last confirmed.
    package var clock: ClockReading?
    /// Seconds by which the clock was found set ahead since then; nil: it was not.
    package var clockLead: Int64?
    /// The clock's reading when a person last said that it is right; nil: nobody did.
    package var clockConfirmed: Instant?
    /// Work in repositories that is behind, and since when; nil: none.
    package var arrears: [Arrear]?

    package init() {}

    /// A file's entries need not be in order: somebody may have edited it.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        version = try container.decode(Int.self, forKey: .version)
        for entry in try container.decode([Entry].self, forKey: .entries) { record(entry) }
        removals = try container.decode([Removal].self, forKey: .removals)
        waits = try container.decodeIfPresent([Wait].self, forKey: .waits)
        repositories = try container.decodeIfPresent([RepositoryMemory].self, forKey: .repositories)
        backups = try container.decodeIfPresent([BackupMemory].self, forKey: .backups)
        lastPass = try container.decodeIfPresent(Instant.self, forKey: .lastPass)
        clock = try container.decodeIfPresent(ClockReading.self, forKey: .clock)
        clockLead = try container.decodeIfPresent(Int64.self, forKey: .clockLead)
        clockConfirmed = try container.decodeIfPresent(Instant.self, forKey: .clockConfirmed)
        arrears = try container.decodeIfPresent([Arrear].self, forKey: .arrears)
    }

    package func entry(_ resource: ResourceID, stack: String) -> Entry? {
        let index = position(of: resource, stack)
        return holds(resource, stack, at: index) ? entries[index] : nil
    }

    /// Puts in `entry`, replacing that of the same resource.
    package mutating func record(_ entry: Entry) {
        let index = position(of: entry.resource, entry.stack)
        if holds(entry.resource, entry.stack, at: index) {
            entries[index] = entry
        } else {
            entries.insert(entry, at: index)
        }
    }

    /// Index of a resource's entry, or where it would be inserted. A binary search, since there are as many entries as
    /// volumes ever were, and a pass asks for each.
    private func position(of resource: ResourceID, _ stack: String) -> Int {
        var low = 0, high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if (entries[middle].stack, entries[middle].resource) < (stack, resource) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    private func holds(_ resource: ResourceID, _ stack: String, at index: Int) -> Bool {
        index < entries.count && entries[index].resource == resource && entries[index].stack == stack
    }

    /// Forgets times that a clock wrote while it was ahead: times of the last pass, of removals and of handovers that
    /// are yet to come; and believes one that was set ahead. It is a person's word that the clock is right now.
    package mutating func forgetTimes(after now: Instant) {
        if let lastPass, lastPass > now { self.lastPass = now }
        clockConfirmed = now
        (clock, clockLead) = (nil, nil)
        removals.removeAll { $0.at > now }
        for index in entries.indices where entries[index].sharedSince.map({ $0 > now }) == true {
            entries[index].sharedSince = now
        }
    }

    /// Remembers that a volume could not be activated, which nothing shows afterwards. It is taken back once it is seen
    /// active.
    package mutating func note(activationFault: String, of uid: UID) {
        for index in entries.indices where entries[index].uid == uid {
            // Texts of tools may be long, and the first line names the error.
            entries[index].activationFault = String(activationFault.prefix(400))
        }
    }

    package mutating func forget(_ resource: ResourceID, stack: String) {
        entries.removeAll { $0.stack == stack && $0.resource == resource }
        waits?.removeAll { $0.stack == stack && $0.resource == resource }
        if resource.kind == .backupRepository {
            repositories?.removeAll { $0.stack == stack && $0.name == resource.name }
        }
        if resource.kind == .backup { backups?.removeAll { $0.stack == stack && $0.name == resource.name } }
    }
}

extension Ledger.Entry {
    /// The group in which the object is expected; nil for objects in a directory and for destroyed ones.
    package var volumeGroup: String? {
        standing == .purged || place.hasPrefix("/") ? nil : String(place.prefix { $0 != "/" })
    }
}
