import ArgumentParser
import TuffController
import TuffModel

struct ExportsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exports", abstract: "Bring exports back at boot, take them down at shutdown.",
        discussion:
            "The units in contrib/systemd/ run these. Neither makes, grows, names, trashes or removes a volume.",
        subcommands: [Restore.self, Withdraw.self])

    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "restore",
            abstract: "Hand existing volumes out again as last accepted: identity, LUN, ACL and portal.",
            discussion: """
                Needs no documents: 'tuff apply' recorded the access that the last accepted set of each stack grants. Devices \
                and secrets may come late; each attachment waits for its own. Asks nothing.
                """)

        @Option(
            help: ArgumentHelp(
                "Time to wait for devices, mounts and secrets that come late, as in 90s or 2m.", valueName: "duration"))
        var wait = "2m"
        @Option(
            parsing: .upToNextOption,
            help: ArgumentHelp("Only these stacks; default: every stack that has an accepted set.", valueName: "name"))
        var stack: [String] = []
        @OptionGroup var form: TextOrJSONOption
        @OptionGroup var global: GlobalOptions
        @OptionGroup var host: HostOptions

        private var patience: TimeSpan? { TimeSpan(text: wait) }

        func validate() throws {
            guard patience != nil else { throw ValidationError("--wait '\(wait)' is no duration such as 90s or 2m") }
            if let wrong = stack.first(where: { !NameRule.isLabel($0) }) {
                throw ValidationError("--stack '\(wrong)' is no DNS label (a-z, 0-9 and -, at most 63 characters)")
            }
        }

        func run() async throws {
            let overseer = try TerminalOverseer(global, form.format)
            let items = try await ExportsRestoration.run(
                by: host.controller, under: try global.loadConfig(toleratesFormer: true), stacks: stack,
                wait: patience ?? TimeSpan(seconds: 0), overseer: overseer)
            let view = ExportsView(items, interrupted: overseer.asksToStop)
            try form.show(view, global.output)
            if view.exitCode != ExitStatus.done { throw Failure(nil, code: view.exitCode) }
        }
    }

    struct Withdraw: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "withdraw",
            abstract: "Take every export of ours down, of all stacks. Ends their sessions.",
            discussion: """
                For shutdown, so that nothing holds volumes open. 'tuff exports restore' or 'tuff apply' brings them \
                back. Counts for no guard; other people's targets stay.
                """)

        @Flag(help: "Do not ask.") var autoApprove = false
        @OptionGroup var wait: LockOptions
        @OptionGroup var form: TextOrJSONOption
        @OptionGroup var global: GlobalOptions
        @OptionGroup var host: HostOptions

        func run() async throws {
            let overseer = try TerminalOverseer(global, form.format, autoApprove: autoApprove)
            let pass = try await host.controller.begin(
                under: try global.loadConfig(toleratesFormer: true), patience: wait.timeout, overseer: overseer)
            defer { pass.end() }
            try overseer.finish(try await pass.withdrawExports(stack: StackOption.standard))
        }
    }
}
