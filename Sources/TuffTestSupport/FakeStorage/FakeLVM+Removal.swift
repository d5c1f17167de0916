import TuffHost
import TuffModel

/// Changes of marks and names, and removal, as LVM 2.03.16 was seen to carry them out.
extension FakeLVM {
    /// Major number of device-mapper's devices.
    static let major = 254

    /// The volume that the only operand names, nil where the selection passes over it: then nothing is done and the
    /// status is 0.
    func selected(
        _ options: Options, _ operands: [String]
    ) throws(CommandRefusal) -> (group: String, volume: Volume)? {
        precondition(operands.count == 1, "FakeLVM changes one volume at a time: \(operands)")
        let (groupName, name) = Self.split(operands[0])
        try complete(try writable(groupName))
        // Of a whole group what is selected, at most one here.
        if name.isEmpty, let selection = options["-S"] {
            let found = self[groupName]?.volumes.values.filter { FakeSelection(selection[0]).matches($0) } ?? []
            precondition(found.count <= 1, "FakeLVM changes one volume at a time: \(selection)")
            return found.first.map { (groupName, $0) }
        }
        guard let volume = self[groupName, name] else {
            throw CommandRefusal(
                status: Self.refused, sentence: "Failed to find logical volume \"\(operands[0])\"")
        }
        guard let selection = options["-S"] else { return (groupName, volume) }
        return FakeSelection(selection[0]).matches(volume) ? (groupName, volume) : nil
    }

    private static func inUse(_ group: String, _ name: String) -> CommandRefusal {
        CommandRefusal(status: refused, sentence: "Logical volume \(group)/\(name) in use.")
    }

    /// `lvchange` of tags and of the flag "skip activation", or to deactivate.
    mutating func relabel(
        _ options: Options, _ operands: [String], isOpen: (String, Volume) -> Bool
    ) throws(CommandRefusal) {
        guard let (group, volume) = try selected(options, operands) else { return }
        if let wanted = options["--activate"] {
            precondition(
                wanted == ["n"] && options.keys.allSatisfy { ["--activate", "-qq", "-S"].contains($0) },
                "FakeLVM does not know lvchange with \(options)")
            try Self.refuseSnapshot(volume, operands[0])
            guard !volume.active || !isOpen(group, volume) else { throw Self.inUse(group, volume.name) }
            return switchOff(volume.name, in: group)
        }
        try Self.check(name: volume.name, tags: (options["--addtag"] ?? []) + (options["--deltag"] ?? []))
        var changed = self
        let removed = Set(options["--deltag"] ?? [])
        let added = (options["--addtag"] ?? []).filter { !volume.tags.contains($0) }
        changed[group, volume.name]?.tags = volume.tags.filter { !removed.contains($0) } + added
        if let skips = options["--setactivationskip"] { changed[group, volume.name]?.skipsActivation = skips == ["y"] }
        guard let found = changed[group], found.metadataAreaFree > .zero else {
            throw CommandRefusal(
                status: Self.refused, sentence: "VG \(group) metadata is too large for its metadata area")
        }
        self = changed
    }

    /// `lvrename VG OLD NEW`, of exported volumes too.
    mutating func rename(_ operands: [String]) throws(CommandRefusal) {
        precondition(operands.count == 3, "FakeLVM knows lvrename with a group and two names: \(operands)")
        try complete(try writable(operands[0]))
        try Self.check(name: operands[2], tags: [])
        do {
            try rename(operands[1], to: operands[2], in: operands[0])
        } catch {
            throw CommandRefusal(status: Self.refused, sentence: error.sentence)
        }
    }

    /// `lvremove --yes`, never forced.
    mutating func remove(
        _ options: Options, _ operands: [String], isOpen: (String, Volume) -> Bool
    ) throws(CommandRefusal) {
        guard let (group, volume) = try selected(options, operands) else { return }
        guard !volume.active || !isOpen(group, volume) else { throw Self.inUse(group, volume.name) }
        do {
            try remove(volume.name, in: group)
        } catch {
            throw CommandRefusal(status: Self.refused, sentence: error.sentence)
        }
        // A snapshot of a thin volume lives on without its origin.
        for (name, other) in self[group]?.volumes ?? [:] {
            if case .thin(let pool, origin: volume.name) = other.kind {
                self[group, name]?.kind = .thin(pool: pool, origin: nil)
            }
        }
    }
}

/// The selections this fake knows (lvmreport(7)): terms joined by `||`, or by `&&`; a term is `lv_uuid="U"`,
/// `lv_name="N"`, `lv_size=Nb`, `lv_tags={"a"}` or `lv_tags={"a" && "b"}`, which wants all of these tags.
struct FakeSelection {
    private enum Term {
        case uuid(String)
        case name(String)
        case tags([String])
        case size(ByteCount)

        init(_ text: String) {
            if text.hasPrefix("lv_uuid=\""), text.hasSuffix("\"") {
                self = .uuid(String(text.dropFirst("lv_uuid=\"".count).dropLast()))
            } else if text.hasPrefix("lv_name=\""), text.hasSuffix("\"") {
                self = .name(String(text.dropFirst("lv_name=\"".count).dropLast()))
            } else if text.hasPrefix("lv_size="), text.hasSuffix("b"),
                let bytes = Int64(text.dropFirst("lv_size=".count).dropLast())
            {
                self = .size(ByteCount(bytes))
            } else {
                precondition(
                    text.hasPrefix("lv_tags={\"") && text.hasSuffix("\"}"), "FakeLVM does not know: -S \(text)")
                let inner = text.dropFirst("lv_tags={".count).dropLast()
                self = .tags(inner.split(separator: " && ").map { String($0.dropFirst().dropLast()) })
            }
        }

        func matches(_ volume: FakeLVM.Volume) -> Bool {
            switch self {
            case .uuid(let uuid): volume.uuid == uuid
            case .name(let name): volume.name == name
            case .size(let size): volume.size == size
            case .tags(let tags): tags.allSatisfy(volume.tags.contains)
            }
        }
    }

    private let alternatives: [[Term]]

    init(_ text: String) {
        alternatives = text.split(separator: " || ").map { alternative in
            // `&&` within braces joins tags and not terms.
            let parts = alternative.split(separator: " && lv_tags=").enumerated().map { index, part in
                index == 0 ? String(part) : "lv_tags=\(part)"
            }
            return parts.map { Term($0) }
        }
    }

    func matches(_ volume: FakeLVM.Volume) -> Bool {
        alternatives.contains { terms in terms.allSatisfy { $0.matches(volume) } }
    }
}
