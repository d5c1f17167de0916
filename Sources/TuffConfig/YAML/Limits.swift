/// Limits of the input. Configuration written by people stays far below every one of them.
package enum Limits {
    /// Bytes of one file.
    package static let fileBytes = 1 << 20
    /// Files of one set.
    package static let files = 10_000
    /// Bytes of all files of one set, which bounds memory where each file alone would pass.
    package static let setBytes = 64 << 20
    /// Documents of one file.
    package static let documents = 10_000
    /// Scalars, maps and lists of one document.
    package static let nodes = 10_000
    /// Nested maps and lists.
    package static let depth = 64
    /// Bytes of one scalar.
    package static let scalarBytes = 64 << 10
    /// Documents of one file that cannot be understood, after which reading stops: each costs a new start.
    package static let syntaxErrors = 100
    /// Messages about one file; the rest is counted.
    package static let diagnosticsPerFile = 1000
    /// Longest line that is repeated as an excerpt, in bytes.
    package static let excerptBytes = 400
}
