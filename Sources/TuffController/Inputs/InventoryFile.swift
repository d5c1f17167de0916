package import FoundationEssentials
package import TuffModel
import TuffSystem

/// The file that `tuff inventory` writes and `plan --inventory` reads: observed state, and the configuration it depends
/// on. Secrets are in it as keyed fingerprints only, and their key is not.
package struct InventoryFile: Codable, Equatable {
    package static let currentFormat = 1
    private static let kind = "Inventory"
    private static let format = VersionedJSON(field: "format", kind: kind, current: currentFormat)

    package var format: Int
    package var kind: String
    package var tuff: String
    package var config: ControllerConfig
    package var observed: ObservedState

    package init(config: ControllerConfig, observed: ObservedState) {
        format = Self.currentFormat
        kind = Self.kind
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
        let file = data.withUnsafeBytes { bytes in
            JSONReader.decode(InventoryFile.self, from: bytes.bindMemory(to: UInt8.self))
        }
        if let file, file.kind == Self.kind, file.format <= currentFormat { return file.withUnseen }
        do throws(VersionedJSON.Fault) {
            return try format.decode(InventoryFile.self, from: data).withUnseen
        } catch {
            throw refusal(of: error, name)
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

    private static func refusal(of fault: VersionedJSON.Fault, _ name: String) -> PassError {
        switch fault {
        case .foreign: PassError("\(name) is no inventory", help: "'tuff inventory' writes one")
        case .newer(let version), .older(let version):
            PassError(
                "\(name) has inventory format \(version), and this is tuff \(TuffVersion.current), which knows formats "
                    + "up to \(currentFormat)")
        case .damaged(let complaint):
            PassError(
                "\(name) is not what 'tuff inventory' of \(TuffVersion.current) writes: "
                    + PrintedText.oneLine(complaint),
                help: "write it anew with this version")
        }
    }
}
