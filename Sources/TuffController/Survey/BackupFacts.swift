package import TuffModel
package import TuffPlanning

/// The restore points of one volume in one repository.
package struct SeriesFacts: Sendable {
    package var repository: String
    package var volume: String
    package var node: String?
    package var stack: String?
    package var uid: UID?
    /// Oldest first.
    package var points: [ObservedPoint]
    /// Policies of the set that select the volume and store there; they alone let points of it go.
    package var policies: [String]
    /// It is of this node and stack.
    package var isOwn: Bool

    package var newest: ObservedPoint? { points.last { !$0.isSetAside } ?? points.last }

    /// As `tuff backup rm --series` takes it: `db@storage1/default/k3m…`.
    package var name: String {
        guard node != nil || stack != nil || uid != nil else { return volume }
        return "\(volume)@\(node ?? "-")/\(stack ?? "-")/\(uid.map(\.description) ?? "-")"
    }
}

package struct RepositoryFacts: Sendable {
    package var declared: Declared<BackupRepositorySpec>
    /// Nil: it could not be read, or is not used as it is.
    package var seen: ObservedRepository?
    package var series: [SeriesFacts]
    /// Points that it lacks and this host saw in it.
    package var rollback: RepositoryMemory.Rollback?

    package var newest: ObservedPoint? { series.compactMap(\.newest).max { $0.time < $1.time } }
}

package struct BackupPolicyFacts: Sendable {
    package var declared: Declared<BackupPolicySpec>
    /// The volumes of this node that it selects and that are here.
    package var volumes: [BackupTimes]
    /// Nil: it asks for none, or none can be due.
    package var drills: DrillTimes?
    /// The time of the survey.
    package var now: Instant

    package var points: Int { volumes.reduce(0) { $0 + $1.points } }
    package var last: Instant? { volumes.compactMap(\.last).max() }
    package var next: Instant? { volumes.compactMap(\.next).min() }
    package var isDue: Bool { volumes.contains { $0.due != nil } }
}

/// A Backup document, or a series that nobody keeps.
package struct BackupFacts: Sendable {
    package var declared: Declared<BackupSpec>?
    package var repository: String
    package var volume: String
    /// The point that the document asked for, or the newest of the series.
    package var point: ObservedPoint?
    /// Number of points of the series; nil: it is a document.
    package var count: Int?
}

/// Restore points of a volume, and its next runs.
package struct VolumeBackups: Sendable {
    /// Of its own uid, one for each repository that has such.
    package var series: [SeriesFacts] = []
    /// The runs of policies that select it.
    package var times: [BackupTimes] = []
    /// The last drill of it, however it went; nil: there was none.
    package var drill: ObservedReceipt?
    /// The time of the survey.
    package var now = Instant(secondsSince1970: 0)

    /// Newest first, each with its repository.
    package var points: [(repository: String, point: ObservedPoint)] {
        series.flatMap { series in series.points.map { (repository: series.repository, point: $0) } }
            .sorted { $0.point.time > $1.point.time }
    }
}
