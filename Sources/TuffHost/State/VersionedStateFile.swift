import FoundationEssentials
package import TuffModel
import TuffSystem

/// A state file that holds one value as a line of JSON, with the version of its format in the field `version`.
package struct VersionedStateFile<Value: Codable & Sendable>: Sendable {
    /// The words for it in messages.
    package struct Words: Sendable {
        /// `ledger`.
        var what: String
        /// The advice for a damaged one, which is never replaced by guessing.
        var remedy: String

        package init(what: String, remedy: String) {
            self.what = what
            self.remedy = remedy
        }
    }

    private let file: StateFile
    private let words: Words
    private let format: VersionedJSON

    package var path: String { file.path }

    /// - Parameters:
    ///   - path: absolute; its directory is made 0700 at the first save.
    ///   - version: what is written, and the newest that is read.
    package init(_ path: String, version: Int, words: Words) {
        file = StateFile(path, what: words.what)
        self.words = words
        format = VersionedJSON(current: version)
    }

    /// Nil where there is no such file yet.
    /// - Throws: `malformed` for one that a newer version wrote or that cannot be understood.
    package func load() throws(HostError) -> Value? {
        guard let bytes = try file.read() else { return nil }
        do throws(VersionedJSON.Fault) {
            return try format.decode(Value.self, from: Data(bytes))
        } catch {
            switch error {
            case .foreign, .older: throw damaged(nil)
            case .damaged(let complaint): throw damaged(complaint)
            case .newer(let version):
                throw HostError(
                    .malformed, "The \(words.what) \(path) is of a newer version of tuff (\(version))",
                    cause: "use that version; nothing was changed", subject: path)
            }
        }
    }

    /// Durable, file and directory entry, when it returns.
    package func save(_ value: Value) throws(HostError) {
        guard let line = VersionedJSON.line(value) else {
            throw HostError(.failed, "The \(words.what) does not encode", subject: path)
        }
        try file.write(line)
    }

    /// The error of a file that is not what tuff writes.
    /// - Parameter complaint: what is wrong with it, where that is known.
    package func damaged(_ complaint: String?) -> HostError {
        let why = complaint.map { " (\(PrintedText.oneLine($0)))" } ?? ""
        return HostError(
            .malformed, "The \(words.what) \(path) is damaged: it is not what tuff writes\(why); nothing was changed",
            cause: words.remedy, subject: path)
    }
}
