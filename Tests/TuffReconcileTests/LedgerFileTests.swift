import FoundationEssentials
import Testing
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// The ledger that one process writes is the one that the next reads.
@Suite struct LedgerFileTests {
    /// Every field has a value, those that may be nil too.
    private var whole: Ledger {
        let now = Sample.context().now
        var entry = Ledger.Entry(
            stack: "default", resource: ResourceID(.volume, "db"), standing: .leaving, uid: Sample.uid, uuid: "uuid-db",
            place: "vg0/v-db", seen: now, size: Sample.gibi(10), sharedSince: now)
        entry.activationFault = "No data available"
        (entry.iqn, entry.serial) = ("iqn.2020-01.org.example:db", "serial")
        (entry.formerly, entry.beside) = (["pg"], [Sample.uid(2)])
        entry.share = NFSShare(server: "nas", export: "/pool")
        var ledger = Ledger()
        ledger.record(entry)
        ledger.removals = [Ledger.Removal(stack: "default", resource: ResourceID(.volume, "web"), at: now)]
        ledger.waits = [
            Ledger.Wait(stack: "prod", resource: ResourceID(.volume, "db"), uid: Sample.uid, seen: now)
        ]
        (ledger.lastPass, ledger.clockConfirmed) = (now, now)
        ledger.clock = ClockReading(boot: "boot", uptime: 7, civil: now)
        ledger.clockLead = 3
        let point = ObservedPoint(
            id: "p1", volume: "db", stack: "default", node: "host", uid: Sample.uid, time: now, size: ByteCount(1),
            content: ByteCount(1))
        ledger.repositories = [
            RepositoryMemory(
                of: ObservedRepository(id: "r1", points: [point]), named: "nas",
                at: .directory("/srv/tuff/backups/nas"), since: nil, node: "host", stack: "default", now: now)
        ]
        ledger.backups = [BackupMemory(point, for: "before", stack: "default", in: "nas", id: "r1")]
        ledger.note(
            Ledger.Arrear(
                .init(.failing, of: ResourceID(.backupPolicy, "nightly"), in: "default"), since: now, error: "full"))
        return ledger
    }

    private func unset(_ value: Any) -> [String] {
        Mirror(reflecting: value).children.compactMap { child in
            let mirror = Mirror(reflecting: child.value)
            return mirror.displayStyle == .optional && mirror.children.isEmpty ? child.label : nil
        }
    }

    @Test func everyFieldIsReadAsItWasWritten() throws {
        let ledger = whole
        #expect(unset(ledger) == [] && unset(ledger.entries[0]) == [], "a field that this test leaves out")
        let read = try JSONDecoder().decode(Ledger.self, from: JSONEncoder().encode(ledger))
        #expect(read == ledger)
        #expect(read.waits?.count == 1)
    }

    @Test func theFileKeepsWhatAnotherStackWaitsFor() throws {
        let directory = "/tmp/tuff-ledger-\(UInt64.random(in: 0...UInt64.max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try LedgerFile(directory: directory).save(whole)
        #expect(try LedgerFile(directory: directory).load() == whole)
    }
}
