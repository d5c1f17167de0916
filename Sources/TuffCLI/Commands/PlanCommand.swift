import ArgumentParser
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show what apply would do, and why. Changes nothing.")

    @OptionGroup var documents: DocumentOptions
    @OptionGroup var form: TextOrJSONOption
    @Option(help: ArgumentHelp("Write the plan for 'tuff apply FILE' (mode 0600).", valueName: "file"))
    var out: String?
    @Flag(help: "Exit 2 when changes are pending, 3 when there are none but something is blocked.")
    var detailedExitcode = false
    @Flag(help: "Show every command and attribute write, in order.")
    var showCommands = false
    @Option(
        help: ArgumentHelp(
            "Plan against a file of 'tuff inventory', with the configuration in it; needs no host.",
            valueName: "file"), completion: .file(extensions: ["json"]))
    var inventory: String?
    @OptionGroup var stack: StackOption
    @OptionGroup var consent: ConsentOptions
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func validate() throws {
        guard !documents.paths.isEmpty else { throw ValidationError("give the documents: -f PATH") }
        guard inventory == nil || global.config == nil else {
            throw ValidationError("--inventory brings its own configuration; leave --config out")
        }
    }

    func run() async throws {
        let consent = try consent.consent()
        let config = inventory == nil ? try global.loadConfig() : nil
        let documents = try global.loadDocuments(
            documents.paths, under: config, consequence: "nothing was planned", pruning: consent.prune)
        let (host, context, observed) = try await look(documents.state, consent: consent, config: config)
        global.warnOfUnseen(observed)
        let plan = Planner.plan(desired: documents.state, observed: observed, context: context)
        UntilTheEnd.keep((documents, observed, plan))
        // A refused plan could not be applied from a file either: consent is part of it.
        if let out, plan.refusal == nil {
            try Files.writePrivate(
                PlanFile(plan: plan, documents: documents, summary: PlanView(plan).text(Style())).data, to: out,
                mayReplace: PlanFile.isPlanFile)
        }
        let view = PlanView(
            plan, commands: showCommands ? host.reconciler.lowered(plan) : nil,
            elsewhere: documents.state.elsewhere(than: context.config.node))
        try form.show(view, global.output)
        if let out, plan.refusal == nil {
            let apply = Command("tuff", ["apply", out] + global.repeated + self.host.repeated, effect: .reads)
            Console.talk(PrintedText.oneLine("written to \(out); carry it out with: \(apply)") + "\n")
        }
        if plan.refusal != nil {
            if let out { Console.talk("\(PrintedText.oneLine(out)) was not written: the plan is refused\n") }
            throw Failure(nil, code: ExitStatus.failed)
        }
        guard detailedExitcode else { return }
        if !plan.isEmpty { throw Failure(nil, code: ExitStatus.changesPending) }
        if plan.counts.blocked > 0 { throw Failure(nil, code: ExitStatus.partly) }
    }

    private func look(
        _ state: DesiredState, consent: Consent, config: ControllerConfig?
    ) async throws -> (HostView, PlanContext, ObservedState) {
        if let inventory {
            let file = try InventoryFile.decode(try Files.read(inventory), name: inventory)
            let view = host.controller.view(under: file.config)
            return (view, view.newContext(stack: stack.stack, consent: consent), file.observed)
        }
        let view = host.controller.view(under: try config ?? global.loadConfig())
        let context = view.newContext(stack: stack.stack, consent: consent)
        return (view, context, try await view.observe(state, context: context))
    }
}
