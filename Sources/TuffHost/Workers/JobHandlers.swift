import FoundationEssentials
import Glibc
import Synchronization
package import TuffModel
import TuffSystem

/// Work that takes hours, as it is asked for: a value that a worker process understands, because its program has a
/// handler for it.
package protocol JobRequest: Codable, Sendable {
    associatedtype Outcome: Codable & Sendable

    /// One word that names the sort of work, the same in every version.
    static var kind: String { get }
    /// The work in a few words, for people: `restoring Volume/db`.
    var summary: String { get }
    /// The exclusive keys that it holds, written as in plans: `data:/dev/vg0/v-db`.
    var keys: [String] { get }
    /// Objects that it makes, writes or reads from, and that nobody may change or remove meanwhile.
    var objects: [UID] { get }
    /// Servers whose shares it mounts (`NFSMount.serverKey`): it is not begun while a worker of one of them is stuck,
    /// since what such a worker left in the kernel lets the next mount wait too.
    var servers: [String] { get }
    /// Longest time without a sign of progress; nil: that of every request. One block has to fit in.
    var silence: Duration? { get }
    /// The file of it that others see.
    static var recording: JobRecording { get }
    /// The outcome as bytes, which the same program reads; JSON where a sort of jobs has no form of its own.
    static func bytes(of outcome: Outcome) -> [UInt8]?
    static func outcome(_ bytes: [UInt8]) -> Outcome?
}

/// The file of a sort of jobs.
package enum JobRecording: String, Codable, Sendable {
    /// None: the work only looks, which everybody who may look may ask for.
    case none
    /// It tells plans of the work, and that is all: other jobs of its keys begin beside it. What keeps them apart is in
    /// the work itself: leases of repositories, and the kernel's word on who has a device open. The work goes on where
    /// no file can be made.
    case announced
    /// Nobody else begins under its keys, and nothing is begun without the file.
    case held
}

extension JobRequest {
    package static var recording: JobRecording { .held }
    package var objects: [UID] { [] }
    package var servers: [String] { [] }
    package var silence: Duration? { nil }
    package static func bytes(of outcome: Outcome) -> [UInt8]? { (try? JSONEncoder().encode(outcome)).map(Array.init) }
    package static func outcome(_ bytes: [UInt8]) -> Outcome? {
        try? JSONDecoder().decode(Outcome.self, from: Data(bytes))
    }
}

/// The handlers of work that this module does not know: a table by kind, filled where the program is put together.
/// Controller and workers are the same program, so both have the same table.
package struct JobHandlers: Sendable {
    private var handlers: [String: any JobHandler] = [:]

    package init() {}

    /// Enters the handler of a sort of requests, which runs on a thread that it may block.
    ///
    /// It goes from block to block, tells of its progress after each, and asks before each whether it is to end. What
    /// it leaves when it ends early is what a crash would leave: marks on the object say that it is not complete.
    package mutating func register<Request: JobRequest>(
        _ type: Request.Type,
        _ handler: @escaping @Sendable (Request, JobControl) throws(HostError) -> Request.Outcome
    ) {
        precondition(handlers[Request.kind] == nil, "two handlers for the kind of jobs '\(Request.kind)'")
        handlers[Request.kind] = TypedHandler<Request>(body: handler)
    }

    /// The outcome of a request that is handled here and now, without a file (machines of tests).
    package func result<Request: JobRequest>(
        of request: Request, _ control: JobControl
    ) -> Result<Request.Outcome, HostError> {
        guard let handler = handlers[Request.kind] as? TypedHandler<Request> else {
            return .failure(unknown(Request.kind))
        }
        return Result { () throws(HostError) in try handler.body(request, control) }
    }

    private func unknown(_ kind: String) -> HostError {
        HostError(.malformed, "This program has no handler for jobs of the kind '\(kind)'")
    }

    /// Does a job: holds its file for as long as it lasts.
    /// - Parameter directory: where its file goes; nil: it has none.
    func run(
        _ job: JobTicket, _ body: [UInt8], in directory: String?, roots: HostRoots, signs: WorkerSigns
    ) throws(HostError) -> [UInt8] {
        guard let handler = handlers[job.kind] else { throw unknown(job.kind) }
        // Work that only looks has no file, and yet remembers what it saw beside those of others.
        let place = job.recording == .none ? nil : directory
        let file = try place.flatMap { place throws(HostError) in try Self.file(of: job, in: place, signs) }
        defer { file?.end() }
        // In this order: a controller that is still there has the host's lock until it hears that the job has begun, so
        // that no other pass looked between its beginning and the taking of the file.
        guard signs.mayBegin() else {
            throw HostError(
                .interrupted, "\(job.summary) was not begun, since the controller ended or was told to stop")
        }
        let control = JobControl(roots: roots, summary: job.summary, signs: signs, file: file, jobs: directory)
        control.tell(WorkProgress())
        return try handler.handle(body, control)
    }

    private static func file(
        of job: JobTicket, in directory: String, _ signs: WorkerSigns
    ) throws(HostError) -> JobFile? {
        do throws(HostError) {
            return try JobFile.take(job, in: directory)
        } catch {
            guard job.recording == .announced else { throw error }
            signs.remarked("no plan sees this work, since it has no job file: \(error.description)")
            return nil
        }
    }
}

