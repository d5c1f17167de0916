import ArgumentParser
import SystemPackage
import TuffController
import TuffModel
import TuffPlanning

extension ColorChoice: ExpressibleByArgument {}

/// Options of every command that looks at a host.
struct GlobalOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The controller's configuration: node, portals, IQN base, what documents may reach.",
            discussion: "Default: \(ControllerFile.usualPath) where it exists, else built-in defaults.",
            valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var config: String?

    @Option(help: "Colours: auto (on a terminal, unless NO_COLOR is set), always or never.")
    var color = ColorChoice.auto

    /// As it must be typed again for a command that goes on where this one stops. Colours are a matter of taste.
    var repeated: [String] { config.map { ["--config", $0] } ?? [] }

    var output: Style { Console.style(color, for: .standardOutput) }
    var errors: Style { Console.style(color, for: .standardError) }
}

/// Documents that a command needs.
struct DocumentOptions: ParsableArguments {
    @Option(
        name: .customShort("f"), parsing: .upToNextOption,
        help: ArgumentHelp(
            "Files and directories of YAML documents; directories are read recursively, - is standard input.",
            valueName: "path"),
        completion: .file())
    var paths: [String] = []
}

/// The same beside a positional argument, which must not be swallowed: one path per -f.
struct SinglePathOptions: ParsableArguments {
    @Option(
        name: .customShort("f"),
        help: ArgumentHelp(
            "A file or directory of YAML documents, shown beside what exists. May be given more than once.",
            valueName: "path"),
        completion: .file())
    var paths: [String] = []
}

struct StackOption: ParsableArguments {
    static let standard = "default"

    @Option(
        name: .customLong("stack"),
        help: ArgumentHelp(
            "The set of objects that belong together; others' objects are never touched. Default: \(Self.standard).",
            valueName: "stack"))
    var given: String?

    var stack: String { given ?? Self.standard }

    /// As it must be typed again.
    var repeated: [String] { stack == Self.standard ? [] : ["--stack", stack] }

    func validate() throws {
        guard NameRule.isLabel(stack) else {
            throw ValidationError("--stack '\(stack)' is no DNS label (a-z, 0-9 and -, at most 63 characters)")
        }
    }
}

/// For commands that only look.
struct AllStacksOption: ParsableArguments {
    @Flag(help: "Show objects of other stacks as well.")
    var allStacks = false
}

/// Consent of a person to more than making and mending. `plan` takes the same, to show what it would mean.
struct ConsentOptions: ParsableArguments {
    @Flag(help: "Remove what no document declares: attachments are withdrawn, volumes go to the trash or are let go.")
    var prune = false
    @Option(
        help: ArgumentHelp(
            "Allow exactly this number of removals, although the guard would refuse them.", valueName: "number"))
    var allowRemovals: Int?
    @Flag(help: "Let --prune destroy at once the data of volumes with trashFor: 0s.")
    var allowDestroy = false
    @Flag(
        help: """
            Do what schedules want: take snapshots, back up, verify and restore for practice; and destroy the \
            snapshots and restore points that policies no longer keep.
            """)
    var runDue = false
    @Option(
        help: ArgumentHelp(
            "Make this lost volume again, from its document's source, with --restore-missing from its newest restore "
                + "point, and else blank: Volume/NAME; or this Backup whose point is gone: Backup/NAME. May be given "
                + "more than once.",
            valueName: "kind/name"))
    var recreate: [String] = []
    @Option(
        help: ArgumentHelp(
            "Make this volume new, although an undeclared one may be meant or backups of it exist: Volume/NAME. May be "
                + "given more than once.",
            valueName: "kind/name"))
    var allowBlank: [String] = []
    @Flag(help: "Make repositories that are declared with 'create: true' and are not there.")
    var allowRepositoryCreate = false
    @Option(
        help: ArgumentHelp(
            "Bring back declared volumes that are new to this host, or lost and given up with --recreate, and have "
                + "restore points in this BackupRepository.",
            valueName: "repository"))
    var restoreMissing: String?
    /// The first of these options that was given.
    var firstGiven: String? {
        let given = [
            (prune, "--prune"), (allowRemovals != nil, "--allow-removals"), (allowDestroy, "--allow-destroy"),
            (!recreate.isEmpty, "--recreate"), (!allowBlank.isEmpty, "--allow-blank"),
            (allowPoolCreate, "--allow-pool-create"), (runDue, "--run-due"),
            (allowRepositoryCreate, "--allow-repository-create"), (restoreMissing != nil, "--restore-missing"),
        ]
        return given.first(where: \.0)?.1
    }

