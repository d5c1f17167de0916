import TuffHost
import TuffModel
package import TuffRepository

/// The end of work with a repository of backups before its natural end. Plain, so that whoever asked a worker for the
/// work gets it too.
package struct BackupError: Error, Hashable, Codable, Sendable {
    package enum Sort: String, Hashable, Codable, Sendable {
        case failed
        /// Whoever asked asked for something that contradicts itself, or that is never done.
        case usage
        /// There is no repository, restore point or series of that name.
        case missing
        /// No key slot opens with the key that was given, or one is needed and none was given.
        case wrongKey
        /// Another process is at work in the repository; the sentence says which.
        case locked
        /// The work was asked to stop, and did.
        case interrupted
    }

    package var sort: Sort
    package var sentence: String
    package var help: String?

    package init(_ sentence: String, help: String? = nil, sort: Sort = .failed) {
        self.sort = sort
        self.sentence = sentence
        self.help = help
    }

    package init(_ error: RepositoryError, help: String? = nil) {
        sort =
            switch error.code {
            case .notFound: .missing
            case .locked: .locked
            case .wrongKey: .wrongKey
            case .interrupted: .interrupted
            case .damaged, .unreadable, .brokenIndex, .newer, .full, .refused, .failed: .failed
            }
        // Names and leases come from a medium that others may write.
        sentence = PrintedText.oneLine(error.description)
        self.help = help
    }

    init(_ error: PassError) { self.init(error.sentence, help: error.help) }

    static func usage(_ sentence: String) -> BackupError { BackupError(sentence, sort: .usage) }
}

/// Runs `body` and has an error of the repository end the work.
func inRepository<Value>(_ body: () throws(RepositoryError) -> Value) throws(BackupError) -> Value {
    do throws(RepositoryError) { return try body() } catch { throw BackupError(error) }
}
