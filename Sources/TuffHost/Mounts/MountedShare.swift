package import TuffModel

/// The mount at a directory, by the kernel's table of mounts: no server is asked.
package struct MountedShare: Hashable, Codable, Sendable {
    /// `nfs4`, `nfs` for version 3, `ext4`.
    package var type: String
    /// `SERVER:/EXPORT`, from a bind mount of a directory in it on with that directory
    /// (nfs_show_devname in fs/nfs/super.c).
    package var source: String
    /// Of the mount, such as `nosuid`.
    package var options: Set<String>
    /// Of the file system, such as `vers=4.2`. Several mounts may share it.
    package var fileSystemOptions: Set<String>

    /// Why a mount is not the one that was asked for.
    package enum Fault: Hashable, Codable, Sendable {
        /// Other content than was meant, which must not be written to. The end of a sentence about the directory.
        case foreign(String)
        /// The content that was meant, mounted in another way. As above.
        case options(String)
    }

    /// The uppermost mount at `point`, nil where nothing is mounted there.
    /// - Parameter point: an absolute path without links.
    package init?(at point: String, in table: MountTable) {
        guard let mount = table.top(at: point) else { return nil }
        self.init(mount)
    }

    init(_ mount: MountTable.Mount) {
        func words(_ bytes: [UInt8]) -> Set<String> {
            Set(bytes.split(separator: UInt8(ascii: ",")).map { String(decoding: $0, as: UTF8.self) })
        }
        type = mount.type
        source = String(decoding: mount.source, as: UTF8.self)
        options = words(mount.options)
        fileSystemOptions = words(mount.fileSystemOptions)
    }

    /// The same of this process's mounts as they are.
    package static func now(at point: String) throws(HostError) -> MountedShare? {
        MountedShare(at: point, in: try MountTable.current())
    }

    /// Nil where this is what was asked for. Sizes and numbers of connections are agreed with the server, and not
    /// looked at.
    package func fault(comparedWith mount: NFSMount, as manner: NFSMount.Manner) -> Fault? {
        guard type == "nfs" || type == "nfs4" else { return .foreign("has \(source) (\(type)) mounted on it") }
        guard source == mount.source else { return .foreign("has \(source) mounted on it, not \(mount.source)") }
        guard (value(of: "port") ?? "2049") == (mount.value(of: "port") ?? "2049") else {
            return .foreign("has \(source) mounted on it from port \(value(of: "port") ?? "2049")")
        }
        var wrong: [String] = []
        for flag in ["nosuid", "nodev", "noexec"] where !options.contains(flag) { wrong.append("without \(flag)") }
        let isReadOnly = options.contains("ro") || fileSystemOptions.contains("ro")
        if isReadOnly != mount.isReadOnly { wrong.append(isReadOnly ? "read-only" : "writable") }
        let (needed, others) = manner == .pool ? ("hard", ["soft", "softerr"]) : ("softerr", ["hard", "soft"])
        if !fileSystemOptions.contains(needed) {
            wrong.append(others.first(where: fileSystemOptions.contains) ?? "without \(needed)")
        }
        if let asked = mount.value(of: "vers"), let found = value(of: "vers"), !Self.isVersion(found, asked) {
            wrong.append("vers=\(found)")
        } else if type != mount.type {
            wrong.append("as \(type)")
        }
        if let asked = mount.value(of: "sec"), let found = value(of: "sec"),
            !asked.split(separator: ":").contains(where: { $0 == found })
        {
            wrong.append("sec=\(found)")
        }
        if let asked = mount.value(of: "proto"), let found = value(of: "proto"), found != asked, found != asked + "6" {
            wrong.append("proto=\(found)")
        }
        guard !wrong.isEmpty else { return nil }
        return .options("has \(source) mounted on it in another way: \(wrong.joined(separator: ", "))")
    }

    private func value(of name: String) -> String? {
        fileSystemOptions.first { $0.hasPrefix("\(name)=") }.map { String($0.dropFirst(name.utf8.count + 1)) }
    }

    /// `4` is any of them, `4.2` that one.
    private static func isVersion(_ found: String, _ asked: String) -> Bool {
        found == asked || found.hasPrefix(asked + ".") || asked == "4.0" && found == "4"
    }
}
