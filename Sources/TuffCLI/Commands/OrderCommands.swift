import ArgumentParser
import TuffController
import TuffModel
import TuffPlanning

struct TrashCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trash", abstract: "List removed volumes, bring them back, or destroy them before their time.",
        subcommands: [List.self, Restore.self, Purge.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "ls", abstract: "List the objects in the trash.")

        @OptionGroup var form: TextOrJSONOption
        @OptionGroup var stack: StackOption
        @OptionGroup var global: GlobalOptions
        @OptionGroup var host: HostOptions

        func run() async throws {
            let survey = try await Looking(global: global, host: host, stack: stack).survey([])
            global.warnOfUnseen(survey.observed)
            try form.show(TrashView(survey.observed, stack: stack.stack, now: survey.context.now), global.output)
        }
    }

    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "restore",
            abstract: "Bring a volume back, data, name and identity as they were.",
            discussion: "Declaring it again and 'tuff apply' does the same, and brings its attachments back too.")

        @Argument(help: "The volume's name, or its uid.") var volume: String
        @OptionGroup var options: OrderOptions

        func run() async throws { try await options.carryOut(.restore(volume)) }
    }

    struct Purge: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "purge", abstract: "Destroy a volume that is in the trash, now.")

        @Argument(help: "The volume's name, or its uid.") var volume: String
        @OptionGroup var options: OrderOptions

        func run() async throws { try await options.carryOut(.purge(volume)) }
    }
}

struct Detach: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detach", abstract: "Take one initiator's access away, whatever the documents say.")

    @Argument(help: "The attachment's name.") var attachment: String
    @Flag(help: "End its session, if it is logged in: data that it has not written yet is lost.") var force = false
    @OptionGroup var options: OrderOptions

    func run() async throws { try await options.carryOut(.detach(attachment: attachment, force: force)) }
}

struct Unprotect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unprotect", abstract: "End the protection that 'protect: true' stored on a volume.")

    @Argument(help: "The volume's name, or its uid.") var volume: String
    @OptionGroup var options: OrderOptions

    func run() async throws { try await options.carryOut(.unprotect(volume)) }
}

struct Release: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "Let a volume go: its data stays, and no plan touches it any more.",
        discussion: "A document of its name adopts it again, with its identity.")

    @Argument(help: "The volume, as Volume/NAME.") var resource: String
    @OptionGroup var options: OrderOptions

    func run() async throws {
        let parts = resource.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, try Kind(typed: String(parts[0])) == .volume else {
            throw Failure.usage("'\(resource)': only volumes are released", help: "write Volume/NAME")
        }
        try await options.carryOut(.release(String(parts[1])))
    }
}

struct Forget: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget", abstract: "Give a lost object up, so that it may be made again.",
        discussion: """
            The ledger remembers objects that were once seen ready. One that vanishes is reported as lost and not made \
            again until it is forgotten here, or made again with 'tuff apply --recreate'.
            """)

    @Argument(
        help: ArgumentHelp(
            "The lost object, as Volume/NAME, Pool/NAME, BackupRepository/NAME or Backup/NAME; or clock, after it was "
                + "ahead and is right again."))
    var resource: String
    @Option(
        help: ArgumentHelp(
            "With clock: the BackupRepository of the documents (-f) whose restore points of the future are set aside.",
            valueName: "name"))
    var repository: String?
    @OptionGroup var documents: SinglePathOptions
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var stack: StackOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func validate() throws {
        guard repository == nil || resource == "clock" else {
            throw ValidationError("--repository goes with clock alone")
        }
        guard (repository == nil) == documents.paths.isEmpty else {
            throw ValidationError("--repository and -f go together: the documents say where the repository is")
        }
    }

    func run() async throws {
        if let repository { return try await setAside(in: repository) }
        let named = ResourceID(text: resource)
        guard named != nil || resource == "clock" else {
            throw Failure.usage("'\(resource)' names nothing", help: "write KIND/NAME, as in Volume/db-data")
        }
        let overseer = try TerminalOverseer(global, form.format)
        let pass = try await host.controller.begin(
            under: try global.loadConfig(), patience: wait.timeout, overseer: overseer)
        defer { pass.end() }
        let forgotten: String
        if let named {
            forgotten = try await pass.forget(named, of: stack.stack)
        } else {
            forgotten = try await pass.forgetClock(of: stack.stack)
        }
        try Console.data(PrintedText.oneLine(forgotten) + "\n")
    }

    private func setAside(in name: String) async throws {
        let config = try global.loadConfig()
        let set = try global.loadDocuments(documents.paths, under: config, consequence: "nothing was set aside")
        guard let declared = set.state.backupRepositories[name] else {
            throw Failure.usage("no document declares BackupRepository/\(name)", help: "-f names the set that does")
        }
        let overseer = try TerminalOverseer(global, form.format)
        let sentences = try await host.controller.forgetClock(
            in: declared, of: stack.stack, under: config, patience: wait.timeout, overseer: overseer)
        for sentence in sentences { try Console.data(PrintedText.oneLine(sentence) + "\n") }
    }
}

/// Options of the commands that carry out one order.
struct OrderOptions: ParsableArguments {
    @Flag(help: "Do not ask.") var autoApprove = false
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var stack: StackOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func carryOut(_ order: Order) async throws {
        let overseer = try TerminalOverseer(global, form.format, autoApprove: autoApprove)
        let pass = try await host.controller.begin(
            under: try global.loadConfig(), patience: wait.timeout, overseer: overseer)
        defer { pass.end() }
        try overseer.finish(try await pass.carryOut(order, stack: stack.stack))
    }
}
