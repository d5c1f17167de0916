import Glibc
import TuffHost
import TuffModel
package import TuffRepository
import TuffSystem

/// Key files of repositories: read at the moment they are needed, as `SecretFile` has it.
package enum KeyFile {
    /// Says how to treat a file that others own or may read.
    package enum Rule: Sendable {
        /// It is refused.
        case demanded
        /// It is said and used: whoever has to get data back from a stick that keeps no owners must be able to.
        case advised
    }

    package static func read(
        _ path: String, _ rule: Rule, listener: any Listener
    ) throws(BackupError) -> RepositorySecret {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw BackupError("\(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw BackupError("\(path) is no regular file")
        }
        if let exposure = SecretFile.exposure(of: path, descriptor, status) {
            let sentence = "the key file \(path) \(exposure.sentence)"
            guard rule == .advised else { throw BackupError(sentence, help: exposure.remedy) }
            listener.tell(.warning("\(sentence): others may know the key"))
        }
        var buffer = [UInt8](repeating: 0, count: 1_026)
        defer { for index in buffer.indices { buffer[index] = 0 } }
        let outcome = buffer.withUnsafeMutableBytes { DescriptorIO.read(descriptor, into: $0) }
        if let failure = outcome.failure {
            throw BackupError("\(path) cannot be read: \(String(cString: strerror(failure)))")
        }
        let content = Array(buffer[..<outcome.count])
        return try inRepository { () throws(RepositoryError) in try RepositorySecret(content) }
    }

    /// The same for a slot that is to be made: one that is guessed in no time is refused, and a short one is told.
    package static func forNewSlot(_ path: String, listener: any Listener) throws(BackupError) -> RepositorySecret {
        let secret = try read(path, .demanded, listener: listener)
        try inRepository { () throws(RepositoryError) in try secret.demandLength() }
        if secret.length < RepositorySecret.advisable {
            listener.tell(
                .warning(
                    "the key in \(path) has \(secret.length) bytes: whoever can read the repository may guess it. A "
                        + "key should have \(RepositorySecret.advisable) bytes at least, and 32 random ones are better"
                ))
        }
        return secret
    }
}
