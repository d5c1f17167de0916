package import TuffModel
import TuffSchedule

/// The drills of one BackupPolicy, as the receipts in its repository and the clock tell.
package struct DrillTimes: Hashable, Sendable {
    package var policy: String
    /// Receipts of its drills on this host, oldest first; of each volume the newest alone, good and bad.
    package var receipts: [ObservedReceipt]
    /// The time of the next one; nil: it is due by now.
    package var next: Instant?
    /// The time by the schedule of one that is due.
    package var due: Instant?
    /// When the first of the missed ones was to be done; nil: none was missed.
    package var missedSince: Instant?

    /// The last one that went well.
    package var lastGood: ObservedReceipt? { receipts.last { $0.fault == nil } }

    /// The last one of a volume, however it went.
    package func last(of volume: String) -> ObservedReceipt? { receipts.last { $0.volume == volume } }

    /// Of each volume whose last drill found a fault, that one.
    package var faults: [ObservedReceipt] {
        receipts.filter { $0.fault != nil && last(of: $0.volume ?? "") == $0 }
    }
}

extension Planner {
    /// The drills of policies of this node, by policy. Repositories that cannot be read, and time zones that are not
    /// known, tell nothing, and before there is a restore point no drill is due.
    package static func drillTimes(
        desired: DesiredState, observed: ObservedState, context: PlanContext
    ) -> [String: DrillTimes] {
        guard desired.backupPolicies.values.contains(where: { $0.spec.drill != nil }) else { return [:] }
        let pass = PlanningPass(desired: desired, observed: observed, context: context)
        return desired.backupPolicies.compactMapValues { declared in
            guard let drill = declared.spec.drill,
                case .readable(let view)? = pass.repositories[declared.spec.repository]
            else { return nil }
            return pass.times(of: drill, declared, in: view)
        }
    }
}

extension PlanningPass {
    /// Nil: no drill can be due, or nobody can tell.
    func times(
        of drill: DrillSpec, _ declared: Declared<BackupPolicySpec>, in view: RepositoryView
    ) -> DrillTimes? {
        let name = declared.metadata.name
        let points = selected(by: declared.spec.volumes).flatMap { view.points(of: $0) }
        let schedule = Schedule(cron: drill.cron, timeZone: declared.spec.schedule.timeZone)
        // A time zone that is not known is said on the policy's own line.
        guard case .success(let calendar) = calendar(of: schedule),
            let first = points.filter({ isJudged($0, by: name) && !isOfFuture($0.time) }).map(\.time).min()
        else { return nil }
        let since = min(first, context.now)
        var times = DrillTimes(policy: name, receipts: drills(of: name, in: view))
        let last = times.receipts.last.map { min($0.time, context.now) }
        switch Timetable(calendar.expression, in: calendar.zone).verdict(last: last, since: since, now: context.now) {
        case .due(let time, _): times.due = time
        case .waiting(_, let start): times.next = start
        case .clockWentBack: break
        }
        times.missedSince = calendar.expression.next(after: max(last ?? since, since), in: calendar.zone)
            .flatMap { $0 <= context.now ? $0 : nil }
        return times
    }

    /// Receipts of drills of a policy of this host, oldest first.
    private func drills(of policy: String, in view: RepositoryView) -> [ObservedReceipt] {
        view.receipts.filter {
            $0.work == .drill && $0.policy == policy && $0.node == context.config.node && $0.stack == context.stack
                && !isOfFuture($0.time)
        }
    }

    /// `, Volume/db last restored for practice on 2026-11-27`; empty where none ever was.
    func practice(of policy: String, in view: RepositoryView) -> String {
        guard let last = drills(of: policy, in: view).last(where: { $0.fault == nil }) else { return "" }
        return ", Volume/\(last.volume ?? "") last restored for practice on \(last.time.description.prefix(10))"
    }
}
