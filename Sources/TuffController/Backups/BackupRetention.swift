package import TuffModel
package import TuffRepository
import TuffSchedule

extension KnownPoints {
    /// The points that a keep rule lets go, oldest first. The rule holds for each series apart, in hours and days of
    /// UTC. Points that are set aside stay, and are judged by nobody.
    /// - Parameters:
    ///   - name: only of series of that name.
    ///   - doubted: points that are passed over besides those that are set aside.
    /// - Throws: a point that is later than the clock: beside it no other can be judged.
    package func leaving(
        by rule: KeepRule, name: String?, passingOver doubted: Set<FileID> = [], now: Instant
    ) throws(FuturePoint) -> [RestorePoint] {
        let judged = points.filter {
            (name == nil || $0.record.series.name == name) && aside[$0.id] == nil && !doubted.contains($0.id)
        }
        if let future = judged.lazy.compactMap({ FuturePoint($0, now: now.description) }).first { throw future }
        var leaving: Set<FileID> = []
        for (_, series) in Dictionary(grouping: judged, by: \.record.series) {
            // One that lacks something takes no other's place, and goes when it would go anyway.
            let whole = series.filter { !hurt.contains($0.id) }
            leaving.formUnion(
                Self.leaving(series, by: rule, now).intersection(
                    Self.leaving(whole, by: rule, now).union(series.filter { hurt.contains($0.id) }.map(\.id))))
        }
        return judged.filter { leaving.contains($0.id) }
    }

    /// Those of a series, oldest first, that the rule does not keep.
    private static func leaving(_ series: [RestorePoint], by rule: KeepRule, _ now: Instant) -> Set<FileID> {
        // Named by their order, so that of two within one second the later one is the newer.
        let judged = Retention(
            of: series.enumerated().compactMap { number, point in
                Instant(text: point.record.time).map { RetentionPoint(id: ordinal(number), time: $0) }
            }, by: rule, in: .utc, now: now)
        let dead = Set(judged.judgements.filter { !$0.isKept }.map(\.point.id))
        return Set(series.enumerated().filter { dead.contains(ordinal($0.offset)) }.map(\.element.id))
    }

    /// Sorts as the number does, up to the largest that there can be.
    private static func ordinal(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 19 - digits.count)) + digits
    }
}