    @Flag(help: "Make missing volume groups and thin pools that are declared with 'create', of blank devices.")
    var allowPoolCreate = false

    func validate() throws {
        if let allowRemovals, allowRemovals < 0 {
            throw ValidationError("--allow-removals \(allowRemovals): give the number of removals the plan names")
        }
        _ = try consent()
    }

    private func resources(_ given: [String], option: String, kinds: Set<Kind>) throws -> [ResourceID] {
        try given.map { text in
            guard let resource = ResourceID(text: text), kinds.contains(resource.kind) else {
                let also =
                    kinds.contains(.snapshot) ? ", or a snapshot as Snapshot/NAME" : ", or a backup as Backup/NAME"
                throw ValidationError("\(option) '\(text)': give a volume as Volume/NAME\(also)")
            }
            return resource
        }.sorted()
    }

    func consent() throws -> Consent {
        var consent = Consent()
        consent.prune = prune
        consent.allowDestroy = allowDestroy
        consent.allowRemovals = allowRemovals
        consent.allowPoolCreate = allowPoolCreate
        consent.runDue = runDue
        consent.allowRepositoryCreate = allowRepositoryCreate
        consent.restoreMissing = restoreMissing
        consent.recreate = try resources(recreate, option: "--recreate", kinds: [.volume, .backup])
        consent.allowBlank = try resources(allowBlank, option: "--allow-blank", kinds: [.volume, .snapshot])
        return consent
    }
}

extension ResourceID {
    /// `Volume/db-data`; the kind in any case.
    init?(text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, NameRule.isLabel(parts[1]),
            let kind = Kind.allCases.first(where: { $0.rawValue.lowercased() == parts[0].lowercased() })
        else { return nil }
        self.init(kind, String(parts[1]))
    }
}

struct LockOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Wait this long for another tuff to finish, as in 90s or 5m.", valueName: "duration"))
    var lockTimeout: String?

    var timeout: TimeSpan? { lockTimeout.flatMap { TimeSpan(text: $0) } }

    func validate() throws {
        guard lockTimeout == nil || timeout != nil else {
            throw ValidationError("--lock-timeout '\(lockTimeout ?? "")' is no duration such as 90s or 5m")
        }
    }
}

enum TextOrJSON: String, CaseIterable, ExpressibleByArgument { case text, json }

struct TextOrJSONOption: ParsableArguments {
    @Option(name: .customShort("o"), help: ArgumentHelp("text or json (docs/json.md).", valueName: "format"))
    private var chosen = TextOrJSON.text
    @Flag(name: .customLong("json"), help: "The same as -o json.") private var json = false

    var format: TextOrJSON { json ? .json : chosen }

    /// Shows a view in the chosen form on standard output.
    func show(_ view: some View, _ style: Style) throws(Failure) {
        switch format {
        case .text: try Console.data(view.text(style))
        case .json: try Console.data(view.document.json)
        }
    }
}

/// Where this host's parts are. Hidden: for tests and for looking at a machine from outside.
struct HostOptions: ParsableArguments {
    private static let usual = HostPlaces()

    @Option(help: .hidden) var lockFile = Self.usual.lockFile
    @Option(help: .hidden) var stateDirectory = Self.usual.stateDirectory
    @Option(help: .hidden) var targetRoot = Self.usual.targetRoot
    @Option(help: .hidden) var toolPath: String?
    /// Threads of the command do what workers do, so that what ends or hinders the command ends or hinders the work.
    @Flag(help: .hidden) var inProcess = false

    /// Those that differ from the usual, as they must be typed again.
    var repeated: [String] {
        let places: [(String, String?, String?)] = [
            ("--lock-file", lockFile, Self.usual.lockFile),
            ("--state-directory", stateDirectory, Self.usual.stateDirectory),
            ("--target-root", targetRoot, Self.usual.targetRoot), ("--tool-path", toolPath, nil),
        ]
        return places.flatMap { option, value, standard in
            guard let value, value != standard else { return [String]() }
            return [option, value]
        }
    }
}
