import CTuffHost
import Glibc
import Synchronization
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffHost

/// Work of so many blocks.
private struct Blocks: JobRequest {
    struct Outcome: Codable, Sendable, Equatable {
        var done: Int
    }

    static let kind = "blocks"
    var count: Int
    var keys = ["data:/dev/vg0/v-db"]
    var silence: Duration?
    var servers: [String] = []
    var summary: String { "\(count) blocks" }
}

/// Work whose file only tells of it: says a sentence, and writes to what was handed to it.
private struct Announcement: JobRequest {
    static let kind = "announcement"
    static let recording = JobRecording.announced
    var keys = ["data:/dev/vg0/v-db"]
    var summary: String { "announcing" }

    /// The files of jobs that it saw.
    struct Outcome: Codable, Sendable {
        var files: [String]
    }
}

/// A request that no program has a handler for.
private struct Unheard: JobRequest {
    typealias Outcome = Int
    static let kind = "unheard"
    var summary: String { "nothing that anybody knows" }
    var keys: [String] { [] }
}

/// A gate before each block, at which the handler of these tests waits on its own thread.
private final class Gate: Sendable {
    private let open = Atomic(0)
    private let reached = Atomic(0)
    private let refused = Atomic(0)

    /// Blocks that were begun.
    var begun: Int { reached.load(ordering: .acquiring) }

    /// The number of those that were refused, this one among them.
    func refuse() -> Int { refused.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue }

    func letThrough(_ count: Int) { open.store(count, ordering: .releasing) }

    func pass(_ number: Int) {
        reached.store(number + 1, ordering: .releasing)
        while open.load(ordering: .acquiring) <= number { usleep(2000) }
    }
}

@Suite("Jobs in workers")
struct JobTests {
    private let folder: Folder
    private let gate = Gate()

    init() throws { folder = try Folder() }

    private func handlers() -> JobHandlers {
        let gate = gate
        var handlers = JobHandlers()
        handlers.register(Blocks.self) { request, control throws(HostError) in
            for number in 0..<request.count {
                try control.demandGoingOn()
                gate.pass(number)
                control.tell(
                    WorkProgress(
                        phase: "counting", done: ByteCount(Int64(number + 1)), total: ByteCount(Int64(request.count))))
            }
            return Blocks.Outcome(done: request.count)
        }
        let directory = folder.at("run/jobs")
        handlers.register(Announcement.self) { _, control throws(HostError) in
            control.remark("mind the gap")
            if let handed = control.handed { _ = write(handed, "bytes", 5) }
            return Announcement.Outcome(files: JobFiles.live(in: directory).entries.values.compactMap(\.value?.kind))
        }
        return handlers
    }

    private func machine(deadline: Duration = .seconds(60)) -> LinuxMachine {
        folder.machine(deadline: deadline, jobs: handlers())
    }

    private func run(
        _ request: Blocks, on machine: LinuxMachine, _ told: @escaping @Sendable (WorkProgress) -> Void = { _ in },
        until isOver: @escaping @Sendable () -> Bool = { false }
    ) async -> Result<Blocks.Outcome, HostError> {
        do throws(HostError) { return .success(try await machine.run(request, telling: told, until: isOver)) } catch {
            return .failure(error)
        }
    }

    @Test("A handler of another module does the work, tells how far it is, and holds a file meanwhile")
    func outcome() async throws {
        let machine = machine()
        let told = Mutex<[WorkProgress]>([])
        let job = Task {
            await run(Blocks(count: 3), on: machine, { progress in told.withLock { $0.append(progress) } })
        }
        #expect(await eventually { told.withLock { !$0.isEmpty } }, "nobody heard that it began")
        let running = try #require(machine.jobs().entries.values.first?.value)
        #expect(running.kind == "blocks" && running.summary == "3 blocks" && running.keys == Blocks(count: 3).keys)
        gate.letThrough(2)
        let second = WorkProgress(phase: "counting", done: ByteCount(2), total: ByteCount(3))
        #expect(await eventually { told.withLock { $0.last == second } })
        gate.letThrough(3)
        #expect(try await job.value.get() == Blocks.Outcome(done: 3))
        #expect(machine.jobs().entries.isEmpty)
    }

    private func announce(_ machine: LinuxMachine, handing: Int32? = nil) async throws -> ([String], [String]) {
        let heard = Mutex<[String]>([])
        let outcome = try await machine.run(
            Announcement(), handing: handing, telling: { _ in },
            hearing: { sentence in heard.withLock { $0.append(sentence) } }, until: { false })
        return (outcome.files.sorted(), heard.withLock { $0 })
    }

    @Test(
        "What is only announced begins beside others of its keys, says what it has to say, and gets what it is handed")
    func announced() async throws {
        let machine = machine()
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        let job = Task { await run(Blocks(count: 1), on: machine) }
        #expect(await eventually { machine.jobs().entries.count == 1 })
        let (files, heard) = try await announce(machine, handing: ends[1])
        close(ends[1])
        #expect(files == ["announcement", "blocks"] && heard == ["mind the gap"])
        var bytes = [UInt8](repeating: 0, count: 16)
        // The end of the pipe comes when nobody has the other side any more, the job's copy of it among them.
        #expect(read(ends[0], &bytes, 16) == 5 && read(ends[0], &bytes, 16) == 0)
        close(ends[0])
        gate.letThrough(1)
        #expect(try await job.value.get() == Blocks.Outcome(done: 1))
    }

