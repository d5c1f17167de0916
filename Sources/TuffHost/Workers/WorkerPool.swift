import Glibc
import Subprocess
import Synchronization
import SystemPackage
package import TuffModel
import TuffSystem

/// A worker that passed its deadline and was left to itself. It may be in uninterruptible sleep, and what it was
/// asked to do may still happen.
package struct StuckWorker: Hashable, Sendable {
    /// Nil for a worker that is a thread of this process.
    package var pid: Int32?
    package var since: Instant
    /// The request that it was sent.
    package var request: String
    /// Servers whose shares it may have mounted (`NFSMount.serverKey`).
    package var servers: [String] = []
}

/// The workers of one machine: one as a rule, another when all have been busy with the same requests for a while, so
/// that a request never waits behind a stuck one. Started when first needed.
final class WorkerPool: Sendable {
    /// Most workers that are not stuck. Of those that are, each kind of work has a share.
    private static let limit = 8
    /// How long requests wait without any of them getting its turn before another worker is started, in milliseconds: a
    /// request takes one or two, starting a process up to a hundred on a small machine.
    private static let patience = 250
    private static let earlyID = 1

    enum Ticket {
        case use(WorkerConnection)
        case start
    }

    struct State {
        var idle: [WorkerConnection] = []
        var count = 0
        var waiting: [CheckedContinuation<Ticket, Never>] = []
        /// The number of times that a worker became free for another request.
        var turns = 0
        /// Somebody looks now and then whether those who wait get their turns.
        var isWatched = false
        var lastID = 0
        var stuck: [Int: StuckWorker] = [:]
        /// The requests that stuck workers were sent.
        var hanging: [Int: WorkerRequest] = [:]
        /// Jobs that run, each in a worker of its own that counts for no other work.
        var jobs = 0
    }

    let command: [String]
    private let environment: Environment
    let deadline: Double
    private let jobHandlers: JobHandlers
    private let early: EarlyWorker?
    let state = Mutex(State())

    /// - Parameters:
    ///   - command: absolute path and arguments of the worker; empty: a thread of this process stands in for it.
    ///   - deadline: longest silence of a worker, in seconds.
    ///   - early: a worker that runs already.
    ///   - jobs: what threads of this process can do that stand in for workers.
    init(
        command: [String], environment: Environment, deadline: Double, early: EarlyWorker? = nil,
        jobs: JobHandlers = JobHandlers()
    ) {
        self.command = command
        self.environment = environment
        self.deadline = deadline
        self.early = early
        jobHandlers = jobs
        guard let early else { return }
        state.withLock { state in
            state.lastID = Self.earlyID
            state.count = 1
            let connection = WorkerConnection(OwnedDescriptor(early.descriptor), id: state.lastID)
            connection.pid.withLock { $0 = early.pid }
            state.idle.append(connection)
        }
    }

    /// The workers that passed their deadline and have not ended since.
    var stuck: [StuckWorker] {
        noteEarlyEnd()
        return state.withLock { $0.stuck.values.sorted { ($0.since, $0.request) < ($1.since, $1.request) } }
    }

    /// The early worker is a child of ours that nobody waits for: whether one that was stuck has ended is asked when it
    /// matters.
    private func noteEarlyEnd() {
        guard let early, state.withLock({ $0.stuck[Self.earlyID] != nil }) else { return }
        var status: Int32 = 0
        if waitpid(early.pid, &status, WNOHANG) != 0 { forget(Self.earlyID, nil) }
    }

    func ask(
        _ request: WorkerRequest, telling: @escaping @Sendable (DataProgress) -> Void = { _ in },
        until isOver: WorkerEnd? = nil
    ) async throws(HostError) -> WorkerReply {
        var done = 0
        return try await ask(request, done: &done, telling: telling, until: isOver)
    }

