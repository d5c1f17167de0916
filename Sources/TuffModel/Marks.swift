/// What Tuff writes on an object it made or adopted: LVM tags, or the same texts in a directory pool's sidecar.
///
/// Identity and ownership live here and nowhere else; there is no database. Keys are short because a volume group's
/// metadata area is small (508 KiB of text by default) and every change rewrites all of it.
package struct Marks: Hashable, Codable, Sendable {
    package enum Role: Hashable, Codable, Sendable {
        case volume(String)
        case snapshot(String)
    }

    package var uid: UID
    package var role: Role
    package var stack: String
    /// Always stored, so that a later change of the controller's `iqnBase` cannot change a disk's name.
    package var iqn: String?
    /// Unit serial number when it is not the uid's.
    package var serial: String?
    /// LUN number when it is not 0.
    package var lun: Int?
    /// No plan trashes, purges, rolls back or deletes it while this is set.
    package var protect: Bool
    /// What removing the document does, as last applied.
    package var policy: RemovalPolicy
    /// In the trash, to be purged at this time; nil: in use.
    package var until: Instant?
    /// Its document is gone and its policy was Retain: nobody's until a document of its name adopts it again.
    package var released: Bool
    /// Unfinished work, set by the command that creates the object and removed when the work is complete.
    package var operation: String?
    /// Tags under our prefix that this version does not know: kept, shown, never interpreted.
    package var other: [String]

    package static let prefix = "tuff:"
    /// Values of `tuff:op=`: a file that is being made; a file whose name follows its marks.
    package static let creating = "create"
    package static let moving = "move"
    private static let keys: Set<String> = [
        "uid", "vol", "snap", "stack", "iqn", "serial", "lun", "protect", "policy", "until", "released", "op",
    ]

    package init(
        uid: UID, role: Role, stack: String, iqn: String? = nil, serial: String? = nil, lun: Int? = nil,
        protect: Bool = false, policy: RemovalPolicy = RemovalPolicy(), until: Instant? = nil, released: Bool = false,
        operation: String? = nil, other: [String] = []
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
        self.operation = operation
        self.other = other
    }

    /// The tags that say this, sorted. All characters are of `A-Za-z0-9_+.-/=!:#&`, as lvm(8) demands of tags.
    package var tags: [String] {
        var result = ["tuff:uid=\(uid)", "tuff:stack=\(stack)"] + other
        switch role {
        case .volume(let name): result.append("tuff:vol=\(name)")
        case .snapshot(let name): result.append("tuff:snap=\(name)")
        }
        if let iqn { result.append("tuff:iqn=\(iqn)") }
        if let serial { result.append("tuff:serial=\(serial)") }
        if let lun { result.append("tuff:lun=\(lun)") }
        if protect { result.append("tuff:protect") }
        if let text = policy.text { result.append("tuff:policy=\(text)") }
        if let until { result.append("tuff:until=\(until)") }
        if released { result.append("tuff:released") }
        if let operation { result.append("tuff:op=\(operation)") }
        return result.sorted()
    }

    /// How tags under our prefix read.
    package enum Reading: Hashable, Sendable {
        /// No tag of ours: somebody else's object.
        case foreign
        case ours(Marks)
        /// Tags under our prefix that contradict each other or lack the uid: reported, never touched.
        case damaged(String)
    }

    package static func read(_ tags: [String]) -> Reading {
        let ours = tags.filter { $0.hasPrefix(prefix) }
        guard !ours.isEmpty else { return .foreign }
        var values: [String: String] = [:]
        var other: [String] = []
        for tag in ours {
            let parts = tag.dropFirst(prefix.count).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = String(parts[0])
            guard Self.keys.contains(key) else {
                other.append(tag)
                continue
            }
            let value = parts.count == 2 ? String(parts[1]) : ""
            if let earlier = values[key], earlier != value {
                return .damaged("two tags say tuff:\(key)=: '\(earlier)' and '\(value)'")
            }
            values[key] = value
        }
        guard let uidText = values["uid"], let uid = UID(uidText) else {
            return .damaged("tag tuff:uid= is \(values["uid"].map { "'\($0)'" } ?? "missing")")
        }
        let role: Role
        switch (values["vol"], values["snap"]) {
        case (let name?, nil): role = .volume(name)
        case (nil, let name?): role = .snapshot(name)
        default: return .damaged("exactly one of the tags tuff:vol= and tuff:snap= is needed")
        }
        guard values["stack"] != nil else { return .damaged("tag tuff:stack= is missing") }
        // Whoever may tag a volume or write a sidecar could have written these; they become names in configfs, on
        // command lines and in lists of options.
        for (key, value) in values.sorted(by: { $0.key < $1.key }) where !isSound(key, value) {
            return .damaged("tag tuff:\(key)= has the value '\(value)', which Tuff never writes")
        }
        return .ours(
            Marks(
                uid: uid, role: role, stack: values["stack"]!, iqn: values["iqn"], serial: values["serial"],
                lun: values["lun"].flatMap { Int($0) }, protect: values["protect"] != nil,
                policy: values["policy"].flatMap { RemovalPolicy(text: $0) } ?? RemovalPolicy(),
                until: values["until"].flatMap { Instant(text: $0) }, released: values["released"] != nil,
                operation: values["op"], other: other.sorted()))
    }

    /// Whether a value is one that Tuff could have written under its key.
    private static func isSound(_ key: String, _ value: String) -> Bool {
        switch key {
        case "vol", "snap", "stack": NameRule.isLabel(value)
        case "iqn": NameRule.isIQN(value)
        case "serial":
            (1...254).contains(value.utf8.count)
                && value.utf8.allSatisfy { byte in
                    NameRule.isAlphanumeric(byte) || (0x41...0x5a).contains(byte) || "._-".utf8.contains(byte)
                }
        case "policy": RemovalPolicy(text: value).map { $0.text == value } ?? false
        case "until": Instant(text: value) != nil
        case "lun": Int(value).map { (0...16383).contains($0) && "\($0)" == value } ?? false
        default: true
        }
    }
}