    @Test("Where no file can be had it goes on, and says so; what holds its keys does not")
    func withoutAFile() async throws {
        try folder.write("run", "no directory")
        let (files, heard) = try await announce(machine())
        #expect(files == [] && heard.count == 2 && heard.last == "mind the gap")
        #expect(heard.first?.hasPrefix("no plan sees this work, since it has no job file: ") == true, "\(heard)")
        guard case .failure = await run(Blocks(count: 1), on: machine()) else {
            Issue.record("it began without its keys")
            return
        }
    }

    @Test("A kind that the program does not know is refused, also by the program itself")
    func unknownKind() async throws {
        var machines = [machine()]
        if let program { machines.append(folder.machine(worker: [program, "_worker"])) }
        for machine in machines {
            let error = await failure { () throws(HostError) in
                _ = try await machine.run(Unheard(), telling: { _ in }, until: { false })
            }
            #expect(error?.code == .malformed && error?.sentence.contains("'unheard'") == true)
        }
    }

    @Test("Asked to end it ends at its next block, and whatever it holds is free again")
    func ends() async throws {
        let machine = machine()
        let job = Task { [gate] in
            await run(Blocks(count: 1000), on: machine, until: { gate.begun > 0 })
        }
        #expect(await eventually { gate.begun == 1 })
        // It is in the middle of a block, and hears of the end within moments.
        try await Task.sleep(for: .milliseconds(600))
        gate.letThrough(1000)
        guard case .failure(let error) = await job.value else {
            Issue.record("it went on")
            return
        }
        #expect(error.code == .interrupted)
        #expect(gate.begun == 1)
        #expect(machine.jobs().entries.isEmpty && machine.stuckWorkers.isEmpty)
    }

