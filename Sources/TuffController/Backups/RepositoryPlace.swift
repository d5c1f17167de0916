import TuffHost
import TuffModel
package import TuffRepository

/// The directory of a repository, and the file of a key that opens it.
package struct RepositoryPlace: Hashable, Codable, Sendable {
    package var path: String
    /// Only ever the file's path: the key itself is read where it is needed, and goes nowhere else.
    package var keyFile: String?

    package init(_ path: String, keyFile: String? = nil) {
        self.path = path
        self.keyFile = keyFile
    }

    /// - Parameter rule: for the key file.
    package func open(
        _ rule: KeyFile.Rule = .demanded, listener: any Listener
    ) throws(BackupError) -> Repository {
        let secret = try keyFile.map { path throws(BackupError) in try KeyFile.read(path, rule, listener: listener) }
        return try inRepository { () throws(RepositoryError) in
            try Repository.open(try DirectoryStore(path), secret: secret)
        }
    }

    /// Makes a repository in the directory, which is made if it is not there; an encrypted one where there is a key.
    package func make(listener: any Listener) throws(BackupError) {
        let secret = try keyFile.map { path throws(BackupError) in try KeyFile.forNewSlot(path, listener: listener) }
        try inRepository { () throws(RepositoryError) in
            let store = try DirectoryStore(path, making: true)
            _ = try Repository.create(in: store, secret: secret, now: HostFacts.now().description)
        }
    }
}
