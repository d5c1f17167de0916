import FoundationEssentials
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffSchedule

@Suite struct RetentionTests {
    private static let end = Instant(secondsSince1970: 4_000_000_000)

    /// Points by their times, with the times as ids.
    private func points(_ times: [String]) throws -> [RetentionPoint] {
        try times.map { RetentionPoint(id: $0, time: try instant($0)) }
    }

    private func kept(_ retention: Retention) -> [String] {
        retention.judgements.filter(\.isKept).map { judgement in
            "\(judgement.point.id): \(judgement.reasons.map(\.description).joined(separator: ", "))"
        }
    }

    private func rule(_ edit: (inout KeepRule) -> Void) -> KeepRule {
        var rule = KeepRule()
        edit(&rule)
        return rule
    }

    @Test func eachKeptPointSaysWhichBucketKeepsIt() throws {
        let points = try points([
            "2026-11-20T02:30:00Z", "2026-11-22T02:30:00Z", "2026-11-22T14:30:00Z", "2026-11-21T02:30:00Z",
        ])
        let rule = rule { ($0.last, $0.daily) = (1, 2) }
        #expect(
            kept(Retention(of: points, by: rule, in: .utc, now: Self.end)) == [
                "2026-11-22T14:30:00Z: last 1, daily 1", "2026-11-21T02:30:00Z: daily 2",
            ])
    }

    @Test func aBucketThatIsNotFullKeepsTheOldestPoint() throws {
        let points = try points(["2026-11-20T02:30:00Z", "2026-11-22T02:30:00Z", "2026-11-20T03:30:00Z"])
        let rule = rule { $0.daily = 3 }
        #expect(
            kept(Retention(of: points, by: rule, in: .utc, now: Self.end)) == [
                "2026-11-22T02:30:00Z: daily 1", "2026-11-20T03:30:00Z: daily 2",
                "2026-11-20T02:30:00Z: oldest, daily 3",
            ])
    }

    @Test func daysAreThoseOfTheZone() throws {
        // In Zurich all three are November 22.
        let points = try points(["2026-11-21T23:30:00Z", "2026-11-22T12:00:00Z", "2026-11-22T22:30:00Z"])
        let rule = rule { $0.daily = 1 }
        let zurich = try Zones.named("Europe/Zurich")
        #expect(
            kept(Retention(of: points, by: rule, in: zurich, now: Self.end)) == ["2026-11-22T22:30:00Z: daily 1"])
        let two = self.rule { $0.daily = 2 }
        #expect(
            kept(Retention(of: points, by: two, in: .utc, now: Self.end)).count == 2)
    }

    @Test func weeksBeginOnMondayAcrossTheNewYear() throws {
        // Thursday 2026-12-31 and Sunday 2027-01-03 are of one week, Monday 2027-01-04 of the next.
        let points = try points([
            "2026-12-31T12:00:00Z", "2027-01-03T12:00:00Z", "2027-01-04T12:00:00Z", "2026-12-20T12:00:00Z",
        ])
        let rule = rule { $0.weekly = 2 }
        #expect(
            kept(Retention(of: points, by: rule, in: .utc, now: Self.end)) == [
                "2027-01-04T12:00:00Z: weekly 1", "2027-01-03T12:00:00Z: weekly 2",
            ])
    }

    @Test func aRepeatedHourIsTwoHours() throws {
        let points = try points(["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"])
        let rule = rule { $0.hourly = 3 }
        let zurich = try Zones.named("Europe/Zurich")
        let reasons = Retention(of: points, by: rule, in: zurich, now: Self.end).judgements.map(\.reasons)
        #expect(reasons == (1...3).map { [.bucket(.hourly, place: $0)] })
    }

    @Test(arguments: [nil, KeepRule()])
    func withoutACountEverythingStays(_ rule: KeepRule?) throws {
        let points = try points(["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"])
        let all = Retention(of: points, by: rule, in: .utc, now: Self.end)
        #expect(all.judgements.map(\.reasons) == [[.everything], [.everything]])
        let zero = self.rule { ($0.last, $0.daily) = (0, -3) }
        #expect(kept(Retention(of: points, by: zero, in: .utc, now: Self.end)).count == 2)
    }

    @Test func nothingIsForgottenByAClockThatIsBehindTheNewestPoint() throws {
        let points = try points(["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"])
        let rule = rule { $0.last = 1 }
        let early = Retention(of: points, by: rule, in: .utc, now: try instant("2026-10-25T01:29:59Z"))
        #expect(early.fromTheFuture?.id == "2026-10-25T01:30:00Z")
        #expect(kept(early).count == 2)
        let onTime = Retention(of: points, by: rule, in: .utc, now: try instant("2026-10-25T01:30:00Z"))
        #expect(onTime.fromTheFuture == nil)
        #expect(kept(onTime).count == 1)
    }

    @Test func whatIsNotUsableFillsNoPlaceAndGoesOnceThereIsBetter() throws {
        var points = try points(["2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"])
        points[2].isUsable = false
        let rule = rule { $0.last = 1 }
        #expect(
            kept(Retention(of: points, by: rule, in: .utc, now: Self.end)) == [
                "2026-10-03T00:00:00Z: nothing better", "2026-10-02T00:00:00Z: last 1",
            ])
        points[0].isUsable = false
        points[2].isUsable = true
        #expect(
            kept(Retention(of: points, by: rule, in: .utc, now: Self.end)) == ["2026-10-03T00:00:00Z: last 1"])
    }

    /// Counting again in another way: sets of hours, days … from the newest point on.
    @Test func itKeepsWhatEachBucketAsksForAndNoMore() throws {
        let seed = environment("TUFF_SEED").flatMap { UInt64($0) } ?? 20_261_122
        var generator = SeededGenerator(seed: seed)
        let zones = try ["UTC", "Europe/Zurich", "Pacific/Apia", "America/St_Johns"].map(Zones.named)
        for round in 0..<300 {
            let step = [600, 7200, 86400, 400_000, 5_000_000].randomElement(using: &generator) ?? 600
            var time: Int64 = 1_300_000_000 + .random(in: 0..<100_000_000, using: &generator)
            let points = (0..<Int.random(in: 1...120, using: &generator)).map { index in
                time += .random(in: 0...Int64(step), using: &generator)
                return RetentionPoint(id: "\(index)", time: Instant(secondsSince1970: time))
            }.shuffled(using: &generator)
            var rule = KeepRule()
            func count() -> Int? { Bool.random(using: &generator) ? .random(in: 1...15, using: &generator) : nil }
            (rule.last, rule.hourly, rule.daily) = (count(), count(), count())
            (rule.weekly, rule.monthly, rule.yearly) = (count(), count(), count() ?? 1)
            let zone = zones.randomElement(using: &generator) ?? .utc
            let judged = Retention(of: points, by: rule, in: zone, now: Self.end).judgements
            let place: Comment = "seed \(seed) round \(round)"
            #expect(judged.first?.isKept == true, place)
            #expect(Set(judged.map(\.point)) == Set(points), place)
            for bucket in Retention.Bucket.allCases {
                let keepers = judged.compactMap { judgement in
                    judgement.reasons.contains { $0.isOf(bucket) } ? judgement.point : nil
                }
                let wanted = rule.count(bucket)
                let texts = judged.map {
                    bucket == .last ? $0.point.id : Self.text($0.point.time, bucket: bucket, zone: zone)
                }
                let present = Set(texts).count
                #expect(keepers.count <= wanted, place)
                #expect(keepers.count >= min(wanted, present), place)
                #expect(wanted == 0 || wanted <= present || keepers.contains { $0 == judged.last?.point }, place)
                // The newest of as many different hours, days … as are asked for.
                var seen = Set<String>()
                let newest = zip(judged, texts).filter { seen.insert($0.1).inserted }.prefix(wanted).map(\.0.point)
                #expect(Set(newest).isSubset(of: Set(keepers)), place)
            }
        }
    }

    /// The start of the local time as text, which is the same for all of one hour, day, month or year.
    private static func text(_ time: Instant, bucket: Retention.Bucket, zone: ZoneRules) -> String {
        let local = zone.local(time)
        let text = Instant(secondsSince1970: local).description
        switch bucket {
        case .last: return text
        case .hourly: return "\(text.prefix(13)) \(zone.offset(at: time))"
        case .daily: return String(text.prefix(10))
        // 1969-12-29 was a Monday.
        case .weekly: return "\((local + 3 * 86400) / (7 * 86400))"
        case .monthly: return String(text.prefix(7))
        case .yearly: return String(text.prefix(4))
        }
    }
}

extension Retention.Reason {
    fileprivate func isOf(_ wanted: Retention.Bucket) -> Bool {
        switch self {
        case .bucket(let bucket, _), .oldest(let bucket, _): bucket == wanted
        case .everything, .nothingBetter: false
        }
    }
}

extension KeepRule {
    fileprivate func count(_ bucket: Retention.Bucket) -> Int {
        let count =
            switch bucket {
            case .last: last
            case .hourly: hourly
            case .daily: daily
            case .weekly: weekly
            case .monthly: monthly
            case .yearly: yearly
            }
        return count ?? 0
    }
}
