import ArgumentParser
import Glibc
import TuffModel
import TuffRepository
import TuffSchedule

struct BackupCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check whether every restore point can be restored.",
        discussion: "Exit 1 if not; then each restore point that is hurt is named, with the bytes that are lost.")

    @OptionGroup var repository: RepositoryOption
    // A text: of what does not decode the parser makes the default, and `.scanningForValue` drops a value before another option.
    @Option(
        defaultAsFlag: "100%", parsing: .next,
        help: ArgumentHelp(
            "Read and check all data, or with =5% that share of it, a different one each time. Without it only the "
                + "places of all data are checked.",
            valueName: "share"))
    var readData: String? = nil
    @Flag(
        help: ArgumentHelp(
            "Read all data, and afterwards make the index anew, without damaged and missing data.",
            discussion:
                "The next backups store such data again where they have it, which heals earlier restore points."))
    var repair = false
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        let share = try share
        // A repair that had not read everything would take back into the index what an earlier one left out of it.
        guard !repair || readData == nil || share == 100 else {
            throw ValidationError("--repair reads all data; give --read-data without a share, or leave it out")
        }
    }

    /// Per cent of the data that is read.
    private var share: Int {
        get throws {
            guard let readData else { return repair ? 100 : 0 }
            guard let share = Percentage(text: readData), share.percent > 0 else {
                throw ValidationError("--read-data takes a share from 1% to 100%, as in =5%, and no '\(readData)'")
            }
            return share.percent
        }
    }

    func run() async throws {
        let repository = try repository.open(.advised)
        let lease = try repair ? repository.lease(.exclusive, command: "tuff backup check --repair", wait) : nil
        defer { lease?.giveBack() }
        let share = try share
        let check = Check(of: repository, lease: lease)
        let progress = JobProgress()
        let total = try failing { () throws(RepositoryError) in try check.size() }
        let report = try await Job(total: total, progress: progress, json: form.format == .json).run {
            () throws(RepositoryError) in
            try check.run(readShare: share, seed: .random(in: .min ... .max), progress: progress)
        }
        if !repair {
            try form.show(CheckView(report), global.output)
        } else {
            let left = try await Job(total: total, progress: JobProgress(), json: form.format == .json).run {
                () throws(RepositoryError) in try IndexRepair(repository, lease: lease).run(after: report)
            }
            try form.show(CheckView(left, isRepaired: true), global.output)
        }
        if !report.isWhole { throw Failure(nil) }
    }
}

