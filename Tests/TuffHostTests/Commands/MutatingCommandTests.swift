import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@Suite("Commands that change something")
struct MutatingCommandTests {
    let folder: Folder

    init() throws { folder = try Folder() }

    private func action(_ deadline: Int = 30, success: [Int32] = [0]) -> HostAction {
        .run(Command("tool", ["--yes"], effect: .mutates, deadline: deadline, successStatuses: success))
    }

    /// Script text that waits for a file of the folder.
    private func wait(_ name: String) -> String { "while [ ! -e \(folder.at(name)) ]; do sleep 0.05; done" }

    @Test("A status of success is success, another is a failure with the error text")
    func statuses() async throws {
        let machine = folder.machine()
        try folder.tool("tool", "echo it went wrong >&2; exit 5")
        let error = await failure { () throws(HostError) in try await machine.perform([action()]) }
        #expect(error?.code == .failed)
        #expect(error?.sentence.contains("status 5") == true)
        #expect(error?.cause == "it went wrong")
        #expect(error?.subject == "tool --yes")
        #expect(await failure { () throws(HostError) in try await machine.perform([action(success: [0, 5])]) } == nil)
    }

    @Test("Cancelling the task neither kills the command nor forgets it")
    func cancellation() async throws {
        let machine = folder.machine()
        try folder.tool("tool", "echo $$ >\(folder.at("pid")); \(wait("go")); echo done >\(folder.at("marker"))")
        let task = Task { await failure { () throws(HostError) in try await machine.perform([action()]) } }
        let pid = try #require(await readPID(folder, "pid"))
        task.cancel()
        #expect(await eventually { machine.runningCommands.map(\.pid) == [pid] })
        try folder.write("go", "")
        #expect(await task.value == nil)
        #expect(folder.read("marker") == "done\n")
        #expect(machine.runningCommands.isEmpty)
    }

    @Test("At its deadline a command is reported, left running and remembered until it ends")
    func deadline() async throws {
        let machine = folder.machine()
        try folder.tool("tool", "echo $$ >\(folder.at("pid")); \(wait("go")); echo done >\(folder.at("marker"))")
        let error = await failure { () throws(HostError) in try await machine.perform([action(1)]) }
        let pid = try #require(await readPID(folder, "pid"))
        #expect(error?.code == .timeout)
        #expect(error?.sentence.contains("still running as pid \(pid) since 2") == true)
        let running = try #require(machine.runningCommands.first)
        #expect(running.pid == pid)
        #expect(running.overdue)
        #expect(running.command == "tool --yes")
        #expect(isAlive(pid))
        try folder.write("go", "")
        #expect(await eventually { machine.runningCommands.isEmpty })
        #expect(folder.read("marker") == "done\n")
    }

    @Test("A flood of output does not end a command that changes something")
    func flood() async throws {
        let machine = folder.machine()
        try folder.tool(
            "tool", "yes | head -c 3000000; yes | head -c 3000000 >&2; echo done >\(folder.at("marker"))")
        let error = await failure { () throws(HostError) in
            try await machine.perform([.run(Command("tool", [], effect: .mutates, outputLimit: 1000))])
        }
        #expect(error?.code == .malformed)
        #expect(folder.read("marker") == "done\n")
    }

    @Test("The first failure ends a list of actions")
    func stopsAtFirstFailure() async throws {
        let machine = folder.machine()
        folder.directory("target")
        try folder.tool("tool", "exit 1")
        let error = await failure { () throws(HostError) in
            try await machine.perform([
                .makeDirectory(.target("before")), action(), .makeDirectory(.target("after")),
            ])
        }
        #expect(error?.code == .failed)
        #expect(folder.names("target") == ["before"])
    }

    @Test("The lock stays while a command that held it runs, even when its controller has let go")
    func lockOutlivesController() async throws {
        let path = folder.at("run/lock")
        let lock = try HostLock.acquire(path: path, purpose: "tuff apply")
        let machine = folder.machine(lock: lock)
        try folder.tool("tool", "echo $$ >\(folder.at("pid")); \(wait("go"))")
        let task = Task { await failure { () throws(HostError) in try await machine.perform([action()]) } }
        _ = try #require(await readPID(folder, "pid"))
        // What the kernel does for a controller that dies.
        lock.release()
        #expect(throws: LockError.self) { try HostLock.acquire(path: path, purpose: "second") }
        try folder.write("go", "")
        #expect(await task.value == nil)
        try await acquireFreed(path).release()
    }

    @Test("Neither commands that read nor workers hold the lock")
    func readersDoNotHoldTheLock() async throws {
        let path = folder.at("run/lock")
        let lock = try HostLock.acquire(path: path, purpose: "tuff apply")
        let machine = folder.machine(worker: ["/bin/sleep", "1000"], lock: lock, deadline: .seconds(1))
        try folder.tool("tool", "echo $$ >\(folder.at("pid")); exec sleep 1000")
        let task = Task {
            await failure { () throws(HostError) in _ = try await machine.read(Command("tool", [], effect: .reads)) }
        }
        let stuck = await failure { () throws(HostError) in _ = try await machine.space(of: folder.path) }
        #expect(stuck?.code == .timeout)
        _ = try #require(await readPID(folder, "pid"))
        #expect(await eventually { machine.stuckWorkers.first?.pid != nil })
        let worker = try #require(machine.stuckWorkers.first?.pid)
        #expect(isAlive(worker))
        lock.release()
        try await acquireFreed(path).release()
        task.cancel()
        _ = await task.value
        kill(worker, SIGKILL)
        #expect(await eventually { machine.stuckWorkers.isEmpty })
    }

    @Test("A command that reads its input finds nothing there, and no command starts once the lock is gone")
    func inputIsEmpty() async throws {
        let lock = try HostLock.acquire(path: folder.at("run/lock"), purpose: "tuff apply")
        let machine = folder.machine(lock: lock)
        try folder.tool("tool", "cat >\(folder.at("input")); readlink /proc/self/fd/0 >\(folder.at("name"))")
        #expect(await failure { () throws(HostError) in try await machine.perform([action()]) } == nil)
        #expect(folder.read("input") == "")
        #expect(folder.read("name") == folder.at("run/lock") + "\n")
        lock.release()
        let error = await failure { () throws(HostError) in try await machine.perform([action()]) }
        #expect(error?.code == .refused)
    }
}
