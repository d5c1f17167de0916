import FoundationEssentials
import Glibc
import Testing

/// `tuff backup` and the worker process that does its work: what becomes of one when the other ends.
struct BackupWorkerTests {
    private let folder: TestFolder
    private var leases: String { "\(folder.path)/r/leases" }
    private var jobs: String { "\(folder.path)/run/jobs" }
    private var host: [String] { ["--lock-file", "\(folder.path)/run/lock"] }

    /// A folder with the repository `r` and the file `large`, whose blocks are like no others.
    init() throws {
        folder = try TestFolder()
        try expect("init --repository r", 0, host: [])
        var data = Data()
        var block = (0..<65_536).map { _ in UInt8.random(in: 0...255) }
        for number in 0..<6_000 {
            withUnsafeBytes(of: number) { block.replaceSubrange(0..<8, with: $0) }
            data.append(contentsOf: block)
        }
        try data.write(to: URL(filePath: "\(folder.path)/large"))
    }

    @discardableResult
    private func expect(
        _ command: String, _ code: Int32, host: [String]? = nil, location: SourceLocation = #_sourceLocation
    ) throws -> Ended {
        let ended = try folder.run(words(command) + (host ?? self.host))
        #expect(ended.code == code, "\(command): \(ended.out)\(ended.err)", sourceLocation: location)
        return ended
    }

    private func words(_ command: String) -> [String] { ["backup"] + command.split(separator: " ").map(String.init) }

