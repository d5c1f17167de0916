import ArgumentParser
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Write documents for logical volumes and targets that are there already, or adopt them.",
        discussion: """
            Prints YAML for objects that Tuff did not make: a Pool, Volume and Attachment for each, with the identity \
            that initiators know. Nothing is changed. With --adopt the logical volumes are marked as Tuff's, by tags; \
            none is renamed, deactivated or written to. 'tuff release' takes the marks off again.
            """)

    @Argument(help: "Logical volumes, as NAME or VG/NAME. All by default.") var names: [String] = []
    @Option(help: ArgumentHelp("Only of this volume group.", valueName: "vg")) var vg: String?
    @Option(help: ArgumentHelp("Only of this thin pool, as POOL or VG/POOL.", valueName: "pool")) var pool: String?
    @Flag(
        help:
            "Mark them as Tuff's. With -f only those that these documents were imported from, under the names there."
    )
    var adopt = false
    @OptionGroup var documents: SinglePathOptions
    @OptionGroup var options: OrderOptions

    private var selection: ImportSelection { ImportSelection(group: vg, pool: pool, names: names) }

    func run() async throws {
        let config = try options.global.loadConfig()
        let state: DesiredState? =
            documents.paths.isEmpty
            ? nil
            : try options.global.loadDocuments(
                documents.paths, under: config, consequence: "nothing was looked at"
            ).state
        if adopt { return try await adopt(state, config) }
        let survey = await look(options.host.controller.view(under: config), state)
        let view = ImportView(survey, config: config, next: next)
        try options.form.show(view, options.global.output)
        try demandFound(survey)
    }

    /// The command that adopts what the documents say that are printed, with `FILE` for where a person puts them.
    private var next: Command {
        let more = options.stack.repeated + options.global.repeated + options.host.repeated
        return Command(
            "tuff", ["import", "--adopt", "-f", "FILE"] + documents.paths.flatMap { ["-f", $0] } + more,
            effect: .mutates)
    }

    private func look(_ view: HostView, _ state: DesiredState?) async -> ImportSurvey {
        let context = view.newContext(stack: options.stack.stack)
        // The ledger only tells of directory pools here, whose volumes' names are taken.
        let ledger = (try? view.reconciler.ledger.load()) ?? Ledger()
        let observed = await view.reconciler.observeInDetail(
            state ?? DesiredState(), context: context, ledger: ledger)
        options.global.warnOfUnseen(observed)
        return ImportSurvey(selection, observed: observed, desired: state ?? DesiredState(), context: context)
    }

    private func demandFound(_ survey: ImportSurvey) throws(Failure) {
        guard !survey.missing.isEmpty else { return }
        throw Failure(
            "there is no logical volume \(survey.missing.map { "'\($0)'" }.joined(separator: ", "))",
            help: "'lvs' lists those there are; -f takes one path, and may be given more than once")
    }

    private func demandMet(_ survey: ImportSurvey) throws(Failure) {
        guard !survey.unmet.isEmpty else { return }
        let names = survey.unmet.joined(separator: ", ")
        throw Failure(
            "not adopted, although documents say they were imported from them: \(names)",
            help: "see above for what is there; what has another name by now is found by 'tuff import', and for a new, "
                + "blank volume the annotation \(Metadata.importedFromKey) is removed")
    }

    private func adopt(_ state: DesiredState?, _ config: ControllerConfig) async throws {
        let overseer = try TerminalOverseer(
            options.global, options.form.format, autoApprove: options.autoApprove)
        let pass = try await options.host.controller.begin(
            under: config, patience: options.wait.timeout, overseer: overseer)
        defer { pass.end() }
        let survey = await look(pass.view, state)
        try demandFound(survey)
        for refusal in survey.refused {
            Console.talk(PrintedText.oneLine("not adopted: \(refusal.what) \(refusal.reason)") + "\n")
        }
        let chosen = survey.volumes.filter { state == nil || $0.isDeclared }
        for volume in survey.volumes where state != nil && !volume.isDeclared && !volume.isAdopted {
            Console.talk(
                PrintedText.oneLine("not adopted: no document says it was imported from \(volume.origin)") + "\n")
        }
        let adoptions = chosen.filter { !$0.isAdopted }.map(\.adoption)
        guard !adoptions.isEmpty else {
            guard names.isEmpty || survey.refused.isEmpty else { throw Failure(nil) }
            try demandMet(survey)
            return Console.talk("there is nothing to adopt\n")
        }
        try overseer.finish(try await pass.carryOut(.adopt(adoptions), stack: options.stack.stack))
        if chosen.contains(where: { !$0.isDeclared }) {
            Console.talk("declare them before the next 'apply --prune'; 'tuff import' writes their documents\n")
        }
        try demandMet(survey)
    }
}
