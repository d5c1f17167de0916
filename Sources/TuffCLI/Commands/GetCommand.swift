import ArgumentParser
import TuffController
import TuffModel

struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "List resources: what exists, beside what is declared where -f is given.",
        discussion: "Without -f only what exists and is ours is listed; attachments then have no name of their own.")

    enum Format: String, CaseIterable, ExpressibleByArgument { case table, wide, json, yaml, name }

    @Argument(
        help: "pools, volumes, attachments, or any other kind.", completion: .list(Kind.allCases.map(\.plural)))
    var kind: String
    @Argument(help: "Only this one.") var name: String?
    @OptionGroup var documents: SinglePathOptions
    @Option(name: .customShort("o"), help: ArgumentHelp("table, wide, json, yaml or name.", valueName: "format"))
    var format = Format.table
    @Option(
        name: .customShort("l"),
        help: ArgumentHelp("Only with these labels, as in tier=db,backup=nightly.", valueName: "selector"))
    var selector: String?
    @OptionGroup var stack: StackOption
    @OptionGroup var others: AllStacksOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func validate() throws {
        guard let selector else { return }
        guard LabelText.parse(selector) != nil else {
            throw ValidationError(
                "-l '\(selector)' is no selector such as tier=db,backup=nightly; there is no other operator than =")
        }
        guard !documents.paths.isEmpty else {
            throw ValidationError("-l needs -f: labels are in the documents, not on the objects")
        }
    }

    func run() async throws {
        let kind = try Kind(typed: kind)
        let survey = try await Looking(global: global, host: host, stack: stack, allStacks: others.allStacks).survey(
            documents.paths)
        global.warnOfUnseen(survey.observed)
        var records = survey.records(of: kind)
        if let name { records = records.filter { $0.id.name == name } }
        if let selector = selector.flatMap(LabelText.parse) { records = records.filter { selector.matches($0.labels) } }
        let unknown = documents.paths.isEmpty && !survey.knowsDirectories ? Survey.directoriesNeedNames : nil
        let elsewhere = survey.othersSentence(of: kind)
        // Points of policies have no document of their own.
        let points =
            kind == .backup && records.isEmpty && name == nil
            ? "Restore points of policies: tuff describe volume/NAME, or tuff backup ls -f PATH --repository NAME."
            : nil
        let hints = [elsewhere, points, unknown].compactMap { $0 }
        let hint = hints.isEmpty ? nil : hints.joined(separator: " ")
        if let name, records.isEmpty { throw Failure("there is no \(kind.rawValue) '\(name)'", help: hint) }
        let view = GetView(records, of: kind, wide: format == .wide, showsStacks: others.allStacks)
        switch format {
        case .table, .wide:
            if records.isEmpty {
                Console.talk("no \(kind.plural)\n" + (hint.map { PrintedText.oneLine($0) + "\n" } ?? ""))
            }
            try Console.data(view.text(global.output))
            if !records.isEmpty, let elsewhere { Console.talk(PrintedText.oneLine(elsewhere) + "\n") }
        case .json: try Console.data(view.document.json)
        case .yaml: try Console.data(view.document.yaml)
        case .name: try Console.data(view.names)
        }
    }
}
