extension Marks {
    /// One run of a SnapshotPolicy, identified by its time in the schedule and not by the time at which it ran.
    package struct Occasion: Hashable, Codable, Sendable {
        package var policy: String
        package var time: Instant
        /// A Snapshot document named it: it is that document's from then on, and the policy does not let it expire.
        package var isKept: Bool

        package init(policy: String, time: Instant, isKept: Bool = false) {
            self.policy = policy
            self.time = time
            self.isKept = isKept
        }

        private static let kept = "kept"

        /// `hourly/2026-11-23T06:00:00Z`, and `/kept` behind it.
        var text: String { "\(policy)/\(time)" + (isKept ? "/\(Self.kept)" : "") }

        init?(text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2 || (parts.count == 3 && parts[2] == Self.kept), NameRule.isLabel(parts[0]),
                let time = Instant(text: parts[1])
            else { return nil }
            self.init(policy: String(parts[0]), time: time, isKept: parts.count == 3)
        }
    }
}

/// Names of the snapshots that policies take: `hourly-db-data-20261123-0600`. The time is UTC, so that no two runs
/// share a name where clocks are set back.
package enum PolicySnapshotName {
    /// `-20261123-0600`. Cron knows no seconds.
    package static func suffix(_ time: Instant) -> String {
        let digits = time.description.utf8.filter(NameRule.isDigit)
        func text(_ range: Range<Int>) -> String { String(decoding: digits[range], as: UTF8.self) }
        return "-\(text(0..<8))-\(text(8..<12))"
    }

    /// Whether a name has this form, so that it may be that of something no document declares.
    package static func isOne(_ name: String) -> Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "-")).suffix(2)
        return parts.map(\.count) == [8, 4] && parts.allSatisfy { $0.allSatisfy(NameRule.isDigit) }
            && name.utf8.count > 14
    }
}
