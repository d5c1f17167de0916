import Testing
import TuffModel

@testable import TuffSchedule

/// Effects of daylight saving on times of day. Each case lists all occurrences between two instants.
@Suite struct ClockChangeTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var zone: String
        var cron: String
        var from: String
        var to: String
        var times: [String]
        var testDescription: String { name }
    }

    static let cases = [
        // Zurich, 2026-03-29: 02:00 becomes 03:00 at 01:00Z. 2026-10-25: 03:00 becomes 02:00 at 01:00Z.
        Case(
            name: "a time in the gap comes at the jump, once", zone: "Europe/Zurich", cron: "30 2 * * *",
            from: "2026-03-27T12:00:00Z", to: "2026-03-30T12:00:00Z",
            times: ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
        Case(
            name: "many times in the gap are one run, together with one at the jump", zone: "Europe/Zurich",
            cron: "*/15 2,3 * * *", from: "2026-03-29T00:00:00Z", to: "2026-03-29T12:00:00Z",
            times: ["2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z", "2026-03-29T01:30:00Z", "2026-03-29T01:45:00Z"]),
        Case(
            name: "a time that is shown twice comes the first time", zone: "Europe/Zurich", cron: "30 2 * * *",
            from: "2026-10-24T12:00:00Z", to: "2026-10-26T12:00:00Z",
            times: ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        Case(
            name: "the end of the repeated hour is not repeated", zone: "Europe/Zurich", cron: "0 3 * * *",
            from: "2026-10-25T00:00:00Z", to: "2026-10-25T12:00:00Z", times: ["2026-10-25T02:00:00Z"]),
        Case(
            name: "every hour is every hour across the gap", zone: "Europe/Zurich", cron: "0 * * * *",
            from: "2026-03-28T23:30:00Z", to: "2026-03-29T02:30:00Z",
            times: ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"]),
        Case(
            name: "every hour is every hour in both passes", zone: "Europe/Zurich", cron: "30 0-23 * * *",
            from: "2026-10-25T00:00:00Z", to: "2026-10-25T02:59:00Z",
            times: ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]),
        Case(
            name: "New York skips 02:00 to 03:00", zone: "America/New_York", cron: "0 2 * * *",
            from: "2026-03-07T12:00:00Z", to: "2026-03-09T12:00:00Z",
            times: ["2026-03-08T07:00:00Z", "2026-03-09T06:00:00Z"]),
        Case(
            name: "New York repeats 01:00 to 02:00", zone: "America/New_York", cron: "0,30 1 * * *",
            from: "2026-11-01T00:00:00Z", to: "2026-11-02T00:00:00Z",
            times: ["2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z"]),
        Case(
            name: "a skipped Sunday is no Monday", zone: "America/New_York", cron: "30 2 * * mon",
            from: "2026-03-07T12:00:00Z", to: "2026-03-10T12:00:00Z", times: ["2026-03-09T06:30:00Z"]),
        // Lord Howe moves by 30 minutes: 2026-04-05 02:00 becomes 01:30 at 15:00Z, 2026-10-04 02:00 becomes 02:30 at
        // 15:30Z.
        Case(
            name: "Lord Howe repeats half an hour", zone: "Australia/Lord_Howe", cron: "15,45 1 * * *",
            from: "2026-04-04T12:00:00Z", to: "2026-04-05T12:00:00Z",
            times: ["2026-04-04T14:15:00Z", "2026-04-04T14:45:00Z"]),
        Case(
            name: "Lord Howe skips half an hour", zone: "Australia/Lord_Howe", cron: "15,45 2 * * *",
            from: "2026-10-03T12:00:00Z", to: "2026-10-04T12:00:00Z",
            times: ["2026-10-03T15:30:00Z", "2026-10-03T15:45:00Z"]),
        Case(
            name: "Lord Howe shows 01:45 twice to those of every hour", zone: "Australia/Lord_Howe", cron: "45 * * * *",
            from: "2026-04-04T14:00:00Z", to: "2026-04-04T17:00:00Z",
            times: ["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z", "2026-04-04T16:15:00Z"]),
        // Santiago springs forward at midnight: 2026-09-06 00:00 becomes 01:00 at 04:00Z.
        Case(
            name: "a southern midnight that does not exist", zone: "America/Santiago", cron: "0 0 * * *",
            from: "2026-09-05T12:00:00Z", to: "2026-09-07T12:00:00Z",
            times: ["2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"]),
        // Casablanca's Ramadan and Dublin's winter time have negative daylight saving.
        Case(
            name: "Dublin's negative winter time", zone: "Europe/Dublin", cron: "30 1 * * *",
            from: "2026-03-28T12:00:00Z", to: "2026-03-29T12:00:00Z", times: ["2026-03-29T01:00:00Z"]),
        // Samoa had no 2011-12-30: from -10 to +14.
        Case(
            name: "a day that was skipped whole", zone: "Pacific/Apia", cron: "30 6 * * *",
            from: "2011-12-29T12:00:00Z", to: "2011-12-31T12:00:00Z",
            times: ["2011-12-29T16:30:00Z", "2011-12-30T10:00:00Z", "2011-12-30T16:30:00Z"]),
        Case(
            name: "a zone without daylight saving", zone: "Asia/Kolkata", cron: "30 2 * * *",
            from: "2026-03-28T00:00:00Z", to: "2026-03-30T00:00:00Z",
            times: ["2026-03-28T21:00:00Z", "2026-03-29T21:00:00Z"]),
        Case(
            name: "UTC", zone: "UTC", cron: "30 2 * * *", from: "2026-03-28T00:00:00Z", to: "2026-03-30T00:00:00Z",
            times: ["2026-03-28T02:30:00Z", "2026-03-29T02:30:00Z"]),
        // After the last change of the file, by its footer.
        Case(
            name: "a year that only the rule knows", zone: "Europe/Zurich", cron: "30 2 * * *",
            from: "2099-03-28T12:00:00Z", to: "2099-03-30T12:00:00Z",
            times: ["2099-03-29T01:00:00Z", "2099-03-30T00:30:00Z"]),
    ]

    @Test(arguments: cases)
    func occurrencesAreTheseForwardsAndBackwards(_ testCase: Case) throws {
        let expression = try CronExpression(testCase.cron)
        let zone = try Zones.named(testCase.zone)
        let from = try instant(testCase.from)
        let end = try instant(testCase.to)
        var forwards: [String] = []
        var now = from
        while let next = expression.next(after: now, in: zone), next < end {
            forwards.append(next.description)
            now = next
        }
        var backwards: [String] = []
        now = end
        while let previous = expression.previous(before: now, in: zone), previous > from {
            backwards.append(previous.description)
            now = previous
        }
        #expect(forwards == testCase.times)
        #expect(backwards.reversed() == testCase.times)
    }
}
