package import TuffModel
import TuffSchedule

/// The runs of one BackupPolicy for one volume.
package struct BackupTimes: Hashable, Sendable {
    package var policy: String
    package var volume: String
    /// Restore points that the policy made of it, and the time of the last.
    package var points: Int
    package var last: Instant?
    /// The time of the next run; nil: it is due by now, or nobody can tell.
    package var next: Instant?
    /// The time by the schedule of a run that is due.
    package var due: Instant?
}

extension Planner {
    /// When policies want the volumes of this node that are here. Repositories that cannot be read, and time zones that
    /// are not known, tell nothing.
    package static func backupTimes(
        desired: DesiredState, observed: ObservedState, context: PlanContext
    ) -> [BackupTimes] {
        guard !desired.backupPolicies.isEmpty else { return [] }
        let pass = PlanningPass(desired: desired, observed: observed, context: context)
        return desired.backupPolicies.inKeyOrder.flatMap { pass.times(of: $0.value) }
    }
}

extension PlanningPass {
    fileprivate func times(of declared: Declared<BackupPolicySpec>) -> [BackupTimes] {
        let name = declared.metadata.name
        guard case .success(let repository) = repository(declared.spec.repository),
            case .success(let calendar) = calendar(of: declared.spec.schedule)
        else { return [] }
        let selected = volumes.values.filter { declared.spec.volumes.includes($0.metadata) }.map(\.metadata.name)
        return selected.sorted().compactMap { volume in
            guard let stored = index.live(.volume(volume), context.stack).first else { return nil }
            let points = repository.points(of: volume).filter {
                $0.policy == name && $0.uid == stored.uid && $0.node == context.config.node && !$0.isSetAside
            }
            let delay = Timetable.delay(
                upTo: declared.spec.schedule.jitter ?? TimeSpan(seconds: 0), key: [name, stored.uid.description])
            var times = BackupTimes(
                policy: name, volume: volume, points: points.count, last: points.map(\.time).max())
            switch Timetable(calendar.expression, in: calendar.zone, delay: delay).verdict(
                last: times.last, since: Instant(secondsSince1970: .min), now: context.now)
            {
            case .waiting(_, let start): times.next = start
            case .due(let occurrence, _): times.due = occurrence
            case .clockWentBack: break
            }
            return times
        }
    }
}
