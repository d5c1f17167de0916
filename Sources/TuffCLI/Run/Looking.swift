import TuffController
import TuffModel

/// The part that the commands which only look share: documents where they were given, one observation, one survey.
struct Looking {
    var global: GlobalOptions
    var host: HostOptions
    var stack: StackOption
    /// Also what belongs to other stacks.
    var allStacks = false

    /// - Parameter sectors: also how large the sectors of groups are.
    func survey(_ paths: [String], sectors: Bool = false) async throws(Failure) -> Survey {
        let config = try global.loadConfig()
        let state =
            paths.isEmpty
            ? nil : try global.loadDocuments(paths, under: config, consequence: "nothing was looked at").state
        return await host.controller.survey(
            state, of: stack.stack, under: config, allStacks: allStacks, sectors: sectors,
            listener: TerminalListener(style: global.errors))
    }
}

extension Kind {
    /// A kind as people type it: `Volume`, `volumes`, `vol`, in any case.
    init(typed text: String) throws(Failure) {
        let word = text.lowercased()
        let short: [String: Kind] = ["vol": .volume, "att": .attachment, "snap": .snapshot]
        let found = Kind.allCases.first { kind in
            let name = kind.rawValue.lowercased()
            return [name, kind.plural].contains(word)
        }
        guard let kind = found ?? short[word] else {
            let names = Kind.allCases.map(\.plural).joined(separator: ", ")
            throw .usage("there is no kind '\(text)'", help: "the kinds are \(names)")
        }
        self = kind
    }

    /// `snapshotpolicies`
    var plural: String {
        let name = rawValue.lowercased()
        return name.hasSuffix("y") ? name.dropLast() + "ies" : name + "s"
    }
}
