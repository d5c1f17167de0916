import FoundationEssentials
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffSchedule

/// Outside test data, which is no part of the repository: restic's own golden results of its keep rules.
@Suite struct ResticPolicyTests {
    private struct Cases: Decodable {
        struct Case: Decodable {
            var index: Int
            var keep: [String: Int]
            var kept: [String]
        }
        var times: [String]
        var cases: [Case]
    }

    @Test func resticKeepsTheSamePoints() throws {
        guard let root = environment("TUFF_CORPORA") else {
            print("TUFF_CORPORA absent: 1 suite not run (restic-policy)")
            return
        }
        let bytes = try Data(contentsOf: URL(filePath: "\(root)/restic-policy/cases.json"))
        let corpus = try JSONDecoder().decode(Cases.self, from: bytes)
        let points = try corpus.times.enumerated().map { index, text in
            // Tenths of a second come after the second itself; ids order points of one second.
            let second = try #require(Instant(text: text.prefix(19) + "Z"))
            return RetentionPoint(id: "\(text.count > 20 ? 1 : 0) \(1000 + index) \(text)", time: second)
        }
        let now = Instant(secondsSince1970: 4_000_000_000)
        for item in corpus.cases {
            var rule = KeepRule()
            var rest = item.keep
            rule.last = rest.removeValue(forKey: "last")
            rule.hourly = rest.removeValue(forKey: "hourly")
            rule.daily = rest.removeValue(forKey: "daily")
            rule.weekly = rest.removeValue(forKey: "weekly")
            rule.monthly = rest.removeValue(forKey: "monthly")
            rule.yearly = rest.removeValue(forKey: "yearly")
            #expect(rest.isEmpty, "case \(item.index) has rules that are not known here")
            let judged = Retention(of: points, by: rule, in: .utc, now: now).judgements
            let kept = judged.filter(\.isKept).compactMap { $0.point.id.split(separator: " ").last.map(String.init) }
            #expect(kept == item.kept, "case \(item.index): \(item.keep)")
        }
        print("restic-policy: \(corpus.cases.count) cases of \(corpus.times.count) points")
        #expect(corpus.cases.count >= 12)
    }
}
