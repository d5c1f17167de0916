import ArgumentParser
import TuffConfig
import TuffModel

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema (draft 2020-12) of a kind, or of all in one.",
        discussion: "Made from the declarations that documents are decoded with. 'controller' is the config file's.")

    @Argument(
        help: "A kind, 'controller', or 'all'.", completion: .list(["all", "controller"] + Kind.allCases.map(\.plural)))
    var kind = "all"

    func run() throws {
        let text =
            switch kind.lowercased() {
            case "all": SchemaExport.all()
            case "controller": SchemaExport.controller()
            default: SchemaExport.schema(for: try Kind(typed: kind))
            }
        try Console.data(text)
    }
}
