import FoundationEssentials
import Glibc
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffHost

/// A real server of NFS and the kernel's own client (Tests/Lab/nfs-server; docs/design/mounts.md has what was
/// measured).
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct NFSLabTests {
    private func inWorld(_ body: (LabProgram) async throws -> Void) async throws {
        let lab = try LabProgram("nfs", port: 3293)
        let made = try await lab.shell("Tests/Lab/nfs-server start")
        #expect(made.status == 0, "\(made.text)")
        do { try await body(lab) } catch { Issue.record(error) }
        let gone = try await lab.shell("Tests/Lab/nfs-server stop")
        #expect(gone.status == 0, "\(gone.text)")
        try lab.remove()
    }

    private static func share(_ export: String, _ path: String = "", port: String? = nil) -> NFSMount {
        NFSMount(
            server: "127.0.0.1", export: export, path: path,
            options: [.init("vers", "4.2")] + (port.map { [.init("port", $0)] } ?? []))
    }

    /// On a thread of its own, with mounts of its own, which end with it.
    private static func mounting<Value: Sendable>(
        _ share: NFSMount, making: Bool = false, _ work: @escaping @Sendable (MountedDirectory) -> Value
    ) async -> Result<Value, HostError> {
        await withCheckedContinuation { continuation in
            Thread.begin {
                continuation.resume(
                    returning: Result { () throws(HostError) in
                        var mounts = try PrivateMounts(in: "/run/tuff/mounts", by: .nfs)
                        return work(try mounts.open(share, making: making))
                    })
            }
        }
    }

    private func error<Value>(_ result: Result<Value, HostError>) -> HostError? {
        switch result {
        case .success: nil
        case .failure(let error): error
        }
    }

    /// Mounts of NFS that the guest sees, and what its kernel has of them in all.
    private static let table: @Sendable () -> String = {
        ["/proc/1/mountinfo", "/proc/fs/nfsfs/volumes"].map { path in
            (try? String(contentsOfFile: path, encoding: .utf8)) ?? "\(path) cannot be read"
        }.joined()
    }

    @Test("A share is mounted for one thread, is what was asked for, and is gone with it; nobody else sees it")
    func privately() async throws {
        try await inWorld { _ in
            for export in ["/plain", "/root", "/all"] {
                let seen = await Self.mounting(Self.share(export, "tuff/a"), making: true) { directory in
                    let file = openat(directory.descriptor, "pack", O_WRONLY | O_CREAT | O_EXCL, 0o600)
                    var status = stat()
                    let isMade = fstat(file, &status) == 0 && fsync(file) == 0
                    close(file)
                    return (isMade, Exposure.isOurs(status, directory.descriptor), Self.table())
                }
                let (isMade, isOurs, table) = try seen.get()
                #expect(isMade && isOurs, "\(export)")
                #expect(!table.contains(" - nfs4 "), "\(export) is seen outside:\n\(table)")
                #expect(table.contains("\nv4 "), "the kernel has no such mount:\n\(table)")
            }
            // The directory that was left open is closed by whoever lets go of it last, and the mounts go after that.
            for _ in 0..<100 where Self.table().contains("\nv4 ") { usleep(100_000) }
            #expect(!Self.table().contains("\nv4 "), "\(Self.table())")
        }
    }

    @Test("What is wrong with a share, its server or the path beneath is told")
    func faults() async throws {
        try await inWorld { _ in
            func code(_ share: NFSMount) async -> HostError.Code? { error(await Self.mounting(share) { _ in })?.code }
            #expect(await code(Self.share("/plain", "repository")) == nil)
            #expect(await code(Self.share("/none")) == .unreachable)
            #expect(await code(Self.share("/plain", "none")) == .notFound)
            #expect(await code(Self.share("/plain", "link")) == .refused)
            #expect(await code(Self.share("/plain", port: "2052")) == .unreachable)
            // What a sandbox or a typing error does not prevent: a writable share that was to be read-only is refused.
            var readOnly = Self.share("/plain", "repository")
            readOnly.isReadOnly = true
            let made = await Self.mounting(readOnly) { directory in
                mkdirat(directory.descriptor, "new", 0o700) == 0 ? 0 : errno
            }
            let number = try made.get()
            #expect(number == EROFS)
        }
    }

    @Test("A server that takes the connection and never answers keeps nobody longer than the limit")
    func frozen() async throws {
        try await inWorld { _ in
            let result = await withCheckedContinuation { continuation in
                Thread.begin {
                    let result = Result { () throws(HostError) in
                        mkdir("/run/frozen", 0o700)
                        let command = try Self.share("/plain", port: "2051")
                            .command(mountingAt: "/run/frozen", as: .repository)
                        return try BoundCommand(command: command, limit: 3).run(waiting: {})
                    }
                    continuation.resume(returning: result)
                }
            }
            #expect(error(result)?.code == .timeout)
            let other = error(await Self.mounting(Self.share("/plain")) { _ in })
            #expect(other == nil, "another port has to wait as well")
        }
    }

    @Test("A person backs up to a share by the name of its document, and mounts nothing")
    func byName() async throws {
        try await inWorld { lab in
            try lab.write(
                "apiVersion: tuff.dev/v1\nkind: Controller\nspec:\n  node: tufflab\n"
                    + "  allow: {nfs: [\"127.0.0.1:/root\"]}\n", to: "config.yaml")
            try lab.declare(
                LabProgram.document(
                    "BackupRepository", "nas",
                    "nfs: {server: 127.0.0.1, export: /root, path: tuff, options: [vers=4.2]}"))
            // The place of the share on the server, which is this guest too.
            try await lab.must("tuff", ["backup", "init", "--repository", "/run/lab/nfs/root/tuff"])
            // Root is nobody to this export.
            try await lab.must("chown", ["-R", "65534:65534", "/run/lab/nfs/root/tuff"])
            try lab.write(String(repeating: "0123456789", count: 200_000), to: "disk")
            let named = ["-f", "\(lab.folder)/storage.yaml", "--repository", "nas"]
            for command in [
                ["run", "--source", "\(lab.folder)/disk", "--name", "db"], ["ls"], ["check", "--read-data"],
                ["prune", "--keep-last", "1"], ["restore", "--name", "db", "--to", "\(lab.folder)/back"],
            ] {
                let ended = try await lab.tuff(["backup", command[0]] + named + command.dropFirst())
                #expect(ended.status == 0, "\(command): \(ended.text)")
                #expect(!Self.table().contains(" - nfs4 "), "\(Self.table())")
            }
            let compared = try await lab.shell("cmp \(lab.folder)/disk \(lab.folder)/back")
            #expect(compared.status == 0, "\(compared.text)")
        }
    }

    @Test("Files of a pool on NFS are ours, whoever the server makes of us", arguments: ["root", "all"])
    func squashed(_ export: String) async throws {
        try await inWorld { lab in
            let point = "\(lab.folder)/pools/\(export)"
            try FileManager.default.createDirectory(atPath: point, withIntermediateDirectories: true, attributes: nil)
            let command = try Self.share("/\(export)").command(mountingAt: point, as: .pool)
            try await lab.must(command.tool, command.arguments)
            let mounted = try #require(try MountedShare.now(at: point))
            #expect(mounted.fault(comparedWith: Self.share("/\(export)"), as: .pool) == nil, "\(mounted)")
            #expect(mounted.fault(comparedWith: Self.share("/plain"), as: .pool) != nil, "\(mounted)")
            let machine = LinuxMachine(
                configuration: .init(workerCommand: [], reach: Reach(everythingBeneath: [lab.folder])))
            let file = HostPath(.directory(point), "v.raw"), other = HostPath(.directory(point), "w.raw")
            let size = ByteCount(1 << 20)
            try await machine.perform([
                .require(.vacant(file)), .createFile(file, size: size), .require(.file(file, size: size)),
                .createFile(file, size: size), .growFile(file, to: ByteCount(2 << 20)),
                .createFile(other, size: size), .copyBytes(from: .file(other), to: .file(file)),
                .require(.unopened(file)), .removeFile(other), .renameFile(file, to: other), .removeFile(other),
            ])
            #expect(try FileManager.default.contentsOfDirectory(atPath: point).filter { $0.hasSuffix("raw") } == [])
            try await lab.must("umount", [point])
        }
    }
}

/// A thread that other work never uses.
private enum Thread {
    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    static func begin(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { argument in
                // The argument is the work retained below; a thread always gets it.
                Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(Work(body)).toOpaque())
        pthread_detach(thread)
    }
}
