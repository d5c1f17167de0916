package import ArgumentParser
import Glibc
import TuffConfig
import TuffController
import TuffHost
import TuffModel

/// The root of the command line.
package struct Tuff: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "tuff",
        abstract: "Block storage as declared: volumes and iSCSI attachments from YAML onto LVM and directories.",
        discussion: """
            Exit codes: 0 done or nothing to do, 1 failed, 2 changes pending (plan --detailed-exitcode), 3 some \
            resources failed or are blocked, 10 repository missing, 11 locked by another process, 12 wrong key, 64 usage, \
            130 interrupted.
            """,
        version: TuffVersion.current,
        groupedSubcommands: [
            CommandGroup(name: "Change", subcommands: [Validate.self, PlanCommand.self, ApplyCommand.self]),
            CommandGroup(name: "Look", subcommands: [GetCommand.self, Describe.self, Status.self, Inventory.self]),
            CommandGroup(
                name: "By hand",
                subcommands: [
                    ImportCommand.self, Release.self, TrashCommand.self, Detach.self, Unprotect.self, Forget.self,
                ]),
            CommandGroup(name: "Backup", subcommands: [BackupCommand.self]),
            CommandGroup(name: "Boot", subcommands: [ExportsCommand.self]),
            CommandGroup(
                name: "Help", subcommands: [Doctor.self, SchemaCommand.self, Completion.self, VersionCommand.self]),
            CommandGroup(name: "Internal", subcommands: [Worker.self]),
        ])

    /// Here too, so that they may stand before the subcommand.
    @OptionGroup var global: GlobalOptions

    package init() {}
}

/// The program: parses, runs, and turns whatever ends a command into words and an exit code.
package enum TuffProgram {
    private static var arguments: [String] { Array(CommandLine.arguments.dropFirst()) }

    /// To be called first thing, on the only thread: the runtime that `main` needs may itself find nothing to run on.
    package static func prepare() {
        do throws(Surroundings.Lack) {
            try Surroundings.demand()
            if ["validate", "plan", "get", "describe", "status"].contains(arguments.first ?? "") {
                Surroundings.keepMemory()
            }
            let looksAtHost = looksAtHost(arguments)
            if looksAtHost { EarlyWorker.prepare(jobs: .ours) }
            try Surroundings.demandThreads(rests: !looksAtHost && arguments.first != BackupCommand._commandName)
        } catch {
            Console.talk(Failure(error.sentence, help: error.help).text(Style()))
            exit(ExitStatus.failed)
        }
    }

    package static func main() async -> Never { exit(await run(arguments)) }

    /// True when the command will probably want a worker. A guess: wrong, it costs a fork, or the start of a worker
    /// later.
    private static func looksAtHost(_ arguments: [String]) -> Bool {
        let commands = [
            "plan", "apply", "get", "describe", "status", "inventory", "trash", "detach", "unprotect", "release",
            "forget", "exports", "import",
        ]
        return commands.contains(arguments.first ?? "") && !arguments.contains("--inventory")
    }

    package static func run(_ arguments: [String]) async -> Int32 {
        Console.surviveBrokenPipes()
        do {
            try refuseUnknownCommand(arguments)
            var command = try await Tuff.asyncParseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            return ExitStatus.done
        } catch let failure as Failure {
            // Plain: what --color says is not known when parsing itself failed.
            Console.talk(failure.text(Style()))
            return failure.code
        } catch let error as PassError {
            let failure = Failure(error)
            Console.talk(failure.text(Style()))
            return failure.code
        } catch {
            return finish(error)
        }
    }

    /// ArgumentParser takes a mistyped command for a stray argument.
    private static func refuseUnknownCommand(_ arguments: [String]) throws(Failure) {
        guard let word = arguments.first, !word.hasPrefix("-") else { return }
        let commands = Tuff.configuration.groupedSubcommands.flatMap(\.subcommands)
        // Also what is not shown; `help` is the parser's own.
        guard word != "help", !commands.contains(where: { $0._commandName == word }) else { return }
        let names = commands.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
        let guess = Spelling.closest(to: word, among: names + ["help"])
        throw .usage(
            "there is no command '\(PrintedText.oneLine(word))'",
            help: guess.map { "did you mean '\($0)'?" } ?? "the commands are \(names.joined(separator: ", "))")
    }

    /// ArgumentParser's own ends: help and version are data, complaints are talk.
    private static func finish(_ error: any Error) -> Int32 {
        let code = Tuff.exitCode(for: error).rawValue
        var message = Tuff.fullMessage(for: error)
        if !message.isEmpty, !message.hasSuffix("\n") { message += "\n" }
        guard code == ExitStatus.done else {
            let head = "Error: "
            Console.talk(message.hasPrefix(head) ? "error: " + message.dropFirst(head.count) : message)
            return code
        }
        do {
            try Console.data(message)
            return ExitStatus.done
        } catch {
            Console.talk(error.text(Style()))
            return error.code
        }
    }
}