/// A handler of requests as bytes, for a table of several sorts.
private protocol JobHandler: Sendable {
    func handle(_ body: [UInt8], _ control: JobControl) throws(HostError) -> [UInt8]
}

private struct TypedHandler<Request: JobRequest>: JobHandler {
    let body: @Sendable (Request, JobControl) throws(HostError) -> Request.Outcome

    func handle(_ bytes: [UInt8], _ control: JobControl) throws(HostError) -> [UInt8] {
        guard let request = try? JSONDecoder().decode(Request.self, from: Data(bytes)) else {
            throw HostError(.malformed, "The request of a job of the kind '\(Request.kind)' cannot be read")
        }
        let outcome = try body(request, control)
        guard let result = Request.bytes(of: outcome) else {
            throw HostError(.failed, "The outcome of \(request.summary) cannot be written down")
        }
        return result
    }
}

/// A job as it is known before it is begun.
package struct JobTicket: Hashable, Codable, Sendable {
    var id: String
    var kind: String
    var summary: String
    var keys: [String]
    var objects: [UID]
    var servers: [String]
    var recording = JobRecording.held

    init(_ request: some JobRequest, id: String) {
        self.init(
            id: id, kind: type(of: request).kind, summary: request.summary, keys: request.keys,
            objects: request.objects, servers: request.servers)
        recording = type(of: request).recording
    }

    init(
        id: String, kind: String, summary: String, keys: [String], objects: [UID] = [], servers: [String] = []
    ) {
        self.id = id
        self.kind = kind
        self.summary = summary
        self.keys = keys
        self.objects = objects
        self.servers = servers
    }
}

/// The signs between a worker's work and its controller.
package struct WorkerSigns: Sendable {
    /// False: nothing is to be begun.
    var mayBegin: @Sendable () -> Bool = { true }
    /// Tells whether the job is to end.
    var isOver: @Sendable () -> Bool = { false }
    /// To be told how far the work has come, which also is a sign that it goes on.
    var told: @Sendable (WorkProgress) -> Void = { _ in }
    /// To be told a sentence for whoever asked for the work.
    var remarked: @Sendable (String) -> Void = { _ in }
    /// A descriptor that came with the request.
    var handed: Int32?
    /// The work's process does nothing else, and ends with it.
    var ownsProcess = false

    package init() {}

    init(
        mayBegin: @escaping @Sendable () -> Bool, isOver: @escaping @Sendable () -> Bool,
        told: @escaping @Sendable (WorkProgress) -> Void
    ) {
        self.mayBegin = mayBegin
        self.isOver = isOver
        self.told = told
    }
}

