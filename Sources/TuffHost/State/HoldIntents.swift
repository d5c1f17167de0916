import FoundationEssentials
import Glibc
package import TuffModel

/// The record that is written before a thin pool's metadata snapshot is reserved. The kernel remembers a reserve
/// through crashes and boots, and does not know whose it is: this does.
package struct HoldIntent: Hashable, Codable, Sendable {
    package static let version = 1

    package var version = Self.version
    /// LVM's uuid of the pool.
    package var pool: String
    /// The device mapper's uuid of the pool's own device (`-tpool`), by which it can be reached without LVM.
    package var device: String
    /// `GROUP/POOL`, for people.
    package var name: String
    /// The boot in which it was written.
    package var bootID: String
    package var since: Instant
    /// The pool's transaction when nobody held its metadata, right before the reserve.
    package var transaction: UInt64
    /// Block of the snapshot, added when the reserve had succeeded; nil until then.
    package var block: UInt64?

    package init(
        pool: String, device: String, name: String, bootID: String, since: Instant, transaction: UInt64,
        block: UInt64? = nil
    ) {
        self.pool = pool
        self.device = device
        self.name = name
        self.bootID = bootID
        self.since = since
        self.transaction = transaction
        self.block = block
    }
}

/// Where such records are: a file for each pool, `metadata-hold-UUID.json`, mode 0600, in the directory of state.
package struct HoldIntents: Sendable {
    private static let prefix = "metadata-hold-", suffix = ".json"
    private let directory: String

    /// - Parameter state: the host's directory of state, absolute.
    package init(in state: String) { directory = state }

    private func file(_ pool: String) throws(HostError) -> StateFile {
        guard (1...64).contains(pool.utf8.count), !pool.hasPrefix("-"),
            pool.utf8.allSatisfy({ byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"): true
                default: false
                }
            })
        else { throw HostError(.refused, "'\(pool)' is no uuid of LVM's") }
        return StateFile("\(directory)/\(Self.prefix)\(pool)\(Self.suffix)", what: "record of reserved metadata")
    }

    /// Nil where there is none.
    /// - Throws: `malformed` for a file that says something else, which is no proof of anything.
    package func read(_ pool: String) throws(HostError) -> HoldIntent? {
        let file = try file(pool)
        guard let bytes = try file.read() else { return nil }
        guard let intent = try? JSONDecoder().decode(HoldIntent.self, from: Data(bytes)),
            intent.version == HoldIntent.version, intent.pool == pool, intent.device.hasPrefix("LVM-")
        else { throw HostError(.malformed, "\(file.path) is no record of reserved metadata", subject: file.path) }
        return intent
    }

    /// The pools of which there is a file, whatever it says.
    /// - Throws: when the directory is there and cannot be listed.
    package func pools() throws(HostError) -> [String] {
        let files = FileManager.default
        guard files.fileExists(atPath: directory) else { return [] }
        guard let names = try? files.contentsOfDirectory(atPath: directory) else {
            throw HostError(.failed, "Cannot list \(directory)", subject: directory)
        }
        return names.filter { $0.hasPrefix(Self.prefix) && $0.hasSuffix(Self.suffix) }.map {
            String($0.dropFirst(Self.prefix.count).dropLast(Self.suffix.count))
        }.sorted()
    }

    /// Durable when it returns.
    package func save(_ intent: HoldIntent) throws(HostError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(intent) else {
            throw HostError(.failed, "The record of reserved metadata does not encode")
        }
        try file(intent.pool).write(Array(data) + [0x0a])
    }

    /// Durable when it returns: a record that came back after a power cut could claim somebody else's reserve of the
    /// same number. One that is not there is removed.
    package func remove(_ pool: String) throws(HostError) { try file(pool).remove() }
}
