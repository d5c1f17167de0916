import Synchronization
package import TuffModel

/// The part that a job of several parts is at, and how much there is of it.
package final class JobStage: Sendable {
    private let state = Mutex(WorkProgress())

    package init() {}

    /// - Parameter total: bytes of the part; zero: not known.
    package func begin(_ phase: String, of total: UInt64 = 0) {
        state.withLock { $0 = WorkProgress(phase: phase, total: ByteCount(Int64(clamping: total))) }
    }

    /// - Parameter done: bytes of the part that are done.
    package func progress(done: UInt64) -> WorkProgress {
        state.withLock { state in
            // Of a part without bytes its beginning alone is told.
            guard state.total > .zero else { return state }
            return WorkProgress(
                phase: state.phase, done: min(ByteCount(Int64(clamping: done)), state.total), total: state.total)
        }
    }
}
