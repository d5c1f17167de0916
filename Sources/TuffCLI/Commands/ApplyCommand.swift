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
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var stack: StackOption
    @OptionGroup var consent: ConsentOptions
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func validate() throws {
        guard documents.paths.isEmpty != (planFile == nil) else {
            throw ValidationError("give either documents (-f PATH) or a plan file")
        }
        if planFile != nil, let flag = consent.firstGiven {
            throw ValidationError(
                "\(flag) stands beside a plan file, which holds what 'tuff plan' was given; give \(flag) to 'tuff plan'"
            )
        }
    }

    func run() async throws {
        let consent = try consent.consent()
        let run = try prepare()
        let pass = try await Pass.begin(
            config: run.config, host: host, global: global, form: form, lockTimeout: wait.timeout)
        defer { pass.lock.release() }
        let state = run.documents.state
        let context = run.planned?.context ?? pass.session.newContext(stack: stack.stack, consent: consent)
        let clock = ContinuousClock()
        let start = clock.now
        let observed = try await pass.session.observe(state, context: context)
        let seconds = start.duration(to: clock.now) / .seconds(1)
        observed.warnOfUnseen(global.errors)
        let plan = Planner.plan(desired: state, observed: observed, context: context)
        if let planned = run.planned { try planned.demandSame(plan) }
        let elsewhere = state.elsewhere(than: context.config.node)
        try pass.show(plan, elsewhere: elsewhere)
        if let refusal = plan.refusal {
            throw Failure("\(refusal.sentence); nothing was changed", help: refusal.help)
        }
        guard !plan.isEmpty else {
            try pass.accept(state, context, observed)
            try pass.remember(observed, state, context)
            return try pass.finish(.untouched(plan, observe: seconds), quiet: true, elsewhere: elsewhere)
        }
        if try await pass.approve("Apply these changes?", autoApprove: autoApprove) {
            // A person took their time; what they approved must still be what would happen.
            let now = try await pass.session.observe(state, context: context)
            try pass.demandSame(plan, Planner.plan(desired: state, observed: now, context: context))
        }
        try pass.demandFresh(plan)
        try pass.accept(state, context)
        var report = try await pass.carryOut(plan, state, order: nil, observed)
        report.times.observe = seconds
        pass.session.warnOfLeftBehind(global.errors)
        try pass.finish(report, quiet: false, elsewhere: elsewhere)
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
                documents.paths, under: config, style: global.errors,
                consequence: "nothing was planned, nothing was changed",
                pruning: consent.prune)
            return Run(documents: loaded, config: config)
        }
        let file = try PlanFile.decode(try Files.read(planFile), name: planFile)
        guard file.context.config == config else {
            throw Failure(
                "the controller's configuration is not the one \(planFile) was made with; nothing was changed",
                help: "plan again")
        }
        if let given = stack.given, given != file.context.stack {
            throw Failure.usage(
                "--stack \(given) was given and \(planFile) is for stack \(file.context.stack); nothing was changed",
                help: "leave --stack out, or plan again with it")
        }
        file.noteChangedSources(global.errors)
        let sources = file.sources.map { ConfigSource(path: $0.path, text: Array($0.text.utf8)) }
        let loaded = try Documents.link(
            sources, style: global.errors, consequence: "nothing was planned, nothing was changed")
        return Run(documents: loaded, config: config, planned: file)
    }
}

extension ApplyReport {
    /// The report of a plan without steps: nothing was done, and the observation it was made from is still the last.
    static func untouched(_ plan: Plan, observe seconds: Double) -> ApplyReport {
        let changes = plan.changes.map { change in
            let verdict: ChangeReport.Verdict =
                switch change.action {
                case .blocked: .blocked
                case .unsupported: .unsupported
                case .orphan: .orphan
                default: .unchanged
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
    /// Says which documents are not any more what was planned from. What counts is what the file holds. A document that
    /// is not there says nothing: the file may have been carried to another host.
    func noteChangedSources(_ style: Style) {
        let changed = sources.filter { source in
            guard Files.isPlain(source.path) else { return false }
            let (now, _) = ConfigLoader.read(paths: [source.path])
            return now.count == 1 && now[0].path == source.path && now[0].text != Array(source.text.utf8)
        }
        for source in changed {
            Console.talk(
                style.paint("note:", .yellow) + " \(Layout.printable(source.path)) has changed since the plan was made;"
                    + " what is carried out is what it said then\n")
        }
    }

    /// Nothing but what was shown is carried out: another plan ends the command.
    func demandSame(_ plan: Plan) throws(Failure) {
        guard PlanFile.digest(of: plan) != digest else { return }
        // Indented, so that nothing in the file can pass for what is said here.
        func indented(_ text: String) -> String {
            // By scalars: "\r\n" is one character, and no "\n".
            text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
                .map { $0.isEmpty ? "" : "  \(String($0))" }.joined(separator: "\n")
        }
        Console.talk(
            "Planned then:\n\n\(indented(summary))\nPlanned now:\n\n\(indented(PlanView(plan).text(Style())))\n")
        throw Failure(
            "the host has changed since the plan was made, and the plan with it; nothing was changed",
            help: "compare the two above and plan again")
    }
}
