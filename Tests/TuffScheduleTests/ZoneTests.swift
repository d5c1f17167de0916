import FoundationEssentials
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffSchedule

@Suite struct ZoneTests {
    /// A TZif file of version 2 with one block of 64 bits.
    private func file(
        times: [Int64] = [], indices: [UInt8] = [], offsets: [Int32] = [0], leapSeconds: Int = 0,
        footer: String = "\n\n"
    ) -> [UInt8] {
        func big(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.bigEndian, Array.init) }
        func header(_ counts: [UInt32]) -> [UInt8] {
            Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15) + counts.flatMap { big($0) }
        }
        let counts = [0, 0, leapSeconds, times.count, offsets.count, 1].map { UInt32($0) }
        return header([0, 0, 0, 0, 1, 1]) + [0, 0, 0, 0, 0, 0, 0] + header(counts) + times.flatMap { big($0) } + indices
            + offsets.flatMap { big($0) + [0, 0] } + [0] + [UInt8](repeating: 0, count: leapSeconds * 12)
            + Array(footer.utf8)
    }

    private func problem(_ bytes: [UInt8]) -> String? {
        do throws(ZoneError) {
            _ = try ZoneRules(tzif: bytes)
            return nil
        } catch {
            return error.description
        }
    }

    @Test(arguments: [
        ("UTC0", "2026-07-01T00:00:00Z", 0),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T00:59:59Z", 3600),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T01:00:00Z", 7200),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T00:59:59Z", 7200),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T01:00:00Z", 3600),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-01-01T00:00:00Z", 39600),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-07-01T00:00:00Z", 37800),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -3600),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -7200),
        // Summer time all year, at both ends of it (RFC 9636 section 3.3.1).
        ("EST5EDT,0/0,J365/25", "2026-01-01T05:00:00Z", -14400),
        ("EST5EDT,0/0,J365/25", "2025-12-31T23:59:59Z", -14400),
        ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-12-01T00:00:00Z", 0),
        // J60 is March 1, 59 is February 29 in leap years.
        ("AAA0BBB,J60/0,J300", "2028-03-01T00:00:00Z", 3600),
        ("AAA0BBB,J60/0,J300", "2028-02-29T23:59:59Z", 0),
        ("AAA0BBB,59/0,J300", "2028-02-29T00:00:00Z", 3600),
    ])
    func rulesHoldFromTheirSecondOn(_ rule: String, time: String, offset: Int) throws {
        let zone = try #require(ZoneRules(posix: rule))
        #expect(zone.offset(at: try instant(time)) == offset)
        let same = try ZoneRules(tzif: file(offsets: [Int32(zone.firstOffset)], footer: "\n\(rule)\n"))
        #expect(same.offset(at: try instant(time)) == offset)
    }

    @Test(arguments: [
        "", "CET", "CE-1", "CET-1CEST", "CET-25", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0/168", "CET-1CEST,J0,J300", "CET-1CEST,366,J300",
        "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,M10.5.0,", "<CET-1", "CET-1:60", "CET--1", "CET-99999999999999999999",
        ":Europe/Zurich", "CET-1CEST,M3.5.0,M10.5.0/\u{0}",
    ])
    func whatIsNoRuleIsRefused(_ rule: String) { #expect(ZoneRules(posix: rule) == nil) }

    @Test func aDamagedFileIsRefusedWithItsReason() throws {
        #expect(problem([]) == "ends too early for a time zone")
        #expect(problem([UInt8](repeating: 0x41, count: 100)) == "is no time zone: TZif is missing")
        #expect(problem(file(offsets: [])) == "has no local time at all")
        #expect(problem(file(times: [5], indices: [1])) == "names a local time it does not have")
        #expect(problem(file(times: [5, 5], indices: [0, 0])) == "has changes that do not ascend")
        #expect(problem(file(offsets: [.min])) == "has an offset of days")
        #expect(problem(file(leapSeconds: 1))?.hasPrefix("counts leap seconds") == true)
        #expect(problem(file(footer: "\nnonsense\n")) == "ends in a rule that is none")
        #expect(problem(file(footer: "\nUTC0")) == "ends too early for a time zone")
        #expect(problem([UInt8](repeating: 0, count: 1 << 20)) == "is too large for a time zone")
        #expect(problem(file(times: [.min, .max], indices: [0, 0])) == nil)
    }

    @Test func countsThatLieReserveNothing() throws {
        var bytes = try Zones.bytes("Europe/Zurich")
        for index in 20..<44 { bytes[index] = 0xff }
        #expect(problem(bytes) == "ends too early for a time zone")
    }

    /// Whatever the bytes: an answer or a refusal, and searches in what was taken end.
    @Test func damagedBytesNeverCrashOrHang() throws {
        let seed = environment("TUFF_SEED").flatMap { UInt64($0) } ?? 20_261_124
        var generator = SeededGenerator(seed: seed)
        let originals = try ["Europe/Zurich", "Australia/Lord_Howe", "America/Nuuk", "Asia/Kolkata"].map(Zones.bytes)
        let expressions = try ["30 2 * * *", "0 0 29 2 */7", "* * * * *"].map { try CronExpression($0) }
        var taken = 0
        for round in 0..<2000 {
            var bytes = originals[round % originals.count]
            for _ in 0...Int.random(in: 0..<8, using: &generator) {
                // Half of all damage in the footer and just before it, where most means something.
                let low = Bool.random(using: &generator) ? max(0, bytes.count - 200) : 0
                bytes[Int.random(in: low..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            if Int.random(in: 0..<10, using: &generator) == 0 {
                bytes.removeLast(.random(in: 1..<bytes.count, using: &generator))
            }
            guard let zone = try? ZoneRules(tzif: bytes) else { continue }
            taken += 1
            for expression in expressions {
                let now = Instant(secondsSince1970: .random(in: -9_000_000_000...9_000_000_000, using: &generator))
                let place: Comment = "seed \(seed) round \(round): \(expression) at \(now)"
                #expect(expression.next(after: now, in: zone).map { $0 > now } ?? false, place)
                #expect(expression.previous(before: now, in: zone).map { $0 < now } ?? false, place)
            }
        }
        #expect(taken > 100)
    }

    /// Every zone of the system: what comes next is later, shows the minute asked for or is the end of a gap, and is
    /// what comes before the moment after it.
    @Test func nextAndPreviousAgreeInEveryZone() throws {
        let seed = environment("TUFF_SEED").flatMap { UInt64($0) } ?? 20_261_125
        var generator = SeededGenerator(seed: seed)
        let table = try String(contentsOf: URL(filePath: "/usr/share/zoneinfo/tzdata.zi"), encoding: .utf8)
        let names = table.split(separator: "\n").compactMap { line -> String? in
            let words = line.split(separator: " ")
            return words.first == "Z" && words.count > 1 ? String(words[1]) : nil
        }
        #expect(names.count > 300)
        for name in names {
            let zone = try Zones.named(name)
            for _ in 0..<10 {
                let minute = Int.random(in: 0..<1440, using: &generator)
                let day = Bool.random(using: &generator) ? "*" : "\(Int.random(in: 1...28, using: &generator))"
                let expression = try CronExpression("\(minute % 60) \(minute / 60) \(day) * *")
                let now = Instant(secondsSince1970: .random(in: -2_000_000_000...4_000_000_000, using: &generator))
                let place: Comment = "seed \(seed): \(expression) in \(name) at \(now)"
                let next = try #require(expression.next(after: now, in: zone), place)
                #expect(next > now, place)
                let after = Instant(secondsSince1970: next.secondsSince1970 + 1)
                #expect(expression.previous(before: after, in: zone) == next, place)
                let following = try #require(expression.next(after: next, in: zone), place)
                #expect(expression.previous(before: following, in: zone) == next, place)
                let local = zone.local(next)
                let before = Int64(zone.offset(at: Instant(secondsSince1970: next.secondsSince1970 - 1)))
                let shown = (next.secondsSince1970 + before)..<(local + 1)
                let lastMidnight = local - (local % 86400 + 86400) % 86400
                let wanted = [lastMidnight - 86400, lastMidnight].map { $0 + Int64(minute * 60) }
                #expect(wanted.contains { shown.contains($0) || $0 == local }, place)
            }
        }
    }
}
