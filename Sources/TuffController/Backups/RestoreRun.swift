import Glibc
import TuffHost
import TuffModel
package import TuffRepository

/// Writes a restore point to a device or file.
package struct RestoreRun: Sendable {
    package enum Place: Hashable, Codable, Sendable {
        case path(String)
        /// From the volume's begin to its end.
        case standardOutput
    }

    package struct Request: Hashable, Codable, Sendable {
        package var repository: RepositoryPlace
        /// Of series of this name; nil: of any.
        package var name: String?
        package var choice = PointChoice.latest
        package var target: Place
        /// Writes over a target that holds something, and shortens a file that is larger.
        package var overwrites = false
        /// What is damaged becomes zeros, and is told in the end; else the first damage is the end.
        package var keepsGoing = false

        package init(from repository: RepositoryPlace, to target: Place) {
            self.repository = repository
            self.target = target
        }
    }

    package struct Outcome: Hashable, Codable, Sendable {
        package let point: RestorePoint
        package let restored: Restore.Outcome
        /// Sentences on what may be wrong.
        package let warnings: [String]
    }

    private let restore: Restore
    private let target: any BlockTarget
    private let opened: RestoreTarget.Opened?

    /// Bytes that the progress will have counted at the end.
    package var total: UInt64 { restore.point.record.size }

    /// Chooses the point and opens the target, in this order: a fault of the repository is told before anything is done
    /// to the target.
    /// - Parameters:
    ///   - repository: where it is open already; nil: a directory, which is opened.
    ///   - output: the standard output of whoever asked.
    ///   - progress: told how far it is, and asked whether it shall end.
    package static func begin(
        _ request: Request, in repository: Repository? = nil, on host: RestoreHost, output: Int32 = STDOUT_FILENO,
        progress: JobProgress, listener: any Listener
    ) async throws(BackupError) -> RestoreRun {
        let repository = try request.repository.opened(repository, .advised, listener: listener)
        guard request.name != nil || request.choice != .latest else {
            throw .usage("whose latest restore point? Give --name NAME, or --at ID")
        }
        let restore = try inRepository { () throws(RepositoryError) in
            let (points, damaged) = try repository.points()
            let aside = try repository.setAside().points
            let point = try request.choice.choose(
                among: points, damaged: damaged, series: request.name, passingOver: Set(aside.keys))
            return try Restore(point, of: repository, progress: progress, keepingGoing: request.keepsGoing)
        }
        if request.choice == .latest, let future = FuturePoint(restore.point) {
            listener.tell(.warning(future.warning(in: request.repository)))
        }
        guard case .path(let path) = request.target else {
            return RestoreRun(restore: restore, target: StreamTarget(output), opened: nil)
        }
        try demandOutside(path, of: request.repository)
        let opened = try await RestoreTarget(
            path: path, size: restore.point.record.size,
            source: (repository.description.id, restore.point.id.description), overwrites: request.overwrites,
            host: host, listener: listener
        ).open()
        return RestoreRun(restore: restore, target: opened.target, opened: opened)
    }

    private static func demandOutside(_ path: String, of repository: RepositoryPlace) throws(BackupError) {
        guard !(repository.path.map { RealPath.lies(path, beneath: $0) } ?? false) else {
            throw .usage("\(path) is in the repository itself, which a restore must not change")
        }
        guard
            access(path, F_OK) == 0 || !RealPath.lies(path, beneath: "/dev") || RealPath.lies(path, beneath: "/dev/shm")
        else {
            throw .usage("there is no device \(path), and no file is made beneath /dev")
        }
    }

    /// Blocks its thread, and has more of its own.
    package func run() throws(BackupError) -> Outcome {
        do throws(RepositoryError) {
            let restored = try restore.run(to: target, threads: target.isStream ? SystemThreads(count: 1) : .natural)
            return Outcome(point: restore.point, restored: restored, warnings: opened?.conclude() ?? [])
        } catch {
            guard error.isLoss else {
                throw BackupError(
                    error,
                    help: error.code == .interrupted
                        ? "the target is not complete; run it again, and only what differs is written" : nil)
            }
            throw BackupError(
                "\(PrintedText.oneLine(error.description)). The target is not complete",
                help:
                    "--keep-going restores all that is left and lists what is not; 'tuff backup check --read-data' "
                    + "tells which restore points are hurt")
        }
    }
}

extension PointChoice {
    /// `latest`, a time, or else an ID.
    package init(text: String) {
        if text == "latest" {
            self = .latest
        } else if let time = Instant(text: text) {
            self = .notAfter(time.description)
        } else {
            self = .id(text)
        }
    }
}
