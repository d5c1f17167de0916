/// A failure of work on a repository, for a person to read.
package struct RepositoryError: Error, Hashable, Codable, Sendable, CustomStringConvertible {
    package enum Code: String, Codable, Sendable {
        /// There is no repository, restore point or series of that name.
        case notFound
        /// The stored bytes are not those that were written: a check did not pass, a file is missing or has an
        /// impossible form.
        case damaged
        /// A newer program wrote it.
        case newer
        /// No key slot opens with the secret that was given, or one is needed and none was given.
        case wrongKey
        /// Another process is at work; the sentence names it.
        case locked
        /// The file system is full, or a quota is used up.
        case full
        /// The request contradicts itself or would do harm.
        case refused
        /// The medium does not give back the bytes of a file: as good as damaged, and the next read may succeed.
        case unreadable
        /// A file of the index is damaged. The blocks that it names may be whole, and the tables of the packs tell
        /// their places.
        case brokenIndex
        /// The person or the system asked the program to stop.
        case interrupted
        /// A system call failed otherwise.
        case failed
    }

    package var code: Code
    /// One sentence that names the attempt, the file, the failure, and, where it is known, what to do.
    package var sentence: String
    /// The system's own name of the failure.
    package var cause: String?

    package init(_ code: Code, _ sentence: String, cause: String? = nil) {
        self.code = code
        self.sentence = sentence
        self.cause = cause
    }

    /// Whether stored bytes are gone or altered; false where a medium or a system call failed.
    package var isLoss: Bool { [.damaged, .notFound, .unreadable].contains(code) }

    package var description: String { cause.map { "\(sentence): \($0)" } ?? sentence }
}
