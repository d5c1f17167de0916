import CTuffHost
import Glibc
import TuffModel
import TuffSystem

/// Mounts of directory pools on NFS. They are the host's: made in its namespace, they outlive this program.
enum PoolMounts {
    /// Of the first process, whose mounts are the host's whatever sandbox this one is in.
    private static let hostTable = "/proc/1/mountinfo"

    /// Compares what the host has mounted at the directory of a pool with the share that is meant. No server is asked:
    /// one that is gone would let whoever asks wait.
    static func look(at path: String, for share: NFSShare) throws(HostError) -> ObservedMount {
        guard let real = try realPath(path) else { return ObservedMount(share: share, state: .absent(.missing)) }
        let host = try MountTable(at: hostTable)
        guard let found = host.top(at: real), let mounted = MountedShare(at: real, in: host) else {
            return ObservedMount(share: share, state: .absent(try beneath(real)))
        }
        let state: ObservedMount.State
        switch mounted.fault(comparedWith: NFSMount(share), as: .pool) {
        case .foreign(let fault): state = .foreign(fault)
        case let fault:
            guard try MountTable.current().top(at: real)?.device == found.device else {
                state = .hidden
                break
            }
            if case .options(let sentence) = fault { state = .differing(sentence) } else { state = .mounted }
        }
        return ObservedMount(share: share, state: state)
    }

    /// Demands that an opened directory is the root of the mount of a share: never the directory beneath it, whatever
    /// was unmounted or mounted since somebody looked.
    static func demand(_ share: NFSShare, at path: String, opened directory: Int32) throws(HostError) {
        func failure(_ found: String) -> HostError {
            HostError(
                .preconditionFailed, "Nothing was done in \(path), since \(found)",
                cause: "NFS share \(share.source) belongs there", subject: path)
        }
        var number: UInt64 = 0
        guard tuff_mount_number(directory, &number) == 0 else {
            throw .system(errno, "Cannot tell on which mount \(path) is", subject: path)
        }
        guard let real = try realPath(path), let mount = try MountTable.current().top(at: real) else {
            throw failure("nothing is mounted there")
        }
        guard UInt64(mount.number) == number else {
            throw failure("something was mounted or unmounted there meanwhile")
        }
        switch MountedShare(mount).fault(comparedWith: NFSMount(share), as: .pool) {
        case .foreign(let fault): throw failure("it \(fault)")
        case .options, nil: return
        }
    }

    /// The path without links, found without asking a server; nil where it leads to nothing.
    static func realPath(_ path: String) throws(HostError) -> String? {
        try MountTable.withCurrent { mounts throws(MountTable.Stale) in try RootIdentity.realPath(of: path, in: mounts)
        }
    }

    private static func beneath(_ real: String) throws(HostError) -> ObservedMount.Beneath {
        guard let opened = OwnedDescriptor(opened: tuffOpen(real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)) else {
            throw .system(errno, "Cannot open \(real), where a share is to be mounted", subject: real)
        }
        guard let entries = listDirectory(opened: opened.raw) else {
            throw .system(errno, "Cannot list \(real), where a share is to be mounted", subject: real)
        }
        return entries.isEmpty ? .empty : .filled
    }

    // MARK: Acts, on a thread that has entered the host's mounts

    /// Mounts a share at the directory of a pool, which is made where it is missing. Done before, it is success.
    static func mount(_ request: ShareMounting, for job: JobControl) throws(HostError) {
        let share = NFSMount(request.share), path = request.path
        if let found = try mounted(at: path) {
            switch found.mount.fault(comparedWith: share, as: .pool) {
            case nil: return
            case .foreign(let fault): throw other(request, fault)
            case .options(let fault):
                guard request.anew else { throw other(request, fault) }
                try detach(found.real, request)
            }
        }
        let point = try prepare(path, in: job.roots)
        guard try beneath(point) == .empty else {
            throw HostError(
                .preconditionFailed, "Nothing is mounted at \(path), which is not empty: that would hide what is in it",
                cause: "move it away, or name another directory", subject: path)
        }
        let child = BoundCommand(
            command: try share.command(mountingAt: point, as: .pool), limit: Double(PrivateMounts.limit))
        let ending: BoundCommand.Ending
        do throws(HostError) {
            ending = try child.run { () throws(HostError) in
                try job.demandGoingOn()
                job.tell(WorkProgress(phase: "mounting"))
            }
        } catch {
            guard error.code == .timeout else { throw error }
            throw HostError(
                .unreachable, "The server of \(share.source) does not answer", cause: error.sentence,
                subject: share.source)
        }
        guard ending.status == 0 else { throw share.failure(ending.text) }
        guard let made = try MountedShare.now(at: point) else {
            throw HostError(
                .preconditionFailed, "\(share.source) was mounted at \(path), and nothing is there", subject: path)
        }
        switch made.fault(comparedWith: share, as: .pool) {
        case .foreign(let fault), .options(let fault): throw other(request, fault)
        case nil: return
        }
    }

    /// Unmounts the share of a pool. Not there is success; in use is an error, and nothing has changed.
    static func unmount(_ request: ShareMounting) throws(HostError) {
        guard let found = try mounted(at: request.path) else { return }
        if case .foreign(let fault) = found.mount.fault(comparedWith: NFSMount(request.share), as: .pool) {
            throw other(request, fault)
        }
        try detach(found.real, request)
    }

    private static func mounted(at path: String) throws(HostError) -> (real: String, mount: MountedShare)? {
        guard let real = try realPath(path), let mount = try MountedShare.now(at: real) else { return nil }
        return (real, mount)
    }

    private static func other(_ request: ShareMounting, _ fault: String) -> HostError {
        HostError(
            .preconditionFailed, "\(request.path) is not as it should be: it \(fault)",
            cause: "NFS share \(request.share.source) belongs there", subject: request.path)
    }

    private static func detach(_ real: String, _ request: ShareMounting) throws(HostError) {
        guard umount2(real, Int32(UMOUNT_NOFOLLOW)) != 0 else { return }
        let number = errno
        guard number != EBUSY else {
            throw HostError(
                .busy,
                "\(request.share.source) cannot be unmounted from \(request.path): somebody has files open there",
                cause: "fuser -vm \(Command.quoted(real)) names whom it can", subject: request.path)
        }
        throw .system(number, "Cannot unmount \(request.path)", subject: request.path)
    }

    /// The directory without links. Every component is looked at as for any directory that a document names.
    private static func prepare(_ path: String, in roots: HostRoots) throws(HostError) -> String {
        guard
            let root = roots[.directories].filter({ Reach.holds($0, path) }).max(by: { $0.utf8.count < $1.utf8.count })
        else {
            throw HostError(.refused, "The directory \(path) lies beneath none of allow.directories", subject: path)
        }
        var walk = try PathWalk(to: path, noun: Reach.Sort.directories.noun)
        try walk.enterRoot(root)
        for name in Reach.names(in: path).dropFirst(Reach.names(in: root).count) {
            guard name != ".", name != ".." else {
                throw HostError(.refused, "The directory '\(path)' is not a path without '.' and '..'", subject: path)
            }
            guard mkdirat(walk.directory, name, 0o700) == 0 || errno == EEXIST else {
                throw .system(errno, "Cannot make \(name) on the way to \(path)", subject: path)
            }
            try walk.enterBeneath(name)
        }
        // As of any other pool: nobody else may write it.
        _ = try roots.open(path, .directories, flags: tuff_o_path | O_DIRECTORY)
        return walk.path
    }
}
