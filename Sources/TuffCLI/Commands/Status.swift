import ArgumentParser
import TuffController
import TuffModel

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "One screen: what is well and what is not.",
        discussion: "Exit code 0, whatever is found; with --monitoring 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")

    @OptionGroup var documents: DocumentOptions
    @Flag(help: "One line and an exit code, as monitoring plugins have them.") var monitoring = false
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var stack: StackOption
    @OptionGroup var others: AllStacksOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func run() async throws {
        let survey: Survey
        do {
            survey = try await Looking(global: global, host: host, stack: stack, allStacks: others.allStacks).survey(
                documents.paths)
        } catch {
            guard monitoring else { throw error }
            // A monitoring system reads one line and a code, also of what could not be asked.
            let reason = PrintedText.oneLine(error.message ?? "the documents have errors")
            // The bar would begin performance data.
            try Console.data("TUFF UNKNOWN - \(reason.replacing("|", with: "/"))\n")
            throw Failure(nil, code: 3)
        }
        let view = StatusView(survey)
        guard monitoring else { return try form.show(view, global.output) }
        let (line, code) = view.monitoring
        try Console.data(line + "\n")
        if code != 0 { throw Failure(nil, code: code) }
    }
}
