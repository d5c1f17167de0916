import TuffCinder
import TuffHost
import TuffModel
import TuffRepository

/// The work of workers in shares that OpenStack Cinder wrote. They are mounted read-only, and nothing is written there.
enum CinderJobs {
    /// The backups that are whole, as restore points that belong to no host.
    static func list(
        _ access: RepositoryAccess, by control: JobControl
    ) throws(HostError) -> ObservedRepository {
        try with(access, by: control) { backups throws(HostError) in
            let all = backups.list()
            let points = all.compactMap(ObservedPoint.init(cinder:))
            return ObservedRepository(
                id: "cinder", points: points, damaged: all.count - points.count + backups.unread.count)
        }
    }

    /// Every object is proven by length and digest, and the whole by Cinder's digests where it has such.
    /// - Returns: bytes that were written.
    static func restore(_ request: RestoreIntoVolume, by control: JobControl) throws(HostError) -> ByteCount {
        let target = try control.open(request.target, writable: true)
        return try with(request.content.access, by: control) { backups throws(HostError) in
            guard let id = CinderID(request.content.point) else {
                throw HostError(.malformed, "'\(request.content.point)' is no id of a backup of Cinder's")
            }
            let (chain, size) = try inWorker { () throws(RepositoryError) in
                let chain = try backups.chain(id)
                try chain.checkFiles()
                return (chain, try chain.size())
            }
            guard size <= target.size else {
                throw HostError(.preconditionFailed, "\(target.path) is smaller than Cinder's backup")
            }
            let device = try inWorker { () throws(RepositoryError) in
                try DeviceTarget(target.descriptor, path: target.path, isNew: false, size: size)
            }
            let progress = JobProgress()
            let restore = CinderRestore(chain, size: size, to: device, progress: progress)
            let outcome = try RepositoryJobs.follow(
                progress, of: CinderRestore.total(chain), phase: "restoring", by: control
            ) { () throws(RepositoryError) in
                try restore.run(threads: SystemThreads.natural)
            }
            try target.clear(from: size) { !control.isEnding }
            return ByteCount(Int64(clamping: outcome.written))
        }
    }

    private static func with<Value>(
        _ access: RepositoryAccess, by control: JobControl, _ body: (CinderBackups) throws(HostError) -> Value
    ) throws(HostError) -> Value {
        func opened(_ path: String, named name: String) throws(HostError) -> Value {
            try body(
                try inWorker { () throws(RepositoryError) in
                    try CinderBackups(try CinderDirectory(path, named: name))
                })
        }
        switch access.site {
        case .directory(let path):
            let directory = try control.open(directory: path, making: false)
            return try opened(directory.path, named: path)
        case .nfs(let share):
            var mounts = try PrivateMounts(of: control)
            let directory = try mounts.open(NFSMount(share, isReadOnly: true), making: false, for: control)
            return try opened(directory.path, named: share.description)
        }
    }
}

extension ObservedPoint {
    /// Nil: it cannot be restored.
    fileprivate init?(cinder backup: CinderBackup) {
        guard backup.state == .complete, let bytes = backup.size else { return nil }
        let size = ByteCount(Int64(clamping: bytes))
        self.init(
            id: backup.id.description, volume: backup.volumeName ?? backup.volume.description,
            time: backup.created.flatMap { Instant(text: $0) } ?? Instant(secondsSince1970: 0), size: size,
            content: size)
        cinder = CinderNames(
            volume: backup.volume.description, volumeName: backup.volumeName, name: backup.name)
    }
}
