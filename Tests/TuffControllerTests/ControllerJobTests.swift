import FoundationEssentials
import Glibc
import Synchronization
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Copies a file block by block: work of another module's, which neither TuffHost nor the controller knows.
private struct FileCopy: JobRequest {
    struct Outcome: Codable, Sendable, Equatable {
        var blocks: Int
    }

    static let kind = "file-copy"
    static let block = 4096

    var source: String
    var target: String
    var object: UID?
    var silence: Duration?

    var summary: String { "copying \(source)" }
    var keys: [String] { ["data:\(target)"] }
    var objects: [UID] { object.map { [$0] } ?? [] }
}

/// The number of blocks that the handler may copy, and of those that it has copied.
private final class Pace: Sendable {
    private let limit: Atomic<Int>
    private let copied = Atomic(0)

    init(_ limit: Int) { self.limit = Atomic(limit) }

    var blocks: Int { copied.load(ordering: .acquiring) }

    func allow(_ blocks: Int) { limit.store(blocks, ordering: .releasing) }

    /// On a thread of the job's own.
    func wait(before block: Int) { while block >= limit.load(ordering: .acquiring) { usleep(2000) } }

    func note(_ blocks: Int) { copied.store(blocks, ordering: .releasing) }

    var handlers: JobHandlers {
        var handlers = JobHandlers()
        handlers.register(FileCopy.self) { request, control throws(HostError) in
            guard let bytes = FileManager.default.contents(atPath: request.source) else {
                throw HostError(.notFound, "\(request.source) cannot be read")
            }
            let file = open(request.target, O_WRONLY | O_CREAT, 0o600)
            defer { close(file) }
            let count = bytes.count / FileCopy.block
            for number in 0..<count {
                try control.demandGoingOn()
                self.wait(before: number)
                let block = Array(bytes[number * FileCopy.block..<(number + 1) * FileCopy.block])
                guard pwrite(file, block, block.count, off_t(number * block.count)) == block.count else {
                    throw HostError(.failed, "\(request.target) cannot be written")
                }
                self.note(number + 1)
                control.tell(
                    WorkProgress(
                        phase: "copying", done: ByteCount(Int64((number + 1) * block.count)),
                        total: ByteCount(Int64(bytes.count))))
            }
            return FileCopy.Outcome(blocks: count)
        }
        return handlers
    }
}

/// An overseer of a job, which asks it to end when the test says so.
private final class Stopper: Overseer {
    private let asks = Atomic(false)

    var asksToStop: Bool { asks.load(ordering: .acquiring) }
    func askToStop() { asks.store(true, ordering: .releasing) }
    func tell(_ remark: Remark) {}
    func show(_ plan: Plan, elsewhere: [String: Int]) {}
    func approve(_ plan: Plan, for occasion: Occasion) async throws(PassError) -> Approval { .given }
    func listener(to plan: Plan) -> any ExecutionListener { preconditionFailure("a job has no plan") }
}

/// Passes and jobs beside each other, as a daemon drives them: no terminal, no command.
@Suite struct ControllerJobTests {
    let host: ControlledHost

    init() throws {
        host = try ControlledHost()
        let data = Data((0..<8 * FileCopy.block).map { UInt8(truncatingIfNeeded: $0 / 7) })
        try data.write(to: URL(filePath: "\(host.path)/source"))
    }

    private func copy(object: UID? = nil, silence: Duration? = nil) -> FileCopy {
        FileCopy(source: "\(host.path)/source", target: "\(host.path)/copied", object: object, silence: silence)
    }

    private func apply(_ controller: Controller, _ state: DesiredState) async throws -> ApplyReport {
        let pass = try await controller.begin(under: host.config, patience: TimeSpan(seconds: 60), overseer: Witness())
        defer { pass.end() }
        return try await pass.apply(state, context: pass.view.newContext(stack: "default"))
    }

    private func begin(
        _ job: FileCopy, by controller: Controller, _ overseer: any Overseer = Stopper(), _ told: Told = Told()
    ) -> Task<Result<FileCopy.Outcome, PassError>, Never> {
        let config = host.config
        return Task {
            do throws(PassError) {
                return .success(
                    try await controller.run(
                        job, under: config, patience: TimeSpan(seconds: 60), overseer: overseer,
                        telling: { told.note($0) }))
            } catch {
                return .failure(error)
            }
        }
    }

