package import TuffModel

/// Something that was made at a time and is kept for a while: a policy's snapshot, a restore point.
package struct RetentionPoint: Hashable, Sendable {
    /// Names it, and orders points of one second.
    package var id: String
    package var time: Instant
    /// Whether its data can be read. A point without (an overflowed snapshot, a damaged one) takes no place of a
    /// bucket.
    package var isUsable: Bool

    package init(id: String, time: Instant, isUsable: Bool = true) {
        self.id = id
        self.time = time
        self.isUsable = isUsable
    }
}

/// Choice of the points that stay, with the reasons: a `KeepRule` applied to the points of one policy and one volume.
///
/// The rule is restic's (`restic forget`, internal/restic/snapshot_policy.go): from the newest point on, each bucket
/// (hour, day, week from Monday, month, year, in the schedule's zone) keeps the newest point of as many different
/// hours, days … that have points as it counts; empty ones do not count. A bucket that has places left also keeps the
/// oldest point, so that history grows to its length instead of beginning anew. A point stays when any bucket keeps it.
package struct Retention: Hashable, Sendable {
    package enum Bucket: String, CaseIterable, Hashable, Sendable {
        case last, hourly, daily, weekly, monthly, yearly
    }

    package enum Reason: Hashable, Sendable, CustomStringConvertible {
        /// The `place`-th, from 1, that this bucket keeps.
        case bucket(Bucket, place: Int)
        /// The oldest point of all, while this bucket is not full.
        case oldest(Bucket, place: Int)
        /// The rule has no count, or the clock is behind: everything stays.
        case everything
        /// The point is not usable, but no newer one is usable either.
        case nothingBetter

        package var description: String {
            switch self {
            case .bucket(let bucket, let place): "\(bucket.rawValue) \(place)"
            case .oldest(let bucket, let place): "oldest, \(bucket.rawValue) \(place)"
            case .everything: "no rule"
            case .nothingBetter: "nothing better"
            }
        }
    }

    package struct Judgement: Hashable, Sendable {
        package var point: RetentionPoint
        /// Empty: to be forgotten. In the order of buckets.
        package var reasons: [Reason]

        package var isKept: Bool { !reasons.isEmpty }
    }

    /// All points, newest first; of one second the larger id first.
    package let judgements: [Judgement]
    /// The newest point when it is later than `now`: the clock cannot be trusted, and nothing may be forgotten by it.
    package let fromTheFuture: RetentionPoint?

    /// Counts below 1 count as absent, as does a rule without counts: no rule, everything stays. The newest usable
    /// point always stays.
    package init(of points: [RetentionPoint], by rule: KeepRule?, in zone: ZoneRules, now: Instant) {
        let sorted = points.sorted { ($0.time, $0.id) > ($1.time, $1.id) }
        fromTheFuture = sorted.first.flatMap { $0.time > now ? $0 : nil }
        var counters = rule.map(Counter.all) ?? []
        guard !counters.isEmpty, fromTheFuture == nil else {
            judgements = sorted.map { Judgement(point: $0, reasons: [.everything]) }
            return
        }
        let oldest = sorted.lastIndex(where: \.isUsable)
        var hasUsable = false
        judgements = sorted.enumerated().map { index, point in
            guard point.isUsable else {
                return Judgement(point: point, reasons: hasUsable ? [] : [.nothingBetter])
            }
            hasUsable = true
            let local = zone.local(point.time)
            let offset = zone.offset(at: point.time)
            let reasons = counters.indices.compactMap { which in
                counters[which].take(index: index, local: local, offset: offset, isOldest: index == oldest)
            }
            return Judgement(point: point, reasons: reasons)
        }
    }
}

extension Retention {
    /// One bucket on its way from the newest point to the oldest.
    private struct Counter {
        let bucket: Bucket
        let count: Int
        var taken = 0
        var value: [Int]?

        /// Counters of the buckets that a rule names.
        static func all(_ rule: KeepRule) -> [Counter] {
            let counts = [rule.last, rule.hourly, rule.daily, rule.weekly, rule.monthly, rule.yearly]
            return zip(Bucket.allCases, counts).compactMap { bucket, count in
                count.flatMap { $0 > 0 ? Counter(bucket: bucket, count: $0) : nil }
            }
        }

        /// The reason why the next older point stays; nil: this bucket does not keep it.
        mutating func take(index: Int, local: Int64, offset: Int, isOldest: Bool) -> Reason? {
            guard taken < count else { return nil }
            let mine = Self.value(of: bucket, index: index, local: local, offset: offset)
            let isNew = mine != value
            guard isNew || isOldest else { return nil }
            value = mine
            taken += 1
            return isNew ? .bucket(bucket, place: taken) : .oldest(bucket, place: taken)
        }

        /// A value that all points of one hour, day, … share.
        private static func value(of bucket: Bucket, index: Int, local: Int64, offset: Int) -> [Int] {
            let second = Int((local % 86400 + 86400) % 86400)
            let day = (Int(local) - second) / 86400
            switch bucket {
            case .last: return [index]
            // The two passes of an hour that clocks show twice are two hours.
            case .hourly: return [day, second / 3600, offset]
            case .daily: return [day]
            case .weekly: return [(day - CivilDate.weekday(ofDay: day - 1))]
            case .monthly:
                let date = CivilDate(number: day)
                return [date.year, date.month]
            case .yearly: return [CivilDate(number: day).year]
            }
        }
    }
}

extension Retention {
    /// The points that a rule lets go, where one that lacks something (`isUsable` false) takes no other's place and
    /// goes when it would go anyway: what it lacks may be stored again, and then it is whole. The newest usable one
    /// stays.
    package static func leaving(
        of points: [RetentionPoint], by rule: KeepRule?, in zone: ZoneRules, now: Instant
    ) -> Set<String> {
        func dead(_ points: [RetentionPoint]) -> Set<String> {
            let judged = Retention(of: points, by: rule, in: zone, now: now)
            return Set(judged.judgements.filter { !$0.isKept }.map(\.point.id))
        }
        let equal = points.map { RetentionPoint(id: $0.id, time: $0.time) }
        let hurt = points.filter { !$0.isUsable }
        guard !hurt.isEmpty else { return dead(equal) }
        return dead(equal).intersection(dead(points.filter(\.isUsable)).union(hurt.map(\.id)))
    }
}
