package import TuffModel

/// A time zone: which offset from UTC its clocks have when. Pure; who opens `/usr/share/zoneinfo/NAME` hands the bytes
/// to `init(tzif:)`. (FoundationEssentials knows no named zones on Linux.)
package struct ZoneRules: Hashable, Sendable {
    /// From an instant on, clocks are this many seconds ahead of UTC.
    struct Change: Hashable, Sendable {
        var at: Int64
        var offset: Int
    }

    /// A stretch of time in which the offset does not change. `end` does not belong to it.
    struct Span: Equatable {
        var start: Int64
        var end: Int64
        var offset: Int
    }

    /// Instants that can be asked for and returned: year 1 to year 9999. Within it no sum of an instant and an offset
    /// overflows.
    static let horizon: Range<Int64> = -62_135_596_800..<253_402_300_800

    /// Offset before the first change.
    let firstOffset: Int
    /// Ascending, no two at one instant.
    let changes: [Change]
    /// The rule after the last change; nil: nothing changes any more.
    let rule: PosixZone?

    init(firstOffset: Int, changes: [Change] = [], rule: PosixZone? = nil) {
        self.firstOffset = firstOffset
        self.changes = changes
        self.rule = rule
    }

    package static let utc = ZoneRules(firstOffset: 0)

    /// A zone by a rule alone, as in the variable TZ: `CET-1CEST,M3.5.0,M10.5.0/3`. Nil when it is none.
    package init?(posix text: String) {
        guard let rule = PosixZone(Array(text.utf8)) else { return nil }
        self.init(firstOffset: rule.standard, rule: rule)
    }

    /// Seconds by which clocks are ahead of UTC; instants outside the years 1 to 9999 count as the nearest inside.
    package func offset(at instant: Instant) -> Int { span(at: instant.secondsSince1970).offset }

    /// Seconds since 1970-01-01T00:00:00 that clocks show, as if they were UTC: the local date and time of day.
    func local(_ instant: Instant) -> Int64 {
        let second = min(max(instant.secondsSince1970, Self.horizon.lowerBound), Self.horizon.upperBound - 1)
        return second + Int64(span(at: second).offset)
    }

    /// The stretch that `second` lies in, cut to the horizon. It may continue with the same offset before or after.
    func span(at second: Int64) -> Span {
        let second = min(max(second, Self.horizon.lowerBound), Self.horizon.upperBound - 1)
        // Binary search: how many changes are not after it.
        var low = 0
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].at <= second { low = middle + 1 } else { high = middle }
        }
        var span = Span(start: Self.horizon.lowerBound, end: Self.horizon.upperBound, offset: firstOffset)
        if low > 0 {
            span.start = max(span.start, changes[low - 1].at)
            span.offset = changes[low - 1].offset
        }
        if low < changes.count {
            span.end = min(span.end, changes[low].at)
        } else if let rule {
            let part = rule.span(at: second)
            span.end = min(span.end, part.end)
            // Until the rule's own next change, the file's last change has the word where the two disagree.
            if part.start > span.start || changes.isEmpty {
                span.start = max(span.start, part.start)
                span.offset = part.offset
            }
        }
        return span
    }
}
