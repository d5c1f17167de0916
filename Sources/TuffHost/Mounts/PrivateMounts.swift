import CTuffHost
import Glibc
package import TuffModel

/// Mounts that only this process sees, and that end with it, however it ends: nothing of them is ever in the host's
/// table of mounts.
///
/// For workers of jobs. Made on the thread that does all the work and that all other threads of the work come from;
/// others of the process see the host's mounts, but may use what was opened here by its descriptor.
package struct PrivateMounts: ~Copyable {
    /// Seconds that mounting may take; a server that does not answer lets it wait without an end.
    package static let limit = 30

    /// A way of mounting, for tests that have no server.
    struct Method: Sendable {
        /// Mounts the share at a directory.
        var mount:
            @Sendable (NFSMount, _ point: String, _ waiting: () throws(HostError) -> Void) throws(HostError) -> Void
        /// Why what is mounted is not what was asked for; nil where it is.
        var fault: @Sendable (MountedShare, NFSMount) -> MountedShare.Fault?
    }

    /// An empty file system in memory that covers it holds the mount points, so that none is left on the host either.
    private let directory: String
    private let method: Method
    private var count = 0

    /// To be called first thing.
    /// - Throws: `refused` in a process that does other work as well, whose threads would see these mounts ever after.
    package init(of job: JobControl) throws(HostError) {
        guard job.ownsProcess else {
            throw HostError(.refused, "Only a worker process has mounts of its own, and this one does other work too")
        }
        try self.init(in: job.mountsDirectory, by: .nfs)
    }

    /// - Parameter directory: absolute path of a directory of ours, which is made where it is missing.
    init(in directory: String, by method: Method) throws(HostError) {
        // Before anything is mounted: made and looked at as every directory of our own files.
        _ = try StateDirectory(for: "\(directory)/any", what: "mount points")
        // The table of mounts has no links in it.
        guard let real = realpath(directory, nil) else {
            throw .system(errno, "Cannot look at \(directory)", subject: directory)
        }
        defer { free(real) }
        let place = String(cString: real)
        guard tuff_own_mounts() == 0 else {
            let number = errno
            throw .system(
                number,
                "Cannot have mounts that no other process sees"
                    + ([EPERM, ENOSYS].contains(number)
                        ? " (CAP_SYS_ADMIN, and RestrictNamespaces= of the service)" : ""))
        }
        guard tuff_mount_scratch(place) == 0 else {
            throw .system(errno, "Cannot cover \(place) with a file system in memory", subject: place)
        }
        self.directory = place
        self.method = method
    }

    /// Mounts a share and opens the directory that is named beneath it. Blocks: its thread may wait for the server
    /// until it is killed, which only who watches over the process can do.
    /// - Parameters:
    ///   - making: whether directories beneath the export that are missing are made (mode 0700).
    ///   - job: heard while it is mounted, which takes `limit` at most. From then on it is its silence that counts.
    /// - Throws: `unreachable` where the server does not answer or exports no such thing, `notFound` where the path
    ///   beneath is not there, `permissionDenied` as the server says, `preconditionFailed` where something else than
    ///   was asked for was mounted, `interrupted` where the job is to end.
    package mutating func open(
        _ share: NFSMount, making: Bool = false, for job: JobControl
    ) throws(HostError) -> MountedDirectory {
        try open(share, making: making) { () throws(HostError) in
            try job.demandGoingOn()
            job.tell(WorkProgress(phase: "mounting"))
        }
    }

    mutating func open(
        _ share: NFSMount, making: Bool = false, waiting: () throws(HostError) -> Void = {}
    ) throws(HostError) -> MountedDirectory {
        count += 1
        let point = "\(directory)/\(count)"
        guard mkdir(point, 0o700) == 0 else { throw .system(errno, "Cannot make the mount point \(point)") }
        do throws(HostError) { try method.mount(share, point, waiting) } catch {
            guard error.code == .notFound else { throw error }
            // That something is not there is only ever said of what lies on the share: of a program or an export that
            // is missing nobody knows what would be there.
            throw HostError(.unreachable, error.sentence, cause: error.cause, subject: error.subject)
        }
        guard let mounted = try MountedShare.now(at: point) else {
            throw HostError(
                .preconditionFailed, "\(share.source) was mounted, and nothing is there", subject: share.source)
        }
        switch method.fault(mounted, share) {
        case nil: break
        case .foreign(let fault), .options(let fault):
            throw HostError(
                .preconditionFailed, "\(share.source) is not used: the directory of this job \(fault)",
                subject: share.source)
        }
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
        guard let top = OwnedDescriptor(opened: tuff_open_at(AT_FDCWD, point, flags, 0)) else {
            throw .system(errno, "Cannot open \(share.source)", subject: share.source)
        }
        return MountedDirectory(try Self.enter(share, from: top, making: making))
    }

    /// Goes down one directory after the other, through no link and into nothing that is mounted beneath: neither what
    /// the server has mounted there itself, nor another server that it names.
    private static func enter(
        _ share: NFSMount, from top: consuming OwnedDescriptor, making: Bool
    ) throws(HostError) -> SharedDescriptor {
        var place = SharedDescriptor(top)
        var path = share.source
        for name in Reach.names(in: share.path) {
            path += path.hasSuffix("/") ? name : "/\(name)"
            var found = OwnedDescriptor(opened: tuff_open_in_mount(place.raw, name, O_RDONLY | O_DIRECTORY))
            var number = errno
            if found == nil, number == ENOENT, making {
                guard mkdirat(place.raw, name, 0o700) == 0 || errno == EEXIST else {
                    throw .system(errno, "Cannot make \(path)", subject: path)
                }
                guard fsync(place.raw) == 0 else {
                    throw .system(errno, "Cannot bring \(path) to the disk", subject: path)
                }
                found = OwnedDescriptor(opened: tuff_open_in_mount(place.raw, name, O_RDONLY | O_DIRECTORY))
                number = errno
            }
            guard let found else {
                switch number {
                case EXDEV:
                    throw HostError(
                        .refused, "\(path) is another file system of the server, which is not entered",
                        cause: "export it by itself", subject: path)
                case ELOOP:
                    throw HostError(.refused, "\(path) is a symbolic link, which is not followed", subject: path)
                default: throw .system(number, "Cannot open \(path)", subject: path)
                }
            }
            place = SharedDescriptor(found)
        }
        return place
    }
}

