import FoundationEssentials
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffSchedule

/// Cases that Tests/Judge/schedule.py answered with Python's croniter and zoneinfo. TUFF_SCHEDULE_CASES names another
/// file of it.
@Suite struct JudgedTests {
    private struct Cases: Decodable {
        var seed: Int
        /// TZif files in base64.
        var zones: [String: String]
        var cases: [Case]
    }

    private struct Case: Decodable {
        var expression: String
        var zone: String
        var now: Int64
        var next: Int64
        var previous: Int64

        init(from decoder: any Decoder) throws {
            var row = try decoder.unkeyedContainer()
            expression = try row.decode(String.self)
            zone = try row.decode(String.self)
            now = try row.decode(Int64.self)
            next = try row.decode(Int64.self)
            previous = try row.decode(Int64.self)
        }
    }

    @Test func croniterAndZoneinfoSayTheSame() throws {
        let path = environment("TUFF_SCHEDULE_CASES") ?? "\(testTarget(of: #filePath))/Golden/occurrences.json"
        let all = try JSONDecoder().decode(Cases.self, from: Data(contentsOf: URL(filePath: path)))
        let zones = try all.zones.mapValues { text in
            try ZoneRules(tzif: Array(try #require(Data(base64Encoded: text))))
        }
        #expect(!all.cases.isEmpty)
        for item in all.cases {
            let zone = try #require(zones[item.zone])
            let expression = try CronExpression(item.expression)
            let now = Instant(secondsSince1970: item.now)
            let next = Instant(secondsSince1970: item.next)
            let previous = Instant(secondsSince1970: item.previous)
            let place: Comment = "seed \(all.seed): \(item.expression) in \(item.zone) at \(now)"
            #expect(expression.next(after: now, in: zone) == next, place)
            #expect(expression.previous(before: now, in: zone) == previous, place)
        }
        print("\(all.cases.count) schedules judged by croniter and zoneinfo, seed \(all.seed)")
    }
}
