import ArgumentParser
import SystemPackage
import TuffModel

extension ColorChoice: ExpressibleByArgument {}

/// What every command that looks at a host takes.
struct GlobalOptions: ParsableArguments {
    static let defaultConfig = "/etc/tuff/config.yaml"

    @Option(
        help: ArgumentHelp(
            "The controller's configuration: node, portals, IQN base, allowedRoots.",
            discussion: "Default: \(defaultConfig) where it exists, else built-in defaults.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var config: String?

    @Option(help: "Colours: auto (on a terminal, unless NO_COLOR is set), always or never.")
    var color = ColorChoice.auto

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
    @Option(help: "The set of objects that belong together; others' objects are never touched.")
    var stack = "default"

    func validate() throws {
        guard NameRule.isLabel(stack) else {
            throw ValidationError("--stack '\(stack)' is no DNS label (a-z, 0-9 and -, at most 63 characters)")
        }
    }
}

/// Consent to what this version cannot do. The flags are known, so that a script written for a later version gets a
/// sentence instead of a guess.
struct LaterConsentOptions: ParsableArguments {
    @Flag(help: .hidden) var prune = false
    @Flag(help: .hidden) var allowDestroy = false
    @Flag(help: .hidden) var runDue = false
    @Flag(help: .hidden) var allowPoolCreate = false
    @Option(help: .hidden) var allowRemovals: Int?
    @Option(help: .hidden) var recreate: [String] = []

    func refuse() throws(Failure) {
        let removing = "this version of tuff removes nothing, so there is nothing to consent to"
        let reasons: [(Bool, String, String)] = [
            (prune, "--prune", removing),
            (allowDestroy, "--allow-destroy", removing),
            (allowRemovals != nil, "--allow-removals", removing),
            (runDue, "--run-due", "this version of tuff has no scheduled jobs"),
            (allowPoolCreate, "--allow-pool-create", "this version of tuff creates no pools"),
            (!recreate.isEmpty, "--recreate", "this version of tuff keeps no ledger of lost objects"),
        ]
        guard let (_, flag, reason) = reasons.first(where: \.0) else { return }
        throw .usage("\(flag): \(reason)", help: "leave \(flag) out")
    }
}

enum TextOrJSON: String, CaseIterable, ExpressibleByArgument { case text, json }

struct TextOrJSONOption: ParsableArguments {
    @Option(name: .customShort("o"), help: ArgumentHelp("text or json (docs/json.md).", valueName: "format"))
    var format = TextOrJSON.text

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
    @Option(help: .hidden) var lockFile = "/run/tuff/lock"
    @Option(help: .hidden) var targetRoot = "/sys/kernel/config/target"
    @Option(help: .hidden) var toolPath: String?
}