extension PrivateMounts.Method {
    /// mount.nfs(8), and a comparison of the mount with what was asked for.
    static let nfs = PrivateMounts.Method(
        mount: { share, point, waiting throws(HostError) in
            let command = try share.command(mountingAt: point, as: .repository)
            let child = BoundCommand(command: command, limit: Double(PrivateMounts.limit))
            let ending: BoundCommand.Ending
            do throws(HostError) { ending = try child.run(waiting: waiting) } catch {
                guard error.code == .timeout else { throw error }
                throw HostError(
                    .unreachable, "The server of \(share.source) does not answer", cause: error.sentence,
                    subject: share.source)
            }
            guard ending.status == 0 else { throw share.failure(ending.text) }
        }, fault: { $0.fault(comparedWith: $1, as: .repository) })
}

/// A directory on a mount of this process's own.
package final class MountedDirectory: Sendable {
    private let opened: SharedDescriptor

    fileprivate init(_ descriptor: SharedDescriptor) { opened = descriptor }

    /// Closed when nobody holds this any more.
    package var descriptor: Int32 { opened.raw }

    /// A path that leads to it from every thread of this process, and from no other process, for as long as this is
    /// held.
    package var path: String { "/proc/thread-self/fd/\(opened.raw)" }
}

extension NFSMount {
    /// The error for what mount.nfs(8) said when it failed: its status is 32 whatever was wrong, and its words are
    /// errno's most often (`mount_error` in utils/mount/error.c of nfs-utils).
    func failure(_ text: String) -> HostError {
        func says(_ words: [String]) -> Bool { words.contains { text.contains($0) } }
        let sentence: String
        let code: HostError.Code
        if says(["access denied", "Permission denied", "Operation not permitted"]) {
            (code, sentence) = (.permissionDenied, "The server does not let this host mount \(source)")
        } else if says(["No such file or directory"]) {
            (code, sentence) = (.notFound, "The server exports no \(source)")
        } else if says(["Resource temporarily unavailable", "Name or service not known", "Failed to resolve"]) {
            // getaddrinfo(3) for lack of an answer; mount.nfs(8) says errno's EAGAIN then.
            (code, sentence) = (.unreachable, "The address of \(server) cannot be found out")
        } else if says([
            "Connection refused", "timed out", "No route to host", "unreachable", "Connection reset", "Host is down",
            // EIO: nobody answered a connection that stands (16 s, measured).
            "mount system call failed",
        ]) {
            (code, sentence) = (.unreachable, "The server of \(source) does not answer")
        } else {
            (code, sentence) = (.failed, "\(source) cannot be mounted")
        }
        return HostError(code, sentence, cause: text.isEmpty ? nil : text, subject: source)
    }
}
