import TuffHost
import TuffModel

/// The entries of one reading, by path and by parent.
struct LIOTree {
    private var entries: [String: TreeEntry] = [:]
    private var children: [String: [String]] = [:]
    /// The file that tells the group of ports that a LUN is in. It cannot be read while the LUN hands nothing out
    /// (ENODEV).
    static let portGroup = "alua_tg_pt_gp"

    /// Errors of entries that could not be read or contradict themselves, by path.
    private(set) var faults: [String: HostError] = [:]

    /// Entries of one path that different queries gave are one; two that contradict each other are a fault of the
    /// object they belong to.
    init(_ list: [TreeEntry]) {
        entries.reserveCapacity(list.count)
        for entry in list {
            if let error = entry.error { faults[entry.path] = error }
            guard var known = entries[entry.path] else {
                entries[entry.path] = entry
                if let slash = entry.path.lastIndex(of: "/") {
                    children[String(entry.path[..<slash]), default: []].append(
                        String(entry.path[entry.path.index(after: slash)...]))
                }
                continue
            }
            guard known.kind == entry.kind, Self.agree(known.text, entry.text), Self.agree(known.mode, entry.mode),
                Self.agree(known.fingerprint, entry.fingerprint), Self.agree(known.target, entry.target)
            else {
                faults[entry.path] = Self.malformed(entry.path, "two readings that differ")
                continue
            }
            known.text = known.text ?? entry.text
            known.mode = known.mode ?? entry.mode
            known.fingerprint = known.fingerprint ?? entry.fingerprint
            known.target = known.target ?? entry.target
            entries[entry.path] = known
        }
    }

    private static func agree<Value: Equatable>(_ one: Value?, _ other: Value?) -> Bool {
        one == nil || other == nil || one == other
    }

    /// The first fault of an object or of anything beneath it.
    func fault(of path: String) -> HostError? {
        guard !faults.isEmpty else { return nil }
        return faults.filter { ($0.key == path || $0.key.hasPrefix(path + "/")) && !isIdle($0.key) }
            .min { $0.key < $1.key }?.value
    }

    /// Tells whether it is the group of ports of a LUN that hands nothing out.
    private func isIdle(_ path: String) -> Bool {
        guard path.hasSuffix("/\(Self.portGroup)") else { return false }
        let lun = String(path.dropLast(Self.portGroup.count + 1))
        return !children[lun, default: []].contains { entries["\(lun)/\($0)"]?.kind == .link }
    }

    func has(_ path: String) -> Bool { entries[path] != nil }

    func directories(_ parent: String) -> [String] {
        children[parent, default: []].filter { entries["\(parent)/\($0)"]?.kind == .directory }
    }

    /// Where the one symbolic link in a directory leads; nil without one.
    func onlyLink(_ directory: String) throws(HostError) -> String? {
        let links = children[directory, default: []].filter { entries["\(directory)/\($0)"]?.kind == .link }
        guard links.count <= 1 else { throw malformed(directory, "\(links.count) links") }
        guard let name = links.first else { return nil }
        guard let target = entries["\(directory)/\(name)"]?.target else { throw malformed(directory, "an empty link") }
        return target
    }

    func entry(_ path: String) throws(HostError) -> TreeEntry {
        guard let entry = entries[path] else {
            throw HostError(
                .malformed, "LIO's tree lacks '\(path)' although the object it belongs to is there", subject: path)
        }
        return entry
    }

    func text(_ path: String) throws(HostError) -> String {
        guard let text = try entry(path).text else { throw malformed(path, "no text") }
        return text
    }

    func flag(_ path: String) throws(HostError) -> Bool {
        switch try text(path) {
        case "0": false
        case "1": true
        case let other: throw malformed(path, other)
        }
    }

    func malformed(_ path: String, _ found: String) -> HostError { Self.malformed(path, found) }

    static func malformed(_ path: String, _ found: String) -> HostError {
        HostError(
            .malformed, "'\(path)' of LIO's tree does not read as LIO writes it", cause: String(found.prefix(80)),
            subject: path)
    }
}
