import ArgumentParser
import SystemPackage
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// What all commands that change a host share: the lock, the signals, showing, asking, carrying out, reporting.
struct Pass {
    var session: Session
    let lock: HostLock
    let interrupts: Interrupts
    private let global: GlobalOptions
    private let form: TextOrJSONOption

    /// Takes the host's lock, which the caller releases.
    static func begin(
        config: ControllerConfig, host: HostOptions, global: GlobalOptions, form: TextOrJSONOption,
        lockTimeout: TimeSpan?
    ) async throws(Failure) -> Pass {
        let interrupts: Interrupts
        do { interrupts = try Interrupts.install() } catch { throw Failure(error.description) }
        let lock = try await HostLocking.acquire(host.lockFile, timeout: lockTimeout, interrupts: interrupts)
        let session = Session(config: config, host: host, lock: lock)
        await session.settleDebts()
        return Pass(session: session, lock: lock, interrupts: interrupts, global: global, form: form)
    }

    /// The plan is data unless the report is to be JSON; then it is talk.
    func show(_ plan: Plan, elsewhere: [String: Int] = [:]) throws(Failure) {
        let view = PlanView(plan, elsewhere: elsewhere)
        switch form.format {
        case .text: try Console.data(view.text(global.output))
        case .json: Console.talk(view.text(global.errors))
        }
    }

    /// - Returns: whether a person was asked, and said yes.
    func approve(_ question: String, autoApprove: Bool) async throws(Failure) -> Bool {
        if autoApprove { return false }
        guard Console.isTerminal(.standardInput), Console.isTerminal(.standardError) else {
            throw Failure(
                "there is no terminal to ask on; nothing was changed",
                help: "read the plan above, then give --auto-approve")
        }
        Console.talk("\n\(question) [y/N] ")
        let answer = await Console.answer(orInterruptedBy: interrupts)
        guard let answer else {
            Console.talk("\n")
            throw Failure("interrupted; nothing was changed", code: ExitStatus.interrupted)
        }
        guard ["y", "yes"].contains(answer.lowercased()) else {
            throw Failure("not approved; nothing was changed")
        }
        Console.talk("\n")
        return true
    }

    func demandSame(_ approved: Plan, _ now: Plan) throws(Failure) {
        guard now != approved else { return }
        throw Failure(
            "the host has changed since the plan was shown, and another plan would be needed; nothing was done",
            help: "run the same command again")
    }

    func carryOut(
        _ plan: Plan, _ desired: DesiredState, order: Order?, _ observed: ObservedState
    ) async throws(Failure) -> ApplyReport {
        let style = global.errors
        let interrupts = interrupts
        let clock = ContinuousClock(), start = clock.now
        let talk = ProgressTalk(
            plan, style, Console.progressForm(besideJSON: form.format == .json),
            now: { start.duration(to: clock.now) / .seconds(1) }, talk: { Console.talk($0) })
        defer { talk.end() }
        let report: ApplyReport
        do throws(HostError) {
            report = try await session.reconciler.apply(
                plan, desired: desired, order: order, observed: observed,
                interrupted: { interrupts.isInterrupted },
                events: { talk.tell($0) },
                settled: { now throws(HostError) in
                    if order == nil { try record(desired, plan.context, now) }
                })
        } catch {
            throw Failure(error.description)
        }
        if case .detach(let attachment, _) = order, report.exitCode == ExitStatus.done {
            try strike(attachment, plan.context)
        }
        return report
    }

    /// Deadlines and the guard's day are counted from the plan's time. One that removes must be carried out while that
    /// is still now.
    func demandFresh(_ plan: Plan) throws(Failure) {
        let now = session.reconciler.machine.now()
        guard plan.counts.remove > 0, !Self.isFresh(plan, at: now) else { return }
        throw Failure(
            "this plan removes something and was made at \(plan.context.now), not within the last hour; nothing was changed",
            help: "plan again")
    }

    static func isFresh(_ plan: Plan, at now: Instant) -> Bool {
        let age = now.secondsSince1970 - plan.context.now.secondsSince1970
        return age <= freshness && age >= -300
    }

