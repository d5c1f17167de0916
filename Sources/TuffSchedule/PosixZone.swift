import TuffModel

/// A zone by rule, as POSIX has it for the variable TZ (IEEE Std 1003.1-2017, Base Definitions, 8.3) with the wider
/// hours of RFC 9636 section 3.3.1: `EST5EDT,M3.2.0,M11.1.0`, `<-02>2<-01>,M3.5.0/-1,M10.5.0/0`, `IST-5:30`.
///
/// Offsets are kept in seconds ahead of UTC, the opposite of how they are written.
struct PosixZone: Hashable, Sendable {
    /// A moment of each year, by the clock that is then in force.
    struct Moment: Hashable, Sendable {
        enum Day: Hashable, Sendable {
            /// `Mm.w.d`: weekday `d` for the `w`-th time in the month, 5 for the last.
            case weekday(month: Int, week: Int, day: Int)
            /// `Jn`: 1 to 365, February 29 is never counted.
            case julian(Int)
            /// `n`: 0 to 365, February 29 counts.
            case ordinal(Int)
        }

        var day: Day
        /// Seconds after midnight, from −167 h to +167 h.
        var time: Int
    }

    struct Daylight: Hashable, Sendable {
        var offset: Int
        var start: Moment
        var end: Moment
    }

    var standard: Int
    var daylight: Daylight?

    /// Parses a rule; nil: `text` is none. A second name without rules, which POSIX leaves to the system, is refused
    /// too.
    init?(_ bytes: [UInt8]) {
        var reader = Reader(bytes: bytes[...])
        guard reader.skipName(), let offset = reader.time(maximumHours: 24) else { return nil }
        standard = -offset
        guard !reader.bytes.isEmpty else { return }
        guard reader.skipName() else { return nil }
        var ahead = standard + 3600
        if reader.bytes.first != UInt8(ascii: ",") {
            guard let offset = reader.time(maximumHours: 24) else { return nil }
            ahead = -offset
        }
        guard reader.take(","), let start = reader.moment(), reader.take(","), let end = reader.moment(),
            reader.bytes.isEmpty
        else { return nil }
        daylight = Daylight(offset: ahead, start: start, end: end)
    }

    /// The stretch around `second`, which lies within the horizon.
    func span(at second: Int64) -> ZoneRules.Span {
        var span = ZoneRules.Span(start: .min, end: .max, offset: standard)
        guard let daylight else { return span }
        let year = CivilDate(number: Int((Double(second) / 86400).rounded(.down))).year
        // A time of day reaches up to a week into the years beside its own: two years each way have all that is near.
        for year in (year - 2)...(year + 2) {
            var pair = [
                ZoneRules.Change(at: instant(of: daylight.start, year, offset: standard), offset: daylight.offset),
                ZoneRules.Change(at: instant(of: daylight.end, year, offset: daylight.offset), offset: standard),
            ]
            if pair[1].at < pair[0].at { pair.swapAt(0, 1) }
            // Of two at one instant the later in this order counts: summer time that ends with the year and begins with
            // the next never ends (RFC 9636 section 3.3.1).
            for change in pair {
                if change.at <= second {
                    if change.at >= span.start {
                        span.start = change.at
                        span.offset = change.offset
                    }
                } else {
                    span.end = min(span.end, change.at)
                }
            }
        }
        return span
    }

    private func instant(of moment: Moment, _ year: Int, offset: Int) -> Int64 {
        let newYear = CivilDate(year: year, month: 1, day: 1).number
        let day: Int
        switch moment.day {
        case .ordinal(let number): day = newYear + number
        case .julian(let number): day = newYear + number - 1 + (number >= 60 && CivilDate.isLeap(year) ? 1 : 0)
        case .weekday(let month, let week, let weekday):
            let first = CivilDate(year: year, month: month, day: 1).number
            let ahead = (weekday - CivilDate.weekday(ofDay: first) + 7) % 7
            let date = ahead + (week - 1) * 7
            day = first + (date < CivilDate.days(of: month, in: year) ? date : date - 7)
        }
        return Int64(day * 86400 + moment.time - offset)
    }
}

extension PosixZone {
    /// Takes the parts of a rule off its front.
    private struct Reader {
        var bytes: ArraySlice<UInt8>

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard bytes.first == UInt8(ascii: character) else { return false }
            bytes = bytes.dropFirst()
            return true
        }

        /// At least three letters, or letters, digits and signs within `<>`.
        mutating func skipName() -> Bool {
            let isQuoted = take("<")
            let name = bytes.prefix { byte in
                let isLetter = (0x41...0x5a).contains(byte & 0xdf)
                let isMore = NameRule.isDigit(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
                return isLetter || isQuoted && isMore
            }
            bytes = bytes.dropFirst(name.count)
            return name.count >= 3 && (!isQuoted || take(">"))
        }

        /// At most three digits.
        mutating func number(_ range: ClosedRange<Int>) -> Int? {
            let digits = bytes.prefix(3).prefix(while: NameRule.isDigit)
            guard !digits.isEmpty else { return nil }
            bytes = bytes.dropFirst(digits.count)
            let value = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
            return range.contains(value) ? value : nil
        }

        /// `[+-]hh[:mm[:ss]]` in seconds.
        mutating func time(maximumHours: Int) -> Int? {
            let isNegative = take("-")
            if !isNegative { _ = take("+") }
            guard var seconds = number(0...maximumHours).map({ $0 * 3600 }) else { return nil }
            for unit in [60, 1] where take(":") {
                guard let more = number(0...59) else { return nil }
                seconds += more * unit
            }
            return isNegative ? -seconds : seconds
        }

        mutating func moment() -> Moment? {
            let day: Moment.Day
            if take("J") {
                guard let number = number(1...365) else { return nil }
                day = .julian(number)
            } else if take("M") {
                guard let month = number(1...12), take("."), let week = number(1...5), take("."),
                    let weekday = number(0...6)
                else { return nil }
                day = .weekday(month: month, week: week, day: weekday)
            } else {
                guard let number = number(0...365) else { return nil }
                day = .ordinal(number)
            }
            guard take("/") else { return Moment(day: day, time: 7200) }
            return time(maximumHours: 167).map { Moment(day: day, time: $0) }
        }
    }
}
