package import TuffModel

/// Times of one job: a schedule's occurrences in a zone, all later by one delay.
package struct Timetable: Hashable, Sendable {
    package let expression: CronExpression
    package let zone: ZoneRules
    package let delay: TimeSpan

    /// Whether to run now.
    package enum Verdict: Hashable, Sendable {
        /// Run once, for `occurrence`; note it as the last one. All earlier ones are made up by it: `missedOthers`.
        case due(occurrence: Instant, missedOthers: Bool)
        /// Nothing to do before `start`; nil at the end of year 9999.
        case waiting(occurrence: Instant?, start: Instant?)
        /// The occurrence that ran last is still to come: the clock went back. Nothing runs until the clock is past
        /// that occurrence again, which a person who waits for it is told.
        case clockWentBack(last: Instant)
    }

    package init(_ expression: CronExpression, in zone: ZoneRules, delay: TimeSpan = TimeSpan(seconds: 0)) {
        self.expression = expression
        self.zone = zone
        self.delay = delay
    }

    /// The delay of `key`, from nothing to `jitter` inclusive, in whole seconds: always the same for one key, so that
    /// distances between runs stay and no run overtakes the next, and far apart for keys that are alike. `key` names
    /// who runs, such as a policy and a volume's uid.
    package static func delay(upTo jitter: TimeSpan, key: [String]) -> TimeSpan {
        guard jitter.seconds > 0 else { return TimeSpan(seconds: 0) }
        // FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), of parts ended by a byte that no UTF-8 has.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for part in key {
            for byte in part.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
            hash = (hash ^ 0xff) &* 0x100_0000_01b3
        }
        // SplitMix64's last steps: FNV's high bits hardly move with the last characters.
        hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
        hash ^= hash >> 31
        // Multiply and shift: every second is as likely, as far as 64 bits can tell.
        let choices = UInt64(jitter.seconds).addingReportingOverflow(1).partialValue
        return TimeSpan(seconds: Int64(choices.multipliedFullWidth(by: hash).high))
    }

    /// Judges whether to run at `now`. `last` is the occurrence that ran last, nil for none. No occurrence before
    /// `since`, when the policy began, is made up.
    ///
    /// Missed occurrences, however many, are made up by one run, at once and for the newest of them; earlier ones are
    /// gone. A run that failed is not noted as the last, so that it is due again; how often that is tried is not
    /// decided here.
    package func verdict(last: Instant?, since: Instant, now: Instant) -> Verdict {
        if let last, last > now { return .clockWentBack(last: last) }
        let before = Instant(secondsSince1970: since.secondsSince1970.subtractingSaturated(1))
        let done = last.map { max($0, before) } ?? before
        let reached = Instant(secondsSince1970: now.secondsSince1970.subtractingSaturated(delay.seconds))
        let after = Instant(secondsSince1970: reached.secondsSince1970.addingSaturated(1))
        if let newest = expression.previous(before: after, in: zone), newest > done {
            let earlier = expression.previous(before: newest, in: zone)
            return .due(occurrence: newest, missedOthers: earlier.map { $0 > done } ?? false)
        }
        let next = expression.next(after: max(reached, done), in: zone)
        return .waiting(occurrence: next, start: next?.advanced(by: delay))
    }
}

extension Int64 {
    fileprivate func subtractingSaturated(_ other: Int64) -> Int64 {
        let (difference, overflow) = subtractingReportingOverflow(other)
        return overflow ? (other > 0 ? .min : .max) : difference
    }

    fileprivate func addingSaturated(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other > 0 ? .max : .min) : sum
    }
}
