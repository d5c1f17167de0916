import FoundationEssentials
import TuffHost
package import TuffModel

/// The last accepted set of each stack, `/var/lib/tuff/accepted-STACK.json`, mode 0600: what `tuff exports restore`
/// brings back at boot. Only whoever holds the host's lock saves.
package struct AcceptedStore: Sendable {
    private let directory: String

    /// - Parameter directory: absolute; made 0700 at the first save.
    package init(directory: String) { self.directory = directory }

    private func file(_ stack: String) -> StateFile {
        StateFile("\(directory)/accepted-\(stack).json", what: "last accepted set of stack '\(stack)'")
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
        guard let bytes = try file.read() else { return nil }
        struct Header: Decodable { var version: Int }
        guard let header = try? JSONDecoder().decode(Header.self, from: Data(bytes)) else { throw damaged(file) }
        guard header.version <= AcceptedExports.currentVersion else {
            throw HostError(
                .malformed, "\(file.path) is of a newer version of tuff (\(header.version))",
                cause: "use that version; nothing was changed", subject: file.path)
        }
        guard let accepted = try? JSONDecoder().decode(AcceptedExports.self, from: Data(bytes)),
            accepted.stack == stack
        else { throw damaged(file) }
        return accepted
    }

    package func save(_ accepted: AcceptedExports) throws(HostError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(accepted) else {
            throw HostError(.failed, "The last accepted set does not encode")
        }
        try file(accepted.stack).write(Array(data) + [0x0a])
    }

    private func damaged(_ file: StateFile) -> HostError {
        HostError(
            .malformed, "\(file.path) is damaged: it is not what tuff writes; nothing was changed",
            cause: "it says which exports a boot brings back. Move it away, and the next tuff apply writes it anew",
            subject: file.path)
    }
}
