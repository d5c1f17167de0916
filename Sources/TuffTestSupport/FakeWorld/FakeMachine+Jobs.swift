import Synchronization
package import TuffHost
package import TuffModel
import TuffSystem

/// Jobs of the machine of tests: those that a test says are running, and those that the controller runs itself.
extension FakeMachine {
    package func jobs() -> ObservationMap<RunningJob> { state.withLock { $0.world.jobs } }

    /// The job runs at once, on a thread of its own.
    package func run<Request: JobRequest>(
        _ request: Request, telling: @escaping @Sendable (WorkProgress) -> Void,
        until isOver: @escaping @Sendable () -> Bool
    ) async throws(HostError) -> Request.Outcome {
        try state.withLock { (state) throws(HostError) in try Self.begin(&state) }
        // Listings of repositories are asked of the world, as by a worker.
        if let listing = request as? RepositoryListing {
            let found = try state.withLock { (state) throws(HostError) in try state.world.observed(listing.access) }
            if let outcome = found as? Request.Outcome { return outcome }
        }
        let control = JobControl(
            roots: HostRoots(target: "/nonexistent", reach: Reach()), summary: request.summary, isOver: isOver,
            telling: telling)
        let handlers = handlers
        let result = await OwnedThread.run { handlers.result(of: request, control) }
        guard let result else { throw HostError(.exhausted, "No thread is left for \(request.summary)") }
        return try result.get()
    }
}