    private func eventually(_ condition: () -> Bool) async -> Bool {
        for _ in 0..<1000 {
            if condition() { return true }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return condition()
    }

    private func uid(of volume: String, _ controller: Controller) async throws -> UID {
        let view = controller.view(under: host.config)
        let state = try host.documents(volume)
        let observed = try await view.observe(state, context: view.newContext(stack: "default"))
        return try #require(StorageIndex(observed).live(.volume(volume), "default").first).uid
    }

    /// The first makes the volume that the job works on; the second runs beside the job, of another controller.
    @Test func twoPassesAndAJob() async throws {
        let pace = Pace(0), controller = host.controller(jobs: pace.handlers)
        #expect(try await apply(controller, try host.documents("db")).outcome == .converged)
        let object = try await uid(of: "db", controller)
        let told = Told()
        let job = begin(copy(object: object), by: controller, Stopper(), told)
        #expect(await eventually { told.last != nil }, "nobody heard that it began")
        var grown = try host.documents("db", "web")
        grown.volumes["db"]?.spec.size = ByteCount(32 << 20)
        pace.allow(3)
        let third = WorkProgress(phase: "copying", done: ByteCount(3 * 4096), total: ByteCount(8 * 4096))
        #expect(await eventually { told.last == third })
        // The job holds neither the host's lock nor what it does not work on.
        let other = host.controller()
        let beside = try await apply(other, grown)
        let db = try #require(beside.plan.changes.first { $0.resource == ResourceID(.volume, "db") })
        #expect(db.reason == .jobRunning && db.progress?.phase == "copying", "\(db)")
        #expect(db.summary.contains("copying \(host.path)/source (pid \(getpid()),"))
        #expect(beside.changes.first { $0.resource == ResourceID(.volume, "db") }?.verdict == .blocked)
        #expect(try host.files() == ["v-db", "v-web"])
        #expect(other.jobs(under: host.config).entries.values.compactMap(\.value).map(\.keys) == [copy().keys])
        pace.allow(8)
        #expect(try await job.value.get() == FileCopy.Outcome(blocks: 8))
        #expect(
            FileManager.default.contents(atPath: "\(host.path)/copied")
                == FileManager.default.contents(atPath: "\(host.path)/source"))
        #expect(controller.jobs(under: host.config).entries.isEmpty)
        // The change that waited for it is carried out.
        let after = try await apply(controller, grown)
        #expect(after.outcome == .converged && after.plan.counts.change == 1, "\(after.changes)")
        #expect(controller.leftBehind.isEmpty)
    }

    @Test func askedToEndItEndsAtItsNextBlockAndGoesOnLater() async throws {
        let pace = Pace(2), controller = host.controller(jobs: pace.handlers), stopper = Stopper()
        let job = begin(copy(), by: controller, stopper)
        #expect(await eventually { pace.blocks == 2 })
        stopper.askToStop()
        // It waits in the middle of its third block, which it finishes once it can, and hears of the end within
        // moments.
        try await Task.sleep(for: .milliseconds(600))
        pace.allow(8)
        guard case .failure(let error) = await job.value else {
            Issue.record("it went on")
            return
        }
        #expect(error.sort == .interrupted)
        #expect(pace.blocks == 3)
        #expect(controller.jobs(under: host.config).entries.isEmpty && controller.leftBehind.isEmpty)
        #expect(try await begin(copy(), by: controller).value.get() == FileCopy.Outcome(blocks: 8))
    }

    @Test func nobodyElseBeginsOnItsKeys() async throws {
        let pace = Pace(1), controller = host.controller(jobs: pace.handlers)
        let job = begin(copy(), by: controller)
        #expect(await eventually { pace.blocks == 1 })
        guard case .failure(let error) = await begin(copy(), by: host.controller(jobs: pace.handlers)).value else {
            Issue.record("both began")
            return
        }
        #expect(error.sentence.contains("is at work on data:\(host.path)/copied"), "\(error)")
        pace.allow(8)
        #expect(try await job.value.get() == FileCopy.Outcome(blocks: 8))
    }

    /// The message that a worker sends after half of ten bytes, in the middle of something that it calls copying.
    private static let progress =
        #"printf '\002\047\0\0\0\0\0\0\0\0\0\0\0\005\0\0\0\0\0\0\0\012\0\0\0\0\0\0\0\007\0\0\0\0\0\0\0copying'"#
    private let half = WorkProgress(phase: "copying", done: ByteCount(5), total: ByteCount(10))

    @Test func aWorkerThatIsKilledIsTold() async throws {
        let worker = try host.script("dies", "\(Self.progress); /bin/sleep 1; kill -9 $$")
        let controller = host.controller(worker: [worker]), told = Told()
        guard case .failure(let error) = await begin(copy(silence: .seconds(60)), by: controller, Stopper(), told).value
        else {
            Issue.record("it has an outcome")
            return
        }
        #expect(told.last == half)
        #expect(error.sentence.contains("ended in the middle of copying \(host.path)/source"), "\(error)")
        #expect(error.sort == .failed && controller.leftBehind.isEmpty)
        // The host is nobody's.
        try await controller.begin(under: host.config, overseer: Witness()).end()
    }

    @Test func silenceEndsAWorker() async throws {
        let worker = try host.script("silent", "\(Self.progress); exec /bin/sleep 60")
        let controller = host.controller(worker: [worker]), told = Told()
        guard case .failure(let error) = await begin(copy(silence: .seconds(8)), by: controller, Stopper(), told).value
        else {
            Issue.record("it has an outcome")
            return
        }
        #expect(told.last == half)
        #expect(
            error.sentence.contains("was not heard of for 8 s") && error.sentence.contains("was killed"), "\(error)")
        #expect(controller.leftBehind.isEmpty)
    }
}

/// The last that was told of a job.
private final class Told: Sendable {
    private let progress = Mutex<WorkProgress?>(nil)

    var last: WorkProgress? { progress.withLock { $0 } }

    func note(_ now: WorkProgress) { progress.withLock { $0 = now } }
}
