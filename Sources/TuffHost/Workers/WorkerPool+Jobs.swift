import Glibc
import Synchronization
import TuffModel
import TuffSystem

/// Jobs: each in a worker process of its own, started for it and ended with it. What the job did to its process (mounts
/// in a private namespace, threads, memory) goes with it, and other work waits for no job.
extension WorkerPool {
    /// Most jobs at once.
    static let jobLimit = 16
    /// Seconds for which the end of a worker that was killed is waited for. One that sleeps in the kernel, as on a
    /// dead server, ends when it wakes, which may be never.
    static let killPatience = 5.0

    /// Does a job in a worker of its own.
    /// - Parameters:
    ///   - silence: longest time without a sign of progress, in seconds; nil: that of every request.
    ///   - telling: told how far the job has come; the first time when it has begun and holds its file.
    ///   - handing: a descriptor of which the job gets a copy (`JobControl.handed`).
    ///   - hearing: told what the job says to whoever asked for it.
    ///   - isOver: once true, the worker is asked to end the job at its next block, and killed if it does not answer
    ///     within `silence`.
    /// - Throws: `timeout` where it was killed for its silence.
    func run(
        _ request: WorkerRequest, silence: Double?, handing: Int32? = nil,
        telling: @escaping @Sendable (WorkProgress) -> Void, hearing: @escaping @Sendable (String) -> Void = { _ in },
        until isOver: @escaping WorkerEnd
    ) async throws(HostError) -> WorkerReply {
        try refuseHanging(request)
        guard let message = try? request.message() else {
            throw HostError(.failed, "Cannot write down a request for the worker: \(request.summary)")
        }
        let isFull = state.withLock { state in
            if state.jobs < Self.jobLimit { state.jobs += 1 } else { return true }
            return false
        }
        if isFull {
            throw HostError(
                .exhausted, "\(Self.jobLimit) jobs are at work; no more are begun before one of them ends",
                cause: request.summary)
        }
        defer { state.withLock { $0.jobs -= 1 } }
        let connection = try connect()
        let silence = silence ?? deadline
        let outcome = await OwnedThread.run {
            connection.exchange(
                message, deadline: silence, handing: handing, telling: { telling($0.job) }, hearing: hearing,
                until: isOver
            ).0
        }
        // Whatever came of it: the worker gets no other request, and ends.
        connection.giveUp()
        switch outcome {
        case nil: throw HostError(.exhausted, "No thread is left for \(request.summary)")
        case .success(let reply): return reply
        case .failure(.overdue):
            let longest = connection.isStopped ? min(silence, WorkerConnection.endPatience) : silence
            throw await kill(connection, request: request, silence: longest)
        case .failure(let fault): throw error(fault, of: connection, request: request, isOver: isOver())
        }
    }

    private func error(
        _ fault: WorkerFault, of connection: WorkerConnection, request: WorkerRequest, isOver: Bool
    ) -> HostError {
        if let cause = connection.startFault.withLock({ $0 }) { return cause }
        switch fault {
        case .undelivered:
            return HostError(.failed, "The worker process ended before it could be asked for \(request.summary)")
        case .garbled:
            return HostError(
                .malformed, "The worker process answered what no worker says to \(request.summary)",
                subject: command.joined(separator: " "))
        case .ended, .overdue:
            // A service manager ends workers itself, with the controller.
            if isOver { return HostError(.interrupted, "\(request.summary) was stopped") }
            return HostError(.failed, "The worker process ended in the middle of \(request.summary)")
        }
    }

    /// Kills a worker that is silent, and waits for its end for a while. One that has not ended by then counts as
    /// stuck, and nothing else is begun on its keys, here or, by its job file, in any other process.
    private func kill(
        _ connection: WorkerConnection, request: WorkerRequest, silence: Double
    ) async -> HostError {
        leave(connection, request)
        let end = monotonicSeconds() + Self.killPatience
        while !connection.hasEnded.load(ordering: .relaxed), monotonicSeconds() < end {
            // Each time: on a slow machine the process may begin only now.
            connection.kill()
            try? await Task.sleep(for: .milliseconds(20))
        }
        let who = connection.pid.withLock { $0 }.map { "Worker process \($0)" } ?? "The worker"
        let silent = "\(who) was not heard of for \(Int(silence.rounded(.up))) s while it did \(request.summary)"
        guard connection.hasEnded.load(ordering: .relaxed) else {
            return HostError(
                .timeout, "\(silent); it was killed and has not ended, so what it was asked to do may still happen")
        }
        return HostError(.timeout, "\(silent), and was killed")
    }
}
