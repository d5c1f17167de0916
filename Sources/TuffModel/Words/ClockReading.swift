/// The civil clock, which people and time servers set, beside the one that nobody sets, read together.
package struct ClockReading: Hashable, Codable, Sendable {
    /// Another after every boot (`/proc/sys/kernel/random/boot_id`, random(4)).
    package var boot: String
    /// Seconds since that boot, suspended ones included (`CLOCK_BOOTTIME`, clock_gettime(2)).
    package var uptime: Int64
    package var civil: Instant

    package init(boot: String, uptime: Int64, civil: Instant) {
        self.boot = boot
        self.uptime = uptime
        self.civil = civil
    }
}

/// A reason to doubt that the civil clock moved on by the time that really passed.
package enum ClockDoubt: Hashable, Sendable {
    /// The clock was set ahead by so many seconds, more than a day, since the last pass that believed it.
    case jumped(seconds: Int64)
    /// The machine was off for more than a day, or its clock is wrong: it started a short while ago, and time servers
    /// may not have spoken yet.
    case settling
}

extension Ledger {
    /// Larger steps of the clock than a day are no correction; in seconds.
    private static let largestStep: Int64 = 86400
    /// A reading that is earlier by more was taken before the clock was set, as after a boot without a battery; in
    /// seconds.
    private static let correction: Int64 = 300
    /// So long after a boot a clock that is wrong is expected to have been set right; in seconds.
    private static let settlingTime: Int64 = 3600

    /// Judges a reading against the last that was believed. Nil where there is nothing to doubt, nor to judge by.
    package func doubt(_ reading: ClockReading) -> ClockDoubt? {
        guard let clock else { return nil }
        let (passed, overflows) = reading.civil.secondsSince1970.subtractingReportingOverflow(
            clock.civil.secondsSince1970)
        guard !overflows, passed > Self.largestStep else { return nil }
        if reading.boot == clock.boot {
            let lead = passed - max(0, reading.uptime &- clock.uptime)
            return lead > Self.largestStep ? .jumped(seconds: lead) : nil
        }
        // Nothing tells how long a machine was off. An earlier doubt stays, unless the clock was set back since.
        if let clockLead, passed >= clockLead { return .jumped(seconds: clockLead) }
        return reading.uptime < Self.settlingTime ? .settling : nil
    }

    /// Takes note of a reading. A doubtful one is not believed: the earlier reading stays, so that a clock which is set
    /// right again is one that nothing happened to.
    /// - Returns: whether its time may be used to forget things.
    package mutating func believe(_ reading: ClockReading?) -> Bool {
        guard let reading else { return true }
        // A reading of a later time is no jump from it.
        if let clock, reading.civil.secondsSince1970 < clock.civil.secondsSince1970 - Self.correction { return false }
        switch doubt(reading) {
        case .jumped(let seconds): clockLead = seconds
        case .settling: break
        case nil:
            // Right after a boot it may stand where the machine was turned off, and be set ahead any moment.
            let mayBeSet = clock.map { $0.boot != reading.boot } == true && reading.uptime < Self.settlingTime
            if !mayBeSet { (clock, clockLead) = (reading, nil) }
            return true
        }
        return false
    }
}
