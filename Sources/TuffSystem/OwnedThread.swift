import Glibc
import Synchronization

/// Threads for calls that may block. The cooperative pool is as wide as the CPUs, which may be one: a blocked call
/// there would stop the whole program.
///
/// A thread that has done its work waits for more, a few of them: making one costs more than most requests to a worker.
package enum OwnedThread {
    package typealias Work = @Sendable () -> Void

    /// Where a thread waits, and what for.
    private final class Seat: Sendable {
        /// Most threads that wait.
        static let limit = 4

        private let next: Mutex<Work?>
        private let signal = Signal()

        init(_ work: @escaping Work) { next = Mutex(work) }

        func give(_ work: @escaping Work) {
            next.withLock { $0 = work }
            signal.send()
        }

        /// The life of the thread.
        func serve() {
            while work() {
                let stays = OwnedThread.free.withLock { free in
                    guard free.count < Self.limit else { return false }
                    free.append(self)
                    return true
                }
                guard stays else { return }
                signal.wait()
            }
        }

        /// Does what is to be done and forgets it: what the work holds must not outlive it in a thread that waits.
        private func work() -> Bool {
            let work = next.withLock { work in
                defer { work = nil }
                return work
            }
            work?()
            return work != nil
        }
    }

    /// A semaphore (sem_overview(7)), which must not move.
    private final class Signal: Sendable {
        // Immutable, and what it points to is made for use by several threads.
        nonisolated(unsafe) private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

        init() { sem_init(semaphore, 0, 0) }

        deinit {
            sem_destroy(semaphore)
            semaphore.deallocate()
        }

        func send() { sem_post(semaphore) }

        func wait() { while sem_wait(semaphore) != 0 {} }
    }

    private static let free = Mutex<[Seat]>([])

    /// The end of a task that a thread waits for.
    private final class Arrival<Value: Sendable>: Sendable {
        let value = Mutex<Value?>(nil)
        let signal = Signal()
    }

    /// Waits for asynchronous work on a thread that may be blocked, which no thread of the cooperative pool may.
    package static func wait<Value: Sendable>(for work: @escaping @Sendable () async -> Value) -> Value {
        let arrival = Arrival<Value>()
        Task.detached {
            let value = await work()
            arrival.value.withLock { $0 = value }
            arrival.signal.send()
        }
        while true {
            arrival.signal.wait()
            if let value = arrival.value.withLock({ $0 }) { return value }
        }
    }

    /// The value of a call that may block for ever, as one for a path on a dead file server may; nil: it has none by
    /// then, or no thread could be had. The call goes on by itself, and the end of the process ends it.
    package static func value<Value: Sendable>(
        within seconds: Int, of work: @escaping @Sendable () -> Value
    ) -> Value? {
        let arrival = Arrival<Value>()
        let isBegun = start {
            let value = work()
            arrival.value.withLock { $0 = value }
        }
        guard isBegun else { return nil }
        // Looked at again and again, since waits of semaphores end by the civil clock, which people set.
        let end = ContinuousClock.now + .seconds(seconds)
        var pause: UInt32 = 50
        while ContinuousClock.now < end {
            if let value = arrival.value.withLock({ $0 }) { return value }
            usleep(pause)
            pause = min(2 * pause, 50_000)
        }
        return nil
    }

    /// Does one piece of work on a thread of its own. False when the machine has no thread left; nothing has run then.
    package static func start(_ work: @escaping Work) -> Bool {
        if let seat = free.withLock({ $0.popLast() }) {
            seat.give(work)
            return true
        }
        return begin(Seat(work))
    }

    private static func begin(_ seat: Seat) -> Bool {
        guard let thread = SystemThread.begin(stack: 1 << 20, { seat.serve() }) else { return false }
        thread.letGo()
        return true
    }

    /// Runs work on a thread of its own and waits for it without holding the caller's. Nil when no thread could be
    /// had. Cancellation of the waiting task changes nothing.
    package static func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value? {
        await withCheckedContinuation { continuation in
            if !start({ continuation.resume(returning: work()) }) { continuation.resume(returning: nil) }
        }
    }
}
