import TuffHost
import TuffModel
import TuffRepository

extension UpkeepJobs {
    static func verify(_ request: RepositoryVerification, _ control: JobControl) throws(HostError) -> ObservedReceipt {
        try RepositoryJobs.with(request.access, by: control) { repository throws(HostError) in
            let progress = JobProgress()
            let size = try inWorker { () throws(RepositoryError) in try Check(of: repository).size() }
            let receipt = try control.following(
                "verifying", of: size, done: { progress.done }, end: { progress.cancel() }
            ) { () throws(HostError) in
                try inWorker { () throws(RepositoryError) in
                    try Verification(request.verification, in: repository, progress).run()
                }
            }
            // The receipt is there: the next time is as scheduled, and until then this is what is known.
            if let fault = receipt.fault { throw HostError(.malformed, PrintedText.oneLine(fault)) }
            return receipt
        }
    }
}

/// A check that a plan decided on: all of the index and the trees, and a share of the data. It changes nothing, and
/// leaves a receipt.
struct Verification {
    /// A prune ends within this, or the receipt is left another time.
    private static let patience = TimeSpan(seconds: 60)

    private let task: VerifyTask
    private let repository: Repository
    private let progress: JobProgress
    private let now: () -> Instant

    init(
        _ task: VerifyTask, in repository: Repository, _ progress: JobProgress,
        now: @escaping () -> Instant = HostFacts.now
    ) {
        self.task = task
        self.repository = repository
        self.progress = progress
        self.now = now
    }

    func run() throws(RepositoryError) -> ObservedReceipt {
        var receipt = Receipt(
            .verify, at: now().description, by: task.node, of: task.stack, with: "tuff \(TuffVersion.current)")
        receipt.policy = task.policy
        let report = try check()
        receipt.share = report.share
        receipt.fault = Self.fault(of: report)
        receipt.finished = now().description
        let lease = try repository.takeLease(
            .shared, purpose: "tuff verify", patience: Self.patience, progress: progress)
        defer { lease.giveBack() }
        try repository.leave(receipt)
        return ObservedReceipt(receipt)
    }

    /// In a small repository a share may be of no pack at all, which would prove nothing: then it is doubled.
    private func check() throws(RepositoryError) -> Check.Report {
        var share = task.share
        while true {
            let report = try Check(of: repository).run(
                readShare: share, seed: .random(in: .min ... .max), progress: progress)
            if report.read > 0 || report.packs == 0 || share >= 100 { return report }
            share = min(100, share * 2)
        }
    }

    /// A receipt is small: it tells the first of what was found, and how much there is.
    private static func fault(of report: Check.Report) -> String? {
        guard !report.isWhole else { return nil }
        let first = report.damage.first ?? "data of them is lost"
        let hurt = report.hurt.isEmpty ? "" : "\(report.hurt.count) restore points are hurt: "
        let more = report.damage.count > 1 ? "; and \(report.damage.count - 1) more" : ""
        return hurt + PrintedText.oneLine(String(first.prefix(400))) + more + "; see 'tuff backup check'"
    }
}
