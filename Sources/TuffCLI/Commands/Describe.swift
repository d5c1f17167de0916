import ArgumentParser
import TuffController
import TuffModel

struct Describe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Show everything about one resource; for an attachment, what to type on its initiator.")

    @Argument(help: "KIND/NAME, as in volume/db-data.") var resource: String
    @OptionGroup var documents: SinglePathOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var stack: StackOption
    @OptionGroup var others: AllStacksOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func run() async throws {
        let parts = resource.split(separator: "/", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { throw Failure.usage("'\(resource)' is not KIND/NAME, as in volume/db-data") }
        let id = ResourceID(try Kind(typed: parts[0]), parts[1])
        let survey = try await Looking(global: global, host: host, stack: stack, allStacks: others.allStacks).survey(
            documents.paths, sectors: id.kind == .pool)
        global.warnOfUnseen(survey.observed)
        guard let record = survey.records.first(where: { $0.id == id }) else {
            var hint = documents.paths.isEmpty ? "without -f only what exists is known" : nil
            if hint != nil, !survey.knowsDirectories { hint? += ". " + Survey.directoriesNeedNames }
            if survey.hidden.contains(where: { $0.id == id }) {
                hint = "another stack has one: --stack NAME, or --all-stacks"
            }
            throw Failure("there is no \(id)", help: hint)
        }
        try form.show(DescribeView(record, placement: survey.placement(of: record)), global.output)
    }
}
