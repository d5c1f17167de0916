import Synchronization
package import TuffModel

/// Where the ledger is kept between passes. Only whoever holds the host's lock saves.
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
