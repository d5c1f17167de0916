import TuffHost
package import TuffModel
package import TuffRepository

/// Takes restore points away by keep rules, and what then nothing needs.
package struct PruneRun: Sendable {
    package struct Request: Hashable, Codable, Sendable {
        package var repository: RepositoryPlace
        /// Only restore points of series of this name.
        package var name: String?
        /// Holds for each series apart. Without any count nothing is taken away.
        package var rule = KeepRule()
        /// Begins of the IDs of points that are passed over from now on.
        package var setAside: [String] = []
        /// Destroys what is marked without waiting for a day.
        package var isAtOnce = false
        /// The command as others are told of it.
        package var purpose: String
        /// How long the end of others' work in the repository is waited for; nil: not at all.
        package var patience: TimeSpan?

        package init(of repository: RepositoryPlace, purpose: String) {
            self.repository = repository
            self.purpose = purpose
        }
    }

    /// The work of a prune before it is done.
    package struct Forecast: Hashable, Codable, Sendable {
        /// Restore points that would be taken away, of so many.
        package let leaving: [RestorePoint]
        package let points: Int
        /// What that would come to; nil while there are damaged points: nothing is pruned then.
        package let report: Prune.Report?
        /// Points that cannot be read.
        package let damaged: [DamagedPoint]
    }

    private let request: Request
    private let repository: Repository
    private let found: (points: [RestorePoint], damaged: [DamagedPoint])
    /// Points that the request sets aside.
    private let doubted: [RestorePoint]

    /// Opens the repository, and finds the points that the request names.
    /// - Parameter repository: where it is open already; nil: a directory, which is opened.
    package static func begin(
        _ request: Request, in repository: Repository? = nil, listener: any Listener
    ) throws(BackupError) -> PruneRun {
        let repository = try request.repository.opened(repository, listener: listener)
        let found = try inRepository { () throws(RepositoryError) in try repository.points() }
        if let name = request.name, !found.points.contains(where: { $0.record.series.name == name }) {
            throw BackupError(
                "there is no restore point of '\(PrintedText.oneLine(name))'",
                help: "'tuff backup ls' lists those there are", sort: .missing)
        }
        let doubted = try request.setAside.map { prefix throws(BackupError) in
            try inRepository { () throws(RepositoryError) in
                try PointChoice.id(prefix).choose(among: found.points, damaged: found.damaged, series: request.name)
            }
        }
        return PruneRun(request: request, repository: repository, found: found, doubted: doubted)
    }

    /// Changes nothing, and asks for no lease.
    package func forecast() throws(BackupError) -> Forecast {
        let leaving = try leaving(passingOver: Set(doubted.map(\.id)))
        let report =
            try found.damaged.isEmpty
            ? inRepository { () throws(RepositoryError) in
                try Prune(repository, lease: nil, atOnce: request.isAtOnce).forecast(removing: leaving)
            } : nil
        return Forecast(leaving: leaving, points: found.points.count, report: report, damaged: found.damaged)
    }

    /// Blocks its thread.
    /// - Parameter progress: asked while others' end is waited for whether that shall end.
    package func run(progress: JobProgress = JobProgress()) throws(BackupError) -> Prune.Report {
        let reserve = Reserve(of: repository.store)
        let lease = try inRepository { () throws(RepositoryError) in
            try reserve.spend { () throws(RepositoryError) in
                try repository.takeLease(
                    .exclusive, purpose: request.purpose, patience: request.patience, progress: progress)
            }
        }
        defer { lease.giveBack() }
        try inRepository { () throws(RepositoryError) in
            for point in doubted { try repository.setAside(point, now: HostFacts.now().description) }
        }
        if let damaged = found.damaged.first {
            throw BackupError(
                "nothing was pruned, since what a damaged restore point needs is not known: "
                    + PrintedText.oneLine(damaged.description),
                help: "to give it up, type: " + PointRemoval.command(for: damaged.id, in: request.repository))
        }
        // Under the lease: nobody adds one meanwhile.
        let leaving = try leaving()
        var report = try inRepository { () throws(RepositoryError) in
            try reserve.spend { () throws(RepositoryError) in
                try Prune(repository, lease: lease, atOnce: request.isAtOnce).run(removing: leaving)
            }
        }
        report.setAside = doubted.map(\.id)
        return report
    }

    private func leaving(passingOver doubted: Set<FileID> = []) throws(BackupError) -> [RestorePoint] {
        guard request.rule != KeepRule() else { return [] }
        let known = try inRepository { () throws(RepositoryError) in try KnownPoints(of: repository) }
        do throws(FuturePoint) {
            return try known.leaving(
                by: request.rule, name: request.name, passingOver: doubted, now: HostFacts.now())
        } catch {
            throw error.error(in: request.repository)
        }
    }
}
