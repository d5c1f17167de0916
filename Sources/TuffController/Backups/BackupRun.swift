import Glibc
import TuffHost
package import TuffModel
package import TuffRepository

/// Makes a restore point of a device or file as it is now. It must not change meanwhile: a snapshot, or what nobody has
/// open.
package struct BackupRun: Sendable {
    package struct Request: Hashable, Codable, Sendable {
        package var repository: RepositoryPlace
        /// Path of the block device or regular file.
        package var source: String
        package var series: Series
        /// nil: all of the source is read.
        package var changes: Changes?
        /// The command as others are told of it. Without names: a lease is not encrypted.
        package var purpose: String
        /// How long the end of others' work in the repository is waited for; nil: not at all.
        package var patience: TimeSpan?

        package init(_ source: String, to repository: RepositoryPlace, series: Series, purpose: String) {
            self.source = source
            self.repository = repository
            self.series = series
            self.purpose = purpose
        }
    }

    /// The parts of a source that may differ from an earlier restore point.
    package struct Changes: Hashable, Codable, Sendable {
        package enum Ranges: Hashable, Codable, Sendable {
            /// In a file, as `ChangedRanges` reads it.
            case file(String)
            case bytes([Range<UInt64>])
        }

        package var ranges: Ranges
        /// Begin of the ID of the point that they are relative to; nil: the last of the series.
        package var since: String?

        package init(_ ranges: Ranges, since: String? = nil) {
            self.ranges = ranges
            self.since = since
        }
    }

    package struct Outcome: Hashable, Codable, Sendable {
        package let point: RestorePoint
        /// Sentences on what may be wrong with it.
        package let warnings: [String]
    }

    private let request: Request
    private let repository: Repository
    private let source: DeviceSource
    private let backup: Backup.Request
    private let lease: Lease
    private let progress: JobProgress

    /// Bytes that `progress` will have counted at the end.
    package var total: UInt64 { source.size }

    /// Opens source and repository, takes a lease, which `end` gives back, and chooses the point to compare with.
    /// - Parameters:
    ///   - repository: where it is open already; nil: a directory, which is opened.
    ///   - progress: told how far it is, and asked whether it shall end.
    package static func begin(
        _ request: Request, in repository: Repository? = nil, progress: JobProgress, listener: any Listener
    ) throws(BackupError) -> BackupRun {
        let repository = try request.repository.opened(repository, listener: listener)
        let source = try open(request.source, listener)
        // Before a point is chosen to compare with: a prune could take it away, and mark what only it needs.
        let lease = try repository.lease(
            .shared, purpose: request.purpose, patience: request.patience, progress: progress)
        do throws(BackupError) {
            return BackupRun(
                request: request, repository: repository, source: source,
                backup: try choose(for: request, in: repository, size: source.size, listener: listener), lease: lease,
                progress: progress)
        } catch {
            lease.giveBack()
            throw error
        }
    }

    /// Reads, stores, and lists the point when all of it is durable. Blocks its thread, and has more of its own.
    package func run() throws(BackupError) -> Outcome {
        do throws(RepositoryError) {
            let point = try Backup(of: source, to: repository, backup, lease: lease, progress: progress)
                .run(threads: SystemThreads.natural, finished: { HostFacts.now().description })
            return Outcome(
                point: point,
                warnings: source.wasWritten ? [Self.doubt("\(request.source) was written to while it was read")] : [])
        } catch {
            throw BackupError(error, help: help(for: error))
        }
    }

    /// Gives the lease back.
    package func end() { lease.giveBack() }

    // MARK: The source

    private static func open(_ path: String, _ listener: any Listener) throws(BackupError) -> DeviceSource {
        do throws(RepositoryError) {
            let source = try DeviceSource(path)
            if source.isInUse {
                listener.tell(.warning(doubt("\(path) is in use on this host, mounted or part of another device")))
            }
            return source
        } catch {
            let isDevice = path.hasPrefix("/dev/") && access(path, F_OK) != 0
            throw BackupError(
                error,
                help: isDevice
                    ? "a snapshot that Tuff took has a device only after 'lvchange -ay -K GROUP/NAME'; '-an' takes it "
                        + "away again"
                    : nil)
        }
    }

    /// Of a source that may change while it is read.
    private static func doubt(_ sentence: String) -> String {
        "\(sentence): what is backed up may be of no single moment, as after a power cut or worse. "
            + "A snapshot does not change"
    }

    // MARK: The base

    /// The request with the point that it is compared with, and the parts of the source that are read.
    private static func choose(
        for request: Request, in repository: Repository, size: UInt64, listener: any Listener
    ) throws(BackupError) -> Backup.Request {
        let list = try request.changes.map { changes throws(BackupError) in try ChangeList(changes.ranges) }
        return try inRepository { () throws(RepositoryError) in
            let known = try KnownPoints(of: repository)
            let time = known.ownSecond(
                of: request.series, now: { HostFacts.now().description }, pause: { usleep(50_000) })
            var backup = Backup.Request(series: request.series, time: time, program: "tuff \(TuffVersion.current)")
            guard let changes = request.changes, let list else {
                backup.parent = known.base(of: request.series)
                for point in known.damaged { listener.tell(.warning(point.description)) }
                return backup
            }
            backup.parent = try known.baseOfChanges(since: changes.since, in: request.series, size: size, now: time)
            backup.changed = try list.ranges(of: size)
            return backup
        }
    }

    private func help(for error: RepositoryError) -> String? {
        if error.code == .interrupted { return "run it again: what is stored by now is not stored again" }
        if error.code == .full {
            return "earlier restore points are whole, and what is stored by now spares the next run's work. "
                + "'tuff backup prune' with keep rules makes room, a day later, or with --at-once when nobody restores"
        }
        guard error.isLoss, request.changes != nil else { return nil }
        return "the restore point that the changes are relative to is damaged; back up once without --changed-ranges"
    }
}

/// The changes of a request, whose file is read before the repository's points are.
private enum ChangeList {
    case text([UInt8])
    case bytes([Range<UInt64>])

    init(_ ranges: BackupRun.Changes.Ranges) throws(BackupError) {
        switch ranges {
        case .bytes(let ranges): self = .bytes(ranges)
        case .file(let path):
            do throws(PassError) { self = .text([UInt8](try WholeFile.read(path))) } catch { throw BackupError(error) }
        }
    }

    /// For a source of so many bytes.
    func ranges(of size: UInt64) throws(RepositoryError) -> [Range<UInt64>] {
        switch self {
        case .text(let text): try ChangedRanges.parse(text, size: size)
        case .bytes(let ranges): try ChangedRanges.within(ranges, size: size)
        }
    }
}