    /// Seconds for which a plan that removes may be carried out.
    private static let freshness: Int64 = 3600

    func remember(_ observed: ObservedState, _ desired: DesiredState, _ context: PlanContext) throws(Failure) {
        do throws(HostError) {
            try session.reconciler.remember(observed, desired: desired, context: context)
        } catch {
            throw Failure(error.description)
        }
    }

    func save(_ ledger: Ledger) throws(Failure) {
        do throws(HostError) { try session.reconciler.ledger.save(ledger) } catch {
            throw Failure(error.description)
        }
    }

    /// Writes down what a boot is to bring back: this set is what a person wants, whether carrying it out succeeds or not.
    /// - Parameter observed: what was seen in the end, so that what is gone need not be kept; nil: before anything.
    func accept(_ desired: DesiredState, _ context: PlanContext, _ observed: ObservedState? = nil) throws(Failure) {
        do throws(HostError) { try record(desired, context, observed) } catch { throw Failure(error.description) }
    }

    private func record(
        _ desired: DesiredState, _ context: PlanContext, _ observed: ObservedState?
    ) throws(HostError) {
        let former = try session.accepted.load(context.stack)
        let accepted = AcceptedExports(desired, context: context, former: former, observed: observed)
        // Unchanged but for its time: no write, and no wait for the disk.
        if let former, former.pools == accepted.pools, former.access == accepted.access { return }
        try session.accepted.save(accepted)
    }

    /// What is taken away by hand does not come back by a boot; the next `apply` that declares it brings it back.
    private func strike(_ attachment: String, _ context: PlanContext) throws(Failure) {
        do throws(HostError) {
            guard var accepted = try session.accepted.load(context.stack) else { return }
            accepted.strike(attachment, volumes: !ExportCapabilities.of(session.config.targetDriver).marksAccess)
            try session.accepted.save(accepted)
        } catch {
            throw Failure(error.description)
        }
    }

    /// Plans the order, shows it, asks, carries it out, observes again, reports.
    func carryOut(
        _ order: Order, stack: String = StackOption.standard, autoApprove: Bool
    ) async throws(Failure) {
        let context = session.newContext(stack: stack)
        let observed = try await session.observe(DesiredState(), context: context)
        observed.warnOfUnseen(global.errors)
        let plan = try planned(order, observed, context)
        try show(plan)
        guard !plan.isEmpty else { return try finish(.untouched(plan, observe: 0), quiet: true) }
        if try await approve("Carry this out?", autoApprove: autoApprove) {
            let now = try await session.observe(DesiredState(), context: context)
            try demandSame(plan, try planned(order, now, context))
        }
        try finish(try await carryOut(plan, DesiredState(), order: order, observed), quiet: false)
    }

    private func planned(
        _ order: Order, _ observed: ObservedState, _ context: PlanContext
    ) throws(Failure) -> Plan {
        do throws(OrderError) {
            return try Planner.plan(order, observed: observed, context: context)
        } catch {
            throw Failure(error.sentence, help: error.help)
        }
    }

    func finish(_ report: ApplyReport, quiet: Bool, elsewhere: [String: Int] = [:]) throws(Failure) {
        let view = ApplyView(report, elsewhere: elsewhere)
        switch form.format {
        case .json: try Console.data(view.document.json)
        // After a plan with nothing to do there is nothing left to say.
        case .text: if !quiet { try Console.data("\n" + view.text(global.output)) }
        }
        if report.exitCode != ExitStatus.done { throw Failure(nil, code: report.exitCode) }
    }
}

/// Options of the commands that carry out one order.
struct OrderOptions: ParsableArguments {
    @Flag(help: "Do not ask.") var autoApprove = false
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var stack: StackOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func carryOut(_ order: Order) async throws(Failure) {
        let pass = try await Pass.begin(
            config: try global.loadConfig(), host: host, global: global, form: form, lockTimeout: wait.timeout)
        defer { pass.lock.release() }
        try await pass.carryOut(order, stack: stack.stack, autoApprove: autoApprove)
    }
}