/// A handler's door to the worker that runs it.
package struct JobControl: Sendable {
    /// Where secrets, images and directory pools may lie.
    package let roots: HostRoots
    /// Where its own mounts are made (`PrivateMounts`): beside the files of jobs.
    let mountsDirectory: String
    /// Where it remembers restore points that it saw (`PointMemory`); nil: nowhere.
    let pointsDirectory: String?
    private let summary: String
    private let signs: WorkerSigns
    private let file: JobFile?

    /// - Parameter jobs: the directory of the files of jobs; nil: there is none.
    init(roots: HostRoots, summary: String, signs: WorkerSigns, file: JobFile?, jobs: String?) {
        let folder = Reach.names(in: jobs ?? "/run/tuff/jobs").dropLast().map { "/\($0)" }.joined()
        mountsDirectory = folder + "/mounts"
        pointsDirectory = jobs.map { _ in folder + "/points" }
        self.roots = roots
        self.summary = summary
        self.signs = signs
        self.file = file
    }

    /// For machines of tests.
    /// - Parameters:
    ///   - jobs: the directory of the files of jobs; nil: there is none.
    ///   - isOver: whether the job is to end.
    ///   - telling: told how far it has come.
    package init(
        roots: HostRoots, summary: String, jobs: String? = nil, isOver: @escaping @Sendable () -> Bool,
        telling: @escaping @Sendable (WorkProgress) -> Void
    ) {
        self.init(
            roots: roots, summary: summary, signs: WorkerSigns(mayBegin: { true }, isOver: isOver, told: telling),
            file: nil, jobs: jobs)
    }

    /// The copy of the descriptor that whoever asked for the job handed to it, open until the job ends.
    package var handed: Int32? { signs.handed }

    /// True where the process ends with the job, so that nothing done to it harms other work.
    var ownsProcess: Bool { signs.ownsProcess }

    /// The job is to end at the next block: somebody asked for that, or the controller is gone. Asking is no sign of
    /// progress.
    package var isEnding: Bool { signs.isOver() }

    /// Whoever asked for the job is there and did not ask for its end, as a look of its own says: to be asked before
    /// what cannot be taken back.
    package var isWanted: Bool { signs.mayBegin() }

    /// Tells how far the job has come. A job that tells nothing for the length of its silence is taken for stuck, and
    /// killed.
    package func tell(_ progress: WorkProgress) {
        signs.told(progress)
        file?.note(progress)
    }

    /// Tells whoever asked for the job a sentence, at once: what may be wrong is of use before hours have passed.
    package func remark(_ sentence: String) { signs.remarked(sentence) }

    /// Does work that counts its bytes and blocks this thread. Another thread looks ten times a second whether the job
    /// is to end, and tells once a second how far it is where it moved: silence is what the deadline is for.
    /// - Parameters:
    ///   - done: the bytes that are done.
    ///   - end: has the work end at its next block.
    /// - Throws: `exhausted` where no thread is to be had; nothing was begun then.
    package func following<Value>(
        _ phase: String, of total: UInt64, done: @escaping @Sendable () -> UInt64,
        end: @escaping @Sendable () -> Void, _ work: () throws(HostError) -> Value
    ) throws(HostError) -> Value {
        let whole = ByteCount(Int64(clamping: total))
        return try following(
            done, end: end,
            as: { WorkProgress(phase: phase, done: ByteCount(Int64(clamping: $0)), total: whole) }, work)
    }

    /// The same for work that counts no bytes, and gives signs that it goes on.
    /// - Parameter signs: a number that grows with each.
    package func following<Value>(
        _ phase: String, signs: @escaping @Sendable () -> UInt64, end: @escaping @Sendable () -> Void,
        _ work: () throws(HostError) -> Value
    ) throws(HostError) -> Value {
        try following(signs, end: end, as: { _ in WorkProgress(phase: phase) }, work)
    }

    /// The same for work of several parts.
    /// - Parameters:
    ///   - done: a number that grows as long as the work goes on.
    ///   - progress: what is told where it grew.
    package func following<Value>(
        _ done: @escaping @Sendable () -> UInt64, end: @escaping @Sendable () -> Void,
        as progress: @escaping @Sendable (UInt64) -> WorkProgress, _ work: () throws(HostError) -> Value
    ) throws(HostError) -> Value {
        let watch = JobWatch()
        let hasThread = OwnedThread.start {
            var told: UInt64 = .max
            var looks = 0
            while !watch.isOver {
                defer { looks += 1 }
                if isEnding { end() }
                let now = done()
                if looks % 10 == 0, now != told {
                    told = now
                    tell(progress(now))
                }
                // The end of the work waits for the end of this thread.
                for _ in 0..<10 where !watch.isOver { usleep(10_000) }
            }
            watch.end()
        }
        guard hasThread else { throw HostError(.exhausted, "No thread is left for \(summary)") }
        defer { watch.finish() }
        return try work()
    }

    /// To be called before each block.
    /// - Throws: `interrupted` where the job is to end.
    package func demandGoingOn() throws(HostError) {
        if isEnding { throw HostError(.interrupted, "\(summary) was asked to end, and is not complete") }
    }
}

/// The end of a look beside work: said by the work, and waited for.
private final class JobWatch: Sendable {
    private let over = Atomic<Bool>(false)
    private let ended = Atomic<Bool>(false)

    var isOver: Bool { over.load(ordering: .acquiring) }

    func end() { ended.store(true, ordering: .releasing) }

    func finish() {
        over.store(true, ordering: .releasing)
        while !ended.load(ordering: .acquiring) { usleep(5_000) }
    }
}
