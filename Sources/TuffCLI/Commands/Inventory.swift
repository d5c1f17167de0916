import ArgumentParser
import TuffController
import TuffPlanning

struct Inventory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inventory", abstract: "Print everything observed as JSON, for 'tuff plan --inventory'.",
        discussion: """
            With -f also the directory pools and secret files that the documents name. Secrets appear only as keyed \
            fingerprints, and the key is not in it.
            """)

    @OptionGroup var documents: DocumentOptions
    @OptionGroup var stack: StackOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func run() async throws {
        let survey = try await Looking(global: global, host: host, stack: stack).survey(documents.paths)
        global.warnOfUnseen(survey.observed)
        try Console.data(try InventoryFile(config: survey.context.config, observed: survey.observed).text)
    }
}
