package import TuffModel
package import TuffRepository

/// Looks whether every restore point can be restored, and makes the index anew where that is wanted.
package struct CheckRun: Sendable {
    package struct Request: Hashable, Codable, Sendable {
        package var repository: RepositoryPlace
        /// Per cent of the data that is read; all of it where a repair is to follow.
        package var share: Int
        package var repairs = false
        /// The command as others are told of it.
        package var purpose: String
        /// How long the end of others' work in the repository is waited for by a repair; nil: not at all.
        package var patience: TimeSpan?

        package init(of repository: RepositoryPlace, share: Int, purpose: String) {
            self.repository = repository
            self.share = share
            self.purpose = purpose
        }
    }

    package struct Outcome: Hashable, Codable, Sendable {
        package let report: Check.Report
        /// The report as it would be after the repair; nil: there was none.
        package let left: Check.Report?
    }

    private let request: Request
    private let repository: Repository
    private let lease: Lease?
    private let check: Check
    private let progress: JobProgress
    /// Bytes that the progress of the check will have counted at the end.
    package let total: UInt64

    /// Opens the repository, and takes a lease where a repair is to follow, which `end` gives back.
    /// - Parameters:
    ///   - repository: where it is open already; nil: a directory, which is opened.
    ///   - progress: told how far it is, and asked whether it shall end.
    package static func begin(
        _ request: Request, in repository: Repository? = nil, progress: JobProgress, listener: any Listener
    ) throws(BackupError) -> CheckRun {
        let repository = try request.repository.opened(repository, .advised, listener: listener)
        let lease =
            try request.repairs
            ? repository.lease(
                .exclusive, purpose: request.purpose, patience: request.patience, progress: progress) : nil
        do throws(RepositoryError) {
            let check = Check(of: repository, lease: lease)
            return CheckRun(
                request: request, repository: repository, lease: lease, check: check, progress: progress,
                total: try check.size())
        } catch {
            lease?.giveBack()
            throw BackupError(error)
        }
    }

    /// Blocks its thread, and has more of its own.
    package func run() throws(BackupError) -> Check.Report {
        try inRepository { () throws(RepositoryError) in
            try check.run(readShare: request.share, seed: .random(in: .min ... .max), progress: progress)
        }
    }

    /// Makes the index anew, without what is damaged or gone.
    /// - Parameter report: of the run before.
    /// - Returns: the report as it would be now.
    package func repair(after report: Check.Report) throws(BackupError) -> Check.Report {
        try inRepository { () throws(RepositoryError) in try IndexRepair(repository, lease: lease).run(after: report) }
    }

    /// Gives the lease back.
    package func end() { lease?.giveBack() }
}
