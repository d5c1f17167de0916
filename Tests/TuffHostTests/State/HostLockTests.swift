import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@Suite("The host lock")
struct HostLockTests {
    let folder: Folder
    let path: String

    init() throws {
        folder = try Folder()
        path = folder.at("run/lock")
    }

    private func refusal() -> HostError? {
        do throws(LockError) {
            _ = try HostLock.acquire(path: path, purpose: "test")
            return nil
        } catch {
            guard case .failed(let reason) = error else { return nil }
            return reason
        }
    }

    @Test("The file and its directory are made for us alone, under any umask")
    func modes() throws {
        let lock = try HostLock.acquire(path: path, purpose: "tuff apply -f /srv")
        #expect(folder.mode("run") == 0o700)
        #expect(folder.mode("run/lock") == 0o600)
        lock.release()
    }

    @Test("Who finds the lock held learns pid, host, time and command of its holder")
    func holder() throws {
        let lock = try HostLock.acquire(path: path, purpose: "tuff apply -f /srv")
        let error = #expect(throws: LockError.self) { try HostLock.acquire(path: path, purpose: "second") }
        guard case .held(let holder) = try #require(error) else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(holder.pid == getpid())
        #expect(holder.host == HostFacts.shortHostName())
        #expect(abs(holder.since.secondsSince1970 - HostFacts.now().secondsSince1970) < 60)
        #expect(holder.command == "tuff apply -f /srv")
        #expect(holder.isRunning)
        lock.release()
    }

    @Test("A lock is free again after release and after its object is gone")
    func release() async throws {
        try HostLock.acquire(path: path, purpose: "first").release()
        do { _ = try await acquireFreed(path) }
        try await acquireFreed(path).release()
    }

    @Test("A holder that has ended is told from one that runs")
    func orphaned() async throws {
        try HostLock.acquire(path: path, purpose: "first").release()
        let text = try #require(folder.read("run/lock"))
        // The same process number at another time of start is another process.
        let start = try #require(text.firstRange(of: "\"startTicks\":\""))
        try folder.write("run/lock", text[..<start.upperBound] + "1" + text[start.upperBound...], mode: 0o600)
        let descriptor = open(path, O_RDWR)
        defer { close(descriptor) }
        #expect(await eventually { flock(descriptor, LOCK_EX | LOCK_NB) == 0 })
        let error = #expect(throws: LockError.self) { try HostLock.acquire(path: path, purpose: "second") }
        guard case .held(let holder) = try #require(error) else { return }
        #expect(!holder.isRunning)
        #expect("\(holder)".hasSuffix("which has ended; a command it started is still running"))
    }

    @Test("A held lock with unreadable content is held nevertheless")
    func unreadable() throws {
        folder.directory("run")
        chmod(folder.at("run"), 0o700)
        try folder.write("run/lock", "{", mode: 0o600)
        let descriptor = open(path, O_RDWR)
        defer { close(descriptor) }
        #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        #expect(throws: LockError.self) { try HostLock.acquire(path: path, purpose: "second") }
        #expect(folder.read("run/lock") == "{")
    }

    @Test("Of many who try at once, one at a time succeeds")
    func contention() async throws {
        let path = path
        try HostLock.acquire(path: path, purpose: "first").release()
        let wins = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var wins = 0
                    for _ in 0..<40 {
                        guard let lock = try? HostLock.acquire(path: path, purpose: "racer") else { continue }
                        // Whoever believes to hold the lock makes a directory that must not exist.
                        #expect(mkdir(path + ".proof", 0o700) == 0)
                        await Task.yield()
                        #expect(rmdir(path + ".proof") == 0)
                        lock.release()
                        wins += 1
                    }
                    return wins
                }
            }
            return await group.reduce(0, +)
        }
        #expect(wins > 0)
    }

    @Test("A directory that others may write, a link and a relative path are refused")
    func looseness() throws {
        folder.directory("run")
        chmod(folder.at("run"), 0o777)
        #expect(refusal()?.code == .refused)
        #expect(refusal()?.cause?.contains("chmod 700 \(folder.at("run"))") == true)
        chmod(folder.at("run"), 0o700)
        try folder.write("elsewhere", "precious")
        symlink(folder.at("elsewhere"), path)
        #expect(refusal() != nil)
        #expect(folder.read("elsewhere") == "precious")
        #expect(throws: LockError.self) { try HostLock.acquire(path: "lock", purpose: "test") }
    }
}
