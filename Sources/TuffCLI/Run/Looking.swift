import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// What the commands that only look share: documents where they were given, one observation, one survey.
struct Looking {
    var global: GlobalOptions
    var host: HostOptions
    var stack: StackOption
    /// Also what belongs to other stacks.
    var allStacks = false

    /// - Parameter sectors: also how large the sectors of groups are.
    func survey(_ paths: [String], sectors: Bool = false) async throws(Failure) -> Survey {
        let config = try global.loadConfig()
        let state: DesiredState? =
            paths.isEmpty
            ? nil
            : try Documents.load(
                paths, under: config, style: global.errors, consequence: "nothing was looked at"
            ).state
        let session = Session(config: config, host: host)
        let context = session.newContext(stack: stack.stack)
        let (ledger, error) = ledger(session)
        let observed = await session.reconciler.observe(
            state ?? DesiredState(), context: context, ledger: ledger, sectors: sectors)
        return Survey(desired: state, observed: observed, context: context, ledgerError: error, allStacks: allStacks)
    }

    /// Who only looks does without a ledger that cannot be read, and says so.
    private func ledger(_ session: Session) -> (Ledger, HostError?) {
        do throws(HostError) {
            return (try session.reconciler.ledger.load(), nil)
        } catch {
            Console.talk(
                global.errors.paint("warning:", .yellow)
                    + " what was lost cannot be told: \(Layout.printable(error.description))\n")
            return (Ledger(), error)
        }
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
