import Testing
import TuffModel

@testable import TuffSchedule

@Suite struct CronTests {
    private func problem(_ text: String) -> CronExpression.Problem? {
        do throws(CronExpression.Problem) {
            _ = try CronExpression(text)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("0 * * *", 1, "it has 4 fields, and there are five, separated by blanks: minute hour day month weekday"),
        ("", 1, "it has no fields, and there are five, separated by blanks: minute hour day month weekday"),
        ("x", 1, "it has one field, and there are five, separated by blanks: minute hour day month weekday"),
        (
            "0 0 * * * *", 1,
            "it has 6 fields, and five are read, without seconds and years: minute hour day month weekday"
        ),
        (" 0 * * * *", 1, "it begins or ends with a blank; the fields are minute hour day month weekday"),
        (
            "@reboot", 1,
            "the only names are @annually, @daily, @hourly, @midnight, @monthly, @weekly, @yearly"
        ),
        ("0 0 ? * *", 5, "its day of the month '?' (character 5) is written '*' here"),
        ("0 0 * * ?", 9, "its day of the week '?' (character 9) is written '*' here"),
        (
            "0 0 * * 5L", 9,
            "its day of the week '5L' (character 9) is an extension of other schedulers ('last', 'nearest weekday') "
                + "that is not read here; a day from 0 to 7 is"
        ),
        (
            "0 0 L * *", 5,
            "its day of the month 'L' (character 5) is an extension of other schedulers ('last', 'nearest weekday') "
                + "that is not read here; a day from 1 to 31 is"
        ),
        (
            "0 0 * * mon#2", 9,
            "its day of the week 'mon#2' (character 9) is an extension of other schedulers ('the n-th weekday') "
                + "that is not read here"
        ),
        (
            "0 0 * * SAT-SUN", 9,
            "its day of the week 'SAT-SUN' (character 9) runs backwards, since Sunday is 0: it is 7 as well, '6-7'"
        ),
        ("60 * * * *", 1, "its minute '60' (character 1) is not within 0-59, *, a range, a list or a step"),
        ("0 24 * * *", 3, "its hour '24' (character 3) is not within 0-23, *, a range, a list or a step"),
        ("0 1,x,2 * * *", 5, "its hour 'x' (character 5) is not within 0-23, *, a range, a list or a step"),
        ("0  0 0 * *", 6, "its day of the month '0' (character 6) is not within 1-31, *, a range, a list or a step"),
        (
            "0 0 1 may-octo *", 7,
            "its month 'may-octo' (character 7) is not within 1-12 or jan-dec, *, a range, a list or a step"
        ),
        (
            "0 0 * * 8", 9,
            "its day of the week '8' (character 9) is not within 0-7 or sun-sat, *, a range, a list or a step"
        ),
        ("*/0 * * * *", 1, "its minute '*/0' (character 1) has a step that is no whole number from 1 to 99"),
        ("1,*/100 * * * *", 3, "its minute '*/100' (character 3) has a step that is no whole number from 1 to 99"),
        ("0 0 1, * *", 7, "its day of the month '' (character 7) is not within 1-31, *, a range, a list or a step"),
        ("0 0 30 2 *", 5, "it never comes: there is no day 30 in feb"),
        ("0 0 31 2,4-4,6,9,11 *", 5, "it never comes: there is no day 31 in any of its months"),
        ("0 0 31 feb */2", 5, "it never comes: there is no day 31 in feb"),
        (
            "0 \u{1b}[2J * * *", 3,
            "its hour '\\u{1b}[2J' (character 3) is not within 0-23, *, a range, a list or a step"
        ),
    ])
    func aWrongExpressionIsRefusedWithPlaceAndReason(_ text: String, column: Int, sentence: String) throws {
        let found = try #require(problem(text))
        #expect(found.description == sentence)
        #expect(found.column == column)
    }

    @Test func aBackwardRangeIsRefusedWithTheWayToWriteIt() {
        #expect(problem("0 22-3 * * *")?.description.hasSuffix("is two, '22-23,0-3'") == true)
        #expect(problem("0 0 * * fri-tue")?.description.hasSuffix("is two, '5-6,0-2'") == true)
        #expect(problem("0 23-0 * * *")?.description.hasSuffix("is two, '23,0'") == true)
    }

