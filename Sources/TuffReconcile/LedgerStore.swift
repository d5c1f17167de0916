import FoundationEssentials
import Synchronization
import TuffHost
package import TuffModel

/// The place that keeps the ledger between passes. Only whoever holds the host's lock saves.
package protocol LedgerStore: Sendable {
    /// An empty ledger where there is none yet.
    /// - Throws: `malformed` for one that cannot be understood, which is never replaced by guessing.
    func load() throws(HostError) -> Ledger
    /// Durable, file and directory entry, when it returns.
    func save(_ ledger: Ledger) throws(HostError)
}

/// A ledger that lives as long as its process: tests, and commands that look and keep nothing.
package final class MemoryLedger: LedgerStore {
    private let kept: Mutex<Ledger>

    package init(_ ledger: Ledger = Ledger()) { kept = Mutex(ledger) }

    package func load() -> Ledger { kept.withLock { $0 } }
    package func save(_ ledger: Ledger) { kept.withLock { $0 = ledger } }
}

/// `/var/lib/tuff/ledger.json`, mode 0600.
package struct LedgerFile: LedgerStore {
    private let file: StateFile

    /// - Parameter directory: absolute; made 0700 at the first save.
    package init(directory: String) { file = StateFile("\(directory)/ledger.json", what: "ledger") }

    package func load() throws(HostError) -> Ledger {
        guard let bytes = try file.read() else { return Ledger() }
        struct Header: Decodable { var version: Int }
        guard let header = try? JSONDecoder().decode(Header.self, from: Data(bytes)) else { throw damaged("no ledger") }
        guard header.version <= Ledger.currentVersion else {
            throw HostError(
                .malformed, "The ledger \(file.path) is of a newer version of tuff (\(header.version))",
                cause: "use that version; nothing was changed", subject: file.path)
        }
        do {
            return try JSONDecoder().decode(Ledger.self, from: Data(bytes))
        } catch {
            throw damaged("not what tuff writes")
        }
    }

    package func save(_ ledger: Ledger) throws(HostError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(ledger) else { throw HostError(.failed, "The ledger does not encode") }
        try file.write(Array(data) + [0x0a])
    }

    private func damaged(_ what: String) -> HostError {
        HostError(
            .malformed, "The ledger \(file.path) is damaged: \(what); nothing was changed",
            cause:
                "it remembers what must not be made again once lost. Look at what it says; then move it away, and it "
                + "is made anew from the marks of what is there", subject: file.path)
    }
}
