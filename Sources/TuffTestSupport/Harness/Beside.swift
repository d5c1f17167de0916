import Synchronization
import TuffHost
import TuffSystem

/// Work that spins or blocks beside a test, on a thread of its own.
///
/// Swift's tasks share as many threads as the machine has processors. Two tests that keep one each for themselves stop
/// all others, the ones that they wait for included, so none may spin or block in a task.
package final class Beside<Value: Sendable>: Sendable {
    private final class Flag: Sendable {
        let isOver = Atomic(false)
    }

    private let flag: Flag
    private let task: Task<Value, Never>

    /// - Parameter work: asks now and then whether it is to go on.
    package init(_ work: @escaping @Sendable (_ goesOn: () -> Bool) -> Value) {
        let flag = Flag()
        self.flag = flag
        task = Task.detached {
            let value = await OwnedThread.run { work { !flag.isOver.load(ordering: .relaxed) } }
            guard let value else { preconditionFailure("the machine has no thread left for a test") }
            return value
        }
    }

    /// Waits for the end of the work, without asking for it.
    package var value: Value {
        get async { await task.value }
    }

    /// Asks the work to end, and waits for that.
    package func end() async -> Value {
        flag.isOver.store(true, ordering: .relaxed)
        return await task.value
    }
}