    private func names(_ directory: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).filter { !$0.hasPrefix(".") }
    }

    /// Begins to back `large` up, and waits until a pack of it is stored.
    private func begun() throws -> (command: Running, worker: pid_t) {
        let running = try folder.start(words("run --repository r --source large --name db") + host)
        #expect(eventually { !names("\(folder.path)/r/packs").isEmpty })
        let worker = try worker(of: leases)
        #expect(worker != running.pid, "the work is done in a process of its own")
        return (running, worker)
    }

    /// The process that has the only lease in a directory of them.
    private func worker(of leases: String) throws -> pid_t {
        let holder = try #require(names(leases).first.map { TestFolder.text("\(leases)/\($0)") })
        let number = try #require(holder.split(separator: "\"pid\":").last?.prefix { $0.isNumber })
        return try #require(pid_t(number))
    }

    private func eventually(_ condition: () -> Bool) -> Bool {
        for _ in 0..<30_000 {
            if condition() { return true }
            usleep(1_000)
        }
        return false
    }

    private func isThere(_ process: pid_t) -> Bool { kill(process, 0) == 0 }

    /// The next backup ends what the last one left, and all of it can be restored.
    private func expectSound() throws {
        try expect("run --repository r --source large --name db", 0)
        try expect("check --repository r --read-data", 0)
        #expect(names(leases).isEmpty && names(jobs).isEmpty, "\(names(leases)) \(names(jobs))")
    }

    @Test(.timeLimit(.minutes(3))) func aWorkerThatIsKilledIsToldAndHarmsNothing() throws {
        let (running, worker) = try begun()
        kill(worker, SIGKILL)
        let ended = running.wait()
        #expect(ended.code == 1 && ended.out.isEmpty, "\(ended)")
        #expect(
            ended.err.contains("The worker process ended in the middle of backing large up to r by hand"),
            "\(ended.err)")
        #expect(names(leases).count == 1, "that of the dead, which the next one removes")
        try expectSound()
    }

    @Test(.timeLimit(.minutes(3))) func aWorkerWhoseCommandIsKilledEndsAtItsNextBlock() throws {
        let (running, worker) = try begun()
        running.signal(SIGKILL)
        _ = running.wait()
        #expect(eventually { !isThere(worker) })
        #expect(names(leases).isEmpty, "its lease is given back")
        #expect(names(jobs).isEmpty, "and so are its keys")
        try expectSound()
    }

    @Test(.timeLimit(.minutes(3)), arguments: [SIGINT, SIGTERM])
    func aCommandThatIsToldToEndHasItsWorkerEnd(_ signal: Int32) throws {
        let (running, worker) = try begun()
        running.signal(signal)
        let ended = running.wait()
        #expect(ended.code == 130 && ended.err.contains("run it again: what is stored"), "\(ended)")
        #expect(names(leases).isEmpty && eventually { !isThere(worker) })
        try expectSound()
    }

    @Test(.timeLimit(.minutes(3))) func whileItGoesOnItHasAFileThatPlansRead() throws {
        let (running, worker) = try begun()
        kill(worker, SIGSTOP)
        // Only root's work has a file.
        if geteuid() == 0 {
            let name = try #require(names(jobs).first)
            let told = TestFolder.text("\(jobs)/\(name)")
            #expect(told.contains("\"keys\":[\"data:\(folder.path)/large\"]"), "\(told)")
            #expect(told.contains("\"pid\":\(worker)") && told.contains("backing large up to r by hand"), "\(told)")
        }
        kill(worker, SIGCONT)
        #expect(running.wait().code == 0)
        #expect(names(jobs).isEmpty)
    }

    @Test(.timeLimit(.minutes(3)), arguments: ["prune --repository r", "check --repository r --repair"])
    func whoeverIsToldToEndWhileItWaitsGivesItsLeaseBack(_ command: String) throws {
        let (running, worker) = try begun()
        kill(worker, SIGSTOP)
        let held = names(leases)
        let refused = try expect(command, 11)
        #expect(refused.err.contains("in use by tuff backup run (process \(worker) on "), "\(refused.err)")
        let waiting = try folder.start(words(command + " --lock-timeout 1h") + host)
        #expect(eventually { names(leases).count == 2 }, "an exclusive lease exists while it waits")
        waiting.signal(SIGINT)
        #expect(waiting.wait().code == 130)
        #expect(names(leases) == held)
        kill(worker, SIGCONT)
        #expect(running.wait().code == 0)
        try expect(command, 0)
    }

    @Test(.timeLimit(.minutes(3))) func aKeyThatWaitsToBeTakenAwayGivesItsLeaseBackToo() throws {
        for name in ["one", "two"] { try folder.write(name, name + "-and-some-more\n", mode: 0o600) }
        try expect("init --repository e --key-file one", 0, host: [])
        try expect("key add --repository e --key-file one --new-key-file two", 0)
        let list = try expect("key list --repository e --key-file two", 0).out
        let slot = try #require(list.split(separator: "\n").last?.prefix(32))
        let held = "\(folder.path)/e/leases"
        let running = try folder.start(words("run --repository e --key-file one --source large --name db") + host)
        #expect(eventually { !names("\(folder.path)/e/packs").isEmpty })
        let worker = try worker(of: held)
        kill(worker, SIGSTOP)
        let waiting = try folder.start(
            words("key rm --repository e --key-file one \(slot) --lock-timeout 1h") + host)
        #expect(eventually { names(held).count == 2 })
        waiting.signal(SIGINT)
        #expect(waiting.wait().code == 130)
        #expect(names(held).count == 1)
        kill(worker, SIGCONT)
        running.signal(SIGINT)
        #expect(running.wait().code == 130)
    }

    @Test(.enabled(if: TestFolder.canRunAsNobody), .timeLimit(.minutes(3)))
    func anotherUserNeedsNeitherRootNorItsDirectories() throws {
        chmod(folder.path, 0o777)
        for command in [
            "init --repository theirs", "run --repository theirs --source large --name db",
            "check --repository theirs --read-data", "prune --repository theirs --keep-last 1",
            "restore --repository theirs --name db --to back",
        ] {
            let ended = try folder.run(words(command), environment: ["XDG_STATE_HOME=\(folder.path)"], asNobody: true)
            #expect(ended.code == 0 && ended.err.filter { $0 == "\n" }.count <= 1, "\(command): \(ended)")
        }
        #expect(access("\(folder.path)/back", F_OK) == 0)
    }

    @Test(.timeLimit(.minutes(3))) func whereNoFileCanBeMadeTheWorkGoesOn() throws {
        try #require(geteuid() == 0)
        try folder.write("blocked", "")
        let ended = try expect(
            "check --repository r", 0, host: ["--lock-file", "\(folder.path)/blocked/lock"])
        #expect(ended.err.contains("warning: no plan sees this work, since it has no job file: "), "\(ended.err)")
    }
}
