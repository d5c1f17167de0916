import CTuffHost
import Glibc
package import TuffModel

/// Mounts the share of a directory pool in the host's mount namespace, or unmounts it there. A job, so that its worker
/// is killed where the server does not answer, and nothing else is begun on that server before the worker is gone.
package struct ShareMounting: JobRequest {
    package enum Act: String, Codable, Sendable { case mount, unmount }

    package static let kind = "mount"

    package var act: Act
    package var share: NFSShare
    /// The directory of the pool.
    package var path: String
    /// A mount of the same share with other options is unmounted first, where nobody uses it.
    package var anew: Bool

    package init(_ act: Act, _ share: NFSShare, at path: String, anew: Bool = false) {
        self.act = act
        self.share = share
        self.path = path
        self.anew = anew
    }

    package var summary: String {
        switch act {
        case .mount: "mounting \(share.source) at \(path)"
        case .unmount: "unmounting \(share.source) from \(path)"
        }
    }
    package var keys: [String] { ["directory:\(path)"] }
    package var servers: [String] { [NFSMount(share).serverKey] }
    /// `mount.nfs` gives signs of life until its own limit; unmounting gives none, and asks the server.
    package var silence: Duration? { NFSMount.silence }

    package struct Outcome: Codable, Sendable {}

    package static func register(in handlers: inout JobHandlers) {
        handlers.register(ShareMounting.self) { request, job throws(HostError) in
            try request.carryOut(for: job)
            return Outcome()
        }
    }

    private func carryOut(for job: JobControl) throws(HostError) {
        guard job.ownsProcess else {
            throw HostError(
                .refused, "Only a worker process enters the host's mounts, and this one does other work too")
        }
        guard tuff_enter_host_mounts() == 0 else {
            let number = errno
            throw .system(
                number,
                "Cannot enter the host's mounts (/proc/1/ns/mnt)"
                    + ([EPERM, EACCES, ENOSYS].contains(number)
                        ? " (CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_SYS_PTRACE, and RestrictNamespaces= of the service)"
                        : ""))
        }
        switch act {
        case .mount: try PoolMounts.mount(self, for: job)
        case .unmount: try PoolMounts.unmount(self)
        }
    }
}
