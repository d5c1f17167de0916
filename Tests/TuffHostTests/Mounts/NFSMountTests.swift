import Testing
import TuffModel

@testable import TuffHost

/// The command that mounts a share, and the look at what is mounted. The lines of mountinfo are those of a guest with
/// Linux 6.1 and nfs-utils 2.6.2 (docs/design/mounts.md).
@Suite("NFS mounts")
struct NFSMountTests {
    private let share = NFSMount(server: "nas.example.com", export: "/backups", path: "tuff")

    private func options(_ share: NFSMount, _ manner: NFSMount.Manner = .repository) throws -> [String] {
        let command = try share.command(mountingAt: "/run/tuff/mounts/1", as: manner)
        #expect(Array(command.arguments.prefix(4)) == [share.source, "/run/tuff/mounts/1", "-n", "-o"])
        #expect(command.arguments.count == 5)
        return command.arguments[4].split(separator: ",").map(String.init)
    }

    @Test("A repository's mount fails rather than waits, a pool's waits; neither has another mount's options")
    func commands() throws {
        let always = ["nosuid", "nodev", "noexec", "nosharecache"]
        let command = try share.command(mountingAt: "/p", as: .repository)
        #expect(
            command.description == "mount.nfs4 nas.example.com:/backups /p -n -o "
                + "nosuid,nodev,noexec,nosharecache,softerr,timeo=50,retrans=2,fg,retry=0,rw")
        #expect(try options(share) == always + ["softerr", "timeo=50", "retrans=2", "fg", "retry=0", "rw"])
        #expect(try options(share, .pool) == always + ["hard", "fg", "retry=0", "rw"])
        var readOnly = share
        readOnly.isReadOnly = true
        #expect(try options(readOnly).last == "ro")
    }

    @Test("What was chosen comes first, so that ours count")
    func choices() throws {
        var chosen = share
        chosen.options = [
            .init("vers", "4.2"), .init("sec", "krb5p"), .init("proto", "tcp"), .init("rsize", "65536"),
            .init("wsize", "65536"), .init("nconnect", "4"), .init("port", "2050"),
        ]
        #expect(
            try options(chosen).prefix(8) == [
                "vers=4.2", "sec=krb5p", "proto=tcp", "rsize=65536", "wsize=65536", "nconnect=4", "port=2050", "nosuid",
            ])
    }

    @Test("Version 3 is another type, and takes no locks, for which a daemon would be started")
    func version3() throws {
        var old = share
        old.options = [.init("vers", "3")]
        #expect(try old.command(mountingAt: "/p", as: .repository).tool == "mount.nfs")
        #expect(try options(old).contains("nolock"))
        old.options = [.init("vers", "3"), .init("vers", "4.1")]
        #expect(old.type == "nfs4", "the last one counts, as in mount(8)")
        #expect(try !options(old).contains("nolock"))
    }

    @Test(
        "The source is spelled as the kernel shows it",
        arguments: [
            ("nas", "/backups", "nas:/backups"), ("nas", "/backups/", "nas:/backups"), ("nas", "/", "nas:/"),
            ("2001:db8::1", "/a", "[2001:db8::1]:/a"), ("[::1]", "/a", "[::1]:/a"),
            ("nas", "/with blank", "nas:/with blank"),
        ])
    func source(_ server: String, _ export: String, _ source: String) throws {
        let share = NFSMount(server: server, export: export)
        #expect(share.source == source)
        #expect(try share.command(mountingAt: "/p", as: .pool).arguments[0] == source)
    }

    @Test(
        "A server has one key, whatever its spelling, and one for each port",
        arguments: [
            ("nas.example.com", nil, "nas.example.com:2049"), ("NAS.Example.COM.", nil, "nas.example.com:2049"),
            ("nas.example.com", "2049", "nas.example.com:2049"), ("nas", "2050", "nas:2050"),
            ("10.0.0.5", nil, "10.0.0.5:2049"), ("::1", nil, "[::1]:2049"), ("[0:0::1]", nil, "[::1]:2049"),
            ("2001:DB8:0::1", "20", "[2001:db8::1]:20"),
        ] as [(String, String?, String)])
    func key(_ server: String, _ port: String?, _ key: String) {
        let options = port.map { [NFSMount.Option("port", $0)] } ?? []
        #expect(NFSMount(server: server, export: "/a", options: options).serverKey == key)
    }

    @Test(
        "What no document can hold is in no command of root's",
        arguments: [
            NFSMount(server: "", export: "/a"), NFSMount(server: "-o", export: "/a"),
            NFSMount(server: "nas/x", export: "/a"), NFSMount(server: "nas,ro", export: "/a"),
            NFSMount(server: "nas\n", export: "/a"), NFSMount(server: "nas", export: "a"),
            NFSMount(server: "nas", export: ""), NFSMount(server: "nas", export: "/a/../b"),
            NFSMount(server: "nas", export: "/a//b"), NFSMount(server: "nas", export: "/./a"),
            NFSMount(server: "nas", export: "/a\u{7}"), NFSMount(server: "nas", export: "/a", path: "/b"),
            NFSMount(server: "nas", export: "/a", path: "../b"), NFSMount(server: "nas", export: "/a", path: "b/"),
            NFSMount(server: "nas", export: "/a", path: "b/./c"),
            NFSMount(server: "nas", export: "/a", options: [.init("soft", "1")]),
            NFSMount(server: "nas", export: "/a", options: [.init("vers", "")]),
            NFSMount(server: "nas", export: "/a", options: [.init("vers", "4.2,suid")]),
            NFSMount(server: "nas", export: "/a", options: [.init("vers,suid", "4.2")]),
            NFSMount(server: "nas", export: "/a", options: [.init("port", "20 49")]),
            NFSMount(server: "nas", export: "/a", options: [.init("sec", "-sys")]),
        ])
    func refused(_ share: NFSMount) {
        for manner in [NFSMount.Manner.repository, .pool] {
            let error = #expect(throws: HostError.self) { _ = try share.command(mountingAt: "/p", as: manner) }
            #expect(error?.code == .refused)
        }
    }

    // MARK: What is mounted

    private static let found =
        "rw,vers=4.2,rsize=131072,wsize=131072,namlen=255,softerr,softreval,nosharecache,proto=tcp,timeo=50,retrans=2,"
        + "sec=sys,clientaddr=127.0.0.1,local_lock=none,addr=127.0.0.1"

    private static func table(_ lines: String...) -> MountTable {
        MountTable(
            text: (["1 1 98:0 / / rw - ext4 /dev/root rw", "2 1 0:30 / /run rw - tmpfs tmpfs rw"] + lines)
                .joined(separator: "\n") + "\n")
    }

    /// The mount at /run/m, asked for as nas:/share.
    private func fault(
        _ options: String = found, flags: String = "rw,nosuid,nodev,noexec,relatime", type: String = "nfs4",
        source: String = "nas:/share", chosen: [NFSMount.Option] = [], readOnly: Bool = false,
        as manner: NFSMount.Manner = .repository
    ) throws -> MountedShare.Fault? {
        let table = Self.table("62 2 0:31 / /run/m \(flags) - \(type) \(source) \(options)")
        let share = NFSMount(server: "nas", export: "/share", options: chosen, isReadOnly: readOnly)
        return try #require(MountedShare(at: "/run/m", in: table)).fault(comparedWith: share, as: manner)
    }

    @Test("A mount as it was asked for is told from none, from one below it and from the one it covers")
    func told() throws {
        let line = "62 2 0:31 / /run/m rw,nosuid - nfs4 nas:/with\\040blank rw,hard"
        let mounted = try #require(MountedShare(at: "/run/m", in: Self.table(line)))
        #expect(mounted.type == "nfs4" && mounted.source == "nas:/with blank")
        #expect(mounted.options == ["rw", "nosuid"] && mounted.fileSystemOptions == ["rw", "hard"])
        for path in ["/run/m/inner", "/run/n", "/m"] { #expect(MountedShare(at: path, in: Self.table(line)) == nil) }
        #expect(MountedShare(at: "/run", in: Self.table(line))?.type == "tmpfs")
        #expect(MountedShare(at: "/", in: Self.table(line))?.type == "ext4")
        let upper = "63 62 0:32 / /run/m rw - tmpfs other rw"
        #expect(MountedShare(at: "/run/m", in: Self.table(line, upper))?.source == "other")
        // Mounted before what covers the directory above it: nobody reaches it.
        let cover = "64 2 0:33 / /run rw - tmpfs cover rw"
        #expect(MountedShare(at: "/run/m", in: Self.table(line, cover)) == nil)
        #expect(try fault() == nil)
        #expect(try fault(chosen: [.init("vers", "4.2"), .init("sec", "sys"), .init("proto", "tcp")]) == nil)
        #expect(try fault(chosen: [.init("vers", "4"), .init("sec", "krb5:sys"), .init("port", "2049")]) == nil)
        #expect(try fault(chosen: [.init("rsize", "4096"), .init("nconnect", "4")]) == nil)
        #expect(try fault(Self.found.replacingHard(), as: .pool) == nil)
        #expect(try fault("ro," + Self.found.dropFirst(3), flags: "ro,nosuid,nodev,noexec", readOnly: true) == nil)
    }

    @Test("Another share, server, port or file system is foreign: nothing is written there")
    func foreign() throws {
        func isForeign(_ fault: MountedShare.Fault?) -> Bool {
            if case .foreign = fault { true } else { false }
        }
        #expect(try isForeign(fault(source: "nas:/other")))
        #expect(try isForeign(fault(source: "other:/share")))
        #expect(try isForeign(fault(source: "nas:/share/tuff")))
        #expect(try isForeign(fault(type: "ext4")))
        #expect(try isForeign(fault(type: "fuse.sshfs")))
        #expect(try isForeign(fault(Self.found + ",port=2050")))
        #expect(try isForeign(fault(chosen: [.init("port", "2050")])))
        #expect(try fault(Self.found + ",port=2050", chosen: [.init("port", "2050")]) == nil)
    }

    @Test("The same share in another way is told, each way by itself")
    func otherwise() throws {
        func ways(_ fault: MountedShare.Fault?) -> String? {
            guard case .options(let text) = fault else { return nil }
            return text.split(separator: ": ").last.map(String.init)
        }
        #expect(try ways(fault(flags: "rw,nodev,relatime")) == "without nosuid, without noexec")
        #expect(try ways(fault(flags: "ro,nosuid,nodev,noexec")) == "read-only")
        #expect(try ways(fault("ro," + Self.found.dropFirst(3))) == "read-only")
        #expect(try ways(fault(readOnly: true)) == "writable")
        #expect(try ways(fault(Self.found.replacingHard())) == "hard")
        #expect(try ways(fault(as: .pool)) == "softerr")
        #expect(try ways(fault(chosen: [.init("vers", "4.1")])) == "vers=4.2")
        #expect(try ways(fault(chosen: [.init("vers", "3")])) == "vers=4.2")
        #expect(try ways(fault(chosen: [.init("sec", "krb5")])) == "sec=sys")
        #expect(try ways(fault(chosen: [.init("proto", "udp")])) == "proto=tcp")
        #expect(try ways(fault(type: "nfs")) == "as nfs")
    }

    @Test(
        "What mount.nfs(8) says when it fails has a code",
        arguments: [
            ("mount.nfs4: Connection refused", HostError.Code.unreachable),
            ("mount.nfs4: Connection timed out for nas:/a on /p", .unreachable),
            ("mount.nfs4: Resource temporarily unavailable", .unreachable),
            ("mount.nfs4: Network is unreachable", .unreachable),
            ("mount.nfs4: mount system call failed", .unreachable),
            ("mount.nfs4: Failed to resolve server nas: Name or service not known", .unreachable),
            ("mount.nfs4: mounting nas:/a failed, reason given by server: No such file or directory", .notFound),
            ("mount.nfs4: access denied by server while mounting nas:/a", .permissionDenied),
            ("mount.nfs4: an incorrect mount option was specified", .failed), ("", .failed),
        ])
    func failures(_ text: String, _ code: HostError.Code) {
        let error = NFSMount(server: "nas", export: "/a").failure(text)
        #expect(error.code == code && error.subject == "nas:/a")
        #expect(error.cause == (text.isEmpty ? nil : text))
    }
}

extension String {
    /// Options of a mount that waits.
    fileprivate func replacingHard() -> String {
        split(separator: ",").map { $0 == "softerr" ? "hard" : String($0) }.filter { $0 != "softreval" }
            .joined(separator: ",")
    }
}