    @Test(arguments: [
        "0 0 29 2 *", "0 0 30 2 mon", "59 23 31 12 7", "*/99 * * * *", "0 0 * * Mon-FRI", "5/10 4-8/2,*/5 1,15 JAN *",
        "00 09 01 01 0",
    ])
    func aRightExpressionIsTaken(_ text: String) { #expect(problem(text) == nil) }

    /// crontab(5): each name comes when the fields come that stand beside it there.
    @Test(arguments: [
        ("@yearly", "0 0 1 1 *"), ("@annually", "0 0 1 1 *"), ("@monthly", "0 0 1 * *"), ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"), ("@hourly", "0 * * * *"),
    ])
    func aNameStandsForItsFields(_ name: String, _ fields: String) throws {
        let now = try instant("2026-11-22T09:30:00Z")
        let named = try CronExpression(name), written = try CronExpression(fields)
        #expect(named.next(after: now, in: .utc) == written.next(after: now, in: .utc))
        #expect(named.previous(before: now, in: .utc) == written.previous(before: now, in: .utc))
        #expect(named.runsEveryHour == written.runsEveryHour)
        #expect(named.description == name)
    }

    /// In UTC, from Sunday 2026-11-22T09:30:00Z.
    @Test(arguments: [
        ("30 9 * * *", "2026-11-23T09:30:00Z", "2026-11-21T09:30:00Z"),
        ("* * * * *", "2026-11-22T09:31:00Z", "2026-11-22T09:29:00Z"),
        ("*/7 * * * *", "2026-11-22T09:35:00Z", "2026-11-22T09:28:00Z"),
        ("5/20 * * * *", "2026-11-22T09:45:00Z", "2026-11-22T09:25:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        // Both day fields: either counts.
        ("0 0 13 * fri", "2026-11-27T00:00:00Z", "2026-11-20T00:00:00Z"),
        // One begins with a star: both count.
        ("0 0 */2 * mon", "2026-11-23T00:00:00Z", "2026-11-09T00:00:00Z"),
        ("0 0 13 * */5", "2026-12-13T00:00:00Z", "2026-11-13T00:00:00Z"),
        ("0 0 29 2 */7", "2032-02-29T00:00:00Z", "2004-02-29T00:00:00Z"),
        ("0 12 * * 7", "2026-11-22T12:00:00Z", "2026-11-15T12:00:00Z"),
        ("0 12 * * 5-7", "2026-11-22T12:00:00Z", "2026-11-21T12:00:00Z"),
        ("0 12 * * 2/2", "2026-11-24T12:00:00Z", "2026-11-21T12:00:00Z"),
        ("59 23 31 12 *", "2026-12-31T23:59:00Z", "2025-12-31T23:59:00Z"),
    ])
    func itComesWhenItsFieldsSay(_ text: String, next: String, previous: String) throws {
        let expression = try CronExpression(text)
        let now = try instant("2026-11-22T09:30:00Z")
        #expect(expression.next(after: now, in: .utc)?.description == next)
        #expect(expression.previous(before: now, in: .utc)?.description == previous)
    }

    /// February 29 on a Sunday: at most 40 years apart, across 2100, which is no leap year.
    @Test func theRarestDateIsFoundAcrossACentury() throws {
        let expression = try CronExpression("0 0 29 2 */7")
        let found = expression.next(after: try instant("2088-02-29T00:00:00Z"), in: try Zones.named("Europe/Zurich"))
        #expect(found?.description == "2128-02-28T23:00:00Z")
    }

    @Test func theEndsOfTimeAreNil() throws {
        let expression = try CronExpression("0 0 1 1 *")
        let zones = [ZoneRules.utc, try Zones.named("America/New_York")]
        for zone in zones {
            #expect(expression.next(after: Instant(secondsSince1970: .max), in: zone) == nil)
            #expect(expression.previous(before: Instant(secondsSince1970: .min), in: zone) == nil)
            #expect(expression.previous(before: Instant(secondsSince1970: .max), in: zone) != nil)
            #expect(expression.next(after: Instant(secondsSince1970: .min), in: zone) != nil)
        }
    }
}
