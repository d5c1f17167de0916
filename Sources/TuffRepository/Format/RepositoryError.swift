/// Why something with a repository did not succeed, for a person to read.
package struct RepositoryError: Error, Hashable, Codable, Sendable, CustomStringConvertible {
    package enum Code: String, Codable, Sendable {
        /// There is no repository, restore point or series of that name.
        case notFound
        /// What is stored is not what was written: a check did not pass, a file is missing or has an impossible form.
        case damaged
        /// A newer program wrote it.
        case newer
        /// No key slot opens with the secret that was given, or one is needed and none was given.
        case wrongKey
        /// Another process is at work; the sentence says which.
        case locked
        /// The file system is full, or a quota is used up.
        case full
        /// What was asked for contradicts itself or would harm.
        case refused
        /// The medium does not give back the bytes of a file: as good as damaged, and the next read may succeed.
        case unreadable
        /// A file of the index is damaged. What it tells of may be whole, and the tables of the packs say where it is.
        case brokenIndex
        /// The person or the system asked the program to stop.
        case interrupted
        /// A system call failed otherwise.
        case failed
    }

    package var code: Code
    /// One sentence: what was attempted on which file, what happened, and what to do where that is known.
    package var sentence: String
    /// The system's own word for it.
    package var cause: String?

    package init(_ code: Code, _ sentence: String, cause: String? = nil) {
        self.code = code
        self.sentence = sentence
        self.cause = cause
    }

    /// Whether it says that something stored is gone or not what it was, rather than that a medium or a system call failed.
    package var isLoss: Bool { [.damaged, .notFound, .unreadable].contains(code) }

    package var description: String { cause.map { "\(sentence): \($0)" } ?? sentence }
}