    /// Asks a worker. A request that certainly reached nobody is sent once more.
    ///
    /// - Parameters:
    ///   - done: set to the number of sequences that the worker last said were done, for when it fails.
    ///   - isOver: once true, the worker is asked to stop, and ends with this request.
    func ask(
        _ request: WorkerRequest, done: inout Int, telling: @escaping @Sendable (DataProgress) -> Void = { _ in },
        until isOver: WorkerEnd? = nil
    ) async throws(HostError) -> WorkerReply {
        try refuseHanging(request)
        guard let message = try? request.message() else {
            throw HostError(.failed, "Cannot write down a request for the worker: \(request.summary)")
        }
        let deadline = deadline
        var last: HostError?
        for _ in 0..<2 {
            let connection = try await acquire()
            let outcome = await OwnedThread.run {
                connection.exchange(
                    message, deadline: deadline, telling: { if let moved = $0.moved { telling(moved) } }, until: isOver)
            }
            done = outcome?.done ?? 0
            switch outcome?.0 {
            case nil:
                release(connection)
                throw HostError(.exhausted, "No thread is left for \(request.summary)")
            case .success(let reply):
                if connection.isStopped { discard() } else { release(connection) }
                return reply
            case .failure(.undelivered):
                last = connection.startFault.withLock { $0 }
                discard()
            case .failure(.ended):
                let cause = connection.startFault.withLock { $0 }
                discard()
                if let cause { throw cause }
                // A service manager ends workers itself, with the controller.
                if isOver?() == true { throw HostError(.interrupted, "\(request.summary) was stopped") }
                throw HostError(.failed, "The worker process ended in the middle of \(request.summary)")
            case .failure(.garbled):
                discard()
                throw HostError(
                    .malformed, "The worker process answered what no worker says to \(request.summary)",
                    subject: command.joined(separator: " "))
            case .failure(.overdue):
                throw abandon(connection, request.current(after: done))
            }
        }
        throw last ?? HostError(.failed, "The worker process ended before it could be asked for \(request.summary)")
    }

    private func abandon(_ connection: WorkerConnection, _ request: WorkerRequest) -> HostError {
        // Before anybody is told what was not begun.
        connection.giveUp()
        // A reading changes nothing, and one that waits for a server can be killed, where a process that waits on would
        // be left behind by each pass.
        if !request.servers.isEmpty { connection.kill() }
        leave(connection, request)
        discard()
        let who = connection.pid.withLock { $0 }.map { "Worker process \($0)" } ?? "The worker"
        let silence = "was not heard of for \(Int(deadline.rounded(.up))) s while it did \(request.summary)"
        return HostError(.timeout, "\(who) \(silence), and is left to itself")
    }

    /// Counts a worker as stuck until it ends.
    func leave(_ connection: WorkerConnection, _ request: WorkerRequest) {
        let worker = StuckWorker(
            pid: connection.pid.withLock { $0 }, since: HostFacts.now(), request: request.summary,
            servers: request.servers)
        state.withLock { state in
            // It may have ended between the deadline and now.
            guard !connection.hasEnded.load(ordering: .relaxed) else { return }
            state.stuck[connection.id] = worker
            state.hanging[connection.id] = request
        }
    }

    /// A reading that hangs would hang again and cost another worker, until the first one ends; and of each kind of
    /// work only so many workers may be stuck.
    func refuseHanging(_ request: WorkerRequest) throws(HostError) {
        // Asked before every request, and nearly always nothing is stuck.
        guard state.withLock({ !$0.hanging.isEmpty }) else { return }
        noteEarlyEnd()
        let (hanging, left) = state.withLock { ($0.hanging, $0.stuck) }
        // The widest cause first: whatever is asked for, that server does not answer.
        try Self.refuseServers(of: request, left.values)
        if let asked = request.repetition, hanging.values.contains(where: { $0.repetition == asked }) {
            throw HostError(.timeout, "\(request.summary) hangs already, and is not tried again before that ends")
        }
        for other in hanging.values {
            guard let key = request.keys.first(where: other.keys.contains) else { continue }
            throw HostError(
                .timeout, "\(other.summary) hangs, and nothing else is begun on \(key) before that ends",
                cause: request.summary)
        }
        let share = request.share
        guard hanging.values.count(where: { $0.share == share }) >= share.limit else { return }
        throw HostError(
            .exhausted, "\(share.limit) \(share.name) hang; no more are begun before one of them ends",
            cause: request.summary)
    }

    /// The kernel knows a server that it has a connection to, for whatever mount, and lets the next mount wait for that
    /// connection: one worker that hangs on a server is all that is left on it.
    private static func refuseServers(
        of request: WorkerRequest, _ stuck: some Collection<StuckWorker>
    ) throws(HostError) {
        for server in request.servers {
            guard let other = stuck.filter({ $0.servers.contains(server) }).min(by: { $0.since < $1.since }) else {
                continue
            }
            let who = other.pid.map { "worker process \($0)" } ?? "a worker"
            throw HostError(
                .unreachable,
                "\(server) has not answered since \(other.since): \(who) hangs on it with \(other.request), and "
                    + "nothing is begun there before that ends",
                cause: request.summary, subject: server)
        }
    }

    // MARK: Sharing

