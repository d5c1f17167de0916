import Glibc
import TuffHost
import TuffModel
import TuffRepository

/// The handlers of work in repositories that documents declare. They run in workers: whatever a medium does to them,
/// the controller goes on.
enum RepositoryJobs {
    static func register(in handlers: inout JobHandlers) {
        handlers.register(RepositoryListing.self) { request, control throws(HostError) in
            try Self.list(request, control)
        }
        handlers.register(RepositoryCreation.self) { request, control throws(HostError) in
            try Self.create(request, control)
        }
        handlers.register(RestoreIntoVolume.self) { request, control throws(HostError) in
            try Self.restore(request, control)
        }
        handlers.register(BackupOfVolume.self) { request, control throws(HostError) in
            try Self.backUp(request, control)
        }
    }

    // MARK: Looking

    private static func list(
        _ request: RepositoryListing, _ control: JobControl
    ) throws(HostError) -> ObservedRepository? {
        do throws(HostError) {
            guard request.access.format != .cinder else { return try CinderJobs.list(request.access, by: control) }
            return try with(request.access, by: control) { repository throws(HostError) in
                let id = repository.description.id, program = TuffVersion.current
                let memory = PointMemory(of: id, request.access, program: program, for: control)
                let seen = try inWorker { () throws(RepositoryError) in
                    try SeenPoints(of: repository, known: memory)
                }
                if seen.isNew {
                    PointMemory(seen.entries).keep(of: id, request.access, program: program, for: control)
                }
                let points = try inWorker { () throws(RepositoryError) in
                    seen.points(hurt: try repository.hurtPoints(), aside: Set(try repository.setAside().points.keys))
                }
                let receipts = try inWorker { () throws(RepositoryError) in try repository.receipts() }
                return ObservedRepository(
                    id: id, points: points, damaged: seen.damaged, receipts: ObservedReceipt.newest(of: receipts))
            }
        } catch  where error.code == .notFound {
            return nil
        }
    }

    // MARK: Changing

    private static func create(_ request: RepositoryCreation, _ control: JobControl) throws(HostError) -> String {
        try withStore(request.access, making: true, by: control) { store, secret throws(HostError) in
            try inWorker { () throws(RepositoryError) in
                try secret?.demandLength()
                return try Repository.create(in: store, secret: secret, now: HostFacts.now().description)
                    .description.id
            }
        }
    }

    private static func restore(_ request: RestoreIntoVolume, _ control: JobControl) throws(HostError) -> ByteCount {
        guard request.content.access.format != .cinder else { return try CinderJobs.restore(request, by: control) }
        let target = try control.open(request.target, writable: true)
        return try with(request.content.access, by: control) { repository throws(HostError) in
            let progress = JobProgress()
            let restore = try inWorker { () throws(RepositoryError) in
                let found = try repository.points()
                let point = try PointChoice.id(request.content.point).choose(
                    among: found.points, damaged: found.damaged, series: nil)
                return try Restore(point, of: repository, progress: progress)
            }
            let size = restore.point.record.size
            guard size <= target.size else {
                throw HostError(.preconditionFailed, "\(target.path) is smaller than the restore point")
            }
            let device = try inWorker { () throws(RepositoryError) in
                try DeviceTarget(target.descriptor, path: target.path, isNew: false, size: size)
            }
            let outcome = try follow(progress, of: size, phase: "restoring", by: control) {
                () throws(RepositoryError) in
                try restore.run(to: device, threads: SystemThreads.natural)
            }
            try target.clear(from: size) { !control.isEnding }
            return ByteCount(Int64(clamping: outcome.written))
        }
    }

    /// Half of the longest silence: the work before it takes some of that, too.
    private static let patience = TimeSpan(seconds: 60)

    private static func backUp(_ request: BackupOfVolume, _ control: JobControl) throws(HostError) -> ObservedPoint {
        let task = request.backup
        let source = try control.open(request.source, writable: false)
        return try with(task.access, by: control) { repository throws(HostError) in
            let lease = try inWorker { () throws(RepositoryError) in
                try repository.takeLease(
                    .shared, purpose: "tuff backup", patience: Self.patience, progress: JobProgress())
            }
            defer { lease.giveBack() }
            let series = Series(name: task.volume, stack: task.stack, node: task.node, uid: task.uid.description)
            let known = try inWorker { () throws(RepositoryError) in try KnownPoints(of: repository) }
            var wanted = Backup.Request(
                series: series,
                time: task.time?.description
                    ?? known.ownSecond(of: series, now: { HostFacts.now().description }, pause: { usleep(50_000) }),
                program: "tuff \(TuffVersion.current)")
            wanted.parent = known.base(of: series)
            wanted.policy = task.policy
            wanted.labels = task.labels.merging(task.backup.map { [ObservedPoint.backupKey: $0] } ?? [:]) { $1 }
            wanted.document = task.document
            wanted.level = task.level
            source.settle()
            let device = try inWorker { () throws(RepositoryError) in
                StableSource(device: try DeviceSource("/proc/self/fd/\(source.descriptor)"), path: source.path)
            }
            let work = BackupWork(
                repository: repository, source: device, request: wanted, known: known, lease: lease, control: control)
            return ObservedPoint(try work.run(task.reading), isSetAside: false)
        }
    }

