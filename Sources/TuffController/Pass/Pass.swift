import TuffHost
package import TuffModel
package import TuffPlanning
package import TuffReconcile

/// One pass that may change the host, under its lock: observes, plans, shows, asks, carries out, observes again,
/// judges, and records. Documents, orders by hand and the exports that a boot brings back all go this way. The lock is
/// given back while the pass only waits for work of hours (`HostTenure`).
package struct Pass: Sendable {
    let controller: Controller
    package var view: HostView
    let lock: HostLock
    let overseer: any Overseer

    /// Gives the host's lock back. Commands that still run keep it.
    package func end() { lock.release() }

    /// Carries documents out.
    /// - Parameters:
    ///   - planned: the plan file they come from; its plan is the only one that is carried out.
    ///   - context: that of the plan file, or a new one.
    /// - Returns: a report, also where there was nothing to do.
    package func apply(
        _ state: DesiredState, planned: PlanFile? = nil, context: PlanContext
    ) async throws(PassError) -> ApplyReport {
        let report = try await round(state, planned: planned, context: context)
        guard report.hasMounted, !report.interrupted, report.isOthers != true, report.remaining.refusal == nil,
            !report.remaining.isEmpty
        else {
            return report
        }
        guard planned == nil else {
            overseer.tell(.note("what is in the pools that were mounted is known now: apply again for the rest"))
            return report
        }
        // The content of a pool is known once it is mounted, and the rest of the set is planned from that.
        var next = context
        // A number of removals is consent to one plan.
        next.consent.allowRemovals = nil
        do throws(PassError) {
            return report.followed(by: try await round(state, planned: nil, context: next))
        } catch {
            overseer.tell(.warning("the pools are mounted, and the rest was not done: \(error.sentence)"))
            return report
        }
    }

    /// Observes, plans, asks, carries out and judges once.
    private func round(
        _ state: DesiredState, planned: PlanFile?, context: PlanContext
    ) async throws(PassError) -> ApplyReport {
        let clock = ContinuousClock()
        let start = clock.now
        let observed = try await view.observe(state, context: context)
        let seconds = start.duration(to: clock.now) / .seconds(1)
        tellUnseen(observed)
        let plan = Planner.plan(desired: state, observed: observed, context: context)
        if let planned, PlanFile.digest(of: plan) != planned.digest {
            overseer.tell(.plansDiffer(then: planned.summary, now: plan))
            throw PassError(
                "the host has changed since the plan was made, and the plan with it; nothing was changed",
                help: "compare the two above and plan again")
        }
        try overseer.show(plan, elsewhere: state.elsewhere(than: context.config.node))
        if let refusal = plan.refusal {
            throw PassError("\(refusal.sentence); nothing was changed", help: refusal.help)
        }
        guard !plan.isEmpty else {
            try passing { () throws(HostError) in
                try record(state, context: context, observed: observed)
                try view.reconciler.remember(observed, desired: state, context: context)
            }
            return .untouched(plan, observe: seconds)
        }
        if try await approval(of: plan, for: .documents) == .givenLate {
            let now = try await view.observe(state, context: context)
            try demandSame(plan, Planner.plan(desired: state, observed: now, context: context))
        }
        try demandFresh(plan)
        // The set is accepted now, whether carrying it out succeeds or not.
        try passing { () throws(HostError) in try record(state, context: context, observed: nil) }
        var report = try await carryOut(plan, desired: state, order: nil, observed: observed)
        report.times.observe = seconds
        return report
    }

    /// Carries one order out.
    /// - Returns: a report, also where there was nothing to do.
    package func carryOut(_ order: Order, stack: String) async throws(PassError) -> ApplyReport {
        let context = view.newContext(stack: stack)
        let observed = try await view.observe(DesiredState(), context: context)
        tellUnseen(observed)
        let plan = try planned(order, observed: observed, context: context)
        try overseer.show(plan, elsewhere: [:])
        guard !plan.isEmpty else { return .untouched(plan, observe: 0) }
        if try await approval(of: plan, for: .order) == .givenLate {
            let now = try await view.observe(DesiredState(), context: context)
            try demandSame(plan, try planned(order, observed: now, context: context))
        }
        return try await carryOut(plan, desired: DesiredState(), order: order, observed: observed)
    }

    /// Takes down every export of ours, of all stacks. Neither ledger nor accepted set is written: this is no removal.
    package func withdrawExports(stack: String) async throws(PassError) -> ApplyReport {
        var pass = self
        pass.view = view.withoutKeeping(overseer)
        return try await pass.carryOut(.withdrawExports, stack: stack)
    }

    /// Asks whether `plan` is carried out; a person is asked without the host's lock, since nobody knows how long that
    /// takes, and the host is looked at again afterwards.
    private func approval(of plan: Plan, for occasion: Occasion) async throws(PassError) -> Approval {
        guard overseer.asksPeople else { return try await overseer.approve(plan, for: occasion) }
        lock.release()
        let approval = try await overseer.approve(plan, for: occasion)
        try await HostLocking.regain(lock, overseer: overseer)
        return approval
    }

    func tellUnseen(_ observed: ObservedState) {
        for sentence in observed.unseenSentences { overseer.tell(.warning(sentence)) }
    }

    private func planned(
        _ order: Order, observed: ObservedState, context: PlanContext
    ) throws(PassError) -> Plan {
        do throws(OrderError) {
            return try Planner.plan(order, observed: observed, context: context)
        } catch {
            throw PassError(error)
        }
    }

    private func demandSame(_ approved: Plan, _ now: Plan) throws(PassError) {
        guard now.settled != approved.settled else { return }
        throw PassError(
            "the host has changed since the plan was shown, and another plan would be needed; nothing was done",
            help: "run the same command again")
    }

    private func carryOut(
        _ plan: Plan, desired: DesiredState, order: Order?, observed: ObservedState
    ) async throws(PassError) -> ApplyReport {
        let overseer = overseer
        let listener = overseer.listener(to: plan)
        defer {
            listener.end()
            for sentence in controller.leftBehind { overseer.tell(.warning(sentence)) }
        }
        do throws(HostError) {
            let report = try await view.reconciler.apply(
                plan, desired: desired, order: order, observed: observed,
                interrupted: { overseer.asksToStop },
                events: { listener.tell($0) },
                tenure: HostTenure(self, stack: plan.context.stack),
                settled: { now throws(HostError) in
                    if order == nil { try record(desired, context: plan.context, observed: now) }
                })
            if case .detach(let attachment, _) = order, report.outcome == .converged {
                try strike(attachment, plan.context)
            }
            return report
        } catch {
            throw PassError(error)
        }
    }

    // MARK: The age of plans

    /// Demands that a plan with removals is recent, since deadlines and the guard's day are counted from the plan's
    /// time.
    private func demandFresh(_ plan: Plan) throws(PassError) {
        let now = view.reconciler.machine.now()
        guard plan.counts.remove > 0, !Self.isFresh(plan, at: now) else { return }
        throw PassError(
            "this plan removes something and was made at \(plan.context.now), not within the last hour; nothing was "
                + "changed",
            help: "plan again")
    }

    package static func isFresh(_ plan: Plan, at now: Instant) -> Bool {
        let age = now.secondsSince1970 - plan.context.now.secondsSince1970
        return age <= freshness && age >= -300
    }

    /// Seconds for which a plan that removes may be carried out.
    private static let freshness: Int64 = 3600

    // MARK: The accepted set

    /// Records the exports that a boot brings back.
    /// - Parameter observed: the last observation, by which access that is gone is dropped; nil: nothing was carried
    ///   out yet.
    private func record(
        _ desired: DesiredState, context: PlanContext, observed: ObservedState?
    ) throws(HostError) {
        let former = try view.accepted.load(context.stack)
        let accepted = AcceptedExports(desired, context: context, former: former, observed: observed)
        // Only the time differs: no write, and no wait for the disk.
        if let former, former.pools == accepted.pools, former.access == accepted.access { return }
        try view.accepted.save(accepted)
    }

    /// Removes an access that was detached by hand from the accepted set, so that no boot brings it back. The next
    /// `apply` that declares it does.
    private func strike(_ attachment: String, _ context: PlanContext) throws(HostError) {
        guard var accepted = try view.accepted.load(context.stack) else { return }
        accepted.strike(attachment, volumes: !view.config.exportCapabilities.marksAccess)
        try view.accepted.save(accepted)
    }
}

