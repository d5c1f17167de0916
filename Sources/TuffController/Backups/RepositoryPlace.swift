import TuffHost
package import TuffModel
package import TuffRepository

/// The place of a repository as a person names it: its directory and the file of a key that opens it, or a document.
package struct RepositoryPlace: Hashable, Codable, Sendable {
    /// A BackupRepository of a set of documents, which says where it is and which key opens it.
    package struct Declared: Hashable, Codable, Sendable {
        package var name: String
        package var access: RepositoryAccess
        /// The paths of the documents, as they were typed.
        package var documents: [String]

        package init(_ name: String, _ access: RepositoryAccess, in documents: [String]) {
            self.name = name
            self.access = access
            self.documents = documents
        }
    }

    /// The directory; nil: it is on a share that only a worker mounts.
    package var path: String?
    /// Only ever the file's path: the key itself is read where it is needed, and goes nowhere else.
    package var keyFile: String?
    package var declared: Declared?

    package init(_ path: String, keyFile: String? = nil) {
        self.path = path
        self.keyFile = keyFile
    }

    package init(_ declared: Declared) {
        self.declared = declared
        switch declared.access.site {
        case .directory(let directory): path = directory
        case .nfs: path = nil
        }
    }

    /// - Throws: where the host's administrator lets no document reach it, or it is no repository of ours.
    package init(
        _ declared: TuffModel.Declared<BackupRepositorySpec>, in documents: [String], under config: ControllerConfig
    ) throws(PassError) {
        let name = declared.metadata.name
        guard config.allow.permits(declared.spec.site) else {
            throw PassError(
                "BackupRepository/\(name) is at \(declared.spec.site), which the controller's 'allow' does not name",
                help: "the host's administrator adds it there")
        }
        guard declared.spec.format == .tuff else {
            throw PassError(
                "BackupRepository/\(name) has backups of OpenStack Cinder, which are read alone",
                help: "a Volume with 'source: {cinderBackup: …}' restores one; by hand 'tuff backup ls|restore "
                    + "--cinder DIR' reads a directory of them", sort: .usage)
        }
        self.init(Declared(name, declared.spec.access, in: documents))
    }

    /// Its name in sentences.
    package var name: String { declared.map { "BackupRepository/\($0.name)" } ?? path ?? "" }

    /// The options that name it, as they are typed.
    var options: [String] {
        if let declared { return declared.documents.flatMap { ["-f", $0] } + ["--repository", declared.name] }
        return ["--repository", path ?? ""] + (keyFile.map { ["--key-file", $0] } ?? [])
    }

    /// Opens a directory with its key file; what a document declares is opened by workers (`OrderedWork.with`).
    /// - Parameter rule: for the key file.
    package func open(
        _ rule: KeyFile.Rule = .demanded, listener: any Listener
    ) throws(BackupError) -> Repository {
        guard declared == nil, let path else { throw BackupError("\(name) is opened by a worker alone") }
        let secret = try keyFile.map { path throws(BackupError) in try KeyFile.read(path, rule, listener: listener) }
        return try inRepository { () throws(RepositoryError) in
            try Repository.open(try DirectoryStore(path), secret: secret)
        }
    }

    /// The same, unless it is open already.
    func opened(
        _ repository: Repository?, _ rule: KeyFile.Rule = .demanded, listener: any Listener
    ) throws(BackupError) -> Repository {
        if let repository { return repository }
        return try open(rule, listener: listener)
    }

    /// Makes a repository in the directory, which is made if it is not there; an encrypted one where there is a key.
    package func make(listener: any Listener) throws(BackupError) {
        guard declared == nil, let path else {
            throw .usage("\(name) is made by 'tuff apply --allow-repository-create', as its document says")
        }
        let secret = try keyFile.map { path throws(BackupError) in try KeyFile.forNewSlot(path, listener: listener) }
        try inRepository { () throws(RepositoryError) in
            let store = try DirectoryStore(path, making: true)
            _ = try Repository.create(in: store, secret: secret, now: HostFacts.now().description)
        }
    }
}
