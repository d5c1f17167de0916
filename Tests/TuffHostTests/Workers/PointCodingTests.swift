import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Restore points as bytes between a worker and its controller.
@Suite struct PointCodingTests {
    private static func point(_ random: inout SeededGenerator) -> ObservedPoint {
        func maybe<Value>(_ value: Value) -> Value? { Bool.random(using: &random) ? value : nil }
        func text() -> String {
            ["", "db", "ü\u{1F4BE}", String(repeating: "x", count: 300)].randomElement(using: &random)!
        }
        func bytes() -> ByteCount { ByteCount(.random(in: 0...Int64.max, using: &random)) }
        var point = ObservedPoint(
            id: text(), volume: text(), stack: maybe(text()), node: maybe(text()), uid: maybe(Sample.uid),
            time: Instant(secondsSince1970: .random(in: -1...(1 << 40), using: &random)), size: bytes(),
            content: bytes(),
            policy: maybe(text()), backup: maybe(text()), isSetAside: .random(using: &random))
        point.added = maybe(bytes())
        point.read = maybe(bytes())
        point.root = maybe(text())
        point.isHurt = maybe(.random(using: &random))
        point.cinder = maybe(CinderNames(volume: text(), volumeName: maybe(text()), name: maybe(text())))
        point.fullRead = maybe(FullRead(.deltaUnknown, text()))
        return point
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func whatIsWrittenIsRead(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for count in [0, 1, 40] {
            var found = ObservedRepository(
                id: "r", points: (0..<count).map { _ in Self.point(&random) }, damaged: count)
            found.receipts = nil
            let bytes = try #require(RepositoryListing.bytes(of: found))
            #expect(RepositoryListing.outcome(bytes) == found, "seed \(seed)")
        }
        #expect(try RepositoryListing.outcome(#require(RepositoryListing.bytes(of: nil))) == .some(nil))
    }

    /// A field that comes later and is not written would be lost without a word.
    @Test func everyFieldOfAPointIsWritten() throws {
        var point = ObservedPoint(
            id: "a", volume: "b", stack: "c", node: "d", uid: Sample.uid, time: Instant(secondsSince1970: 1),
            size: ByteCount(2), content: ByteCount(3), policy: "e", backup: "f", isSetAside: true)
        (point.added, point.read, point.root, point.isHurt) = (ByteCount(4), ByteCount(5), "g", true)
        point.cinder = CinderNames(volume: "h", volumeName: "i", name: "j")
        point.fullRead = FullRead(.deltaUnknown, "k")
        let json = try #require(String(data: JSONEncoder().encode(point), encoding: .utf8))
        #expect(Mirror(reflecting: point).children.allSatisfy { json.contains("\"\($0.label!)\"") }, "all are set here")
        var rest = PointCoding.encode([point])[...]
        #expect(PointCoding.decode(&rest) == [point] && rest.isEmpty)
    }

    @Test(arguments: [4, 5, 6] as [UInt64]) func bytesThatWereCutOrBentTrapNothing(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let found = ObservedRepository(id: "r", points: (0..<5).map { _ in Self.point(&random) })
        let bytes = try #require(RepositoryListing.bytes(of: found))
        for count in 1..<bytes.count { #expect(RepositoryListing.outcome(Array(bytes.prefix(count))) == nil) }
        for _ in 0..<2000 {
            var bent = bytes
            bent[.random(in: bent.indices, using: &random)] = .random(in: 0...255, using: &random)
            // Must end, without a trap and without asking for more room than the message has.
            _ = RepositoryListing.outcome(bent)
        }
    }
}
