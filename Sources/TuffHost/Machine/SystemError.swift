import Glibc
import SystemPackage
package import TuffModel

extension HostError {
    /// The error for a failed system call: `sentence` names the operation and the object, the cause is errno's own
    /// text.
    ///
    /// Codes follow errno(3); what no code stands for is `failed`.
    package static func system(_ number: Int32, _ sentence: String, subject: String? = nil) -> HostError {
        let code: Code =
            switch number {
            case ENOENT: .notFound
            case EACCES, EPERM, EROFS: .permissionDenied
            case EBUSY, ETXTBSY: .busy
            case ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EAGAIN: .exhausted
            case ELOOP, EXDEV: .refused
            case ETIMEDOUT: .timeout
            default: .failed
            }
        var cause = Errno(rawValue: number).description
        if [EACCES, EPERM].contains(number), geteuid() != 0 { cause += "; run as root" }
        return HostError(code, sentence, cause: cause, subject: subject)
    }
}

/// A file descriptor that is closed exactly once, when its only owner goes.
struct OwnedDescriptor: ~Copyable {
    let raw: Int32

    init(_ raw: Int32) { self.raw = raw }

    /// Takes what an opening system call returned; nil when it failed and errno says why.
    init?(opened raw: Int32) {
        guard raw >= 0 else { return nil }
        self.raw = raw
    }

    deinit { close(raw) }

    /// Hands the descriptor to another owner.
    consuming func release() -> Int32 {
        let result = raw
        discard self
        return result
    }
}

/// A descriptor that several hold, closed when the last lets go.
final class SharedDescriptor: Sendable {
    let raw: Int32

    init(_ descriptor: consuming OwnedDescriptor) { raw = descriptor.release() }

    deinit { close(raw) }
}

/// Seconds of the clock that never steps, as a fraction.
func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