    private func acquire() async throws(HostError) -> WorkerConnection {
        let ticket = await withCheckedContinuation { (continuation: CheckedContinuation<Ticket, Never>) in
            let (now, watch): (Ticket?, Bool) = state.withLock { state in
                if let connection = state.idle.popLast() { return (.use(connection), false) }
                if state.count == 0 {
                    state.count = 1
                    return (.start, false)
                }
                state.waiting.append(continuation)
                defer { state.isWatched = true }
                return (nil, !state.isWatched)
            }
            if let now { continuation.resume(returning: now) }
            if watch { beImpatient() }
        }
        switch ticket {
        case .use(let connection): return connection
        case .start: return try start()
        }
    }

    /// Starts another worker, if there may be one more, whenever nobody who waits got a turn for long enough; ends when
    /// nobody waits.
    private func beImpatient() {
        Task.detached { [self] in
            var turns = state.withLock { $0.turns }
            while true {
                try? await Task.sleep(for: .milliseconds(Self.patience))
                let (goOn, continuation) = state.withLock { state -> (Bool, CheckedContinuation<Ticket, Never>?) in
                    guard !state.waiting.isEmpty else {
                        state.isWatched = false
                        return (false, nil)
                    }
                    defer { turns = state.turns }
                    guard state.turns == turns, state.count < Self.limit else { return (true, nil) }
                    state.count += 1
                    return (true, state.waiting.removeFirst())
                }
                continuation?.resume(returning: .start)
                guard goOn else { return }
            }
        }
    }

    private func release(_ connection: WorkerConnection) {
        let next = state.withLock { state -> CheckedContinuation<Ticket, Never>? in
            state.turns += 1
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.idle.append(connection)
            return nil
        }
        next?.resume(returning: .use(connection))
    }

    /// One worker fewer; whoever waits longest starts its successor.
    private func discard() {
        let next = state.withLock { state -> CheckedContinuation<Ticket, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.count -= 1
            return nil
        }
        next?.resume(returning: .start)
    }

    // MARK: Starting

    private func start() throws(HostError) -> WorkerConnection {
        do throws(HostError) { return try connect() } catch {
            discard()
            throw error
        }
    }

    /// Starts a worker that is not counted yet.
    func connect() throws(HostError) -> WorkerConnection {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw .system(errno, "Cannot make a socket for a worker process")
        }
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let connection = WorkerConnection(OwnedDescriptor(ends[0]), id: id)
        // The work must not keep the connection open: that it closes is how a worker learns to end.
        let theirs = ends[1]
        if command.isEmpty {
            let started = OwnedThread.start { [self, weak connection] in
                _ = WorkerServer.run(input: theirs, output: theirs, jobs: jobHandlers)
                close(theirs)
                forget(id, connection)
            }
            if !started {
                close(theirs)
                connection.startFault.withLock { $0 = HostError(.exhausted, "No thread is left for a worker") }
            }
        } else {
            Task.detached { [self, weak connection] in
                await runProcess(on: theirs, for: connection, id)
                forget(id, connection)
            }
        }
        return connection
    }

    /// Starts the process, and returns when it has ended.
    private func runProcess(on descriptor: Int32, for connection: WorkerConnection?, _ id: Int) async {
        let socket = FileDescriptor(rawValue: descriptor)
        // In a group of its own, so that a terminal's Ctrl-C does not reach it in the middle of a write.
        var options = PlatformOptions()
        options.processGroupID = 0
        let closed = Mutex(false)
        let closeOnce: @Sendable () -> Void = {
            if closed.withLock({
                let first = !$0; $0 = true; return first
            }) {
                close(descriptor)
            }
        }
        do {
            _ = try await Subprocess.run(
                .path(FilePath(command[0])), arguments: Arguments(Array(command.dropFirst())),
                environment: environment, platformOptions: options,
                input: .fileDescriptor(socket, closeAfterSpawningProcess: false),
                output: .fileDescriptor(socket, closeAfterSpawningProcess: false), error: .discarded
            ) { [self, weak connection] execution in
                closeOnce()
                connection?.keep(process: execution.processIdentifier.processDescriptor)
                noteStart(of: id, connection, as: execution.processIdentifier.value)
            }
        } catch {
            let fault = HostError(
                .failed, "Cannot start the worker process \(command.joined(separator: " "))", cause: "\(error)")
            connection?.startFault.withLock { $0 = fault }
        }
        closeOnce()
    }

    /// A worker runs; on a slow machine it may have been given up by then.
    private func noteStart(of id: Int, _ connection: WorkerConnection?, as pid: Int32) {
        connection?.pid.withLock { $0 = pid }
        state.withLock { $0.stuck[id]?.pid = pid }
    }

    /// A worker ended; a stuck one is stuck no longer.
    private func forget(_ id: Int, _ connection: WorkerConnection?) {
        state.withLock { state in
            connection?.hasEnded.store(true, ordering: .relaxed)
            state.stuck[id] = nil
            state.hanging[id] = nil
        }
    }
}
