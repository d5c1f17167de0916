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
    private let file: VersionedStateFile<Ledger>

    /// - Parameter directory: absolute; made 0700 at the first save.
    package init(directory: String) {
        file = VersionedStateFile(
            "\(directory)/ledger.json", version: Ledger.currentVersion,
            words: .init(
                what: "ledger",
                remedy: "it remembers what must not be made again once lost. Look at what it says; then move it away, "
                    + "and it is made anew from the marks of what is there"))
    }

    package func load() throws(HostError) -> Ledger { try file.load() ?? Ledger() }

    package func save(_ ledger: Ledger) throws(HostError) { try file.save(ledger) }
}
