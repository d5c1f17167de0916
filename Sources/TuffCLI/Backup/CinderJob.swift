import ArgumentParser
import TuffCinder
import TuffController
import TuffModel
import TuffRepository

/// Where the backups are: our repository, or Cinder's directory.
struct BackupPlace: ParsableArguments {
    @Option(help: ArgumentHelp("The repository.", valueName: "dir"), completion: .directory)
    var repository: String?
    @Option(
        help: ArgumentHelp(
            "Cinder's backup_posix_path, or where its backup_share is mounted; only ever read.", valueName: "dir"),
        completion: .directory)
    var cinder: String?

    @Option(
        help: ArgumentHelp(
            "Opens an encrypted repository: a file of at most 1 KiB that nobody else may read.", valueName: "file"),
        completion: .file())
    var keyFile: String?

    /// - Parameters: options that go with one of the two only, by name.
    func validate(onlyRepository: [String: String?], onlyCinder: [String: String?] = [:]) throws {
        guard (repository == nil) != (cinder == nil) else {
            throw ValidationError(
                repository == nil ? "give --repository DIR or --cinder DIR" : "give --repository or --cinder, not both")
        }
        let wrong = (cinder == nil ? onlyCinder : onlyRepository).filter { $0.value != nil }.keys.min()
        if let wrong {
            throw ValidationError("\(wrong) does not go with \(cinder == nil ? "--repository" : "--cinder")")
        }
    }

    /// The repository, where it is one.
    var repositoryPlace: RepositoryPlace { RepositoryPlace(repository ?? "", keyFile: keyFile) }
}

/// The backup commands with a directory of Cinder's.
struct CinderJob {
    let path: String
    let form: TextOrJSONOption
    let global: GlobalOptions

    func list() throws(Failure) {
        let list = try failing { () throws(BackupError) in try CinderRun.open(path, listener: global.listener) }.list()
        try form.show(CinderBackupsView(list), global.output)
        let damages = list.compactMap { if case .damaged(let reason) = $0.state { reason } else { nil } }
        for damage in damages { Console.talk(Failure(damage).text(global.errors)) }
        if !damages.isEmpty { throw Failure(nil) }
    }

    func restore(_ backup: String, to path: String, overwrite: OverwriteOptions) async throws(Failure) {
        var request = CinderRun.Request(backup, in: self.path, to: path)
        request.overwrites = overwrite.force
        let progress = JobProgress(), wanted = request
        let run = try await failing { () async throws(BackupError) in
            try await CinderRun.begin(
                wanted, on: overwrite.restoreHost(global), progress: progress, listener: global.listener)
        }
        defer { run.end() }
        let outcome = try await Job(total: run.total, progress: progress, json: form.format == .json).run {
            () throws(BackupError) in try run.run()
        }
        global.warn(outcome.warnings)
        try form.show(CinderRestoredView(outcome, to: path), global.output)
    }
}
