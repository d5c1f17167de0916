import Glibc
import TuffHost
import TuffModel
import TuffRepository

extension UpkeepJobs {
    static func drill(_ request: DrillOnVolume, _ control: JobControl) throws(HostError) -> ObservedReceipt {
        let target = try control.open(request.target, writable: true)
        return try RepositoryJobs.with(request.access, by: control) { repository throws(HostError) in
            let drill = Drill(request.drill, in: repository, on: target.descriptor, path: target.path)
            let receipt = try drill.run { phase, progress, work throws(HostError) in
                try RepositoryJobs.follow(
                    progress, of: UInt64(clamping: request.drill.content.size.bytes), phase: phase, by: control, work)
            }
            // The receipt is there: the next time is as scheduled, and until then this is what is known.
            if let fault = receipt.fault { throw HostError(.malformed, fault) }
            return receipt
        }
    }
}

/// A drill that a plan decided on: restores a point as any restore does, reads all of the volume back from its medium,
/// and compares its digest with the point's. It leaves a receipt where the point could be judged, whatever the verdict:
/// what fails otherwise proves nothing, and is tried again.
struct Drill {
    /// Carries out one part of the work, and tells how far it is.
    typealias Part = (
        _ phase: String, JobProgress, () throws(RepositoryError) -> Void
    ) throws(HostError) -> Void

    /// A prune ends within this, or the receipt is left another time.
    private static let patience = TimeSpan(seconds: 60)

    private let task: DrillTask
    private let repository: Repository
    private let descriptor: Int32
    private let path: String
    private let now: () -> Instant

    /// - Parameter descriptor: of the scratch volume, which nobody else has open; it stays the caller's.
    init(
        _ task: DrillTask, in repository: Repository, on descriptor: Int32, path: String,
        now: @escaping () -> Instant = HostFacts.now
    ) {
        self.task = task
        self.repository = repository
        self.descriptor = descriptor
        self.path = path
        self.now = now
    }

    func run(_ part: Part) throws(HostError) -> ObservedReceipt {
        let begin = now()
        var receipt = Receipt(
            .drill, at: begin.description, by: task.node, of: task.stack, with: "tuff \(TuffVersion.current)")
        receipt.policy = task.policy
        receipt.series = Series(name: task.volume, stack: task.stack, node: task.node, uid: task.uid.description)
        receipt.point = task.content.point
        switch try restored(part) {
        case .failure(let fault): receipt.fault = fault.sentence
        case .success(let (target, point)):
            receipt.read = point.record.size
            receipt.fault = try difference(target, from: point, part)
        }
        receipt.finished = now().description
        try inWorker { () throws(RepositoryError) in
            let lease = try repository.takeLease(
                .shared, purpose: "tuff drill", patience: Self.patience, progress: JobProgress())
            defer { lease.giveBack() }
            try repository.leave(receipt)
        }
        return ObservedReceipt(receipt)
    }

    /// The sentence on data that the repository does not give back.
    private struct Fault: Error {
        var sentence: String

        init(_ task: DrillTask, _ error: RepositoryError) {
            // Names come from a medium that others may write, and a receipt is small.
            let cause = PrintedText.oneLine(String(error.description.prefix(400)))
            sentence = "\(task.subject) cannot be restored: \(cause); see 'tuff backup check'"
        }
    }

    /// Restores the point. What the repository lacks is a finding; all else is an error.
    private func restored(
        _ part: Part
    ) throws(HostError) -> Result<(target: DeviceTarget, point: RestorePoint), Fault> {
        let progress = JobProgress()
        var fault: Fault?, outcome: (target: DeviceTarget, point: RestorePoint)?
        try part("restoring", progress) { () throws(RepositoryError) in
            var target: DeviceTarget?
            do throws(RepositoryError) {
                let found = try repository.points()
                let point = try PointChoice.id(task.content.point).choose(
                    among: found.points, damaged: found.damaged, series: nil)
                let opened = try DeviceTarget(descriptor, path: path, isNew: false, size: point.record.size)
                target = opened
                _ = try Restore(point, of: repository, progress: progress).run(
                    to: opened, threads: SystemThreads.natural)
                outcome = (opened, point)
            } catch  where error.isLoss {
                fault = Fault(task, error)
            }
            withExtendedLifetime(target) {}
        }
        if let outcome { return .success(outcome) }
        guard let fault else { throw HostError(.interrupted, "\(task.subject) was not restored") }
        return .failure(fault)
    }

    /// Tells a volume that does not hold the point, in a sentence.
    private func difference(
        _ target: DeviceTarget, from point: RestorePoint, _ part: Part
    ) throws(HostError) -> String? {
        // All of it was made durable, so that what is read from now on comes from the medium.
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        let progress = JobProgress()
        var digest = ""
        try part("comparing", progress) { () throws(RepositoryError) in
            digest = try VolumeDigest(ofSize: point.record.size, in: repository, progress: progress).run(
                target, threads: SystemThreads.natural)
        }
        guard digest != point.record.root else { return nil }
        return "what was restored from \(task.subject) is not what was backed up: its digest is "
            + "\(digest.prefix(16)), and the point's is \(point.record.root.prefix(16))"
    }
}