    @Test("Its file is held before the last look whether the controller is there; without one nothing is begun")
    func orphaned() throws {
        let directory = folder.at("run/jobs"), ticket = JobTicket(Blocks(count: 1), id: "a")
        let seen = Mutex<[String]>([])
        let signs = WorkerSigns(
            mayBegin: {
                seen.withLock { $0 = JobFiles.live(in: directory).entries.keys.sorted() }
                return false
            }, isOver: { false }, told: { _ in Issue.record("it was begun") })
        let roots = HostRoots(target: folder.at("target"), reach: Reach())
        let error = #expect(throws: HostError.self) {
            _ = try handlers().run(ticket, [], in: directory, roots: roots, signs: signs)
        }
        #expect(error?.code == .interrupted)
        #expect(seen.withLock { $0 } == ["a"])
        #expect(gate.begun == 0 && folder.names("run/jobs") == [])
    }

    @Test("So it is with the copies of a plan")
    func orphanedCopy() throws {
        let directory = folder.at("run/jobs")
        let root = HostPath.Root.directory(folder.path)
        let copy = HostAction.copyBytes(from: .file(HostPath(root, "a")), to: .file(HostPath(root, "b")))
        let request = WorkerRequest(
            roots: HostRoots(target: folder.at("target"), reach: Reach(everythingBeneath: [folder.path])),
            work: .perform([[copy]]), jobs: directory)
        var keys: [[String]] = []
        let reply = WorkerServer.handle(
            request,
            mayBegin: {
                keys = JobFiles.live(in: directory).entries.values.compactMap(\.value).map(\.keys)
                return false
            })
        guard case .stopped(0, let error) = reply else {
            Issue.record("\(reply)")
            return
        }
        #expect(error.code == .interrupted)
        #expect(keys == [["data:\(folder.at("b"))"]] && folder.names("run/jobs") == [])
    }

    @Test("Silence ends it, not duration; what cannot be killed is named, and nothing else is begun on its keys")
    func silence() async throws {
        let machine = machine()
        let slow = Blocks(count: 4, silence: .seconds(6)), gate = gate
        let job = Task { await run(slow, on: machine) }
        // Eight seconds in all, and never silent for six. Other tests may have all threads that tasks share.
        let letting = Beside { _ in
            for number in 1...4 {
                usleep(2_000_000)
                gate.letThrough(number)
            }
        }
        #expect(try await job.value.get() == Blocks.Outcome(done: 4))
        await letting.value
        gate.letThrough(0)
        // A thread stands in for a process that sleeps in the kernel: no signal ends it.
        guard case .failure(let error) = await run(slow, on: machine) else {
            Issue.record("it was not given up")
            return
        }
        #expect(error.code == .timeout && error.sentence.contains("has not ended"), "\(error)")
        #expect(machine.stuckWorkers.map(\.request) == ["4 blocks"])
        #expect(machine.jobs().entries.count == 1, "its keys are free while it may still work")
        guard case .failure(let refusal) = await run(Blocks(count: 1), on: machine) else {
            Issue.record("another was begun on the same key")
            return
        }
        #expect(refusal.code == .timeout && refusal.sentence.contains("data:/dev/vg0/v-db"), "\(refusal)")
        // Another process has no such memory, and finds the file held.
        guard case .failure(let busy) = await run(Blocks(count: 1), on: self.machine()) else {
            Issue.record("another process began one on the same key")
            return
        }
        #expect(busy.code == .busy, "\(busy)")
        gate.letThrough(4)
        #expect(await eventually { machine.stuckWorkers.isEmpty })
        #expect(try await run(Blocks(count: 1), on: machine).get() == Blocks.Outcome(done: 1))
    }

    @Test("Where a worker hangs on a server that was given up, no other is begun on that server; others are")
    func servers() async throws {
        let machine = machine()
        func job(_ key: String, _ server: String, silence: Duration? = nil, count: Int = 1) -> Blocks {
            Blocks(count: count, keys: [key], silence: silence, servers: [server])
        }
        guard case .failure(let error) = await run(job("a", "nas:2049", silence: .seconds(1)), on: machine) else {
            Issue.record("it was not given up")
            return
        }
        #expect(error.code == .timeout, "\(error)")
        let stuck = try #require(machine.stuckWorkers.first)
        #expect(stuck.servers == ["nas:2049"])
        guard case .failure(let refusal) = await run(job("b", "nas:2049"), on: machine) else {
            Issue.record("another was begun on the same server")
            return
        }
        #expect(refusal.code == .unreachable && refusal.subject == "nas:2049", "\(refusal)")
        #expect(refusal.sentence.contains("since \(stuck.since)"), "\(refusal)")
        let other = Task { await run(job("c", "nas:2050", count: 2), on: machine) }
        #expect(await eventually { machine.jobs().entries.count == 2 }, "another server waits as well")
        gate.letThrough(2)
        #expect(try await other.value.get() == Blocks.Outcome(done: 2))
        #expect(await eventually { machine.stuckWorkers.isEmpty })
        #expect(try await run(job("b", "nas:2049"), on: machine).get() == Blocks.Outcome(done: 1))
    }

    @Test("A process that is silent is killed")
    func killed() async throws {
        try folder.tool("silent", "echo $$ > \(folder.at("pid")); exec sleep 60")
        let machine = folder.machine(worker: [folder.at("silent")], deadline: .seconds(60))
        let job = Task { await run(Blocks(count: 1, silence: .seconds(2)), on: machine) }
        let pid = try #require(await readPID(folder, "pid"))
        guard case .failure(let error) = await job.value else {
            Issue.record("it has an outcome")
            return
        }
        #expect(error.code == .timeout && error.sentence.hasSuffix("and was killed"), "\(error)")
        #expect(!isAlive(pid))
        #expect(machine.stuckWorkers.isEmpty)
    }

    @Test("Other work waits for no job, however many run")
    func beside() async throws {
        let machine = machine()
        let jobs = (0..<10).map { number in
            Task { await run(Blocks(count: 1, keys: ["data:\(number)"]), on: machine) }
        }
        #expect(await eventually { machine.jobs().entries.count == 10 })
        for _ in 0..<10 { _ = try await machine.space(of: folder.path) }
        gate.letThrough(1)
        for job in jobs { #expect(try await job.value.get() == Blocks.Outcome(done: 1)) }
    }

    /// The error of one of several jobs; the gate opens once so many of them were refused.
    private static func code(
        _ machine: LinuxMachine, lettingThrough gate: Gate, after refusals: Int
    ) async -> HostError.Code? {
        let error = await failure { () throws(HostError) in
            _ = try await machine.run(Blocks(count: 1), telling: { _ in }, until: { false })
        }
        if error != nil, gate.refuse() == refusals { gate.letThrough(1) }
        return error?.code
    }

    @Test("Of two jobs that ask for one key at once, one runs")
    func race() async throws {
        let machine = machine()
        let results = await withTaskGroup { group in
            for _ in 0..<6 { group.addTask { [gate] in await Self.code(machine, lettingThrough: gate, after: 5) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.count { $0 == .busy } == 5 && results.count { $0 == nil } == 1, "\(results)")
    }

    @Test("The worker that was forked first is stuck no longer once it has ended")
    func earlyWorkerEnds() async throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
        let pid = tuff_fork_with_heap(1 << 16)
        if pid == 0 {
            // It holds its end of the socket, and nothing else of other tests'.
            dup2(ends[1], 3)
            tuff_close_from(4)
            while true { pause() }
        }
        close(ends[1])
        var configuration = LinuxMachine.Configuration(
            targetRoot: folder.at("target"), workerCommand: ["/bin/false"], reach: Reach(),
            progressDeadline: .milliseconds(300))
        configuration.earlyWorker = EarlyWorker(descriptor: ends[0], pid: pid)
        let machine = LinuxMachine(configuration: configuration)
        let error = await failure { () throws(HostError) in _ = try await machine.space(of: folder.path) }
        #expect(error?.code == .timeout)
        #expect(machine.stuckWorkers.map(\.pid) == [pid])
        kill(pid, SIGKILL)
        #expect(await eventually { machine.stuckWorkers.isEmpty })
    }
}
