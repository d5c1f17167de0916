package import TuffHost
package import TuffModel

/// Work that takes hours, beside passes: from its beginning on it holds its own keys and not the host.
extension Controller {
    /// Does a job. The host's lock is held until it has begun, so that no pass plans while its keys are about to be
    /// taken; from then on passes of whatever process go on beside it, and leave alone what it works on.
    /// - Parameters:
    ///   - patience: how long another's pass is waited for; nil: not at all.
    ///   - overseer: asked whether the job is to end, which it does at its next block.
    ///   - telling: told how far it has come, from whatever thread; the first time when it has begun.
    package func run<Request: JobRequest>(
        _ request: Request, under config: ControllerConfig, patience: TimeSpan? = nil, overseer: any Overseer,
        telling: @escaping @Sendable (WorkProgress) -> Void = { _ in }
    ) async throws(PassError) -> Request.Outcome {
        let lock = try await lock(patience: patience, overseer)
        defer { lock.release() }
        do throws(HostError) {
            return try await machine(under: config).run(
                request,
                telling: { progress in
                    lock.release()
                    telling(progress)
                }, until: { overseer.asksToStop })
        } catch {
            throw PassError(error.description, sort: error.code == .interrupted ? .interrupted : .failed)
        }
    }

    /// The jobs that run on this host, whoever began them, by the name of their file.
    package func jobs(under config: ControllerConfig) -> ObservationMap<RunningJob> { machine(under: config).jobs() }
}
