import Synchronization
package import TuffModel

/// The right of a pass to change the host, which it gives up while it only waits for work of hours, so that passes of
/// other processes go on beside it.
package protocol Tenure: Sendable {
    /// Gives the right up. Other passes leave `objects` alone until this one has it again.
    /// - Returns: false where it was kept, since they could not be held.
    func leave(_ objects: [UID]) -> Bool

    /// Waits until this pass has the right again.
    /// - Returns: what was found then; nil: it was not given back in time, and the pass is to stop.
    func comeBack() async -> Absence?
}

/// The changes that others may have made while a pass did not hold the host.
package enum Absence: Sendable {
    /// Nobody else held it.
    case undisturbed
    /// Others held it, and the accepted set is still the one of this pass.
    case visited
    /// Others had another set accepted: what this pass has not begun is not wanted in this form any more.
    case superseded
}

/// The steps that move data and whose work has begun: from then on its own job file speaks for it.
final class BegunWork: Sendable {
    private struct State {
        var steps: Set<Int> = []
        var hasNews = false
    }

    private let state = Mutex(State())

    func note(_ steps: [Int]) {
        state.withLock { state in
            guard !state.steps.isSuperset(of: steps) else { return }
            state.steps.formUnion(steps)
            state.hasNews = true
        }
    }

    func contains(_ steps: some Collection<Int>) -> Bool { state.withLock { $0.steps.isSuperset(of: steps) } }

    /// True once after each beginning.
    func takeNews() -> Bool {
        state.withLock { state in
            defer { state.hasNews = false }
            return state.hasNews
        }
    }
}
