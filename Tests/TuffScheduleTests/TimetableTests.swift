import Testing
import TuffModel
import TuffTestSupport

@testable import TuffSchedule

@Suite struct TimetableTests {
    private func verdict(_ last: String?, now: String, delay: Int64 = 0, since: String = "2026-11-01T00:00:00Z") throws
        -> Timetable.Verdict
    {
        let nightly = try CronExpression("30 2 * * *")
        let timetable = Timetable(nightly, in: .utc, delay: TimeSpan(seconds: delay))
        return timetable.verdict(
            last: try last.map { try instant($0) }, since: try instant(since), now: try instant(now))
    }

    @Test func itIsDueFromTheOccurrenceOn() throws {
        let next = try instant("2026-11-22T02:30:00Z")
        let last = "2026-11-21T02:30:00Z"
        #expect(try verdict(last, now: "2026-11-22T02:29:59Z") == .waiting(occurrence: next, start: next))
        #expect(try verdict(last, now: "2026-11-22T02:30:00Z") == .due(occurrence: next, missedOthers: false))
        #expect(try verdict(last, now: "2026-11-22T23:00:00Z") == .due(occurrence: next, missedOthers: false))
    }

    @Test func delayMovesTheStartAndNotTheOccurrence() throws {
        let next = try instant("2026-11-22T02:30:00Z")
        let start = try instant("2026-11-22T02:40:00Z")
        let last = "2026-11-21T02:30:00Z"
        #expect(
            try verdict(last, now: "2026-11-22T02:39:59Z", delay: 600) == .waiting(occurrence: next, start: start))
        #expect(
            try verdict(last, now: "2026-11-22T02:40:00Z", delay: 600) == .due(occurrence: next, missedOthers: false))
    }

    @Test func whatWasMissedForAYearIsMadeUpOnce() throws {
        let newest = try instant("2026-11-22T02:30:00Z")
        #expect(
            try verdict("2025-11-21T02:30:00Z", now: "2026-11-22T12:00:00Z", since: "2025-01-01T00:00:00Z")
                == .due(occurrence: newest, missedOthers: true))
        let next = try instant("2026-11-23T02:30:00Z")
        #expect(
            try verdict("2026-11-22T02:30:00Z", now: "2026-11-22T12:00:00Z") == .waiting(occurrence: next, start: next))
    }

    @Test func nothingBeforeThePolicyIsMadeUp() throws {
        let next = try instant("2026-11-22T02:30:00Z")
        #expect(
            try verdict(nil, now: "2026-11-21T12:00:00Z", since: "2026-11-21T02:30:01Z")
                == .waiting(occurrence: next, start: next))
        #expect(
            try verdict(nil, now: "2026-11-21T12:00:00Z", since: "2026-11-21T02:30:00Z")
                == .due(occurrence: try instant("2026-11-21T02:30:00Z"), missedOthers: false))
    }

    @Test func aClockThatWentBackIsSaidAndRunsNothing() throws {
        let last = try instant("2046-11-21T02:30:00Z")
        #expect(try verdict("2046-11-21T02:30:00Z", now: "2026-11-22T12:00:00Z") == .clockWentBack(last: last))
    }

    @Test func aLongerDelayThanBeforeIsNoClockThatWentBack() throws {
        let next = try instant("2026-11-23T02:30:00Z")
        #expect(
            try verdict("2026-11-22T02:30:00Z", now: "2026-11-22T02:35:00Z", delay: 3600)
                == .waiting(occurrence: next, start: next.advanced(by: TimeSpan(seconds: 3600))))
    }

    @Test func delaysAreWithinTheJitterTheSameForAKeyAndSpread() {
        let jitter = TimeSpan(seconds: 300)
        let delays = (0..<3000).map { Timetable.delay(upTo: jitter, key: ["hourly", "volume-\($0)"]).seconds }
        #expect(delays.allSatisfy { (0...300).contains($0) })
        #expect(delays == (0..<3000).map { Timetable.delay(upTo: jitter, key: ["hourly", "volume-\($0)"]).seconds })
        // Of 301 seconds each is hit ten times on average; evenly spread, none stays empty and none gets thirty.
        let counts = Dictionary(grouping: delays, by: { $0 }).mapValues(\.count)
        #expect(counts.count > 290)
        #expect(counts.values.allSatisfy { $0 < 30 })
        // Pinned: another version of Tuff must not shift everybody's runs.
        #expect(Array(delays.prefix(3)) == [230, 128, 271])
        #expect(Timetable.delay(upTo: TimeSpan(seconds: 0), key: ["a"]).seconds == 0)
        #expect(Timetable.delay(upTo: TimeSpan(seconds: .max), key: ["a"]).seconds >= 0)
        let longDelay = TimeSpan(seconds: 1 << 40)
        #expect(
            Timetable.delay(upTo: longDelay, key: ["ab", "c"]) != Timetable.delay(upTo: longDelay, key: ["a", "bc"]))
    }

    /// A clock that steps anywhere, a host that sleeps: no occurrence runs twice, none in a row of runs is older.
    @Test func noClockMakesItRunTwice() throws {
        let seed = environment("TUFF_SEED").flatMap { UInt64($0) } ?? 20_261_123
        var generator = SeededGenerator(seed: seed)
        let zone = try Zones.named("Europe/Zurich")
        for round in 0..<100 {
            let cron = ["0 * * * *", "30 2 * * *", "*/5 1-3 * * *", "0 0 29 2 *"][round % 4]
            let delay = TimeSpan(seconds: .random(in: 0...4000, using: &generator))
            let timetable = Timetable(try CronExpression(cron), in: zone, delay: delay)
            let since = Instant(secondsSince1970: 1_790_000_000)
            var now = since
            var last: Instant?
            for _ in 0..<60 {
                let place: Comment = "seed \(seed) round \(round): \(cron) at \(now) after \(String(describing: last))"
                switch timetable.verdict(last: last, since: since, now: now) {
                case .due(let occurrence, _):
                    #expect(last.map { $0 < occurrence } ?? (since <= occurrence), place)
                    #expect(occurrence.advanced(by: delay) <= now, place)
                    // The newest: the next one is still to come.
                    let next = try #require(timetable.expression.next(after: occurrence, in: zone))
                    #expect(next.advanced(by: delay) > now, place)
                    last = occurrence
                    let again = timetable.verdict(last: last, since: since, now: now)
                    guard case .waiting = again else { Issue.record("twice, \(place)"); continue }
                case .waiting(_, let start): #expect(try #require(start) > now, place)
                case .clockWentBack(let newest): #expect(newest == last && newest > now, place)
                }
                let leap: Int64 = [60, 3600, 86400, 400_000, 30_000_000].randomElement(using: &generator) ?? 60
                let isBack = Int.random(in: 0..<5, using: &generator) == 0
                now.secondsSince1970 += .random(in: 0...leap, using: &generator) * (isBack ? -1 : 1)
            }
        }
    }
}
