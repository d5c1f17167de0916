import TuffHost
import TuffModel
import TuffRepository

/// The handlers of upkeep of repositories that documents declare.
enum UpkeepJobs {
    static func register(in handlers: inout JobHandlers) {
        handlers.register(RepositoryPrune.self) { request, control throws(HostError) in
            try Self.prune(request, control)
        }
        handlers.register(RepositoryVerification.self) { request, control throws(HostError) in
            try Self.verify(request, control)
        }
        handlers.register(DrillOnVolume.self) { request, control throws(HostError) in
            try Self.drill(request, control)
        }
        handlers.register(SettingAside.self) { request, control throws(HostError) in
            try Self.setAside(request, control)
        }
    }

    private static func prune(_ request: RepositoryPrune, _ control: JobControl) throws(HostError) -> ObservedReceipt {
        try RepositoryJobs.with(request.access, by: control) { repository throws(HostError) in
            let progress = JobProgress(isWanted: { control.isWanted })
            return try control.following(
                "pruning", signs: { progress.signs }, end: { progress.cancel() }
            ) { () throws(HostError) in
                try inWorker { () throws(RepositoryError) in
                    try DuePrune(request.prune, in: repository, progress).run()
                }
            }
        }
    }
}

/// A prune that a plan decided on. What it removes is judged once more under the exclusive lease, when nobody else
/// changes anything: a plan is as old as its listing.
struct DuePrune {
    /// Time for which others' end is waited for. New backups wait meanwhile, so it gives way to them then.
    private static let patience = TimeSpan(seconds: 600)

    private let task: PruneTask
    private let repository: Repository
    private let progress: JobProgress
    private let patience: TimeSpan
    private let now: () -> Instant

    init(
        _ task: PruneTask, in repository: Repository, _ progress: JobProgress,
        patience: TimeSpan = Self.patience, now: @escaping () -> Instant = HostFacts.now
    ) {
        self.task = task
        self.repository = repository
        self.progress = progress
        self.patience = patience
        self.now = now
    }

    func run() throws(RepositoryError) -> ObservedReceipt {
        let reserve = Reserve(of: repository.store)
        let lease = try reserve.spend { () throws(RepositoryError) in
            try repository.takeLease(.exclusive, purpose: "tuff prune", patience: patience, progress: progress)
        }
        defer { lease.giveBack() }
        let begin = now()
        let known = try KnownPoints(of: repository)
        if let damaged = known.damaged.first {
            throw RepositoryError(
                .damaged, "nothing was removed, since it is not known what a damaged restore point is: \(damaged)")
        }
        let leaving = known.removable(task, now: begin)
        var receipt = Receipt(
            .prune, at: begin.description, by: task.node, of: task.stack, with: "tuff \(TuffVersion.current)")
        receipt.packs = try needsPacks(begin)
        let prune = Prune(repository, lease: lease), withPacks = receipt.packs == true
        try reserve.spend { () throws(RepositoryError) in
            if withPacks { _ = try prune.run(removing: leaving) } else { try prune.removePoints(leaving.map(\.id)) }
        }
        receipt.removed = leaving.count
        receipt.finished = now().description
        try repository.leave(receipt)
        return ObservedReceipt(receipt)
    }

    /// Whether packs are to be looked through. Another host may have done it while this one waited.
    private func needsPacks(_ now: Instant) throws(RepositoryError) -> Bool {
        guard let due = task.packsDue else { return false }
        return try !repository.receipts().map(ObservedReceipt.init).contains {
            $0.work == .prune && $0.packs == true && $0.time >= due && $0.time <= now
        }
    }
}

extension KnownPoints {
    /// The points that a task names and that may go, oldest first: of its own host, stack and policy, made for no
    /// Backup document, neither set aside nor of the future, and never the newest whole one that the policy has of a
    /// series.
    func removable(_ task: PruneTask, now: Instant) -> [RestorePoint] {
        struct Keeper: Hashable {
            let series: Series
            let policy: String
        }
        let policies = Dictionary(task.expired.map { ($0.point, $0.policy) }) { first, _ in first }
        var newest: [Keeper: FileID] = [:]
        for point in points where aside[point.id] == nil && !hurt.contains(point.id) {
            // Oldest first, so the last one stays.
            guard let policy = point.record.policy, point.record.labels?[ObservedPoint.backupKey] == nil,
                !point.isLater(than: now)
            else { continue }
            newest[Keeper(series: point.record.series, policy: policy)] = point.id
        }
        return points.filter { point in
            let record = point.record
            guard let policy = policies[point.id.description], record.policy == policy, record.series.uid != nil,
                record.series.node == task.node, record.series.stack == task.stack,
                record.labels?[ObservedPoint.backupKey] == nil, aside[point.id] == nil, !point.isLater(than: now)
            else { return false }
            let whole = newest[Keeper(series: record.series, policy: policy)]
            return whole != nil && whole != point.id
        }
    }
}

extension RestorePoint {
    fileprivate func isLater(than now: Instant) -> Bool {
        Instant(text: record.time).map { $0 > now } ?? true
    }
}

extension ObservedReceipt {
    init(_ receipt: Receipt) {
        let work: Work =
            switch receipt.work {
            case .prune: .prune
            case .verify: .verify
            case .drill: .drill
            }
        self.init(
            work, at: Instant(text: receipt.time) ?? Instant(secondsSince1970: 0), by: receipt.node, of: receipt.stack)
        policy = receipt.policy
        volume = receipt.series?.name
        uid = receipt.series?.uid.flatMap { UID($0) }
        point = receipt.point
        removed = receipt.removed
        packs = receipt.packs
        share = receipt.share
        read = receipt.read.map { ByteCount(Int64(clamping: $0)) }
        fault = receipt.fault
    }

    /// Of each sort of work, by each host and of each series, the newest: all that a plan asks for. Oldest first.
    /// - Parameter now: what is later, a clock wrote that was ahead: nobody goes by it.
    static func newest(of receipts: [Receipt], now: Instant = HostFacts.now()) -> [ObservedReceipt] {
        struct Sort: Hashable {
            let work: Work
            let owner: [String?]
            let packs: Bool?
            let isGood: Bool
        }
        var newest: [Sort: ObservedReceipt] = [:]
        for receipt in receipts.map(ObservedReceipt.init) where receipt.time <= now {
            let sort = Sort(
                work: receipt.work,
                owner: [receipt.node, receipt.stack, receipt.policy, receipt.volume, receipt.uid?.description],
                packs: receipt.packs, isGood: receipt.fault == nil)
            newest[sort] = receipt
        }
        return newest.values.sorted { ($0.time, $0.node, $0.policy ?? "") < ($1.time, $1.node, $1.policy ?? "") }
    }
}
