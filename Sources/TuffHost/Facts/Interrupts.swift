import CTuffHost
import Glibc
import Synchronization
package import TuffModel
import TuffSystem

/// SIGINT and SIGTERM as something the program looks at: the running command is finished, no new one starts, and the
/// process ends with status 130. SIGPIPE stops being deadly, so that a closed terminal is an error like another.
///
/// The handlers only write one byte into a pipe; a thread of ours reads it.
package final class Interrupts: Sendable {
    private static let installed = Mutex<Interrupts?>(nil)

    private let first = Mutex<Int32?>(nil)

    private init() {}

    /// Tells whether a signal has asked the program to stop.
    package var isInterrupted: Bool { received != nil }

    /// The first signal that came, nil while there was none.
    package var received: Int32? { first.withLock { $0 } }

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
        while withUnsafeMutableBytes(of: &byte, { DescriptorIO.read(input, into: $0).count }) == 1 {
            let number = Int32(byte)
            first.withLock { $0 = $0 ?? number }
        }
    }
}
