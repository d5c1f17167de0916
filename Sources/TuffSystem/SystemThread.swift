import Glibc

/// A thread of the system (pthreads(7)), for calls that may block.
package struct SystemThread: Sendable {
    private let handle: pthread_t

    private final class Body: Sendable {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Begins a thread, which must be joined or let go.
    /// - Parameters:
    ///   - stack: bytes of its stack; nil: as many as the system gives (`ulimit -s`).
    ///   - work: its life. What it holds is let go when it returns.
    /// - Returns: nil where the machine has no thread left; nothing has run then.
    package static func begin(stack: Int? = nil, _ work: @escaping @Sendable () -> Void) -> SystemThread? {
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else { return nil }
        defer { pthread_attr_destroy(&attributes) }
        if let stack { pthread_attr_setstacksize(&attributes, stack) }
        let argument = Unmanaged.passRetained(Body(work))
        var handle = pthread_t()
        let failure = pthread_create(
            &handle, &attributes,
            { argument in
                // The argument is the body retained above; a thread always gets it.
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard failure == 0 else {
            argument.release()
            return nil
        }
        return SystemThread(handle: handle)
    }

    /// Waits for its end. Once, and not after `letGo`.
    package func join() { pthread_join(handle, nil) }

    /// Has the system forget it when it ends. Once, and not after `join`.
    package func letGo() { pthread_detach(handle) }
}
