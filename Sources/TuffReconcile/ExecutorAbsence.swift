import TuffModel
import TuffPlanning

/// A pass that waits for nothing but its own work of hours lets others go on, and sees afterwards what they did.
extension Executor {
    /// Gives the host up where all that runs moves data and has begun, so that its job files speak for it.
    func leaveHost(_ progress: inout Progress) {
        guard let tenure, !progress.isAway, !progress.hasLostHost, !progress.sawInterrupt,
            !progress.inFlight.isEmpty, progress.inFlight.values.allSatisfy({ $0 == .data }),
            begun.contains(progress.inFlight.keys)
        else { return }
        // Of all that was begun, also what waits for its turn: others would take its snapshots for left ones.
        let begun = plan.steps.filter {
            progress.outcomes[$0.id] == nil && progress.started.contains($0.change)
        }
        let objects = begun.flatMap { planned in
            [plan.changes[planned.change].uid, planned.step.reads, planned.step.fills].compactMap { $0 }
        }
        progress.isAway = tenure.leave(Set(objects).sorted())
    }

    func returnToHost(_ progress: inout Progress) async {
        guard let tenure, progress.isAway, !progress.hasLostHost else { return }
        guard let absence = await tenure.comeBack() else {
            progress.hasLostHost = true
            return
        }
        progress.isAway = false
        switch absence {
        case .undisturbed: break
        case .superseded: progress.isSuperseded = true
        case .visited:
            progress.wasVisited = true
            if let now = await replan() { drop(what: now, &progress) } else { progress.isSuperseded = true }
        }
    }

    /// Leaves out what others have done or do by now, and what takes something away or writes over it, since nobody
    /// knows here what their documents say: the next pass does that. What waits for this pass's own work is blocked in
    /// their plans as in this one, and goes on.
    private func drop(what now: Plan, _ progress: inout Progress) {
        let own = progress.inFlight.keys.map { plan.changes[plan.steps[$0].change].uid }
        for step in plan.steps where !progress.started.contains(step.change) {
            let change = plan.changes[step.change]
            let still = now.changes.filter { $0.resource == change.resource && $0.uid == change.uid }
            let isTheirs = still.allSatisfy {
                $0.action == .unchanged || $0.reason == .jobRunning && !own.contains($0.uid)
            }
            if isTheirs || change.takesSomething { progress.dropped.insert(step.change) }
        }
    }

    /// True if it is not begun any more: others have it, or have another set.
    func isLeftOut(_ step: PlannedStep, _ progress: Progress) -> Bool {
        progress.dropped.contains(step.change) || progress.isSuperseded && !progress.started.contains(step.change)
    }
}

extension PlannedChange {
    /// True if something is lost by it, be it only what a volume held before it was rolled back.
    fileprivate var takesSomething: Bool {
        action.removes || action == .withdraw || action == .takeDown || risk == .destroysData
            || resource.kind == .restore
    }
}
