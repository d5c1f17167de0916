import ArgumentParser
import TuffController
import TuffModel

/// A repository as a command found it.
struct RepositoryAddress {
    let place: RepositoryPlace
    /// The reach of documents; nil: no document has to do with it.
    let config: ControllerConfig?

    /// True where a worker alone can open it.
    var needsWorker: Bool { place.declared != nil }
}

struct RepositoryOption: ParsableArguments {
    @Option(
        help: ArgumentHelp("The repository; with -f the name of a BackupRepository.", valueName: "dir"),
        completion: .directory)
    var repository: String

    @OptionGroup var naming: RepositoryNaming

    func validate() throws { try naming.validate(repository) }

    func address(_ global: GlobalOptions) throws(Failure) -> RepositoryAddress {
        try naming.address(of: repository, global)
    }
}

/// The place of the backups: our repository, or Cinder's directory.
struct BackupPlace: ParsableArguments {
    @Option(
        help: ArgumentHelp("The repository; with -f the name of a BackupRepository.", valueName: "dir"),
        completion: .directory)
    var repository: String?
    @Option(
        help: ArgumentHelp(
            "Cinder's backup_posix_path, or where its backup_share is mounted; only ever read.", valueName: "dir"),
        completion: .directory)
    var cinder: String?

    @OptionGroup var naming: RepositoryNaming

    /// - Parameters: options that go with one of the two only, by name.
    func validate(onlyRepository: [String: String?], onlyCinder: [String: String?] = [:]) throws {
        guard (repository == nil) != (cinder == nil) else {
            throw ValidationError(
                repository == nil ? "give --repository DIR or --cinder DIR" : "give --repository or --cinder, not both")
        }
        let ours = onlyRepository.merging(["--key-file": naming.keyFile, "-f": naming.documents.paths.first]) { $1 }
        let wrong = (cinder == nil ? onlyCinder : ours).filter { $0.value != nil }.keys.min()
        if let wrong {
            throw ValidationError("\(wrong) does not go with \(cinder == nil ? "--repository" : "--cinder")")
        }
        if let repository { try naming.validate(repository) }
    }

    /// The repository, where it is one.
    func address(_ global: GlobalOptions) throws(Failure) -> RepositoryAddress {
        try naming.address(of: repository ?? "", global)
    }
}

/// The key of a repository, or the documents that declare it.
struct RepositoryNaming: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Opens an encrypted repository: a file of at most 1 KiB that nobody else may read.", valueName: "file"),
        completion: .file())
    var keyFile: String?
    @OptionGroup var documents: RepositoryDocuments

    func validate(_ repository: String) throws {
        guard !documents.paths.isEmpty else { return }
        guard keyFile == nil else {
            throw ValidationError(
                "--key-file does not go with -f: the document of the repository says which key opens it")
        }
        guard NameRule.isLabel(repository) else {
            throw ValidationError("with -f, --repository takes the name of a BackupRepository, and no '\(repository)'")
        }
    }

    func address(of repository: String, _ global: GlobalOptions) throws(Failure) -> RepositoryAddress {
        guard !documents.paths.isEmpty else {
            return RepositoryAddress(place: RepositoryPlace(repository, keyFile: keyFile), config: nil)
        }
        let config = try global.loadConfig()
        let set = try global.loadDocuments(documents.paths, under: config, consequence: "nothing was done")
        guard let declared = set.state.backupRepositories[repository] else {
            throw .usage("no document declares BackupRepository/\(repository)", help: "-f names the set that does")
        }
        let place = try failing { () throws(PassError) in
            try RepositoryPlace(declared, in: documents.paths, under: config)
        }
        return RepositoryAddress(place: place, config: config)
    }
}

/// Has the volumes of restore points printed as documents.
struct PointDocumentOptions: ParsableArguments {
    @Flag(
        name: .customLong("print-yaml"),
        help: "Print the volumes of the newest restore points as documents, and no list.")
    var printsDocuments = false
    @Option(
        help: ArgumentHelp("With --print-yaml: the pool of volumes whose document is not stored.", valueName: "name"))
    var pool: String?
    @Option(
        help: ArgumentHelp(
            "With --print-yaml and without -f: the name of the BackupRepository document for this repository.",
            valueName: "name"))
    var declaredAs: String?

    /// - Parameter hasSet: a set of documents declares the repository.
    func validate(beside form: TextOrJSON, hasSet: Bool) throws {
        for (option, value) in [("--pool", pool), ("--declared-as", declaredAs)] {
            guard let value else { continue }
            guard printsDocuments else { throw ValidationError("\(option) goes with --print-yaml alone") }
            guard NameRule.isLabel(value) else {
                throw ValidationError("\(option) takes the name of a document, and no '\(PrintedText.oneLine(value))'")
            }
        }
        guard declaredAs == nil || !hasSet else {
            throw ValidationError("--declared-as does not go with -f: there the repository has the name that it has")
        }
        guard !printsDocuments || form == .text else { throw ValidationError("--print-yaml does not go with -o json") }
    }

    /// - Returns: nil: the list is asked for.
    func printed(of place: RepositoryPlace?) -> PointDocuments? {
        printsDocuments ? PointDocuments(repository: place?.declared?.name ?? declaredAs, pool: pool) : nil
    }
}

struct RepositoryDocuments: ParsableArguments {
    @Option(
        name: .customShort("f"),
        help: ArgumentHelp(
            "A file or directory of YAML documents that declares the repository: where it is, mounted for this command "
                + "alone where that is an NFS share, and its key. May be given more than once.",
            valueName: "path"),
        completion: .file())
    var paths: [String] = []
}
