import Synchronization
import TuffHost
import TuffModel
package import TuffPlanning
package import TuffReconcile

/// The talk of a running apply: a line per event, and between them how far the work has come that takes long. On a
/// terminal that is one line which is written over; elsewhere a line a minute for each change; beside a report in JSON,
/// a line of JSON.
///
/// Told from whatever task or thread runs a step; what it says comes out in one order.
package final class ProgressTalk: Sendable {
    package enum Form: Sendable {
        /// With the width of the terminal, in columns.
        case terminal(Int)
        case lines
        case json
    }

    private struct State {
        /// Work under way, by change.
        var moving: [Int: DataProgress] = [:]
        /// When a change was last spoken of, seconds.
        var told: [Int: Double] = [:]
        /// The last line is to be written over.
        var isOpen = false
    }

    private let plan: Plan
    private let style: Style
    private let form: Form
    private let now: @Sendable () -> Double
    private let talk: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - now: seconds of a clock that nobody sets.
    ///   - talk: where it is said.
    package init(
        _ plan: Plan, style: Style, form: Form, now: @escaping @Sendable () -> Double,
        talk: @escaping @Sendable (String) -> Void
    ) {
        self.plan = plan
        self.style = style
        self.form = form
        self.now = now
        self.talk = talk
    }

    package func tell(_ event: ExecutionEvent) {
        state.withLock { state in
            if case .progress(let change, let moved) = event {
                state.moving[change] = moved
                return progress(change, moved: moved, state: &state)
            }
            switch event {
            case .started(let change): state.told[change] = now()
            case .finished(let change, _), .failed(let change, _), .skipped(let change, _): state.moving[change] = nil
            case .progress, .stopping: break
            }
            talk(close(&state) + ProgressText.line(event, of: plan, style))
        }
    }

    /// Nothing is written over any more.
    package func end() {
        state.withLock { state in
            let rest = close(&state)
            if !rest.isEmpty { talk(rest) }
        }
    }

    private func progress(_ change: Int, moved: DataProgress, state: inout State) {
        switch form {
        case .terminal(let width):
            let parts = state.moving.inKeyOrder.map {
                "\(plan.changes[$0.key].resource): \(ProgressText.share($0.value))"
            }
            // A line that goes on in the next one could not be written over.
            let line = PrintedText.oneLine(parts.joined(separator: "; ")).prefix(max(width - 1, 20))
            talk(TerminalText.lineAnew + line)
            state.isOpen = true
        case .lines:
            guard isDue(change, after: 60, &state) else { return }
            talk(ProgressText.line(.progress(change: change, moved), of: plan, style))
        case .json:
            guard isDue(change, after: 5, &state) else { return }
            let resource = plan.changes[change].resource
            var members: [String: Tree] = [
                "kind": .text("Progress"), "resource": .text(resource.description), "done": .int(moved.done.bytes),
            ]
            // How much it will be is not known before its changes are.
            if moved.total > .zero { members["total"] = .int(moved.total.bytes) }
            // Texts hold no line ends of their own in JSON.
            let lines = Tree.object(members).json.split(separator: "\n")
            talk(lines.map { $0.drop { $0 == " " } }.joined(separator: " ") + "\n")
        }
    }

    /// True when nothing was said of it for so many seconds.
    private func isDue(_ change: Int, after seconds: Double, _ state: inout State) -> Bool {
        let time = now()
        guard time - (state.told[change] ?? time - seconds) >= seconds else { return false }
        state.told[change] = time
        return true
    }

    private func close(_ state: inout State) -> String {
        defer { state.isOpen = false }
        return state.isOpen ? TerminalText.lineAnew : ""
    }
}
