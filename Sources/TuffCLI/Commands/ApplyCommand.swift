import ArgumentParser
import SystemPackage
import TuffConfig
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Plan, ask, carry out, observe again, report.",
        discussion: """
            Takes documents (-f PATH) or a file written by 'tuff plan --out'. A plan file is carried out only if \
            planning again gives the same plan.
            """)

    @OptionGroup var documents: DocumentOptions
    @Argument(help: "A file written by 'tuff plan --out'.", completion: .file()) var planFile: String?
    @Flag(help: "Do not ask.") var autoApprove = false
    @Option(help: ArgumentHelp("Wait this long for another tuff to finish, as in 90s or 5m.", valueName: "duration"))
    var lockTimeout: String?
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var stack: StackOption
    @OptionGroup var later: LaterConsentOptions
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func validate() throws {
        guard documents.paths.isEmpty != (planFile == nil) else {
            throw ValidationError("give either documents (-f PATH) or a plan file")
        }
        guard lockTimeout.map({ TimeSpan(text: $0) != nil }) ?? true else {
            throw ValidationError("--lock-timeout '\(lockTimeout ?? "")' is no duration such as 90s or 5m")
        }
    }

    func run() async throws {
        try later.refuse()
        let run = try prepare()
        let interrupts: Interrupts
        do { interrupts = try Interrupts.install() } catch { throw Failure(error.description) }
        let lock = try await HostLocking.acquire(
            host.lockFile, timeout: lockTimeout.flatMap { TimeSpan(text: $0) }, interrupts: interrupts)
        defer { lock.release() }
        let session = Session(config: run.config, host: host, lock: lock)
        let context = run.planned?.context ?? session.newContext(stack: stack.stack)
        let clock = ContinuousClock()
        let start = clock.now
        let observed = await session.reconciler.observe(run.documents.state, context: context)
        let seconds = start.duration(to: clock.now) / .seconds(1)
        observed.warnOfUnseen(global.errors)
        let plan = Planner.plan(desired: run.documents.state, observed: observed, context: context)
        if let planned = run.planned { try planned.demandSame(plan) }
        try show(plan)
        guard !plan.isEmpty else { return try finish(.untouched(plan, observe: seconds), quiet: true) }
        if try await approve(interrupts) {
            // A person took their time; what they approved must still be what would happen.
            let now = await session.reconciler.observe(run.documents.state, context: context)
            let again = Planner.plan(desired: run.documents.state, observed: now, context: context)
            guard again == plan else {
                throw Failure(
                    "the host has changed since the plan was shown, and another plan would be needed; nothing was done",
                    help: "run the same command again")
            }
        }
        var report = await carryOut(plan, run.documents.state, session, interrupts)
        report.times.observe = seconds
        session.warnOfLeftBehind(global.errors)
        try finish(report, quiet: false)
    }

    // MARK: What to carry out

    private struct Run {
        var documents: Documents
        var config: ControllerConfig
        var planned: PlanFile?
    }

    private func prepare() throws(Failure) -> Run {
        let config = try global.loadConfig()
        guard let planFile else {
            let loaded = try Documents.load(
                documents.paths, style: global.errors, consequence: "nothing was planned, nothing was changed")
            return Run(documents: loaded, config: config)
        }
        let file = try PlanFile.decode(try Files.read(planFile), name: planFile)
        guard file.context.config == config else {
            throw Failure(
                "the controller's configuration is not the one \(planFile) was made with; nothing was changed",
                help: "plan again")
        }
        let sources = file.sources.map { ConfigSource(path: $0.path, text: Array($0.text.utf8)) }
        let loaded = try Documents.link(
            sources, style: global.errors, consequence: "nothing was planned, nothing was changed")
        return Run(documents: loaded, config: config, planned: file)
    }

    // MARK: Asking

    /// The plan is data unless the report is to be JSON; then it is talk.
    private func show(_ plan: Plan) throws(Failure) {
        switch form.format {
        case .text: try Console.data(PlanView(plan).text(global.output))
        case .json: Console.talk(PlanView(plan).text(global.errors))
        }
    }

    /// - Returns: whether a person was asked, and said yes.
    private func approve(_ interrupts: Interrupts) async throws(Failure) -> Bool {
        if autoApprove { return false }
        guard Console.isTerminal(.standardInput), Console.isTerminal(.standardError) else {
            throw Failure(
                "there is no terminal to ask on; nothing was changed",
                help: "read the plan above, then give --auto-approve")
        }
        Console.talk("\nApply these changes? [y/N] ")
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

    // MARK: Carrying out

    private func carryOut(
        _ plan: Plan, _ desired: DesiredState, _ session: Session, _ interrupts: Interrupts
    ) async -> ApplyReport {
        let style = global.errors
        return await session.reconciler.apply(
            plan, desired: desired, interrupted: { interrupts.isInterrupted },
            events: { Console.talk(ProgressText.line($0, of: plan, style)) })
    }

    private func finish(_ report: ApplyReport, quiet: Bool) throws(Failure) {
        let view = ApplyView(report)
        switch form.format {
        case .json: try Console.data(view.document.json)
        // After a plan with nothing to do there is nothing left to say.
        case .text: if !quiet { try Console.data("\n" + view.text(global.output)) }
        }
        if report.exitCode != ExitStatus.done { throw Failure(nil, code: report.exitCode) }
    }
}

extension ApplyReport {
    /// The report of a plan without steps: nothing was done, and the observation it was made from is still the last.
    static func untouched(_ plan: Plan, observe seconds: Double) -> ApplyReport {
        let changes = plan.changes.map { change in
            let verdict: ChangeReport.Verdict =
                switch change.action {
                case .unchanged, .create, .update: .unchanged
                case .blocked: .blocked
                case .unsupported: .unsupported
                case .orphan: .orphan
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

extension PlanFile {
    /// Nothing but what was shown is carried out: another plan ends the command.
    func demandSame(_ plan: Plan) throws(Failure) {
        guard PlanFile.digest(of: plan) != digest else { return }
        Console.talk("Planned then:\n\n\(summary)\nPlanned now:\n\n\(PlanView(plan).text(Style()))\n")
        throw Failure(
            "the host has changed since the plan was made, and the plan with it; nothing was changed",
            help: "compare the two above and plan again")
    }
}
