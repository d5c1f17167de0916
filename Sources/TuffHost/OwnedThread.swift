import CTuffHost
import Glibc

/// Threads for calls that may block. The cooperative pool is as wide as the CPUs, which may be one: a blocked call
/// there would stop the whole program.
enum OwnedThread {
    private final class Job: Sendable {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }

    /// Starts a thread for one piece of work. False when the machine has no thread left; nothing has run then.
    static func start(_ work: @escaping @Sendable () -> Void) -> Bool {
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else { return false }
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 1 << 20)
        let job = Unmanaged.passRetained(Job(work))
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, &attributes,
            { argument in
                // The argument is the job retained above; a thread always gets it.
                Unmanaged<Job>.fromOpaque(argument!).takeRetainedValue().work()
                return nil
            }, job.toOpaque())
        if failure != 0 { job.release() }
        return failure == 0
    }

    /// Runs work on a thread of its own and waits for it without holding the caller's. Nil when no thread could be
    /// had. Cancellation of the waiting task changes nothing.
    static func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value? {
        await withCheckedContinuation { continuation in
            if !start({ continuation.resume(returning: work()) }) { continuation.resume(returning: nil) }
        }
    }
}
