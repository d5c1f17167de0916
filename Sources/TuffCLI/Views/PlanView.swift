package import TuffHost
package import TuffModel
package import TuffPlanning

/// The changes of a plan and their reasons: one line per resource that is not as declared.
package struct PlanView: View {
    package var plan: Plan
    /// Commands that carrying it out would run, in order, by index of the change; nil: not asked for.
    package var commands: [(change: Int, actions: [HostAction])]?

    /// Documents that are for other nodes, by node.
    package var elsewhere: [String: Int]

    package init(
        _ plan: Plan, commands: [(change: Int, actions: [HostAction])]? = nil, elsewhere: [String: Int] = [:]
    ) {
        self.plan = plan
        self.commands = commands
        self.elsewhere = elsewhere
    }

    package var kind: String { "Plan" }

    // MARK: Text

    package func text(_ style: Style) -> String {
        let context = plan.context
        var text = PrintedText.oneLine("Node \(context.config.node), stack \(context.stack), \(context.now)") + "\n\n"
        let due = plan.changes.filter { $0.action == .due }
        let shown = plan.changes.filter { ($0.action != .unchanged || !$0.notes.isEmpty) && $0.action != .due }
        if !shown.isEmpty {
            text += "  " + Self.legend(shown, style) + "\n\n"
            text += ResourceRow.render(shown.map { Self.row($0) }, style) + "\n"
        }
        if !due.isEmpty {
            text += "Due by schedules, and carried out with --run-due only:\n\n"
            text += ResourceRow.render(due.map { Self.row($0) }, style) + "\n"
        }
        if plan.isEmpty { text += emptySentence + "\n\n" }
        for (node, number) in elsewhere.inKeyOrder {
            let documents = number == 1 ? "1 document is" : "\(number) documents are"
            text += PrintedText.oneLine("\(documents) for node \(node), not \(context.config.node).") + "\n\n"
        }
        if let commands, !commands.isEmpty { text += commandText(commands) + "\n" }
        text += summaryLine + "\n"
        guard let refusal = plan.refusal else { return text }
        return text + "\n" + style.paint("Refused:", .red) + " \(refusal.sentence).\n  help: \(refusal.help)\n"
    }

    /// `Plan: 2 to add, 1 to change, 0 to remove, 1 blocked; 3 unchanged.`
    package var summaryLine: String {
        let counts = plan.counts
        var line = "Plan: \(counts.add) to add, \(counts.change) to change, \(counts.remove) to remove, "
        line += "\(counts.blocked) blocked; \(counts.unchanged) unchanged"
        if counts.unsupported > 0 { line += ", \(counts.unsupported) unsupported" }
        if counts.orphaned > 0 { line += ", \(PrintedText.count(counts.orphaned, "orphan"))" }
        if counts.due > 0 { line += ", \(counts.due) due" }
        return line + "."
    }

    private var emptySentence: String {
        let counts = plan.counts
        if counts.blocked + counts.unsupported > 0 { return "Nothing can be done now; the lines above say why." }
        if plan.changes.isEmpty, !elsewhere.isEmpty { return "Nothing is declared for this node." }
        if counts.orphaned + counts.due > 0 { return "Nothing to do: what is declared is there." }
        return "Nothing to do: what is declared is what is there."
    }

    private static func legend(_ changes: [PlannedChange], _ style: Style) -> String {
        let meanings: [(String, String, Style.Ink?)] = [
            ("+", "add", .green), ("~", "change", .yellow), ("-", "remove", .red), ("!", "not carried out", .red),
            ("=", "as declared", nil),
        ]
        let used = Set(changes.map(\.action.symbol))
        return meanings.filter { used.contains($0.0) }
            .map { "\(style.paint($0.0, $0.2)) \($0.1)" }
            .joined(separator: "   ")
    }

    private static func row(_ change: PlannedChange) -> ResourceRow {
        var details = change.differences.map { difference in
            "\(difference.field): \(difference.from ?? "(none)") -> \(difference.to ?? "(none)")"
        }
        details += change.notes.map { "note: \($0)" }
        if let far = change.progress?.sentence, !far.isEmpty { details.append("so far: \(far)") }
        return ResourceRow(
            mark: change.action.symbol, ink: ink(change.action), resource: change.resource,
            text: change.summary + (tag(change).map { " " + Layout.unbroken("[\($0)]") } ?? ""),
            location: change.location, details: details)
    }

    private static func ink(_ action: Action) -> Style.Ink? {
        switch action {
        case .create, .untrash, .adopt: .green
        case .update: .yellow
        case .withdraw, .takeDown, .release, .trash, .purge, .orphan, .blocked, .unsupported: .red
        case .due, .unchanged: nil
        }
    }

    /// The risk of what acts, or why nothing does.
    private static func tag(_ change: PlannedChange) -> String? {
        switch change.action {
        case .blocked: change.reason.map { "blocked: \($0)" } ?? "blocked"
        case .unsupported: "unsupported"
        case .orphan: "orphan"
        default: change.risk?.rawValue
        }
    }

    private func commandText(_ commands: [(change: Int, actions: [HostAction])]) -> String {
        var text = "Commands, in this order:\n"
        var previous: Int?
        for (change, actions) in commands {
            if change != previous { text += "\n  # \(plan.changes[change].resource)\n" }
            previous = change
            for action in actions { text += "  \(PrintedText.oneLine(action.description))\n" }
        }
        return text
    }

    // MARK: JSON

    package var body: [String: Tree] {
        [
            "context": .object([
                "node": .text(plan.context.config.node), "now": .text(plan.context.now.description),
                "stack": .text(plan.context.stack),
            ]),
            "changes": .list(plan.changes.map(Self.tree)),
            "counts": Self.tree(plan.counts),
            "elsewhere": Self.tree(elsewhere: elsewhere),
            "refusal": plan.refusal.map {
                .map(["reason": .text($0.reason), "message": .text($0.sentence), "help": .text($0.help)])
            } ?? .null,
            "commands": commands.map { lowered in
                .list(
                    lowered.map { change, actions in
                        .object([
                            "resource": .text(plan.changes[change].resource.description),
                            "actions": .list(actions.map { .text($0.description) }),
                        ])
                    })
            } ?? .null,
        ]
    }

    package static func tree(_ counts: PlanCounts) -> Tree {
        .map([
            "add": .int(counts.add), "change": .int(counts.change), "remove": .int(counts.remove),
            "blocked": .int(counts.blocked), "unsupported": .int(counts.unsupported), "orphan": .int(counts.orphaned),
            "due": .int(counts.due), "unchanged": .int(counts.unchanged),
        ])
    }

    package static func tree(elsewhere: [String: Int]) -> Tree {
        elsewhere.isEmpty
            ? .null
            : .list(
                elsewhere.inKeyOrder.map {
                    .map(["node": .text($0.key), "documents": .int($0.value)])
                })
    }

    private static func tree(_ change: PlannedChange) -> Tree {
        .object([
            "kind": .text(change.resource.kind.rawValue),
            "name": .text(change.resource.name),
            "action": .text(change.action.rawValue),
            "summary": .text(change.summary),
            "risk": .text(change.risk?.rawValue),
            "reason": .text(change.reason),
            "uid": .text(change.uid),
            "location": .place(change.location),
            "differences": change.differences.isEmpty
                ? .null
                : .list(
                    change.differences.map {
                        .object(["field": .text($0.field), "from": .text($0.from), "to": .text($0.to)])
                    }),
            "notes": change.notes.isEmpty ? .null : .list(change.notes.map { .text($0) }),
            "progress": change.progress.map { progress in
                .object([
                    "phase": progress.phase.isEmpty ? .null : .text(progress.phase),
                    "done": .int(progress.done.bytes),
                    "total": progress.total > .zero ? .int(progress.total.bytes) : .null,
                ])
            } ?? .null,
        ])
    }
}

extension Tree {
    package static func place(_ location: SourceLocation?) -> Tree {
        guard let location else { return .null }
        return .map([
            "file": .text(location.file), "line": .int(location.line), "column": .int(location.column),
        ])
    }
}
