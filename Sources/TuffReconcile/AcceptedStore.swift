import FoundationEssentials
import TuffHost
package import TuffModel

/// The last accepted set of each stack, `/var/lib/tuff/accepted-STACK.json`, mode 0600: what `tuff exports restore`
/// brings back at boot. Only whoever holds the host's lock saves.
package struct AcceptedStore: Sendable {
    private let directory: String

    /// - Parameter directory: absolute; made 0700 at the first save.
    package init(directory: String) { self.directory = directory }

    private func file(_ stack: String) -> VersionedStateFile<AcceptedExports> {
        VersionedStateFile(
            "\(directory)/accepted-\(stack).json", version: AcceptedExports.currentVersion,
            words: .init(
                what: "last accepted set of stack '\(stack)'",
                remedy: "it says which exports a boot brings back. Move it away, and the next tuff apply writes it anew"
            ))
    }

    /// Stacks that have a record, sorted.
    package func stacks() throws(HostError) -> [String] {
        guard FileManager.default.fileExists(atPath: directory) else { return [] }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: directory)
        } catch {
            throw HostError(.failed, "Cannot list the directory \(directory)", cause: "\(error)", subject: directory)
        }
        return names.compactMap { name in
            guard name.hasPrefix("accepted-"), name.hasSuffix(".json") else { return nil }
            let stack = String(name.dropFirst(9).dropLast(5))
            return NameRule.isLabel(stack) ? stack : nil
        }.sorted()
    }

    /// Nil where no set of the stack was accepted yet.
    /// - Throws: `malformed` for a record that cannot be understood, which is never replaced by guessing.
    package func load(_ stack: String) throws(HostError) -> AcceptedExports? {
        let file = file(stack)
        guard let accepted = try file.load() else { return nil }
        guard accepted.stack == stack else { throw file.damaged("it is of stack '\(accepted.stack)'") }
        return accepted
    }

    package func save(_ accepted: AcceptedExports) throws(HostError) { try file(accepted.stack).save(accepted) }
}
