package import FoundationEssentials
package import TuffModel

/// The file that `tuff inventory` writes and `plan --inventory` reads: observed state, and the configuration it depends
/// on. Secrets are in it as keyed fingerprints only, and their key is not.
package struct InventoryFile: Codable, Equatable {
    package static let currentFormat = 1

    package var format: Int
    package var kind: String
    package var tuff: String
    package var config: ControllerConfig
    package var observed: ObservedState

    package init(config: ControllerConfig, observed: ObservedState) {
        format = Self.currentFormat
        kind = "Inventory"
        tuff = TuffVersion.current
        self.config = config
        self.observed = observed
    }

    package var text: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            return PrintedText.escapedJSON(String(decoding: try encoder.encode(self), as: UTF8.self)) + "\n"
        }
    }

    /// Decodes an inventory. Sources that were not observed when it was made are unknown in it, not absent.
    package static func decode(_ data: Data, name: String) throws(PassError) -> InventoryFile {
        // Nearly every file is one, and read once. The fault of another is looked for below.
        if let file = try? JSONDecoder().decode(InventoryFile.self, from: data), file.kind == "Inventory",
            file.format <= currentFormat
        {
            return file.withUnseen
        }
        struct Header: Decodable {
            var format: Int
            var kind: String
            var tuff: String?
        }
        guard let header = try? JSONDecoder().decode(Header.self, from: data), header.kind == "Inventory" else {
            throw PassError("\(name) is no inventory", help: "'tuff inventory' writes one")
        }
        guard header.format <= currentFormat else {
            throw PassError(
                "\(name) has inventory format \(header.format), and this is tuff \(TuffVersion.current), which knows "
                    + "formats up to \(currentFormat)")
        }
        do {
            return try JSONDecoder().decode(InventoryFile.self, from: data).withUnseen
        } catch {
            throw PassError(
                "\(name) is not what 'tuff inventory' of \(TuffVersion.current) writes: "
                    + PrintedText.oneLine(Self.complaint(error)),
                help: "write it anew with this version")
        }
    }

    /// The inventory with the sources that were not looked at as unknown ones.
    private var withUnseen: InventoryFile {
        var file = self
        let unseen = HostError(.notFound, "not looked at when the inventory was made: give it the same -f")
        if file.observed.directories.unlisted == nil { file.observed.directories.unlisted = unseen }
        if file.observed.secrets.unlisted == nil { file.observed.secrets.unlisted = unseen }
        if file.observed.images.unlisted == nil { file.observed.images.unlisted = unseen }
        return file
    }

    private static func complaint(_ error: any Error) -> String {
        func name(_ path: [any CodingKey], _ last: (any CodingKey)? = nil) -> String {
            let names = (path + [last].compactMap { $0 }).map(\.stringValue)
            return names.isEmpty ? "the whole" : names.joined(separator: ".")
        }
        return switch error as? DecodingError {
        case .keyNotFound(let key, let context): "\(name(context.codingPath, key)) is missing"
        case .valueNotFound(_, let context): "\(name(context.codingPath)) is null"
        case .typeMismatch(_, let context), .dataCorrupted(let context):
            "\(name(context.codingPath)): \(context.debugDescription)"
        default: "\(error)"
        }
    }
}
