import TuffController
import TuffModel
import TuffPlanning
import TuffReconcile

/// Exports that `tuff exports restore` brought back, attachment by attachment.
struct ExportsView: View {
    private let items: [ExportsRestoration.Item]
    private let interrupted: Bool

    init(_ items: [ExportsRestoration.Item], interrupted: Bool) {
        self.items = items
        self.interrupted = interrupted
    }

    var kind: String { "Exports" }

    /// 0 everything is as accepted; 1 nothing of it; 3 some; 130 interrupted.
    var exitCode: Int32 {
        if interrupted { return ExitStatus.interrupted }
        let good = items.count { [.restored, .unchanged].contains($0.state) }
        if good == items.count { return ExitStatus.done }
        return good == 0 ? ExitStatus.failed : ExitStatus.partly
    }

    private func count(_ state: ExportsRestoration.Item.State) -> Int { items.count { $0.state == state } }

    func text(_ style: Style) -> String {
        guard !items.isEmpty else { return "Exports: nothing was accepted on this host yet, nothing to bring back.\n" }
        var text = ""
        for item in items where item.state != .unchanged {
            let good = item.state == .restored
            let mark = item.state == .failed ? "FAILED" : item.state.rawValue
            var line = "  " + style.paint(Layout.pad(mark, to: 8), good ? .green : .red) + "  " + item.name
            if item.stack != StackOption.standard, item.resource != nil { line += " (stack \(item.stack))" }
            text += line + "\n"
            for part in [item.summary] + details(item) {
                for wrapped in Layout.wrap(PrintedText.oneLine(part), width: Style.width - 12) {
                    text += "            \(wrapped)\n"
                }
            }
        }
        let parts: [(ExportsRestoration.Item.State, String)] = [
            (.restored, "restored"), (.failed, "failed"), (.blocked, "blocked"),
        ]
        let said = parts.filter { count($0.0) > 0 }.map { "\(count($0.0)) \($0.1)" }
        return text + "Exports: " + (said.isEmpty ? "nothing to do" : said.joined(separator: ", "))
            + "; \(count(.unchanged)) unchanged.\n"
    }

    private func details(_ item: ExportsRestoration.Item) -> [String] {
        guard let error = item.error else { return [] }
        return [error.sentence] + (error.cause.map { ["cause: \($0)"] } ?? [])
    }

    var body: [String: Tree] {
        [
            "exitCode": .int(Int64(exitCode)),
            "interrupted": .bool(interrupted),
            "items": .list(
                items.map { item in
                    .object([
                        "stack": .text(item.stack),
                        "kind": .text(item.resource?.kind.rawValue), "name": .text(item.resource?.name),
                        "state": .text(item.state.rawValue), "summary": .text(item.summary),
                        "reason": .text(item.reason?.rawValue), "error": item.error.map(Tree.error) ?? .null,
                        "location": .place(item.location),
                    ])
                }),
        ]
    }
}
