package import TuffModel

/// The occurrences of an expression in a zone.
///
/// Clocks that jump (crontab(5) of Debian has the same in mind, and leaves out changes of three hours and more):
/// - An expression that leaves out hours of the day means times of day, and each of them comes exactly once. One that
///   clocks skip comes at the moment of the jump, several of them together; one that they show twice comes the first
///   time only.
/// - An expression of every hour (`*`) means equal distances: it comes whenever clocks show one of its minutes, in both
///   passes of a repeated hour, and nothing is made up for a skipped one.
///
/// Each search looks at days within the years 1 to 9999 and ends: an expression that never comes is no
/// `CronExpression`.
extension CronExpression {
    /// The first occurrence later than `instant`; nil only at the end of year 9999.
    package func next(after instant: Instant, in zone: ZoneRules) -> Instant? {
        guard instant.secondsSince1970 < ZoneRules.horizon.upperBound - 1 else { return nil }
        var from = max(instant.secondsSince1970 + 1, ZoneRules.horizon.lowerBound)
        while from < ZoneRules.horizon.upperBound {
            let stretch = Stretch(zone.span(at: from), in: zone, skipsAndRepeats: !runsEveryHour)
            let span = stretch.span
            if span.start >= from, let skipped = stretch.skipped, first(in: skipped) != nil {
                return Instant(secondsSince1970: span.start)
            }
            let offset = Int64(span.offset)
            if let local = first(in: clamp(stretch.local, from: from + offset)) {
                return Instant(secondsSince1970: local - offset)
            }
            from = span.end
        }
        return nil
    }

    /// The last occurrence earlier than `instant`; nil only at the beginning of year 1.
    package func previous(before instant: Instant, in zone: ZoneRules) -> Instant? {
        var end = min(instant.secondsSince1970, ZoneRules.horizon.upperBound)
        while end > ZoneRules.horizon.lowerBound {
            let stretch = Stretch(zone.span(at: end - 1), in: zone, skipsAndRepeats: !runsEveryHour)
            let span = stretch.span
            let offset = Int64(span.offset)
            let upper = min(stretch.local.upperBound, max(end + offset, stretch.local.lowerBound))
            if let local = last(in: stretch.local.lowerBound..<upper) {
                return Instant(secondsSince1970: local - offset)
            }
            if let skipped = stretch.skipped, first(in: skipped) != nil { return Instant(secondsSince1970: span.start) }
            end = span.start
        }
        return nil
    }

    private func clamp(_ range: Range<Int64>, from: Int64) -> Range<Int64> {
        min(max(range.lowerBound, from), range.upperBound)..<range.upperBound
    }

    /// The first full minute in a range of local seconds that this names.
    private func first(in range: Range<Int64>) -> Int64? {
        // Rounded up to a minute; local seconds may be negative.
        let start = range.lowerBound + ((-range.lowerBound) % 60 + 60) % 60
        guard start < range.upperBound else { return nil }
        var (day, second) = Self.split(start)
        let lastDay = Self.split(range.upperBound - 1).day
        var minute = second / 60
        while day <= lastDay {
            let date = CivilDate(number: day)
            guard matches(month: date.month) else {
                day =
                    CivilDate(year: date.year, month: date.month, day: 1).number
                    + CivilDate.days(of: date.month, in: date.year)
                minute = 0
                continue
            }
            if matches(date, number: day), let found = firstMinute(from: minute) {
                let local = Int64(day * 86400 + found * 60)
                return local < range.upperBound ? local : nil
            }
            day += 1
            minute = 0
        }
        return nil
    }

    /// The last full minute in a range of local seconds that this names.
    private func last(in range: Range<Int64>) -> Int64? {
        guard !range.isEmpty else { return nil }
        var (day, second) = Self.split(range.upperBound - 1)
        let firstDay = Self.split(range.lowerBound).day
        var minute = second / 60
        while day >= firstDay {
            let date = CivilDate(number: day)
            guard matches(month: date.month) else {
                day = CivilDate(year: date.year, month: date.month, day: 1).number - 1
                minute = 1439
                continue
            }
            if matches(date, number: day), let found = lastMinute(through: minute) {
                let local = Int64(day * 86400 + found * 60)
                return local >= range.lowerBound ? local : nil
            }
            day -= 1
            minute = 1439
        }
        return nil
    }

    /// The number of the day, and the second in it.
    private static func split(_ local: Int64) -> (day: Int, second: Int) {
        let second = Int((local % 86400 + 86400) % 86400)
        return ((Int(local) - second) / 86400, second)
    }
}

/// A stretch of one offset, and the times of day that its beginning skips or repeats.
private struct Stretch {
    let span: ZoneRules.Span
    /// Local times of the stretch: those that clocks show for the first time in it, or all of them.
    let local: Range<Int64>
    /// Local times that clocks skip where it begins.
    let skipped: Range<Int64>?

    init(_ span: ZoneRules.Span, in zone: ZoneRules, skipsAndRepeats: Bool) {
        self.span = span
        let offset = Int64(span.offset)
        let end = span.end + offset
        var start = span.start + offset
        var skipped: Range<Int64>?
        if skipsAndRepeats, span.start > ZoneRules.horizon.lowerBound {
            let shown = span.start + Int64(zone.span(at: span.start - 1).offset)
            if shown < start { skipped = shown..<start } else { start = min(shown, end) }
        }
        local = start..<end
        self.skipped = skipped
    }
}
