import TuffModel
import TuffSchedule

/// Reading back what was stored, when a policy asks for it. The receipts in the repository tell when it was done.
extension PlanningPass {
    mutating func planVerifications(_ desired: DesiredState) {
        for (_, declared) in desired.backupPolicies.inKeyOrder {
            guard let verification = declared.spec.verify,
                case .readable(let view)? = repositories[declared.spec.repository]
            else { continue }
            planVerification(declared, verification, in: view)
        }
    }

    private mutating func planVerification(
        _ declared: Declared<BackupPolicySpec>, _ verification: VerificationSpec, in view: RepositoryView
    ) {
        let name = declared.metadata.name, repository = declared.spec.repository
        let schedule = Schedule(cron: verification.cron, timeZone: declared.spec.schedule.timeZone)
        // A time zone that is not known is said on the policy's own line.
        guard case .success(let calendar) = calendar(of: schedule),
            let since = view.names.flatMap(view.points).filter({ isJudged($0, by: name) }).map(\.time).min()
        else { return }
        let last = proofs(of: name, in: view).map { min($0.time, context.now) }.max()
        let times = Timetable(calendar.expression, in: calendar.zone)
        guard case .due(let time, _) = times.verdict(last: last, since: min(since, context.now), now: context.now)
        else { return }
        let share = verification.sample?.percent ?? 100
        let summary = "read \(share) % of the data of BackupRepository/\(repository) back, due at \(time)"
        guard context.consent.runDue else {
            builder.add(
                PlannedChange(
                    ResourceID(.backupPolicy, name), action: .due, summary: summary,
                    location: declared.location(of: "spec.verify")))
            return
        }
        let task = VerifyTask(
            of: repository, view.access, by: context.config.node, of: context.stack, for: name, share: share)
        // Storing and removing come first: the repository is proven as it is then.
        builder.add(
            PlannedChange(
                ResourceID(.backupPolicy, name), action: .update, summary: summary, risk: .online,
                location: declared.location(of: "spec.verify")),
            [.backup(.verify(task))], behind: repositoryWriters[repository] ?? [])
    }

    /// Receipts of verifications of a policy of this host, oldest first.
    func proofs(of policy: String, in view: RepositoryView) -> [ObservedReceipt] {
        view.receipts.filter {
            $0.work == .verify && $0.policy == policy && $0.node == context.config.node
                && $0.stack == context.stack && !isOfFuture($0.time)
        }
    }

    /// `, last proven on 2026-11-27, 5 % of the data`; empty where it never was.
    func proof(of policy: String, in view: RepositoryView) -> String {
        guard let last = proofs(of: policy, in: view).last(where: { $0.fault == nil }) else { return "" }
        return ", last proven on \(last.time.description.prefix(10))"
            + (last.share.map { ", \($0) % of the data" } ?? "")
    }
}
