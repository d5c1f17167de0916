package import TuffHost
package import TuffModel

/// `/sys/kernel/config/target` as a value: keeps the rules of configfs and LIO that were measured on Linux 6.1
/// (docs beside each rule), so that an order of actions the kernel refuses is refused here too.
///
/// Only objects and attributes that Tuff touches or reads exist, and a few beside them that a careless pattern would
/// catch (`core/alua`, `statistics`, `discovery_auth`).
package struct FakeTargetTree: Equatable, Sendable {
    /// One entry of the tree.
    struct Node: Equatable, Sendable {
        enum Kind: Equatable, Sendable {
            /// `made` by mkdir, or by the kernel together with its parent.
            case directory(made: Bool)
            case attribute
            /// The path it leads to, as components below the root.
            case link([String])
        }

        var kind: Kind
        var text = ""
        var mode: UInt16 = 0o644
        var children: [String: Node] = [:]
        /// Enabled backstores only: minor number of the device it holds, 0 for what is no logical volume.
        var minor = 0
        /// Enabled backstores only: path of what was opened, as it was called then.
        var opened = ""
        /// Mapped LUNs only: the kernel has a device list entry behind the link. It dies with the LUN's own link.
        var live = false

        static func made(_ children: [String: Node] = [:]) -> Node {
            Node(kind: .directory(made: true), mode: 0o755, children: children)
        }

        static func group(_ children: [String: Node] = [:]) -> Node {
            Node(kind: .directory(made: false), mode: 0o755, children: children)
        }

        static func attribute(_ text: String, mode: UInt16 = 0o644) -> Node {
            Node(kind: .attribute, text: text, mode: mode)
        }

        var isDirectory: Bool {
            if case .directory = kind { true } else { false }
        }

        var link: [String]? {
            if case .link(let target) = kind { target } else { nil }
        }
    }

    /// One initiator's session with a target.
    package struct Session: Equatable, Sendable {
        package var iqn: String
        package var initiator: String
        package var address: String
    }

    /// True while `target_core_mod` is loaded: without it the root does not exist.
    package var isLoaded = true
    /// Directories whose listing hangs, and everything beneath them, as beside a device that is suspended.
    package var hanging: Set<String> = []
    package internal(set) var sessions: [Session] = []
    /// Paths that lead elsewhere while the kernel opens them, by links that somebody has put into them for a moment.
    package var exchanged: [String: String] = [:]
    var root: Node

    package init() {
        root = .group([
            "core": .group(["alua": .group(["lu_gps": .group(["default_lu_gp": .group()])])]),
            "dbroot": .attribute("/var/target"),
            "version": .attribute("Target Engine Core ConfigFS Infrastructure v5.0", mode: 0o444),
        ])
    }

    /// Carries out one action on the tree.
    /// - Parameters:
    ///   - secret: The content of a secret file, for `writeSecret`.
    ///   - device: Minor number of the device at an absolute path, 0 for a file or another device, nil for nothing.
    package mutating func perform(
        _ action: HostAction, secret: (SecretReference) throws(HostError) -> String, device: (String) -> Int?
    ) throws(HostError) {
        switch action {
        case .makeDirectory(let path): try makeDirectory(try components(path))
        case .removeDirectory(let path): try removeDirectory(try components(path))
        case .removeIfEmpty(let path):
            let path = try components(path)
            if let found = node(at: path), !Self.holdsObjects(found) { try removeDirectory(path) }
        case .removeDirectories(let path):
            let path = try components(path)
            for (name, child) in node(at: path)?.children ?? [:] where child.kind == .directory(made: true) {
                try removeDirectory(path + [name])
            }
        case .writeAttribute(let path, let value, let verify):
            try write(try components(path), value, device: device)
            let found = text(at: try components(path))
            if verify, found.map(Self.trimmed) != value {
                throw HostError(.failed, "\(path) reads '\(found ?? "")' after '\(value)' was written")
            }
        case .writeSecret(let path, let reference):
            try write(try components(path), try secret(reference), device: device)
        case .setMode(let path, let mode):
            try change(try components(path)) { $0.mode = mode }
        case .link(let path, let target): try link(try components(path), to: try components(target))
        case .unlink(let path): try unlink(try components(path))
        case .keepReservations(let path, _, let restoring):
            // What is kept is not modelled; that it is read back before anything hands the backstore out is.
            let backstore = try components(path)
            guard !restoring || node(at: backstore) != nil else {
                throw HostError(.notFound, "\(path) is not there")
            }
            if restoring, isLinked(backstore) { throw HostError(.failed, "\(path) is handed out already") }
        case .require(.noSession(let path)):
            guard let info = text(at: try components(path) + ["info"]) else {
                throw HostError(.preconditionFailed, "\(path) is gone")
            }
            guard info.hasPrefix("No active") else {
                throw HostError(.busy, "somebody is logged in through \(path)")
            }
        default: throw HostError(.refused, "'\(action)' is nothing to do to the target tree")
        }
    }

    /// Entries that match any query, sorted by path. An entry that several queries match carries what each asked for.
    package func read(_ queries: [TreeQuery], key: FingerprintKey) throws(HostError) -> [TreeEntry] {
        guard isLoaded else {
            throw HostError(.notFound, "/sys/kernel/config/target is not there", subject: "/sys/kernel/config/target")
        }
        var found: [String: TreeEntry] = [:]
        for query in queries {
            let pattern = query.pattern.split(separator: "/").map(String.init)
            try collect(pattern[...], in: root, at: [], reading: query.reading, key: key, into: &found)
        }
        return found.values.sorted { $0.path < $1.path }
    }

    private func collect(
        _ pattern: ArraySlice<String>, in node: Node, at path: [String], reading: TreeQuery.Reading,
        key: FingerprintKey, into found: inout [String: TreeEntry]
    ) throws(HostError) {
        guard let first = pattern.first else {
            let name = path.joined(separator: "/")
            var entry = found[name] ?? self.entry(node, path)
            fill(&entry, from: node, at: path, reading: reading, key: key)
            found[name] = entry
            return
        }
        guard node.isDirectory else { return }
        guard hanging.isEmpty || !hanging.contains(path.joined(separator: "/")) else {
            throw HostError(.timeout, "listing \(path.joined(separator: "/")) hangs (injected)")
        }
        let names: [String] =
            if first.hasSuffix("*") {
                node.children.keys.filter { $0.hasPrefix(first.dropLast()) }
            } else {
                node.children[first] == nil ? [] : [first]
            }
        for name in names {
            try collect(
                pattern.dropFirst(), in: node.children[name]!, at: path + [name], reading: reading, key: key,
                into: &found)
        }
    }

    private func entry(_ node: Node, _ path: [String]) -> TreeEntry {
        var entry = TreeEntry(path: path.joined(separator: "/"), kind: .file)
        switch node.kind {
        case .directory: entry.kind = .directory
        case .attribute: entry.kind = .file
        case .link(let target):
            entry.kind = .link
            entry.target = String(repeating: "../", count: path.count) + "target/" + target.joined(separator: "/")
        }
        return entry
    }

    private func fill(
        _ entry: inout TreeEntry, from node: Node, at path: [String], reading: TreeQuery.Reading, key: FingerprintKey
    ) {
        switch reading {
        case .presence: break
        case .status:
            entry.mode = node.mode
            entry.size = ByteCount(node.kind == .attribute ? 4096 : 0)
        case .text, .fingerprint:
            guard node.kind == .attribute else { return }
            guard node.mode & 0o444 != 0 else {
                entry.error = HostError(.permissionDenied, "\(entry.path) cannot be read", subject: entry.path)
                return
            }
            if path.last == "alua_tg_pt_gp", !isHandingOut(Array(path.dropLast())) {
                entry.error = HostError(.failed, "\(entry.path) cannot be read", cause: "ENODEV", subject: entry.path)
                return
            }
            let text = Self.trimmed(text(at: path) ?? "")
            if reading == .text {
                entry.text = text
            } else if !text.isEmpty, text != "NULL" {
                entry.fingerprint = FakeFingerprint.of(text, key: key)
            }
        }
    }

    /// Without one trailing newline, as the machine reads attributes.
    static func trimmed(_ text: String) -> String { text.hasSuffix("\n") ? String(text.dropLast()) : text }
}

/// Fingerprints of a fake machine. Equal texts under one key have equal ones; nothing else is asked of them.
package enum FakeFingerprint {
    package static func of(_ text: String, key: FingerprintKey) -> SecretFingerprint {
        // FNV-1a, 64 bits: deterministic across runs, unlike Hasher.
        let hash = (key.bytes + [0] + Array(text.utf8)).reduce(UInt64(0xcbf2_9ce4_8422_2325)) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
        return SecretFingerprint(digits: Hex.digits(hash, width: 16), of: Array(text.utf8))
    }
}
