/// A place in a text a person wrote. Lines and columns count from 1; columns count characters, not bytes.
package struct SourceLocation: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    package var file: String
    package var line: Int
    package var column: Int

    package init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `volumes.yaml:8:3`, the form editors and terminals make into a link.
    package var description: String { "\(file):\(line):\(column)" }

    package static func < (lhs: SourceLocation, rhs: SourceLocation) -> Bool {
        (lhs.file, lhs.line, lhs.column) < (rhs.file, rhs.line, rhs.column)
    }
}

/// A message to a person about their documents. Diagnostics are data: collected, sorted and shown together.
package struct Diagnostic: Hashable, Codable, Sendable {
    package enum Severity: String, Codable, Sendable { case error, warning }

    package var severity: Severity
    /// Stable name of the rule that was broken, in kebab case: `unknown-field`, `name-not-dns-label`.
    package var rule: String
    /// One sentence that names the error and the object.
    package var message: String
    package var location: SourceLocation
    /// Number of characters that the caret underlines, at least 1.
    package var length: Int
    /// The line the location points into, for the excerpt; nil where there is none (an unreadable file).
    package var sourceLine: String?
    /// Advice: "did you mean 'size'?", "write 20Gi".
    package var help: String?

    package init(
        _ severity: Severity = .error, rule: String, _ message: String, at location: SourceLocation, length: Int = 1,
        sourceLine: String? = nil, help: String? = nil
    ) {
        self.severity = severity
        self.rule = rule
        self.message = message
        self.location = location
        self.length = length
        self.sourceLine = sourceLine
        self.help = help
    }
}

/// A failure of the machine: a failed command, an unreadable attribute, a deadline that passed.
///
/// Programs match on the code; text is only ever shown. A mutating action that ends in any `HostError` has an unknown
/// outcome: the only permitted next step is to observe again.
package struct HostError: Error, Hashable, Codable, Sendable, CustomStringConvertible {
    package enum Code: String, Codable, Sendable {
        /// The tool or path does not exist.
        case notFound
        case permissionDenied
        /// Output that cannot be what the tool means: truncated, contradictory, too large, not JSON.
        case malformed
        /// All of it could be read, and it is not whole: a repository that lost its first file.
        case damaged
        /// The deadline passed; the work may still be going on.
        case timeout
        /// A command ended with a non-zero status or by a signal, or a system call failed.
        case failed
        /// A precondition that was re-read immediately before acting no longer held; nothing was done.
        case preconditionFailed
        /// The object is in use (EBUSY, a live session).
        case busy
        /// No space, no memory, no descriptors.
        case exhausted
        /// Refused by our own rules: a path beneath no root of its sort, a world-readable secret.
        case refused
        /// Others than root and the user we run as could exchange the file at a path.
        case exposed
        /// A person asked to stop while all of a volume was read or written. The written blocks stay, and the work goes
        /// on later.
        case interrupted
        /// A server does not answer, or something that was asked of it before still waits for its answer.
        case unreachable
    }

    package var code: Code
    /// One sentence for a person that names the attempt, the object and the failure.
    package var sentence: String
    /// The underlying text: standard error's first lines, the errno's name. Never a secret.
    package var cause: String?
    /// The command line or path concerned, never holding a secret.
    package var subject: String?

    package init(_ code: Code, _ sentence: String, cause: String? = nil, subject: String? = nil) {
        self.code = code
        self.sentence = sentence
        self.cause = cause
        self.subject = subject
    }

    package var description: String {
        cause.map { "\(sentence): \($0)" } ?? sentence
    }
}
