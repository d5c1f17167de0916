import ArgumentParser
import TuffController
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
        let overseer = try TerminalOverseer(global, form.format, autoApprove: autoApprove)
        let pass = try await host.controller.begin(under: run.config, patience: wait.timeout, overseer: overseer)
        defer { pass.end() }
        let state = run.documents.state
        let report = try await pass.apply(
            state, planned: run.planned,
            context: run.planned?.context ?? pass.view.newContext(stack: stack.stack, consent: consent))
        try overseer.finish(report, elsewhere: state.elsewhere(than: report.plan.context.config.node))
    }

    private struct Run {
        var documents: Documents
        var config: ControllerConfig
        var planned: PlanFile?
    }

    private func prepare() throws(Failure) -> Run {
        let config = try global.loadConfig()
        let consequence = "nothing was planned, nothing was changed"
        guard let planFile else {
            let loaded = try global.loadDocuments(
                documents.paths, under: config, consequence: consequence, pruning: consent.prune)
            return Run(documents: loaded, config: config)
        }
        let data = try Files.read(planFile)
        let file = try failing { () throws(PassError) in try PlanFile.decode(data, name: planFile) }
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
        let listener = TerminalListener(style: global.errors)
        for path in file.changedSources {
            listener.tell(
                .note("\(path) has changed since the plan was made; what is carried out is what it said then"))
        }
        return Run(
            documents: try global.accept(file.reading, consequence: consequence), config: config, planned: file)
    }
}
