import ArgumentParser
import TuffConfig
import TuffModel

struct Validate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Check documents: syntax, fields, references. Needs no host.")

    @OptionGroup var documents: DocumentOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard !documents.paths.isEmpty else { throw ValidationError("give the documents: -f PATH") }
    }

    func run() throws {
        let (sources, earlier) = ConfigLoader.read(paths: documents.paths)
        let result = ConfigLoader.load(sources, earlier: earlier)
        UntilTheEnd.keep(result)
        let diagnostics = earlier + result.diagnostics
        let failed = diagnostics.contains { $0.severity == .error }
        switch form.format {
        case .json:
            let view = ValidationView(
                diagnostics: diagnostics, files: sources.count, documents: result.documents, valid: !failed)
            try Console.data(view.document.json)
        case .text:
            Console.talk(DiagnosticText.render(diagnostics, color: global.errors.color))
            if !failed {
                let files = PrintedText.count(sources.count, "file")
                try Console.data("valid: \(PrintedText.count(result.documents, "document")) in \(files)\n")
            }
        }
        if failed { throw Failure(nil) }
    }
}

/// Diagnostics for programs.
struct ValidationView: View {
    var diagnostics: [Diagnostic]
    var files: Int
    var documents: Int
    var valid: Bool

    var kind: String { "Validation" }

    func text(_ style: Style) -> String { DiagnosticText.render(diagnostics, color: style.color) }

    var body: [String: Tree] {
        [
            "valid": .bool(valid), "files": .int(files), "documents": .int(documents),
            "diagnostics": .list(
                diagnostics.map {
                    .object([
                        "severity": .text($0.severity.rawValue), "rule": .text($0.rule), "message": .text($0.message),
                        "location": .place($0.location), "length": .int($0.length), "help": .text($0.help),
                    ])
                }),
        ]
    }
}
