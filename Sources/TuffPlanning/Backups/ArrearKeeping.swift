package import TuffModel

/// Since when backups are missing or fail, as passes see it.
extension Ledger {
    /// Takes note of volumes of which a policy has no point yet, and forgets what is over or not asked for any more.
    mutating func seeArrears(in observed: ObservedState, desired: DesiredState, _ context: PlanContext) {
        // A look at a host without documents knows of no policy.
        guard desired.count > 0 else { return }
        let declared = Set(
            desired.backupPolicies.keys.map { ResourceID(.backupPolicy, $0) }
                + desired.backupRepositories.keys.map { ResourceID(.backupRepository, $0) })
        keepArrears { $0.work.stack != context.stack || declared.contains($0.work.resource) }
        for backup in BackupArrears(desired, seen: observed, context).backups {
            func work(_ sort: Arrear.Sort) -> Arrear.Work {
                Arrear.Work(sort, of: backup.resource, in: context.stack, uid: backup.uid)
            }
            guard let last = backup.last else {
                note(Arrear(work(.unprotected), since: context.now))
                continue
            }
            settle(work(.unprotected))
            // A point that came after the failure is a success, whoever saw it.
            if let failure = arrear(of: work(.failing)), failure.since < last { settle(failure.work) }
        }
        for arrear in arrears ?? [] where arrear.work.sort == .undrilled && arrear.work.stack == context.stack {
            if isSettled(arrear, in: observed, desired: desired, for: context) { settle(arrear.work) }
        }
    }

    /// Nobody asks for that drill any more, or it was done later, as its receipt says.
    private func isSettled(
        _ arrear: Arrear, in observed: ObservedState, desired: DesiredState, for context: PlanContext
    ) -> Bool {
        let name = arrear.work.resource.name
        guard let spec = desired.backupPolicies[name]?.spec, spec.drill != nil else { return true }
        guard case .known(let repository?)? = observed.repositories?[spec.repository] else { return false }
        return (repository.receipts ?? []).contains {
            $0.work == .drill && $0.policy == name && $0.node == context.config.node && $0.stack == context.stack
                && $0.time > arrear.since
        }
    }

    /// Takes note of backups, drills and prunes that failed, and forgets those that succeeded.
    /// - Parameters:
    ///   - failures: the first error of each change that had one, by its number.
    ///   - done: changes all of whose steps were carried out.
    package mutating func note(failures: [Int: String], done: Set<Int>, of plan: Plan, at now: Instant) {
        let drills = Set(plan.steps.filter(\.step.isDrill).map(\.change))
        for (number, change) in plan.changes.enumerated() where change.isUpkeep {
            // The volume of a drill is another one each time.
            let work =
                drills.contains(number)
                ? Arrear.Work(.undrilled, of: change.resource, in: plan.context.stack)
                : Arrear.Work(.failing, of: change.resource, in: plan.context.stack, uid: change.uid)
            if let error = failures[number] {
                note(Arrear(work, since: now, error: error))
            } else if done.contains(number) {
                settle(work)
            }
        }
    }
}

extension PlannedChange {
    /// Work that a schedule asks for in a repository.
    fileprivate var isUpkeep: Bool {
        switch resource.kind {
        case .backupPolicy, .backupRepository: true
        case .pool, .volume, .snapshot, .snapshotPolicy, .attachment, .backup, .restore: false
        }
    }
}

extension Step {
    fileprivate var isDrill: Bool { if case .volume(.drill) = self { true } else { false } }
}