extension ApplyReport {
    /// True where shares of pools were mounted, of which nobody knew before what is in them.
    fileprivate var hasMounted: Bool {
        plan.steps.contains { step in
            if case .mount(.mount) = step.step { changes[step.change].verdict == .done } else { false }
        }
    }

    /// The report of two rounds of one pass.
    fileprivate func followed(by next: ApplyReport) -> ApplyReport {
        var both = next
        both.changes = next.changes.map { later in
            guard later.verdict == .unchanged else { return later }
            return changes.first { $0.resource == later.resource && $0.verdict == .done } ?? later
        }
        let known = Set(next.changes.map(\.resource))
        both.changes = changes.filter { !known.contains($0.resource) && $0.verdict != .blocked } + both.changes
        return both
    }

    /// The report of a plan without steps: nothing was done, and the observation it was made from is still the last.
    package static func untouched(_ plan: Plan, observe seconds: Double) -> ApplyReport {
        let changes = plan.changes.map { change in
            let verdict: ChangeReport.Verdict =
                switch change.action {
                case .blocked: .blocked
                case .unsupported: .unsupported
                case .orphan: .orphan
                case .create, .untrash, .adopt, .update, .withdraw, .takeDown, .release, .trash, .purge, .due,
                    .unchanged:
                    .unchanged
                }
            return ChangeReport(
                resource: change.resource, action: change.action, summary: change.summary, verdict: verdict,
                location: change.location)
        }
        var times = PhaseTimes()
        times.observe = seconds
        return ApplyReport(plan: plan, changes: changes, remaining: plan, interrupted: false, times: times)
    }
}