    // MARK: Opening

    static func with<Value>(
        _ access: RepositoryAccess, by control: JobControl, _ body: (Repository) throws(HostError) -> Value
    ) throws(HostError) -> Value {
        try withStore(access, making: false, by: control) { store, secret throws(HostError) in
            try body(try inWorker { () throws(RepositoryError) in try Repository.open(store, secret: secret) })
        }
    }

    /// Opens the place of a repository, and reads the key.
    static func withStore<Value>(
        _ access: RepositoryAccess, making: Bool, by control: JobControl,
        _ body: (DirectoryStore, RepositorySecret?) throws(HostError) -> Value
    ) throws(HostError) -> Value {
        guard access.format != .cinder else {
            throw HostError(.refused, "A share that Cinder wrote is only read: \(access.site)")
        }
        let secret = try access.key.map { key throws(HostError) in try Self.secret(key, by: control) }
        switch access.site {
        case .directory(let path):
            let directory = try control.open(directory: path, making: making)
            let store = try inWorker { () throws(RepositoryError) in
                try DirectoryStore(directory.path, named: path, making: making)
            }
            return try body(store, secret)
        case .nfs(let share):
            // Gone with this process, whatever becomes of it; nobody else ever sees it.
            var mounts = try PrivateMounts(of: control)
            let directory = try mounts.open(NFSMount(share), making: making, for: control)
            let store = try inWorker { () throws(RepositoryError) in
                try DirectoryStore(directory.path, named: share.description, making: making)
            }
            return try body(store, secret)
        }
    }

    /// A key that is not there tells nothing of the repository, and above all not that there is none.
    private static func secret(_ key: SecretReference, by control: JobControl) throws(HostError) -> RepositorySecret {
        do throws(HostError) {
            return try control.withSecret(key) { bytes throws(HostError) in
                try inWorker { () throws(RepositoryError) in try RepositorySecret(Array(bytes)) }
            }
        } catch {
            guard error.code == .notFound else { throw error }
            throw HostError(.refused, error.sentence, cause: error.cause, subject: error.subject)
        }
    }

    static func follow<Value>(
        _ progress: JobProgress, of total: UInt64, phase: String, by control: JobControl,
        _ work: () throws(RepositoryError) -> Value
    ) throws(HostError) -> Value {
        try control.following(phase, of: total, done: { progress.done }, end: { progress.cancel() }) {
            () throws(HostError) in try inWorker { () throws(RepositoryError) in try work() }
        }
    }
}

/// A source of which no restore point is placed where somebody wrote to it while it was read.
private struct StableSource: BlockSource {
    let device: DeviceSource
    let path: String

    var size: UInt64 { device.size }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        try device.read(at: offset, into: buffer)
    }

    func isHole(at offset: UInt64, count: Int) -> Bool { device.isHole(at: offset, count: count) }

    /// Asked after the last byte was read, and before the point is placed.
    func demandSameSize() throws(RepositoryError) {
        try device.demandSameSize()
        guard device.wasWritten else { return }
        throw RepositoryError(
            .failed,
            "\(path) was written to while it was read, so there is no restore point of it; the next pass tries again")
    }
}

/// Runs `body` and has an error of the repository be one of the machine.
func inWorker<Value>(_ body: () throws(RepositoryError) -> Value) throws(HostError) -> Value {
    do throws(RepositoryError) { return try body() } catch { throw HostError(error) }
}

extension HostError {
    init(_ error: RepositoryError) {
        let code: HostError.Code =
            switch error.code {
            case .notFound: .notFound
            case .interrupted: .interrupted
            case .full: .exhausted
            case .locked, .wrongKey, .refused: .refused
            case .damaged: .damaged
            case .brokenIndex, .newer: .malformed
            case .unreadable, .failed: .failed
            }
        // Names and leases come from a medium that others may write.
        self.init(code, PrintedText.oneLine(error.description))
    }
}

extension ObservedPoint {
    /// Label of points that were made for a Backup document: its name.
    package static let backupKey = "tuff.dev/backup"
    /// Label of points for which more was read than what had changed: why.
    static let fullReadKey = "tuff.dev/full-read"

    init(_ point: RestorePoint, isSetAside: Bool) {
        let record = point.record, series = record.series
        let blocks = record.counts.blocks - min(record.counts.zero, record.counts.blocks)
        let (content, isHuge) = blocks.multipliedReportingOverflow(by: UInt64(Format.block))
        self.init(
            id: point.id.description, volume: series.name, stack: series.stack, node: series.node,
            uid: series.uid.flatMap { UID($0) }, time: Instant(text: record.time) ?? Instant(secondsSince1970: 0),
            size: ByteCount(Int64(clamping: record.size)),
            content: ByteCount(Int64(clamping: isHuge ? record.size : min(content, record.size))),
            policy: record.policy, backup: record.labels?[Self.backupKey], isSetAside: isSetAside)
        root = record.root
        read = ByteCount(Int64(clamping: record.counts.read))
        fullRead = record.labels?[Self.fullReadKey].flatMap { FullRead(label: $0) }
        added = ByteCount(Int64(clamping: record.counts.stored))
    }
}