struct BackupPrune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove restore points by keep rules, and the data that nothing needs then.",
        discussion: """
            The rules hold for each name apart; hours, days and so on are of UTC. Without any rule no restore point is \
            removed, and only data that nothing needs is marked. The first prune after a day destroys marked data, so \
            that no running restore loses data.
            """)

    @OptionGroup var repository: RepositoryOption
    @Option(help: ArgumentHelp("Only restore points of this name.", valueName: "name")) var name: String?
    @Option(help: ArgumentHelp("Keep the newest so many.", valueName: "count")) var keepLast: Int?
    @Option(help: ArgumentHelp("Keep the newest of so many hours.", valueName: "count")) var keepHourly: Int?
    @Option(help: ArgumentHelp("Keep the newest of so many days.", valueName: "count")) var keepDaily: Int?
    @Option(help: ArgumentHelp("Keep the newest of so many weeks.", valueName: "count")) var keepWeekly: Int?
    @Option(help: ArgumentHelp("Keep the newest of so many months.", valueName: "count")) var keepMonthly: Int?
    @Option(help: ArgumentHelp("Keep the newest of so many years.", valueName: "count")) var keepYearly: Int?
    @Option(
        help: ArgumentHelp(
            "Set this restore point aside, whose time is later than the clock: it stays, and only its ID restores it. "
                + "May be given more than once.",
            valueName: "id"))
    var setAside: [String] = []
    @Flag(name: [.customShort("n"), .long], help: "Show what would be removed, and change nothing.") var dryRun =
        false
    @Flag(help: "Destroy marked packs without waiting for a day. Only when nobody restores.") var atOnce = false
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        let counts = [keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, keepYearly].compactMap(\.self)
        guard counts.allSatisfy({ $0 > 0 }) else { throw ValidationError("keep rules count from 1 on") }
    }

    func run() async throws {
        let repository = try repository.open()
        let found = try failing { () throws(RepositoryError) in try repository.points() }
        if let name, !found.points.contains(where: { $0.record.series.name == name }) {
            throw Failure(
                "there is no restore point of '\(PrintedText.oneLine(name))'",
                help: "'tuff backup ls' lists those there are",
                code: ExitStatus.repositoryMissing)
        }
        let doubted = try setAside.map { prefix throws(Failure) in
            try failing { () throws(RepositoryError) in
                try PointChoice.id(prefix).choose(among: found.points, damaged: found.damaged, series: name)
            }
        }
        if dryRun { return try forecast(repository, found, doubted) }
        let command = "tuff backup prune"
        let reserve = Reserve(of: repository.store)
        let lease = try failing { () throws(RepositoryError) in
            try reserve.spend { () throws(RepositoryError) in
                try repository.takeLease(.exclusive, command: command, wait)
            }
        }
        defer { lease.giveBack() }
        try failing { () throws(RepositoryError) in
            for point in doubted { try repository.setAside(point, now: currentTime()) }
        }
        // Under the lease: nobody adds one meanwhile.
        let removed = try chosen(repository)
        var report = try failing { () throws(RepositoryError) in
            try reserve.spend { () throws(RepositoryError) in
                try Prune(repository, lease: lease, atOnce: atOnce).run(removing: removed)
            }
        }
        report.setAside = doubted.map(\.id)
        try form.show(PruneView(report), global.output)
    }

    /// Shows what would be taken away, and what that would come to.
    private func forecast(
        _ repository: Repository, _ found: (points: [RestorePoint], damaged: [DamagedPoint]), _ doubted: [RestorePoint]
    ) throws {
        let removed = try chosen(repository, without: Set(doubted.map(\.id)))
        // While there is a damaged one, nothing is pruned at all.
        let forecast =
            try found.damaged.isEmpty
            ? failing { () throws(RepositoryError) in
                try Prune(repository, lease: nil, atOnce: atOnce).forecast(removing: removed)
            } : nil
        let none = "No restore point would be taken away, of \(found.points.count).\n"
        try form.show(
            PointsView(removed, forecast: forecast, heading: "Would be taken away", none: none), global.output)
        try found.damaged.report(global)
    }

    /// - Parameter doubted: points that are passed over besides those that are set aside.
    private func chosen(
        _ repository: Repository, without doubted: Set<FileID> = []
    ) throws(Failure) -> [RestorePoint] {
        var rule = KeepRule()
        (rule.last, rule.hourly, rule.daily) = (keepLast, keepHourly, keepDaily)
        (rule.weekly, rule.monthly, rule.yearly) = (keepWeekly, keepMonthly, keepYearly)
        guard rule != KeepRule() else { return [] }
        let (all, hurt, aside) = try failing { () throws(RepositoryError) in
            (try repository.points().points, try repository.hurtPoints(), try repository.setAside().points)
        }
        let points = all.filter {
            (name == nil || $0.record.series.name == name) && aside[$0.id] == nil && !doubted.contains($0.id)
        }
        guard let now = Instant(text: currentTime()) else { preconditionFailure("currentTime is an instant's text") }
        if let future = points.lazy.compactMap({ FuturePoint($0) }).first {
            throw future.failure(self.repository.path, keyFile: self.repository.keyFile)
        }
        var removed: Set<FileID> = []
        for (_, series) in Dictionary(grouping: points, by: \.record.series) {
            // One that lacks something takes no other's place, and goes when it would go anyway.
            let whole = series.filter { !hurt.contains($0.id) }
            removed.formUnion(
                Self.judged(series, by: rule, now).intersection(
                    Self.judged(whole, by: rule, now).union(series.filter { hurt.contains($0.id) }.map(\.id))))
        }
        return points.filter { removed.contains($0.id) }
    }

    /// Those of a series, oldest first, that the rule does not keep.
    private static func judged(_ series: [RestorePoint], by rule: KeepRule, _ now: Instant) -> Set<FileID> {
        // Named by their order, so that of two within one second the later one is the newer.
        let judged = Retention(
            of: series.enumerated().compactMap { number, point in
                Instant(text: point.record.time).map { RetentionPoint(id: ordinal(number), time: $0) }
            }, by: rule, in: .utc, now: now)
        let dead = Set(judged.judgements.filter { !$0.isKept }.map(\.point.id))
        return Set(series.enumerated().filter { dead.contains(ordinal($0.offset)) }.map(\.element.id))
    }

    /// Sorts as the number does, up to the largest that there can be.
    private static func ordinal(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 19 - digits.count)) + digits
    }
}

extension Repository {
    /// Gets a lease for this process.
    func lease(_ kind: Lease.Kind, command: String, _ wait: LockOptions) throws(Failure) -> Lease {
        try failing { () throws(RepositoryError) in try takeLease(kind, command: command, wait) }
    }

    /// The same, where more is done that may fail so.
    func takeLease(
        _ kind: Lease.Kind, command: String, _ wait: LockOptions
    ) throws(RepositoryError) -> Lease {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let host = name.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let pid = getpid()
        let holder = Lease.Holder(
            kind: kind, host: host, boot: ProcessTable.bootID(), pid: pid, started: ProcessTable.start(of: pid) ?? 0,
            command: command, since: currentTime())
        return try Lease.take(holder, in: store, waiting: .seconds(wait.timeout?.seconds ?? 0))
    }
}
