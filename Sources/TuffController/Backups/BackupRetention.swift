package import TuffModel
package import TuffRepository
import TuffSchedule

extension KnownPoints {
    /// The points that a keep rule lets go, oldest first. The rule holds for each series apart, in hours and days of
    /// UTC. Points that are set aside, and those of Backup documents, stay and are judged by nobody.
    /// - Parameters:
    ///   - name: only of series of that name.
    ///   - doubted: points that are passed over besides those that are set aside.
    /// - Throws: a point that is later than the clock: beside it no other can be judged.
    package func leaving(
        by rule: KeepRule, name: String?, passingOver doubted: Set<FileID> = [], now: Instant
    ) throws(FuturePoint) -> [RestorePoint] {
        let judged = points.filter {
            (name == nil || $0.record.series.name == name) && aside[$0.id] == nil && !doubted.contains($0.id)
                && $0.record.labels?[ObservedPoint.backupKey] == nil
        }
        if let future = judged.lazy.compactMap({ FuturePoint($0, now: now.description) }).first { throw future }
        var leaving: Set<FileID> = []
        for (_, series) in Dictionary(grouping: judged, by: \.record.series) {
            leaving.formUnion(self.leaving(series, by: rule, now))
        }
        return judged.filter { leaving.contains($0.id) }
    }

    /// Those of a series, oldest first, that the rule does not keep. One that lacks something takes no other's place.
    private func leaving(_ series: [RestorePoint], by rule: KeepRule, _ now: Instant) -> Set<FileID> {
        // Named by their order, so that of two within one second the later one is the newer.
        let points = series.enumerated().compactMap { number, point in
            Instant(text: point.record.time).map {
                RetentionPoint(id: Self.ordinal(number), time: $0, isUsable: !hurt.contains(point.id))
            }
        }
        let dead = Retention.leaving(of: points, by: rule, in: .utc, now: now)
        return Set(series.enumerated().filter { dead.contains(Self.ordinal($0.offset)) }.map(\.element.id))
    }

    /// Sorts as the number does, up to the largest that there can be.
    private static func ordinal(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 19 - digits.count)) + digits
    }
}
