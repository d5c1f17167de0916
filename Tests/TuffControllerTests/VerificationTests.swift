import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@testable import TuffController
@testable import TuffRepository

/// Reading back what a repository holds, as the worker does it, and the receipt of it.
@Suite struct VerificationTests {
    let folder: RepositoryFolder

    init() throws { folder = try RepositoryFolder() }

    private func verify(share: Int = 5) throws -> ObservedReceipt {
        let now = try #require(Instant(text: "2031-03-09T06:00:00Z"))
        let task = VerifyTask(
            of: "nas", RepositoryAccess(.directory(folder.directory)), by: "n", of: "default", for: "nightly",
            share: share)
        return try Verification(task, in: try folder.repository(), JobProgress(), now: { now }).run()
    }

    @Test func whatIsWholeIsProvenAndTheReceiptSaysSo() throws {
        try folder.point(at: "2031-03-01T02:30:00Z")
        let receipt = try verify()
        // Of few packs five in a hundred may be none: then more is read.
        #expect(receipt.fault == nil && (receipt.share ?? 0) >= 5 && receipt.policy == "nightly")
        let left = try folder.repository().receipts()
        #expect(left.map(\.work) == [.verify] && left.map(\.node) == ["n"] && left[0].share == receipt.share)
        #expect(try folder.files("leases") == [])
    }

    @Test func whatIsDamagedIsSaidInTheReceipt() throws {
        try folder.point(at: "2031-03-01T02:30:00Z")
        let packs = try folder.repository().packFiles()
        let path = "\(folder.path)/r/\(Pack.path(try #require(packs.first).id))"
        var bytes = try #require(FileManager.default.contents(atPath: path))
        bytes[40] ^= 1
        try bytes.write(to: URL(filePath: path))
        let receipt = try verify(share: 100)
        #expect(receipt.fault?.contains("see 'tuff backup check'") == true, "\(receipt)")
        #expect(try folder.repository().receipts().map { $0.fault == nil } == [false])
        // Nothing else is changed by it.
        #expect(try folder.files("hurt") == [])
    }

    @Test func pointsOfTheFutureAreSetAsideByName() throws {
        let repository = try folder.repository()
        func point(_ time: String, node: String) throws -> RestorePoint {
            let series = Series(name: "db", stack: "default", node: node, uid: "aaaabbbbccccdddd")
            return try Backup(
                of: try DeviceSource(folder.disk), to: repository,
                Backup.Request(series: series, time: time, program: "test"), lease: nil, progress: JobProgress()
            ).run(threads: SystemThreads(count: 1), finished: { time })
        }
        let past = try point("2031-03-01T02:30:00Z", node: "n"), ahead = try point("2038-01-01T00:00:00Z", node: "n")
        let theirs = try point("2038-01-01T00:00:00Z", node: "m")
        let now = try #require(Instant(text: "2031-03-02T00:00:00Z"))
        let aside = try repository.setFutureAside(
            of: "n", stack: "default", patience: TimeSpan(seconds: 0), now: now)
        #expect(aside.map(\.id) == [ahead.id.description] && aside.allSatisfy(\.isSetAside))
        let known = try folder.known()
        #expect(Set(known.aside.keys) == [ahead.id], "\(past.id) \(theirs.id)")
        let again = try repository.setFutureAside(
            of: "n", stack: "default", patience: TimeSpan(seconds: 0), now: now)
        #expect(again == [])
        #expect(try folder.files("leases") == [])
    }
}
