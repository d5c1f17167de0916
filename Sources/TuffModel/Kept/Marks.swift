/// Marks that Tuff writes on an object it made or adopted: LVM tags, or the same texts in a directory pool's sidecar.
///
/// Identity and ownership live here and nowhere else; there is no database. Keys are short because a volume group's
/// metadata area is small (508 KiB of text by default) and every change rewrites all of it.
package struct Marks: Hashable, Codable, Sendable {
    package enum Role: Hashable, Codable, Sendable {
        case volume(String)
        case snapshot(String)
        /// Taken of a thick volume in use for as long as the volume of this uid is copied from it.
        case temporary(UID)
        /// The scratch volume of a drill: the object with this uid, which a restore point is restored to for practice
        /// because this BackupPolicy asks for that. A cache, and nobody's.
        case scratch(UID, policy: String)

        /// The name its document has or had.
        package var name: String {
            switch self {
            case .volume(let name), .snapshot(let name): name
            case .temporary(let purpose): purpose.description
            case .scratch(_, let policy): policy
            }
        }

        package var kind: Kind {
            switch self {
            case .volume: .volume
            case .snapshot, .temporary: .snapshot
            case .scratch: .backupPolicy
            }
        }

        package var resource: ResourceID { ResourceID(kind, name) }

        /// Name of a logical volume or file of this role while it is in use.
        package var objectName: String {
            switch self {
            case .volume(let name): "v-\(name)"
            case .snapshot(let name): "s-\(name)"
            case .temporary(let purpose): "c-\(purpose)"
            case .scratch(let uid, _): "d-\(uid)"
            }
        }

        package func named(_ name: String) -> Role {
            switch self {
            case .volume: .volume(name)
            case .snapshot: .snapshot(name)
            case .temporary, .scratch: self
            }
        }
    }

    package var uid: UID
    package var role: Role
    package var stack: String
    /// The name its document has or had.
    package var name: String { role.name }
    package var kind: Kind { role.kind }
    /// Always stored, so that a later change of the controller's `iqnBase` cannot change a disk's name.
    package var iqn: String?
    /// Unit serial number when it is not the uid's.
    package var serial: String?
    /// LUN number when it is not 0.
    package var lun: Int?
    /// No plan trashes, purges, rolls back or deletes it while this is set.
    package var protect: Bool
    /// Treatment of the object when its document is removed, as last applied.
    package var policy: RemovalPolicy
    /// In the trash, to be purged at this time; nil: in use.
    package var until: Instant?
    /// The document is gone and the policy was Retain: the object belongs to nobody until a document of its name adopts
    /// it.
    package var released: Bool
    /// The object was there before Tuff and keeps its own name. Releasing it takes every mark off again.
    package var adopted: Bool
    /// The volume whose content it began with: a snapshot's, or a clone's. Lineage, not a dependency.
    package var origin: UID?
    /// Unfinished work, set by the command that creates the object and removed when the work is complete.
    package var operation: String?
    /// Restores that were carried out on it, by their keys (`tuff:done=`): none of them ever runs again.
    package var executed: [String]
    /// Key of the restore before which this snapshot was taken of the volume that the restore wrote over. Nil for all
    /// other objects.
    package var safety: String?
    /// Bytes that a file had when all of it was there (`tuff:size=`): one that has less was cut off. Nil for logical
    /// volumes, whose sizes the ledger remembers, and for files of versions that did not write it.
    package var size: ByteCount?
    /// The run of a SnapshotPolicy that took it (`tuff:due=`).
    package var occasion: Occasion?
    /// Tags under our prefix that this version does not know: kept, shown, never interpreted.
    package var other: [String]

    package static let prefix = "tuff:"
    /// Values of `tuff:op=`: a file that is being made; a file whose name follows its marks; a thick volume whose
    /// extents may still show bytes of earlier volumes, and which is handed out to nobody.
    package static let creating = "create"
    package static let moving = "move"
    package static let wiping = "wipe"
    /// A volume whose content is being copied from its source. It is handed out to nobody until all of it is there.
    package static let copying = "copy"
    /// The scratch volume of a drill, from its first moment to its last.
    package static let drilling = "drill"
    /// A file of which both is so: its name follows its marks, and its content is not all there.
    package static let movingUnfilled = "move-copy"

    /// A volume that holds parts of its former content and parts of the content it is rolled back to, with the key of
    /// the Restore that may finish it.
    package static func restoring(_ key: String) -> String { "\(restorePrefix)\(key)" }
    private static let restorePrefix = "restore/"

    /// The key of the restore that was begun and is not finished.
    package var restoration: String? {
        operation.flatMap { $0.hasPrefix(Self.restorePrefix) ? String($0.dropFirst(Self.restorePrefix.count)) : nil }
    }

    /// The operation of a copy whose temporary snapshot overflowed with `room` bytes. Less room is not tried again.
    package static func copying(afterOverflowOf room: ByteCount) -> String { "\(overflowPrefix)\(room.bytes)" }
    private static let overflowPrefix = "copy/"

    /// Room of the largest temporary snapshot that overflowed while it was copied from, bytes.
    package var overflowedRoom: ByteCount? {
        operation.flatMap { $0.hasPrefix(Self.overflowPrefix) ? Int64($0.dropFirst(Self.overflowPrefix.count)) : nil }
            .map { ByteCount($0) }
    }

    package var isCopying: Bool { operation == Self.copying || overflowedRoom != nil }

    /// Unfinished work that a new name or another standing does not end.
    package var lastingOperation: String? {
        if operation == Self.movingUnfilled { return Self.copying }
        let lasts = [Self.wiping, Self.drilling].contains(operation) || isCopying || restoration != nil
        return lasts ? operation : nil
    }

    /// The tag that takes the place of `tuff:op=` when the work is complete, where it must be remembered for ever.
    package static func record(ofCompleted operation: String) -> String? {
        operation.hasPrefix(restorePrefix) ? "tuff:done=\(operation.dropFirst(restorePrefix.count))" : nil
    }

    /// A file whose name follows its marks.
    package var isMoving: Bool { [Self.moving, Self.movingUnfilled].contains(operation) }

    /// Keys of our tags, in the order in which their values are judged.
    private enum Key: Int, CaseIterable {
        case adopted, done, drill, due, from, iqn, lun, op, policy, protect, released, safety, serial, size, snap,
            stack, temp,
            uid, until, vol

        var text: String { "\(self)" }
    }

    package init(
        uid: UID, role: Role, stack: String, iqn: String? = nil, serial: String? = nil, lun: Int? = nil,
        protect: Bool = false, policy: RemovalPolicy = RemovalPolicy(), until: Instant? = nil, released: Bool = false,
        adopted: Bool = false, origin: UID? = nil, operation: String? = nil, executed: [String] = [],
        safety: String? = nil, size: ByteCount? = nil, occasion: Occasion? = nil, other: [String] = []
    ) {
        self.uid = uid
        self.role = role
        self.stack = stack
        self.iqn = iqn
        self.serial = serial
        self.lun = lun
        self.protect = protect
        self.policy = policy
        self.until = until
        self.released = released
        self.adopted = adopted
        self.origin = origin
        self.operation = operation
        self.executed = executed
        self.safety = safety
        self.size = size
        self.occasion = occasion
        self.other = other
    }

    /// Name of a logical volume or file with these marks while it is in use.
    package var objectName: String { occasion == nil ? role.objectName : "p-\(name)" }

    /// The tags that say this, sorted. All characters are of `A-Za-z0-9_+.-/=!:#&`, as lvm(8) demands of tags.
    package var tags: [String] {
        var result = ["tuff:uid=\(uid)", "tuff:stack=\(stack)"] + other + executed.map { "tuff:done=\($0)" }
        switch role {
        case .volume(let name): result.append("tuff:vol=\(name)")
        case .snapshot(let name): result.append("tuff:snap=\(name)")
        case .temporary(let purpose): result.append("tuff:temp=\(purpose)")
        case .scratch(_, let policy): result.append("tuff:drill=\(policy)")
        }
        if let iqn { result.append("tuff:iqn=\(iqn)") }
        if let serial { result.append("tuff:serial=\(serial)") }
        if let lun { result.append("tuff:lun=\(lun)") }
        if protect { result.append("tuff:protect") }
        if let text = policy.text { result.append("tuff:policy=\(text)") }
        if let until { result.append("tuff:until=\(until)") }
        if released { result.append("tuff:released") }
        if adopted { result.append("tuff:adopted") }
        if let origin { result.append("tuff:from=\(origin)") }
        if let operation { result.append("tuff:op=\(operation)") }
        if let safety { result.append("tuff:safety=\(safety)") }
        if let size { result.append("tuff:size=\(size.bytes)") }
        if let occasion { result.append("tuff:due=\(occasion.text)") }
        return result.sorted()
    }

    /// Result of reading tags under our prefix.
    package enum Reading: Hashable, Sendable {
        /// No tag of ours, or none but those that outlive our part in it (`remembered`): somebody else's object.
        case foreign
        case ours(Marks)
        /// Tags under our prefix that contradict each other or lack the uid: reported, never touched.
        case damaged(String)
    }

    /// Keys of the Restores that were carried out on an object, whosever it is now. These tags alone stay when it is
    /// let go, so that none of them runs again where it is adopted again.
    package static func remembered(in tags: [String]) -> [String] {
        tags.compactMap { tag in
            guard let (key, value) = parts(of: tag), key == Key.done.rawValue, isRestoreKey(value) else { return nil }
            return value
        }.sorted()
    }

    /// Tags that go when the object is let go.
    package var tagsThatEnd: [String] {
        var passing = self
        passing.executed = []
        return passing.tags
    }

    package static func read(_ tags: [String]) -> Reading {
        // By position of the key: of a pass over thousands of volumes this is the part that reads every tag.
        var values = [String?](repeating: nil, count: Key.allCases.count)
        var other: [String] = [], executed: [String] = []
        var isOurs = false
        for tag in tags {
            guard let (key, value) = parts(of: tag) else { continue }
            guard let key else {
                isOurs = true
                other.append(tag)
                continue
            }
            if key == Key.done.rawValue {
                guard isRestoreKey(value) else {
                    return .damaged("tag tuff:done= has the value '\(value)', which Tuff never writes")
                }
                executed.append(value)
                continue
            }
            isOurs = true
            if let earlier = values[key], earlier != value {
                return .damaged("two tags say tuff:\(Key.allCases[key].text)=: '\(earlier)' and '\(value)'")
            }
            values[key] = value
        }
        return isOurs ? judge(values, executed: executed.sorted(), other: other) : .foreign
    }

    private static func judge(_ values: [String?], executed: [String], other: [String]) -> Reading {
        func value(_ key: Key) -> String? { values[key.rawValue] }
        guard let uid = value(.uid).flatMap({ UID($0) }) else {
            return .damaged("tag tuff:uid= is \(value(.uid).map { "'\($0)'" } ?? "missing")")
        }
        let role: Role
        switch (value(.vol), value(.snap), value(.temp), value(.drill)) {
        case (let name?, nil, nil, nil): role = .volume(name)
        case (nil, let name?, nil, nil): role = .snapshot(name)
        case (nil, nil, nil, let policy?): role = .scratch(uid, policy: policy)
        case (nil, nil, let text?, nil):
            guard let purpose = UID(text) else { return .damaged("tag tuff:temp= has the value '\(text)'") }
            role = .temporary(purpose)
        default:
            return .damaged("exactly one of the tags tuff:vol=, tuff:snap=, tuff:temp= and tuff:drill= is needed")
        }
        guard let stack = value(.stack) else { return .damaged("tag tuff:stack= is missing") }
        // Anybody who may tag a volume or write a sidecar could have written these; they become names in configfs, on
        // command lines and in lists of options.
        for (key, value) in zip(Key.allCases, values) {
            if let value, !isSound(key, value) {
                return .damaged("tag tuff:\(key.text)= has the value '\(value)', which Tuff never writes")
            }
        }
        let marks =
            Marks(
                uid: uid, role: role, stack: stack, iqn: value(.iqn), serial: value(.serial),
                lun: value(.lun).flatMap { Int($0) }, protect: value(.protect) != nil,
                policy: value(.policy).flatMap { RemovalPolicy(text: $0) } ?? RemovalPolicy(),
                until: value(.until).flatMap { Instant(text: $0) }, released: value(.released) != nil,
                adopted: value(.adopted) != nil,
                origin: value(.from).flatMap { UID($0) }, operation: value(.op), executed: executed,
                safety: value(.safety), size: value(.size).flatMap { Int64($0) }.map { ByteCount($0) },
                occasion: value(.due).flatMap { Occasion(text: $0) },
                other: other.sorted())
        // It is removed unasked: with one mark more or less it is left alone.
        if case .scratch(_, let policy) = role, marks != .scratch(uid, of: policy, stack: stack) {
            return .damaged("a scratch volume of a drill has tags that Tuff never writes on one")
        }
        return .ours(marks)
    }

    /// All marks of the scratch volume of a drill.
    package static func scratch(_ uid: UID, of policy: String, stack: String) -> Marks {
        Marks(uid: uid, role: .scratch(uid, policy: policy), stack: stack, operation: drilling)
    }

    private static let keyTexts: [[UInt8]] = Key.allCases.map { Array($0.text.utf8) }

    /// Position of a tag's key, nil for a key that this version does not know, and the value behind its `=`. Nil for a
    /// tag that is not under our prefix.
    private static func parts(of tag: String) -> (key: Int?, value: String)? {
        var tag = tag
        return tag.withUTF8 { bytes in
            guard bytes.starts(with: prefix.utf8) else { return nil }
            let rest = bytes[prefix.utf8.count...]
            let end = rest.firstIndex(of: UInt8(ascii: "=")) ?? rest.endIndex
            let key = keyTexts.firstIndex { $0.count == end - rest.startIndex && $0.elementsEqual(rest[..<end]) }
            return (key, key == nil ? "" : String(decoding: rest[end...].dropFirst(), as: UTF8.self))
        }
    }

    /// Eight characters of base 32: forty bits of a hash.
    private static func isRestoreKey(_ value: String) -> Bool {
        value.utf8.count == 8 && value.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x32...0x37).contains($0) }
    }

    /// Whether a value is one that Tuff could have written under its key.
    private static func isSound(_ key: Key, _ value: String) -> Bool {
        switch key {
        case .vol, .snap, .stack, .drill: NameRule.isLabel(value)
        case .from, .temp: UID(value) != nil
        case .iqn: NameRule.isIQN(value)
        case .serial:
            (1...254).contains(value.utf8.count)
                && value.utf8.allSatisfy { byte in
                    NameRule.isAlphanumeric(byte) || (0x41...0x5a).contains(byte) || "._-".utf8.contains(byte)
                }
        case .policy: RemovalPolicy(text: value).map { $0.text == value } ?? false
        case .until: Instant(text: value) != nil
        case .lun: Int(value).map { (0...16383).contains($0) && "\($0)" == value } ?? false
        case .safety, .done: isRestoreKey(value)
        case .size: Int64(value).map { $0 >= 0 && "\($0)" == value } ?? false
        case .due: Occasion(text: value) != nil
        case .adopted, .op, .protect, .released, .uid: true
        }
    }
}
