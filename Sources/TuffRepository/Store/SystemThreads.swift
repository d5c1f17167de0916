import CTuffHost
import Glibc
import Synchronization
import TuffSystem

/// Threads of the system, made for one job and joined at its end.
package struct SystemThreads: Threads {
    /// One thread for each processor that this process may use, at most 16: beyond that the medium is the limit.
    package static var natural: SystemThreads { SystemThreads(count: min(16, Int(tuff_processors()))) }

    private let count: Int

    package init(count: Int) { self.count = count }

    package func perform(_ body: @escaping @Sendable () throws(RepositoryError) -> Void) throws(RepositoryError) {
        let failure = Mutex<RepositoryError?>(nil)
        let task = Task { () throws(RepositoryError) in
            try body()
        } failed: { error in
            failure.withLock { if $0 == nil { $0 = error } }
        }
        var threads: [SystemThread] = []
        for _ in 1..<max(1, count) {
            // With fewer threads the work takes longer and is the same.
            guard let thread = SystemThread.begin({ task.run() }) else { break }
            threads.append(thread)
        }
        task.run()
        for thread in threads { thread.join() }
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    private final class Task: Sendable {
        private let body: @Sendable () throws(RepositoryError) -> Void
        private let failed: @Sendable (RepositoryError) -> Void

        init(
            _ body: @escaping @Sendable () throws(RepositoryError) -> Void,
            failed: @escaping @Sendable (RepositoryError) -> Void
        ) {
            self.body = body
            self.failed = failed
        }

        func run() {
            do throws(RepositoryError) { try body() } catch { failed(error) }
        }
    }
}
