import Crypto
package import FoundationEssentials
import TuffModel
package import TuffPlanning

/// What `plan --out` writes and `apply FILE` reads: not the steps but everything they follow from. `apply` plans
/// again from it and demands the same digest, so steps need no decoding and nothing is done that was not shown.
package struct PlanFile: Codable, Equatable {
    /// Raised when an older version would misread the file.
    package static let currentFormat = 1

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
    /// What was shown when the file was written, to tell what changed since.
    package var summary: String
    /// SHA-256 of the file's canonical encoding while this is empty, in hexadecimal: tells a file that was edited from
    /// a host that changed. No protection against anybody who means it; the file's mode is.
    package var seal = ""

    package init(plan: Plan, sources: [Source]) {
        format = Self.currentFormat
        kind = "PlanFile"
        tuff = TuffVersion.current
        context = plan.context
        self.sources = sources
        digest = Self.digest(of: plan)
        summary = PlanView(plan).text(Style())
        seal = sealed
    }

    var sealed: String {
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
        return (try? JSONDecoder().decode(Header.self, from: data))?.kind == "PlanFile"
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
        guard let data = try? encoder.encode(Canonical(changes: plan.changes, steps: plan.steps)) else { return "" }
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
    package static func decode(_ data: Data, name: String) throws(Failure) -> PlanFile {
        struct Header: Decodable {
            var format: Int
            var kind: String
            var tuff: String?

            var writer: String { tuff.map { PrintedText.quoted($0) } ?? "unknown" }
        }
        guard let header = try? JSONDecoder().decode(Header.self, from: data), header.kind == "PlanFile" else {
            throw Failure("\(name) is no plan file", help: "'tuff plan -f PATH --out FILE' writes one")
        }
        guard header.format <= currentFormat else {
            throw Failure(
                "\(name) has plan file format \(header.format), and this is tuff \(TuffVersion.current), which knows "
                    + "formats up to \(currentFormat)",
                help: "apply it with the tuff that wrote it (\(header.writer))")
        }
        guard let file = try? JSONDecoder().decode(PlanFile.self, from: data) else {
            throw Failure(
                "\(name) is damaged, or another version of tuff wrote it (\(header.writer)); nothing was changed",
                help: "plan again")
        }
        guard file.seal == file.sealed else {
            throw Failure(
                "\(name) was changed after 'tuff plan --out' wrote it; nothing was changed",
                help: "change the documents instead, and plan again")
        }
        return file
    }
}
