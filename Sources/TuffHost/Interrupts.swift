import CTuffHost
import Glibc
import Synchronization
package import TuffModel

/// SIGINT and SIGTERM as something the program looks at: the running command is finished, no new one starts, and the
/// process ends with status 130. SIGPIPE stops being deadly, so that a closed terminal is an error like another.
///
/// The handlers only write one byte into a pipe; a thread of ours reads it.
package final class Interrupts: Sendable {
    private struct State {
        var received: Int32?
        var listeners: [AsyncStream<Int32>.Continuation] = []
    }

    private static let installed = Mutex<Interrupts?>(nil)

    private let state = Mutex(State())

    private init() {}

    /// Whether a signal has asked the program to stop.
    package var isInterrupted: Bool { state.withLock { $0.received != nil } }

    /// The first signal that came, nil while there was none.
    package var received: Int32? { state.withLock { $0.received } }

    /// Every signal from now on, and at once the first if one has come before.
    package func signals() -> AsyncStream<Int32> {
        AsyncStream { continuation in
            state.withLock { state in
                if let received = state.received { continuation.yield(received) }
                state.listeners.append(continuation)
            }
        }
    }

    /// Takes over the signals of this process, once; later calls return the same object.
    package static func install() throws(HostError) -> Interrupts {
        let result = installed.withLock { existing in
            Result { () throws(HostError) in
                if let existing { return existing }
                let made = try makeAndStart()
                existing = made
                return made
            }
        }
        return try result.get()
    }

    private static func makeAndStart() throws(HostError) -> Interrupts {
        var ends: [Int32] = [-1, -1]
        guard tuff_signal_pipe(&ends) == 0 else { throw .system(errno, "Cannot make a pipe for signals") }
        let interrupts = Interrupts()
        let input = ends[0]
        guard OwnedThread.start({ interrupts.listen(input) }), tuff_install_signal_pipe(ends[1]) == 0 else {
            throw .system(errno, "Cannot prepare for signals")
        }
        return interrupts
    }

    /// Lives as long as the process; the handlers' end of the pipe is never closed.
    private func listen(_ input: Int32) {
        var byte: UInt8 = 0
        while withUnsafeMutableBytes(of: &byte, { readBytes(input, into: $0) }) == 1 {
            let number = Int32(byte)
            let listeners = state.withLock { state in
                state.received = state.received ?? number
                return state.listeners
            }
            for listener in listeners { listener.yield(number) }
        }
    }
}
