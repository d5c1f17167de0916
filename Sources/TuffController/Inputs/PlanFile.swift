import Crypto
package import FoundationEssentials
import Glibc
import TuffConfig
import TuffModel
package import TuffPlanning
import TuffSystem

/// The file that `plan --out` writes and `apply FILE` reads. It holds everything that the steps follow from, not the
/// steps: `apply` plans again from it and demands the same digest. So steps need no decoding, and nothing is done that
/// was not shown.
package struct PlanFile: Codable, Equatable {
    /// Raised when an older version would misread the file, and when steps are encoded otherwise: the digest of one
    /// plan is then another one.
    package static let currentFormat = 2
    private static let kind = "PlanFile"
    /// Steps of older formats are encoded otherwise.
    private static let format = VersionedJSON(
        field: "format", kind: kind, current: currentFormat, oldest: currentFormat)

    package struct Source: Codable, Equatable {
        package var path: String
        package var text: String

        package init(path: String, text: String) {
            self.path = path
            self.text = text
        }
    }

    package var format: Int
    package var kind: String
    package var tuff: String
    package var context: PlanContext
    package var sources: [Source]
    /// SHA-256 of the plan's canonical encoding, in hexadecimal.
    package var digest: String
    /// The plan as it was shown when the file was written, for comparison with a later plan.
    package var summary: String
    /// SHA-256 of the file's canonical encoding while this is empty, in hexadecimal: tells a file that was edited from
    /// a host that changed. It is no protection against somebody who edits the file on purpose; the file's mode is.
    package var seal = ""

    /// - Parameter summary: the plan as it was shown.
    package init(plan: Plan, sources: [Source], summary: String) {
        format = Self.currentFormat
        kind = Self.kind
        tuff = TuffVersion.current
        context = plan.context
        self.sources = sources
        digest = Self.digest(of: plan)
        self.summary = summary
        seal = sealed
    }

    package init(plan: Plan, documents: Documents, summary: String) throws(PassError) {
        var sources: [Source] = []
        for source in documents.sources {
            // The loader accepts nothing but UTF-8, so this never fails.
            guard let text = String(validating: source.text, as: UTF8.self) else {
                throw PassError("\(source.path) is not UTF-8")
            }
            sources.append(Source(path: source.path, text: text))
        }
        self.init(plan: plan, sources: sources, summary: summary)
    }

    /// The documents that the plan was made from, as they were then.
    package var reading: Documents.Reading {
        Documents.link(sources.map { ConfigSource(path: $0.path, text: Array($0.text.utf8)) })
    }

    /// Paths of the documents that were changed since the plan was made. `apply` uses the texts in the plan file all
    /// the same. A document that is missing does not count: the plan file may have been carried to another host.
    package var changedSources: [String] {
        sources.filter { source in
            // Reading a pipe would empty it.
            var status = stat()
            guard stat(source.path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
            let (now, _) = ConfigLoader.read(paths: [source.path])
            return now.count == 1 && now[0].path == source.path && now[0].text != Array(source.text.utf8)
        }.map(\.path)
    }

    /// The seal of the file as it is now.
    package var sealed: String {
        var copy = self
        copy.seal = ""
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Plain values of our own always encode.
        return (try? encoder.encode(copy)).map { Hex.text(SHA256.hash(data: $0)) } ?? ""
    }

    /// Whether `data` is a plan file, of whatever format.
    package static func isPlanFile(_ data: Data) -> Bool {
        struct Header: Decodable { var kind: String }
        return (try? JSONDecoder().decode(Header.self, from: data))?.kind == kind
    }

    /// Changes and steps as JSON with sorted keys. The context is part of the file itself.
    package static func digest(of plan: Plan) -> String {
        struct Canonical: Encodable {
            var changes: [PlannedChange]
            var steps: [PlannedStep]
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Plain values of our own always encode; nothing else would be a digest.
        let settled = plan.settled
        guard let data = try? encoder.encode(Canonical(changes: settled.changes, steps: settled.steps)) else {
            return ""
        }
        return Hex.text(SHA256.hash(data: data))
    }

    package var data: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            return try encoder.encode(self) + Data("\n".utf8)
        }
    }

    /// - Parameter name: the file's name, for messages.
    package static func decode(_ data: Data, name: String) throws(PassError) -> PlanFile {
        let file: PlanFile
        do throws(VersionedJSON.Fault) { file = try format.decode(PlanFile.self, from: data) } catch {
            throw refusal(of: error, name, writer: writer(of: data))
        }
        guard file.seal == file.sealed else {
            throw PassError(
                "\(name) was changed after 'tuff plan --out' wrote it; nothing was changed",
                help: "change the documents instead, and plan again")
        }
        return file
    }

    private static func refusal(of fault: VersionedJSON.Fault, _ name: String, writer: String) -> PassError {
        switch fault {
        case .foreign: PassError("\(name) is no plan file", help: "'tuff plan -f PATH --out FILE' writes one")
        case .newer(let version):
            PassError(
                "\(name) has plan file format \(version), and this is tuff \(TuffVersion.current), which knows formats "
                    + "up to \(currentFormat)",
                help: "apply it with the tuff that wrote it (\(writer))")
        case .older:
            PassError(
                "another version of tuff wrote \(name) (\(writer)), and this is tuff \(TuffVersion.current), which "
                    + "writes steps otherwise; nothing was changed",
                help: "plan again")
        case .damaged:
            PassError(
                "\(name) is damaged, or another version of tuff wrote it (\(writer)); nothing was changed",
                help: "plan again")
        }
    }

    /// The version of the program that wrote a file, for messages.
    private static func writer(of data: Data) -> String {
        struct Header: Decodable { var tuff: String }
        return (try? JSONDecoder().decode(Header.self, from: data)).map { PrintedText.quoted($0.tuff) } ?? "unknown"
    }
}
