import TuffModel

/// A cron expression: the five fields of crontab(5), minute, hour, day of the month, month, day of the week.
///
/// Each is a list of `*`, `n`, `a-b`, all with an optional `/step`; months and weekdays also by their English three
/// letters. Days follow crontab(5): when neither day field begins with `*`, a day that matches *either* counts;
/// otherwise it must match both, so that `0 3 */2 * mon` means Mondays with an odd date. `@daily` and its kin stand for
/// five fields each. The time zone is not part of it: `next(after:in:)`.
package struct CronExpression: Hashable, Sendable, CustomStringConvertible {
    package let description: String
    private let minutes: UInt64
    private let hours: UInt64
    private let days: UInt64
    private let months: UInt64
    private let weekdays: UInt64
    private let eitherDay: Bool
    /// Whether it takes every hour: it then runs by the time that passes, not by what clocks show. See `Occurrences`.
    let runsEveryHour: Bool

    /// An error in an expression, for the person who wrote it.
    package struct Problem: Error, Hashable, CustomStringConvertible {
        /// Continues a sentence about the expression: "its minute '60' (character 1) is not within 0-59, …".
        package let description: String
        /// Place of the error, in characters from 1.
        package let column: Int
    }

    /// For JSON Schemas: all that `init` takes, and a little more (backward ranges, wrong names, dates that never
    /// come).
    package static let pattern =
        "^(" + CronField.allCases.map(\.listPattern).joined(separator: " +") + "|"
        + names.keys.sorted().joined(separator: "|") + ")$"

    /// The names of crontab(5), in small letters as there. `@reboot` is no time.
    private static let names = [
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
    ]

    package init(_ text: String) throws(Problem) {
        let written = Self.names[text] ?? text
        let fields = written.split(separator: " ")
        guard fields.count == CronField.allCases.count, !text.hasPrefix(" "), !text.hasSuffix(" ") else {
            throw Self.wrongShape(text)
        }
        var bits: [UInt64] = []
        for (field, part) in zip(CronField.allCases, fields) {
            switch field.parse(part) {
            case .success(let numbers): bits.append(numbers)
            case .failure(let problem):
                let column = text.distance(from: text.startIndex, to: problem.item.startIndex) + 1
                let item = PrintedText.quoted(problem.item)
                throw Problem(
                    description: "its \(field.name) \(item) (character \(column)) \(problem.sentence)", column: column)
            }
        }
        description = text
        minutes = bits[0]
        hours = bits[1]
        days = bits[2]
        months = bits[3]
        weekdays = bits[4]
        eitherDay = !fields[2].hasPrefix("*") && !fields[4].hasPrefix("*")
        runsEveryHour = hours == 1 << 24 - 1
        if let never = firstDayThatNeverComes {
            let month = CronField.months[months.trailingZeroBitCount - 1]
            let place = months.nonzeroBitCount == 1 ? "in \(month)" : "in any of its months"
            throw Problem(
                description: "it never comes: there is no day \(never) \(place)",
                column: text.distance(from: text.startIndex, to: fields[2].startIndex) + 1)
        }
    }

    private static func wrongShape(_ text: String) -> Problem {
        if text.hasPrefix("@") {
            let known = names.keys.sorted().joined(separator: ", ")
            return Problem(description: "the only names are \(known)", column: 1)
        }
        let fields = text.split(separator: " ")
        let complaint =
            switch fields.count {
            case 5: "it begins or ends with a blank; the fields are"
            case 6, 7: "it has \(fields.count) fields, and five are read, without seconds and years:"
            case 1: "it has one field, and there are five, separated by blanks:"
            case let count: "it has \(count == 0 ? "no" : "\(count)") fields, and there are five, separated by blanks:"
            }
        return Problem(description: "\(complaint) minute hour day month weekday", column: 1)
    }

    /// The smallest day of the month asked for, if no month of this expression is that long. Every other expression
    /// comes again and again: in the calendar's cycle of 400 years each date falls on each weekday.
    private var firstDayThatNeverComes: Int? {
        guard !eitherDay else { return nil }
        let first = days.trailingZeroBitCount
        // 2000 is a leap year.
        let longest = (1...12).filter { months & 1 << UInt64($0) != 0 }.map { CivilDate.days(of: $0, in: 2000) }.max()
        return first > longest ?? 0 ? first : nil
    }

    /// Whether it runs on this day, whose number is `number`, at all.
    func matches(_ date: CivilDate, number: Int) -> Bool {
        let isDay = days & 1 << UInt64(date.day) != 0
        let isWeekday = weekdays & 1 << UInt64(CivilDate.weekday(ofDay: number)) != 0
        return eitherDay ? isDay || isWeekday : isDay && isWeekday
    }

    /// Whether it runs in this month at all, 1 to 12.
    func matches(month: Int) -> Bool { months & 1 << UInt64(month) != 0 }

    /// The first minute of a day, from `minute` on, that it runs at; nil for none.
    func firstMinute(from minute: Int) -> Int? {
        let hour = minute / 60
        let thisHour = hours & 1 << UInt64(hour) != 0 ? minutes >> UInt64(minute % 60) : 0
        if thisHour != 0 { return minute + thisHour.trailingZeroBitCount }
        let later = hours >> UInt64(hour + 1)
        guard later != 0 else { return nil }
        return (hour + 1 + later.trailingZeroBitCount) * 60 + minutes.trailingZeroBitCount
    }

    /// The last minute of a day, up to `minute`, that it runs at; nil for none.
    func lastMinute(through minute: Int) -> Int? {
        let hour = minute / 60
        let thisHour = hours & 1 << UInt64(hour) != 0 ? minutes & (2 << UInt64(minute % 60) - 1) : 0
        if thisHour != 0 { return hour * 60 + 63 - thisHour.leadingZeroBitCount }
        let earlier = hours & (1 << UInt64(hour) - 1)
        guard earlier != 0 else { return nil }
        return (63 - earlier.leadingZeroBitCount) * 60 + 63 - minutes.leadingZeroBitCount
    }
}
