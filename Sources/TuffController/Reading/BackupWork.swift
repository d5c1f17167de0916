import TuffHost
import TuffModel
import TuffRepository

/// The making of one restore point by a worker: first of what changed, where that is known and holds, else of all that
/// has blocks, else of everything. Whatever casts a doubt on a shorter way only makes it longer.
struct BackupWork {
    let repository: Repository
    let source: any BlockSource
    /// Of a backup that reads everything.
    let request: Backup.Request
    let known: KnownPoints
    let lease: Lease
    let control: JobControl

    private enum Attempt {
        case made(RestorePoint)
        case doubt(FullRead)
    }

    func run(_ reading: BackupReading?) throws(HostError) -> RestorePoint {
        var doubt = reading?.full
        if let changes = reading?.changes {
            switch try attempt(changes, mapped: reading?.mapped) {
            case .made(let point): return point
            case .doubt(let reason): doubt = reason
            }
        }
        if let mapped = reading?.mapped, doubt?.reason != .sampleDiffers {
            var wanted = labelled(doubt)
            if let ranges = try? ChangedRanges.within(mapped, size: source.size) {
                wanted.mapped = ranges
                switch try make(wanted) {
                case .made(let point): return point
                case .doubt(let reason): doubt = reason
                }
            }
        }
        switch try make(labelled(doubt)) {
        case .made(let point): return point
        case .doubt(let reason): throw HostError(.failed, reason.sentence)
        }
    }

    private func attempt(
        _ changes: BackupReading.Changes, mapped: [Range<UInt64>]?
    ) throws(HostError) -> Attempt {
        func gone(_ sentence: String) -> Attempt { .doubt(FullRead(.pointGone, sentence)) }
        let id = changes.point
        guard let point = known.points.first(where: { $0.id.description == id }),
            point.record.series == request.series
        else { return gone("restore point \(id) is not in the repository") }
        guard !known.hurt.contains(point.id), known.aside[point.id] == nil else {
            return gone("restore point \(id) lacks something, or was set aside")
        }
        guard BackupBase.Completion.digest(of: point.record.root) == changes.digest else {
            return gone("restore point \(id) is not the one that the base was marked with")
        }
        guard point.record.size == source.size else {
            return .doubt(FullRead(.sizeChanged, "restore point \(id) has \(point.record.size) bytes"))
        }
        var narrow = request
        narrow.parent = point
        do throws(RepositoryError) {
            narrow.changed = try ChangedRanges.within(changes.ranges, size: source.size)
            narrow.mapped = try mapped.map { list throws(RepositoryError) in
                try ChangedRanges.within(list, size: source.size)
            }
        } catch {
            return .doubt(FullRead(.deltaUnknown, error.description))
        }
        return try make(narrow)
    }

    /// Damage of the point that is compared with is a doubt, where not everything is read.
    private func make(_ wanted: Backup.Request) throws(HostError) -> Attempt {
        let isShort = wanted.changed != nil
        let progress = JobProgress(isWanted: { control.isWanted })
        do throws(RepositoryError) {
            let backup = try Backup(of: source, to: repository, wanted, lease: lease, progress: progress)
            var random = SystemRandomNumberGenerator()
            if isShort || wanted.mapped != nil, let place = try backup.sample(using: &random) {
                return .doubt(
                    FullRead(
                        .sampleDiffers,
                        "byte \(place) holds something else than a backup of what changed would say it does"))
            }
            return .made(try follow(backup, progress))
        } catch {
            guard isShort, error.isLoss else { throw HostError(error) }
            return .doubt(FullRead(.pointGone, error.description))
        }
    }

    private func follow(_ backup: Backup, _ progress: JobProgress) throws(RepositoryError) -> RestorePoint {
        var failure: RepositoryError?
        do throws(HostError) {
            let point = try control.following(
                "backing up", of: source.size, done: { progress.done }, end: { progress.cancel() }
            ) { () throws(HostError) -> RestorePoint? in
                do throws(RepositoryError) {
                    return try backup.run(threads: SystemThreads.natural, finished: { HostFacts.now().description })
                } catch {
                    failure = error
                    return nil
                }
            }
            if let point { return point }
        } catch {
            throw RepositoryError(.failed, error.description)
        }
        throw failure ?? RepositoryError(.failed, "nothing was backed up")
    }

    private func labelled(_ doubt: FullRead?) -> Backup.Request {
        var request = request
        if let doubt {
            request.labels = (request.labels ?? [:]).merging([ObservedPoint.fullReadKey: doubt.label]) { $1 }
        }
        return request
    }
}

extension FullRead {
    /// As a label of the restore point says it.
    fileprivate var label: String { "\(reason.rawValue): \(PrintedText.oneLine(sentence).prefix(400))" }

    /// Nil for what Tuff never writes.
    init?(label: String) {
        let parts = label.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, let reason = Reason(rawValue: parts[0]) else { return nil }
        self.init(reason, PrintedText.oneLine(String(parts[1].drop { $0 == " " }.prefix(400))))
    }
}
