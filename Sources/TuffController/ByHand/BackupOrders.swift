import TuffHost
import TuffModel
package import TuffRepository

/// The table of all orders.
enum Orders {
    static func register(in handlers: inout JobHandlers) {
        OrderedJob<BackupRun.Request>.register(in: &handlers)
        OrderedJob<RestoreOrder>.register(in: &handlers)
        OrderedJob<CinderOrder>.register(in: &handlers)
        OrderedJob<CheckRun.Request>.register(in: &handlers)
        OrderedJob<PruneRun.Request>.register(in: &handlers)
        OrderedJob<PruneForecast>.register(in: &handlers)
        OrderedJob<PointRemoval.Request>.register(in: &handlers)
        OrderedJob<RemovalForecast>.register(in: &handlers)
        OrderedJob<PointListing>.register(in: &handlers)
        OrderedJob<KeyListing>.register(in: &handlers)
        OrderedJob<KeyAddition>.register(in: &handlers)
        OrderedJob<KeyRemoval>.register(in: &handlers)
    }
}

extension RepositoryPlace {
    var servers: [String] { declared?.access.servers ?? [] }

    /// Without characters that a terminal would take for its own.
    var shown: String { PrintedText.oneLine(name) }
}

extension BackupRun.Request: RepositoryOrder {
    package static let kind = "backup-by-hand"
    package var summary: String { "backing \(PrintedText.oneLine(source)) up to \(repository.shown) by hand" }
    package var announced: [String] { AnnouncedKeys.data(source) }
    package var servers: [String] { repository.servers }

    package func carryOut(_ work: OrderedWork) throws(BackupError) -> BackupRun.Outcome {
        try work.with(repository) { repository throws(BackupError) in
            work.stage.begin("waiting")
            let run = try BackupRun.begin(self, in: repository, progress: work.progress, listener: work.listener)
            defer { run.end() }
            work.stage.begin("reading", of: run.total)
            return try run.run()
        }
    }
}

extension CheckRun.Request: RepositoryOrder {
    package static let kind = "check-by-hand"
    package var summary: String { "\(repairs ? "repairing" : "checking") \(repository.shown) by hand" }
    package var announced: [String] { repairs ? AnnouncedKeys.repository(repository) : [] }
    package var servers: [String] { repository.servers }

    package func carryOut(_ work: OrderedWork) throws(BackupError) -> CheckRun.Outcome {
        try work.with(repository, keyFile: .advised) { repository throws(BackupError) in
            work.stage.begin("waiting")
            let run = try CheckRun.begin(self, in: repository, progress: work.progress, listener: work.listener)
            defer { run.end() }
            work.stage.begin("checking", of: run.total)
            let report = try run.run()
            guard repairs else { return CheckRun.Outcome(report: report, left: nil) }
            work.stage.begin("repairing")
            return CheckRun.Outcome(report: report, left: try run.repair(after: report))
        }
    }
}

extension PruneRun.Request: RepositoryOrder {
    package static let kind = "prune-by-hand"
    package var summary: String { "pruning \(repository.shown) by hand" }
    package var announced: [String] { AnnouncedKeys.repository(repository) }
    package var servers: [String] { repository.servers }

    package func carryOut(_ work: OrderedWork) throws(BackupError) -> Prune.Report {
        try work.with(repository) { repository throws(BackupError) in
            work.stage.begin("pruning")
            return try PruneRun.begin(self, in: repository, listener: work.listener).run(progress: work.progress)
        }
    }
}

/// Asks what a prune would come to.
package struct PruneForecast: RepositoryLook {
    package typealias Outcome = PruneRun.Forecast
    package static let kind = "forecast-by-hand"

    package var request: PruneRun.Request

    package init(of request: PruneRun.Request) { self.request = request }

    package var repository: RepositoryPlace { request.repository }
    package var summary: String { "asking what a prune of \(repository.shown) would come to" }

    package func look(at repository: Repository, listener: any Listener) throws(BackupError) -> Outcome {
        try PruneRun.begin(request, in: repository, listener: listener).forecast()
    }
}

extension PointRemoval.Request: RepositoryOrder {
    package static let kind = "remove-points-by-hand"
    package var summary: String { "taking restore points of \(repository.shown) away by hand" }
    package var announced: [String] { AnnouncedKeys.repository(repository) }
    package var servers: [String] { repository.servers }

    package func carryOut(_ work: OrderedWork) throws(BackupError) -> PointRemoval.Outcome {
        try work.with(repository) { repository throws(BackupError) in
            work.stage.begin("removing")
            return try PointRemoval(self, in: repository).run(progress: work.progress)
        }
    }
}

/// Asks which restore points a removal would take.
package struct RemovalForecast: RepositoryLook {
    package typealias Outcome = PointRemoval.Outcome
    package static let kind = "forecast-removal-by-hand"

    package var request: PointRemoval.Request

    package init(of request: PointRemoval.Request) { self.request = request }

    package var repository: RepositoryPlace { request.repository }
    package var summary: String { "asking which restore points of \(repository.shown) would go" }

    package func look(at repository: Repository, listener: any Listener) throws(BackupError) -> Outcome {
        try PointRemoval(request, in: repository).forecast()
    }
}

/// Asks for the restore points of a repository.
package struct PointListing: RepositoryLook {
    package static let kind = "list-by-hand"
    /// A person who restores in an emergency looks first, and may have the key on a medium without owners.
    package static let keyFile = KeyFile.Rule.advised

    package struct Outcome: Codable, Sendable {
        /// Oldest first.
        package let points: [RestorePoint]
        package let damaged: [DamagedPoint]
        /// Points whose time is not to be believed.
        package let aside: [FileID]
        /// Points that a check found to lack something.
        package let hurt: [FileID]
    }

    package var repository: RepositoryPlace

    package init(of repository: RepositoryPlace) { self.repository = repository }

    package var summary: String { "listing the restore points of \(repository.shown)" }

    package func look(at repository: Repository, listener: any Listener) throws(BackupError) -> Outcome {
        let known = try inRepository { () throws(RepositoryError) in try KnownPoints(of: repository) }
        return Outcome(
            points: known.points, damaged: known.damaged, aside: Array(known.aside.keys), hurt: Array(known.hurt))
    }
}
