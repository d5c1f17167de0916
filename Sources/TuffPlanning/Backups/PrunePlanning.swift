import TuffModel
import TuffSchedule

/// Removal of restore points that no rule keeps, and of packs that nothing needs.
///
/// The schedule is the repository's, and the first host that is due looks through the packs for all: its receipt tells
/// the others. Each host removes points of its own series alone, so one whose points wait is due by its own receipts.
extension PlanningPass {
    /// Pruning that is due in a repository, and for which time.
    private struct DuePruning {
        var packs: Instant?
        var points: Instant?

        var time: Instant? { packs ?? points }
    }

    mutating func planPrunes(_ desired: DesiredState) {
        // A share that Cinder wrote is only read.
        for (name, declared) in desired.backupRepositories.inKeyOrder
        where declared.spec.format == .tuff {
            guard case .readable(let view)? = repositories[name], !view.isEmpty else { continue }
            switch self.calendar(of: declared.spec.prune) {
            case .success(let calendar): planPrune(declared, in: view, at: calendar, of: desired)
            case .failure(let missing): blockPrune(declared, missing.obstacle)
            }
        }
    }

    private mutating func planPrune(
        _ declared: Declared<BackupRepositorySpec>, in view: RepositoryView, at calendar: PolicyCalendar,
        of desired: DesiredState
    ) {
        let name = declared.metadata.name, resource = ResourceID(.backupRepository, name)
        let judgement = judgeByKeep(name, in: view, of: desired)
        let due = duePruning(declared, in: view, at: calendar, hasExpired: !judgement.expired.isEmpty)
        guard let time = due.time else { return }
        if let obstacle = pruneObstacle(view) { return blockPrune(declared, obstacle) }
        let count = judgement.expired.count
        var parts: [String] = []
        if count > 0 {
            parts.append("remove \(PrintedText.count(count, "restore point")) that no rule keeps any more")
        }
        if due.packs != nil { parts.append("look for packs that nothing needs") }
        let summary = parts.joined(separator: ", and ") + ", due at \(time)"
        guard context.consent.runDue else {
            builder.add(
                PlannedChange(
                    resource, action: .due, summary: summary, location: declared.location, notes: judgement.notes))
            return
        }
        var task = PruneTask(of: name, view.access, by: context.config.node, of: context.stack)
        task.expired = judgement.expired.map { PruneTask.Expired($0.id, of: $0.policy ?? "") }
        task.packsDue = due.packs
        // A point that this plan makes is made first: what is due to be kept comes before what is due to go.
        builder.add(
            PlannedChange(
                resource, action: .update, summary: summary, risk: count > 0 ? .destroysData : .online,
                location: declared.location,
                notes: judgement.notes), [.backup(.prune(task))], behind: repositoryWriters[name] ?? [])
    }

    private func duePruning(
        _ declared: Declared<BackupRepositorySpec>, in view: RepositoryView, at calendar: PolicyCalendar,
        hasExpired: Bool
    ) -> DuePruning {
        let delay = Timetable.delay(
            upTo: declared.spec.prune.jitter ?? TimeSpan(seconds: 0),
            key: [declared.metadata.name, context.config.node, context.stack])
        let times = Timetable(calendar.expression, in: calendar.zone, delay: delay)
        // Before there was anything in it, nothing was due.
        let since = view.names.flatMap(view.points).map(\.time).min() ?? context.now
        let done = view.receipts.filter { $0.work == .prune && !isOfFuture($0.time) }
        func due(_ receipts: [ObservedReceipt]) -> Instant? {
            let last = receipts.map { min($0.time, context.now) }.max()
            if case .due(let time, _) = times.verdict(last: last, since: min(since, context.now), now: context.now) {
                return time
            }
            return nil
        }
        let own = done.filter { $0.node == context.config.node && $0.stack == context.stack }
        return DuePruning(packs: due(done.filter { $0.packs == true }), points: hasExpired ? due(own) : nil)
    }

    private func pruneObstacle(_ view: RepositoryView) -> Obstacle? {
        guard view.damaged == 0 else {
            return Obstacle(
                .pointsDamaged,
                "nothing is removed from it: \(PrintedText.count(view.damaged, "restore point")) cannot be read, and "
                    + "what such a one needs is not known; see 'tuff backup check'")
        }
        guard let obstacle = removalObstacle() else { return nil }
        return Obstacle(obstacle.reason, "nothing is removed from it: \(obstacle.sentence)")
    }

    private mutating func blockPrune(_ declared: Declared<BackupRepositorySpec>, _ obstacle: Obstacle) {
        builder.block(ResourceID(.backupRepository, declared.metadata.name), by: obstacle, at: declared.location)
    }
}
