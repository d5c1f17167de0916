import Glibc
package import TuffModel

/// A share of an NFS server as it is to be mounted. Never holds a secret: NFS has none that travel as options.
package struct NFSMount: Hashable, Codable, Sendable {
    package struct Option: Hashable, Codable, Sendable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The use of a mount, which decides what becomes of a call that the server does not answer.
    package enum Manner: String, Codable, Sendable {
        /// It fails, where the kernel can make it (`softerr` in nfs(5)): who reads or writes a repository can begin
        /// anew.
        case repository
        /// It waits without an end (`hard`): a machine's disk is in it, and must not see an error that will pass.
        case pool
    }

    /// Name or address, an address of IPv6 without brackets.
    package var server: String
    /// Absolute path that the server exports.
    package var export: String
    /// Relative path beneath the export; empty: its root.
    package var path: String
    /// Options that a person chose, of `choices`.
    package var options: [Option]
    package var isReadOnly: Bool

    package init(server: String, export: String, path: String = "", options: [Option] = [], isReadOnly: Bool = false) {
        self.server = server
        self.export = export
        self.path = path
        self.options = options
        self.isReadOnly = isReadOnly
    }

    /// Names of options that may be chosen. All others are ours.
    package static let choices = ["vers", "sec", "proto", "rsize", "wsize", "nconnect", "port"]
    /// Longest silence that a job needs whose repository is on NFS: two calls one after the other fail within 30 s
    /// where the connection is broken (`timeo` and `retrans` below).
    package static let silence = Duration.seconds(60)
    private static let usualPort = "2049"

    /// As the kernel takes it and shows it: `nas.example.com:/backups`, `[2001:db8::1]:/backups`.
    package var source: String {
        let host = server.contains(":") && !server.hasPrefix("[") ? "[\(server)]" : server
        var export = Substring(export)
        while export.utf8.count > 1, export.hasSuffix("/") { export.removeLast() }
        return "\(host):\(export)"
    }

    /// The server in one spelling, with its port: what must not be mounted from while a worker of it is stuck. Two
    /// names of one server are two servers here.
    package var serverKey: String {
        var name = server.lowercased()
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        while name.hasSuffix(".") { name.removeLast() }
        var address = in6_addr()
        if inet_pton(AF_INET6, name, &address) == 1 {
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            if inet_ntop(AF_INET6, &address, &text, socklen_t(text.count)) != nil {
                name = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            }
        }
        let port = value(of: "port") ?? Self.usualPort
        return name.contains(":") ? "[\(name)]:\(port)" : "\(name):\(port)"
    }

    /// The last one counts, as in mount(8).
    func value(of option: String) -> String? { options.last { $0.name == option }?.value }

    /// Version 3 is another file system to the kernel. It is never chosen for a server that has no other: its locks
    /// are a second service, which is not asked for.
    package var type: String { value(of: "vers").map { $0 == "3" || $0.hasPrefix("3.") } == true ? "nfs" : "nfs4" }

    /// The command that mounts it: mount.nfs(8) itself, so that ending it ends all of it, and no table of mounts is
    /// written (`-n`). Not to be run by a shell, nor asked of mount(8), which would look into /etc/fstab.
    /// - Parameter point: a directory of ours.
    /// - Throws: `refused` where a part is none that a document can hold.
    package func command(mountingAt point: String, as manner: Manner) throws(HostError) -> Command {
        if let fault {
            throw HostError(.refused, "\(source) is not mounted: \(fault)", subject: source)
        }
        return Command(
            "mount.\(type)",
            [source, point, "-n", "-o", mountOptions(manner).joined(separator: ",")], effect: .mutates,
            deadline: PrivateMounts.limit)
    }

    /// The command that mounts a pool, as a person would type it.
    func typed(at path: String) -> String {
        Command("mount.\(type)", [source, path, "-o", mountOptions(.pool).joined(separator: ",")], effect: .mutates)
            .description
    }

    /// Those that were chosen, and then ours, since the last one counts.
    func mountOptions(_ manner: Manner) -> [String] {
        var result = options.map { "\($0.name)=\($0.value)" }
        // Locks of version 3 need a daemon that mount.nfs(8) starts: it would keep our namespace. No file is locked
        // there.
        if type == "nfs" { result.append("nolock") }
        result += ["nosuid", "nodev", "noexec"]
        // Shared with another mount of the same server, the file system has that one's options and shows its name.
        result.append("nosharecache")
        switch manner {
        // A call fails after 15 s of a broken connection: `timeo` is in tenths of a second, and counts 1 + `retrans`
        // times.
        case .repository: result += ["softerr", "timeo=50", "retrans=2"]
        case .pool: result.append("hard")
        }
        // Once, and not in the background, whatever /etc/nfsmount.conf says.
        return result + ["fg", "retry=0", isReadOnly ? "ro" : "rw"]
    }

    /// Why it is not mounted, however it came here: what ends up in a command of root's is looked at once more.
    private var fault: String? {
        func isPlain(_ text: String) -> Bool { !text.utf8.contains { $0 < 0x20 || $0 == 0x7f } }
        func isWords(_ path: Substring) -> Bool {
            let words = path.split(separator: "/", omittingEmptySubsequences: false)
            return words.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
        }
        func isName(_ text: String, and more: String) -> Bool {
            !text.isEmpty && !text.hasPrefix("-") && text.utf8.allSatisfy { Self.isName($0) || more.utf8.contains($0) }
        }
        guard isName(server, and: ":[]%") else { return "'\(server)' is no name or address of a server" }
        let beneath = export.dropFirst()
        guard export.hasPrefix("/"), isPlain(export), beneath.isEmpty || isWords(Self.withoutSlash(beneath)) else {
            return "'\(export)' is no absolute path"
        }
        guard isPlain(path), path.isEmpty || isWords(path[...]) else { return "'\(path)' is no path beneath an export" }
        for option in options {
            guard Self.choices.contains(option.name) else { return "the option '\(option.name)' is not for documents" }
            guard isName(option.value, and: ":") else {
                return "the option '\(option.name)' cannot be '\(option.value)'"
            }
        }
        return nil
    }

    private static func withoutSlash(_ path: Substring) -> Substring { path.hasSuffix("/") ? path.dropLast() : path }

    private static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "._-".utf8.contains(byte)
        }
    }
}
