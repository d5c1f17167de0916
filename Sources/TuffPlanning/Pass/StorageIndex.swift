package import TuffModel

/// Every object that carries our marks, found by what the marks say rather than by where it is.
package struct StorageIndex: Sendable {
    /// Volumes and snapshots in use by role and stack. More than one of a name is an ambiguity that a person must
    /// resolve.
    private var byName: [Key: [StoredVolume]] = [:]
    private var trashedByName: [Key: [StoredVolume]] = [:]
    private var releasedByName: [Key: [StoredVolume]] = [:]
    private(set) package var volumes: [StoredVolume] = []
    /// Snapshots that serve a copy and are nobody's: none of them is among `volumes`.
    private(set) package var temporaries: [StoredVolume] = []
    /// Scratch volumes of drills, which are nobody's. None of them is among `volumes`.
    private(set) package var scratches: [StoredVolume] = []
    /// Snapshots that incremental backups are relative to. None of them is among `volumes`.
    private(set) package var bases: [KeptBase] = []
    /// Objects of one uid, several each. None of them is among `volumes`: whatever is meant for one might hit another.
    private(set) package var twins: [[StoredVolume]] = []
    /// Objects under our prefix whose marks cannot be read, with the reason.
    private(set) package var damaged: [(location: VolumeLocation, sentence: String)] = []
    /// Objects with tags under our prefix that cannot be read, or without any and with a name that only the trash
    /// gives.
    private(set) var unreadable: [(location: VolumeLocation, tags: [String])] = []
    /// Names in use per volume group or directory, ours and foreign.
    private var taken: Set<VolumeLocation> = []
    private var targetNames: [String: [StoredVolume]] = [:]
    private var byUID: [UID: StoredVolume] = [:]
    private var absorbed: [Key: String] = [:]
    /// LVM's report of each logical volume, by its uuid.
    private(set) var logicalVolumes: [String: LogicalVolume] = [:]

    private struct Key: Hashable {
        var role: Marks.Role
        var stack: String
    }

    package init(_ observed: ObservedState) {
        for (_, entry) in observed.volumeGroups.entries.inKeyOrder {
            if case .known(let group) = entry { add(group) }
        }
        for (_, entry) in observed.directories.entries.inKeyOrder {
            if case .known(let directory) = entry { add(directory) }
        }
        recallSizes(observed.ledger)
        targetNames.reserveCapacity(volumes.count)
        for volume in volumes {
            // A copy keeps the target's name taken as well as its own.
            if let iqn = volume.marks.iqn { targetNames[iqn, default: []].append(volume) }
        }
        noteFailedActivations(observed.ledger)
        separateTwins()
        temporaries = volumes.filter(\.isTemporary)
        if !temporaries.isEmpty { volumes.removeAll(where: \.isTemporary) }
        scratches = volumes.filter(\.isScratch)
        if !scratches.isEmpty { volumes.removeAll(where: \.isScratch) }
        byUID.reserveCapacity(volumes.count + temporaries.count + scratches.count)
        byName.reserveCapacity(volumes.count)
        for cache in temporaries + scratches { byUID[cache.uid] = cache }
        for volume in volumes {
            byUID[volume.uid] = volume
            let key = Key(role: volume.marks.role, stack: volume.marks.stack)
            switch volume.standing {
            case .live: byName[key, default: []].append(volume)
            case .trashed: trashedByName[key, default: []].append(volume)
            case .released: releasedByName[key, default: []].append(volume)
            }
        }
    }

    /// LVM shows a volume that cannot be activated like one that nobody has activated: a thin device that a repair
    /// lost, one in a pool whose transaction id differs.
    private mutating func noteFailedActivations(_ ledger: Ledger) {
        let faults = ledger.entries.filter { $0.activationFault != nil }
        for position in volumes.indices where !faults.isEmpty && !volumes[position].active {
            let stored = volumes[position]
            guard let fault = faults.first(where: { $0.uid == stored.uid })?.activationFault else { continue }
            // ENODATA is what dm-thin says of a device that its metadata do not have.
            let isLost = stored.backend.isThin && fault.contains("No data available")
            let why = isLost ? "; its thin pool has no such device any more, as after a repair that lost it" : ""
            volumes[position].faults.append(
                VolumeFault(
                    .untold, .activationFailed,
                    sentence: "\(stored.location) could not be activated when that was last tried: \(fault)\(why)"))
        }
    }

    private mutating func recallSizes(_ ledger: Ledger) {
        var known: [UID: ByteCount] = [:]
        for entry in ledger.entries { if let uid = entry.uid { known[uid] = entry.size } }
        for index in volumes.indices {
            volumes[index].formerSize = [volumes[index].marks.size, known[volumes[index].uid]].compactMap(\.self).max()
        }
    }

    private mutating func separateTwins() {
        var seen: Set<UID> = [], repeated: Set<UID> = []
        for volume in volumes where !seen.insert(volume.uid).inserted { repeated.insert(volume.uid) }
        guard !repeated.isEmpty else { return }
        twins = Dictionary(grouping: volumes.filter { repeated.contains($0.uid) }, by: \.uid)
            .inKeyOrder.map(\.value)
        volumes.removeAll { repeated.contains($0.uid) }
    }

    private mutating func add(_ group: VolumeGroup) {
        addHidden(of: group)
        let health = StorageHealth(group)
        // Only snapshots of thick volumes ask for their origin's size.
        var sizes: [String: ByteCount] = [:]
        if group.logicalVolumes.contains(where: \.isThickSnapshot) {
            for volume in group.logicalVolumes { sizes[volume.name] = volume.size }
        }
        let count = group.logicalVolumes.count
        logicalVolumes.reserveCapacity(logicalVolumes.count + count)
        taken.reserveCapacity(taken.count + count)
        volumes.reserveCapacity(volumes.count + count)
        for volume in group.logicalVolumes {
            logicalVolumes[volume.uuid] = volume
            let location = VolumeLocation.logicalVolume(group: group.name, name: volume.name)
            let backend: StorageBackend =
                volume.pool.map { .thinPool(group: group.name, pool: $0) } ?? .thick(group: group.name)
            taken.insert(location)
            if add(base: volume, at: location, in: backend) { continue }
            switch Marks.read(volume.tags) {
            case .foreign: noteUnreadable(location, [])
            case .damaged(let sentence):
                damaged.append((location, sentence))
                noteUnreadable(location, volume.tags)
            case .ours(let marks):
                if let what = volume.layout.pool {
                    absorb(marks, at: location, "it has become \(what), which may hold other volumes")
                    continue
                }
                let origin = volume.isThickSnapshot ? volume.origin.flatMap { sizes[$0] } : nil
                var stored = StoredVolume(
                    marks: marks, backend: backend, location: location, uuid: volume.uuid, groupUUID: group.uuid,
                    size: origin ?? volume.size, active: volume.active, suspended: volume.suspended,
                    open: volume.open, device: volume.device)
                stored.isThickSnapshot = volume.isThickSnapshot
                stored.isOverflowed = volume.isOverflowed
                stored.faults = health.faults(of: volume)
                // Whoever made a snapshot read-only meant it so.
                if marks.kind == .snapshot { stored.faults.removeAll { $0.reason == .readOnly } }
                volumes.append(stored)
            }
        }
    }

    /// - Returns: whether its marks say that it is a backup base, or try to.
    private mutating func add(
        base volume: LogicalVolume, at location: VolumeLocation, in backend: StorageBackend
    ) -> Bool {
        switch BackupBase.read(volume.tags) {
        case .other: return false
        case .damaged(let sentence):
            damaged.append((location, sentence))
            noteUnreadable(location, volume.tags)
        case .base(let marks):
            guard volume.layout == .thin else {
                damaged.append((location, "it is marked as the base of a backup, and is no thin volume"))
                return true
            }
            // One whose numbers LVM did not tell has another name by now, and serves nobody.
            let identity =
                volume.thinIdentity
                ?? ThinIdentity(uuid: volume.uuid, device: 0, transaction: marks.completion?.transaction ?? 0)
            var base = KeptBase(
                marks, pool: backend, identity: identity, size: volume.size,
                isWritable: volume.permission != .readOnly, at: location)
            base.isOpen = volume.open
            base.mapped = volume.dataPercent.map { percent in
                let bytes = (Double(volume.size.bytes) * min(max(percent, 0), 100) / 100).rounded(.up)
                return Int64(exactly: bytes).map { ByteCount($0) } ?? volume.size
            }
            bases.append(base)
        }
        return true
    }

    /// Volumes that somebody made a part of another: `lvconvert` hides them and leaves them their tags (measured).
    private mutating func addHidden(of group: VolumeGroup) {
        for part in group.hiddenVolumes ?? [] {
            guard case .ours(let marks) = Marks.read(part.tags) else { continue }
            let whole = part.parent ?? group.logicalVolumes.first { $0.parts.contains(part.name) }?.name
            absorb(
                marks, at: .logicalVolume(group: group.name, name: part.name),
                "somebody made it a part of \(whole.map { "\(group.name)/\($0)" } ?? "another volume")")
        }
    }

    private mutating func absorb(_ marks: Marks, at location: VolumeLocation, _ sentence: String) {
        damaged.append((location, "\(sentence), and it is no volume any more"))
        absorbed[Key(role: marks.role, stack: marks.stack)] = "\(location) has its marks: \(sentence)"
    }

    /// Tells what became of a volume of this name that is a part of another by now, in a sentence.
    func absorption(_ role: Marks.Role, _ stack: String) -> String? { absorbed[Key(role: role, stack: stack)] }

    private mutating func add(_ directory: DirectoryPool) {
        for file in directory.files {
            let location = VolumeLocation.file(directory: directory.path, name: file.name)
            taken.insert(location)
            if let fault = file.fault {
                damaged.append((location, fault))
                noteUnreadable(location, file.tags)
                continue
            }
            switch Marks.read(file.tags) {
            case .foreign: noteUnreadable(location, [])
            case .damaged(let sentence):
                damaged.append((location, sentence))
                noteUnreadable(location, file.tags)
            case .ours(let marks):
                volumes.append(
                    StoredVolume(
                        marks: marks, backend: .directory(path: directory.path), location: location, uuid: nil,
                        size: file.size, active: file.size != nil, exposure: file.exposure))
            }
        }
    }

    private mutating func noteUnreadable(_ location: VolumeLocation, _ tags: [String]) {
        if !tags.isEmpty || location.objectName.trashUID != nil { unreadable.append((location, tags)) }
    }

    /// Objects in use under a name.
    package func live(_ role: Marks.Role, _ stack: String) -> [StoredVolume] {
        byName[Key(role: role, stack: stack)] ?? []
    }

    /// Those of this name in the trash, the last to get there first.
    package func trashed(_ role: Marks.Role, _ stack: String) -> [StoredVolume] {
        (trashedByName[Key(role: role, stack: stack)] ?? []).sorted {
            ($1.marks.trashedAt ?? .distantPast, $1.uid) < ($0.marks.trashedAt ?? .distantPast, $0.uid)
        }
    }

    package func released(_ role: Marks.Role, _ stack: String) -> [StoredVolume] {
        releasedByName[Key(role: role, stack: stack)] ?? []
    }

    /// The one object with this uid.
    package func volume(_ uid: UID) -> StoredVolume? { byUID[uid] }

    /// Something that bears this uid, alone or not.
    package func bearer(of uid: UID) -> StoredVolume? {
        byUID[uid] ?? twins.lazy.compactMap(\.first).first { $0.uid == uid }
    }

    /// Objects of one uid of which one says that it is this.
    func twins(_ role: Marks.Role, stack: String, standings: Set<StoredVolume.Standing>) -> [StoredVolume]? {
        twins.first { same in
            same.contains { $0.marks.role == role && $0.marks.stack == stack && standings.contains($0.standing) }
        }
    }

    /// Everything that has a name in a group or directory, ours and foreign.
    var places: Set<VolumeLocation> { taken }

    package func isTaken(_ location: VolumeLocation) -> Bool { taken.contains(location) }

    /// Stored volumes whose target has this name.
    package func volumes(withTarget iqn: String) -> [StoredVolume] { targetNames[iqn] ?? [] }
}

extension StoredVolume {
    package var isTemporary: Bool { if case .temporary = marks.role { true } else { false } }

    package var isScratch: Bool { if case .scratch = marks.role { true } else { false } }

    package enum Standing: Hashable, Sendable { case live, trashed, released }

    package var standing: Standing {
        if marks.until != nil { return .trashed }
        return marks.released ? .released : .live
    }
}

extension Marks {
    /// When it went to the trash; nil while it is not there.
    package var trashedAt: Instant? {
        until.map { $0.advanced(by: TimeSpan(seconds: -policy.keepFor.seconds)) }
    }
}

extension Instant {
    package static let distantPast = Instant(secondsSince1970: 0)
}
