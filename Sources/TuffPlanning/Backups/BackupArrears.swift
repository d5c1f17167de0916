package import TuffModel
import TuffSchedule

/// Backups that are late, as documents, repositories and the clock tell. A repository that cannot be read is unknown,
/// and nothing of it is late.
package struct BackupArrears {
    /// A policy's backup of one volume.
    package struct Backup: Hashable, Sendable {
        package var policy: String
        package var volume: String
        package var uid: UID
        /// Time of the newest restore point that the policy made of it; nil: there is none.
        package var last: Instant?
        /// When the first of the missing ones was to begin; nil: none is missing, or nothing tells since when.
        package var missedSince: Instant?
    }

    /// One that is this much behind its time is overdue: whoever runs what is due has had the time, in seconds.
    package static let grace: Int64 = 3600

    private let context: PlanContext
    /// Of the volumes that are here, by policy and volume.
    package let backups: [Backup]

    package init(_ desired: DesiredState, seen observed: ObservedState, _ context: PlanContext) {
        self.context = context
        guard !desired.backupPolicies.isEmpty else {
            backups = []
            return
        }
        let index = StorageIndex(observed)
        let door = ReachDoor(context.config, desired: desired, ledger: observed.ledger)
        let repositories = RepositoryIndex(desired, seen: observed, through: door, for: context).standings
        var backups: [Backup] = []
        for (name, declared) in desired.backupPolicies.inKeyOrder {
            guard case .readable(let view)? = repositories[declared.spec.repository],
                case .success(let calendar) = PolicyCalendar.of(declared.spec.schedule, observed.timeZones)
            else { continue }
            let selected = desired.volumes.values.filter { declared.spec.volumes.includes($0.metadata) }
            for volume in selected.map(\.metadata.name).sorted() {
                let stored = index.live(.volume(volume), context.stack)
                guard stored.count == 1, let uid = stored.first?.uid else { continue }
                // One that cannot be read may be the newest.
                guard view.damaged == 0 else { continue }
                let own = view.points(of: volume).filter {
                    $0.policy == name && $0.uid == uid && $0.node == context.config.node && !$0.isSetAside
                }
                var backup = Backup(policy: name, volume: volume, uid: uid, last: own.map(\.time).max())
                let delay = Timetable.delay(
                    upTo: declared.spec.schedule.jitter ?? TimeSpan(seconds: 0), key: [name, uid.description])
                backup.missedSince = backup.last.flatMap { last in
                    calendar.expression.next(after: last, in: calendar.zone)?.advanced(by: delay)
                }.flatMap { $0 <= context.now ? $0 : nil }
                backups.append(backup)
            }
        }
        self.backups = backups
    }

    /// Backups that are late, with the time since when. The ledger tells since when one without any point is due.
    package func overdue(by ledger: Ledger) -> [(backup: Backup, since: Instant)] {
        backups.compactMap { backup in
            let work = Ledger.Arrear.Work(.unprotected, of: backup.resource, in: context.stack, uid: backup.uid)
            let noted = ledger.arrear(of: work)?.since
            guard let since = backup.last == nil ? noted : backup.missedSince,
                context.now.secondsSince1970 - since.secondsSince1970 > Self.grace
            else { return nil }
            return (backup, since)
        }
    }
}

extension BackupArrears.Backup {
    package var resource: ResourceID { ResourceID(.backupPolicy, policy) }

    package func sentence(since: Instant) -> String {
        let history =
            last.map { "the newest restore point is of \($0), and the next" } ?? "there is no restore point, and one"
        return "Volume/\(volume): \(history) was to be made at \(since)"
    }
}
