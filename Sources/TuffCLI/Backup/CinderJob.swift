import ArgumentParser
import TuffCinder
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
    func open() throws(Failure) -> Repository {
        try RepositoryOption.open(repository ?? "", keyFile: keyFile, .advised)
    }
}

/// What the backup commands do with a directory of Cinder's.
struct CinderJob {
    let path: String
    let form: TextOrJSONOption
    let global: GlobalOptions

    func list() throws(Failure) {
        let backups = try open()
        let list = backups.list()
        try form.show(CinderBackupsView(list), global.output)
        let damages = list.compactMap { if case .damaged(let reason) = $0.state { reason } else { nil } }
        for damage in damages { Console.talk(Failure(damage).text(global.errors)) }
        if !damages.isEmpty { throw Failure(nil) }
    }

    func restore(_ text: String, to path: String, overwrite: OverwriteOptions) async throws(Failure) {
        guard let id = CinderID(text) else {
            throw Failure.usage("\(PrintedText.quoted(text)) is no UUID; 'tuff backup ls --cinder DIR' shows them")
        }
        let backups = try open()
        guard !backups.directory.holds(path) else {
            throw Failure.usage("\(PrintedText.oneLine(path)) is among Cinder's backups, where nothing is written")
        }
        let (chain, size) = try failing { () throws(RepositoryError) in
            let chain = try backups.chain(id)
            try chain.checkFiles()
            return (chain, try chain.size())
        }
        for doubt in chain.doubts {
            Console.talk("warning: \(PrintedText.oneLine(doubt)); what is restored is checked as always\n")
        }
        let place = RestoreTarget(
            path: path, size: size, source: ("cinder \(chain.volume)", id.description), options: overwrite,
            global: global)
        let isNew = NewFileTarget.isFree(path)
        let target: any BlockTarget
        var new: NewFileTarget?, existing: RestoreTarget.Opened?
        if isNew {
            try place.refuseOursByName()
            let made = try failing { () throws(RepositoryError) in try NewFileTarget(path, size: size) }
            (new, target) = (made, made)
        } else {
            let opened = try await place.open()
            (existing, target) = (opened, opened.target)
        }
        let progress = JobProgress()
        let outcome: CinderRestore.Outcome
        do throws(Failure) {
            outcome = try await Job(total: CinderRestore.total(chain), progress: progress, json: form.format == .json)
                .run {
                    () throws(RepositoryError) in
                    try CinderRestore(chain, size: size, to: target, progress: progress).run(
                        threads: SystemThreads.natural)
                }
        } catch {
            new?.abandon()
            var failure = error
            failure.help =
                isNew
                ? "nothing was made at \(PrintedText.oneLine(path))"
                : "\(PrintedText.oneLine(path)) was there before and now has parts of the backup: use none of it"
            throw failure
        }
        existing?.conclude()
        try form.show(CinderRestoredView(chain, to: path, size: size, outcome), global.output)
    }

    private func open() throws(Failure) -> CinderBackups {
        let backups = try failing { () throws(RepositoryError) in try CinderBackups(try CinderDirectory(path)) }
        for sentence in backups.unread { Console.talk("warning: \(sentence); backups in it are not seen\n") }
        return backups
    }
}
