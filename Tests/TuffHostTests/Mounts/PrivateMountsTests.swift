import CTuffHost
import Glibc
import Testing
import TuffTestSupport
import TuffModel

@testable import TuffHost

/// Mounts that no other process sees. A file system in memory stands for a share: there is no server here, and the lab
/// has one (NFSLabTests).
@Suite("Mounts of a process's own")
struct PrivateMountsTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    /// On a thread that other work never uses, and that is gone afterwards with its mounts.
    private static func alone<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in onThread { continuation.resume(returning: work()) } }
    }

    private static let mayHaveMounts: @Sendable () async -> Bool = {
        guard geteuid() == 0 else { return false }
        return await alone { tuff_own_mounts() == 0 }
    }

    /// Mounts an empty file system with a directory, a link to it, a file, and something mounted in it.
    private static func memory(
        _ fault: @escaping @Sendable (MountedShare, NFSMount) -> MountedShare.Fault? = { _, _ in nil }
    ) -> PrivateMounts.Method {
        PrivateMounts.Method(
            mount: { _, point, waiting throws(HostError) in
                try waiting()
                for place in [point, "\(point)/mounted"] {
                    guard mkdir(place, 0o700) == 0 || errno == EEXIST, mount("tuff-test", place, "tmpfs", 0, nil) == 0
                    else { throw .system(errno, "Cannot mount at \(place)") }
                }
                mkdir("\(point)/repository", 0o700)
                symlink("repository", "\(point)/link")
                close(tuff_open_at(AT_FDCWD, "\(point)/file", O_WRONLY | O_CREAT, 0o600))
            }, fault: fault)
    }

    private static func share(_ path: String) -> NFSMount { NFSMount(server: "nas", export: "/backups", path: path) }

    /// The result of opening a share on a thread with mounts of its own, and the process's mounts meanwhile.
    private func open(
        _ path: String, making: Bool = false, by method: PrivateMounts.Method = memory()
    ) async -> (result: Result<MountedDirectory, HostError>, outside: String?) {
        let directory = folder.at("mounts")
        return await Self.alone {
            let result = Result { () throws(HostError) in
                var mounts = try PrivateMounts(in: directory, by: method)
                return try mounts.open(Self.share(path), making: making)
            }
            return (result, Folder.read("/proc/self/mountinfo"))
        }
    }

    private func code(_ path: String, making: Bool = false) async -> HostError.Code? {
        switch await open(path, making: making).result {
        case .success: nil
        case .failure(let error): error.code
        }
    }

    @Test(
        "They are nobody else's, and what was opened is reached by its descriptor from every thread",
        .enabled("only root can have them") { await mayHaveMounts() })
    func nobodyElses() async throws {
        let (result, outside) = await open("repository")
        let directory = try result.get()
        #expect(try #require(outside).contains(" / "), "the table of mounts could not be read")
        #expect(outside?.contains(folder.path) == false)
        // The thread has ended, and its mounts are held by the descriptor alone.
        close(tuff_open_at(directory.descriptor, "pack", O_WRONLY | O_CREAT, 0o600))
        #expect(Folder.names(in: directory.path) == ["pack"])
        #expect(folder.names("mounts") == [])
        #expect(folder.mode("mounts") == 0o700)
        #expect(Folder.read("/proc/self/mountinfo")?.contains(folder.path) == false)
    }

    @Test(
        "The path beneath an export leads through no link and into nothing else that is mounted there",
        .enabled("only root can have them") { await mayHaveMounts() })
    func beneath() async throws {
        #expect(await code("") == nil)
        #expect(await code("repository") == nil)
        #expect(await code("repository/none") == .notFound)
        #expect(await code("none/none", making: true) == nil)
        #expect(await code("repository/new", making: true) == nil)
        #expect(await code("link") == .refused)
        #expect(await code("link/new", making: true) == .refused)
        #expect(await code("mounted") == .refused)
        #expect(await code("mounted/new", making: true) == .refused)
        #expect(await code("file") == .failed)
    }

    @Test(
        "What is mounted is looked at: another file system, or none, is not used",
        .enabled("only root can have them") { await mayHaveMounts() })
    func wrong() async throws {
        let foreign = await open("repository", by: Self.memory { $0.fault(comparedWith: $1, as: .repository) }).result
        guard case .failure(let error) = foreign else {
            Issue.record("a file system in memory was taken for a share")
            return
        }
        #expect(error.code == .preconditionFailed && error.sentence.contains("tuff-test (tmpfs)"), "\(error)")
        let nothing = PrivateMounts.Method(mount: { _, _, _ in }, fault: { _, _ in nil })
        guard case .failure(let none) = await open("", by: nothing).result else {
            Issue.record("nothing was taken for a share")
            return
        }
        #expect(none.code == .preconditionFailed, "\(none)")
    }

    @Test(
        "Several are mounted beside each other, and an error of mounting is told",
        .enabled("only root can have them") { await mayHaveMounts() })
    func several() async throws {
        let directory = folder.at("mounts")
        let results = await Self.alone {
            Result { () throws(HostError) in
                var mounts = try PrivateMounts(in: directory, by: Self.memory())
                let first = try mounts.open(Self.share("repository"))
                let second = try mounts.open(Self.share("repository"))
                close(tuff_open_at(first.descriptor, "first", O_WRONLY | O_CREAT, 0o600))
                var third: HostError?
                do throws(HostError) {
                    _ = try mounts.open(Self.share("")) { () throws(HostError) in
                        throw HostError(.interrupted, "over")
                    }
                } catch {
                    third = error
                }
                return [Folder.names(in: first.path), Folder.names(in: second.path), [third?.sentence ?? ""]]
            }
        }
        #expect(try results.get() == [["first"], [], ["over"]])
    }

    @Test("A process that does other work gets none: its threads would see them ever after")
    func threads() async {
        let roots = HostRoots(target: folder.at("target"), reach: Reach())
        let error = await Self.alone {
            #expect(throws: HostError.self) {
                _ = try PrivateMounts(
                    of: JobControl(roots: roots, summary: "a test", isOver: { false }, telling: { _ in }))
            }
        }
        #expect(error?.code == .refused)
    }

    // MARK: The command that mounts

    private func command(_ script: String) throws -> BoundCommand {
        try folder.tool("mount.test", script)
        return BoundCommand(
            command: Command("mount.test", ["a b", "c"], effect: .mutates),
            searchPath: [folder.path, "/usr/bin", "/bin"], limit: 60)
    }

    /// On a thread of its own, as in a worker: other tests wait for those that tasks share.
    private static func running(
        _ command: BoundCommand, waiting: @escaping @Sendable () throws(HostError) -> Void = {}
    ) async throws -> BoundCommand.Ending {
        try await alone { Result { () throws(HostError) in try command.run(waiting: waiting) } }.get()
    }

    @Test("It is run with its arguments, an environment of ours and no descriptor, and what it says is kept")
    func says() async throws {
        let command = try command(
            """
            echo "$1|$2|$LC_ALL|$HOME"
            for number in 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$number ] || echo "has $number"; done
            read -r line || echo "nothing to read" >&2
            exit 32
            """)
        let ending = try await Self.running(command)
        #expect(ending == .init(status: 32, text: "a b|c|C|\nnothing to read"))
        #expect(try await Self.running(try self.command("kill -9 $$")).status == nil)
    }

    @Test("It ends at its limit, and when its job is to end")
    func ends() async throws {
        let slow = try command("echo begun; exec sleep 60")
        let limited = BoundCommand(command: slow.command, searchPath: slow.searchPath, limit: 0.3)
        let overdue = await #expect(throws: HostError.self) { _ = try await Self.running(limited) }
        #expect(overdue?.code == .timeout)
        let telling = try command("echo $$ > \(folder.at("pid")); exec sleep 60")
        let folder = folder
        let error = await #expect(throws: HostError.self) {
            _ = try await Self.running(telling) { () throws(HostError) in
                if folder.read("pid")?.hasSuffix("\n") == true { throw HostError(.interrupted, "over") }
            }
        }
        #expect(error?.code == .interrupted)
        let pid = try #require(await readPID(folder, "pid"))
        #expect(!isAlive(pid))
    }

    @Test("A program that is not there is named")
    func missing() {
        let command = BoundCommand(
            command: Command("mount.none", [], effect: .mutates), searchPath: [folder.path], limit: 60)
        let error = #expect(throws: HostError.self) { _ = try command.run(waiting: {}) }
        #expect(error?.code == .notFound && error?.subject == "mount.none")
    }

    @Test("It dies with the thread that started it")
    func bound() async throws {
        let script = try folder.tool("forever", "echo $$ > \(folder.at("pid")); exec sleep 60"), folder = folder
        let pid = await Self.alone { () -> Int32 in
            var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(script), nil]
            var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/bin:/bin"), nil]
            defer { for word in arguments + environment { free(word) } }
            let pid = tuff_start_bound(script, &arguments, &environment, STDERR_FILENO)
            for _ in 0..<3000 where folder.read("pid")?.hasSuffix("\n") != true { usleep(10_000) }
            return pid
        }
        #expect(folder.read("pid") == "\(pid)\n")
        var status: Int32 = 0
        #expect(await eventually { waitpid(pid, &status, WNOHANG) == pid })
        #expect(status & 0x7f == SIGKILL)
    }
}
