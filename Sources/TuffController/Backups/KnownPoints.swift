package import TuffRepository

/// The restore points of a repository, and what speaks against some of them.
package struct KnownPoints: Sendable {
    /// Oldest first.
    package let points: [RestorePoint]
    /// Points that cannot be read: nobody knows whose they are and of when.
    package let damaged: [DamagedPoint]
    /// Points that a check found to lack something. What is compared with them would lack it too.
    package let hurt: Set<FileID>
    /// Points whose time is not to be believed, each with the time at which that was said.
    package let aside: [FileID: String]

    package init(of repository: Repository) throws(RepositoryError) {
        (points, damaged) = try repository.points()
        hurt = try repository.hurtPoints()
        aside = try repository.setAside().points
    }

    // MARK: The base of a backup

    /// The point that a backup is compared with which reads all of its source: an older one only means more to look up.
    package func base(of series: Series) -> RestorePoint? {
        points.last { $0.record.series == series && !hurt.contains($0.id) && aside[$0.id] == nil }
    }

    /// The point that a list of changes is relative to.
    /// - Parameters:
    ///   - since: of its ID; nil: the last that was made of the series.
    ///   - size: bytes of what is backed up.
    ///   - now: RFC 3339, UTC.
    /// - Throws: `refused` where it is not certain, or cannot be that one.
    package func baseOfChanges(
        since: String?, in series: Series, size: UInt64, now: String
    ) throws(RepositoryError) -> RestorePoint {
        guard let since else {
            return try RestorePoint.baseOfChanges(
                series, among: points, damaged: damaged, hurt: hurt, aside: aside, now: now)
        }
        return try RestorePoint.baseOfChanges(
            since, of: series, size: size, among: points, damaged: damaged, hurt: hurt, aside: Set(aside.keys), now: now
        )
    }

    /// A second that no point of the series has: points of a series are in the order of their seconds, and the one to
    /// come is to be the latest. A clock that stands still is not waited for: then their parents tell the order.
    /// - Parameters:
    ///   - now: RFC 3339, UTC.
    ///   - pause: waits for some milliseconds.
    package func ownSecond(of series: Series, now: () -> String, pause: () -> Void) -> String {
        var time = now()
        for _ in 0..<40 where points.contains(where: { $0.record.series == series && $0.record.time == time }) {
            pause()
            time = now()
        }
        return time
    }
}
