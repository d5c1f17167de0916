import SystemPackage
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// The person at a terminal, or the script behind it, who runs a command: plans and questions, and what is said
/// meanwhile, on standard error; data on standard output.
struct TerminalOverseer: Overseer {
    let global: GlobalOptions
    let format: TextOrJSON
    /// Answers every question with yes.
    var autoApprove = false
    let interrupts: Interrupts

    /// - Throws: when this process cannot be prepared for signals.
    init(_ global: GlobalOptions, _ format: TextOrJSON, autoApprove: Bool = false) throws(Failure) {
        self.global = global
        self.format = format
        self.autoApprove = autoApprove
        do throws(HostError) { interrupts = try Interrupts.install() } catch { throw Failure(error.description) }
    }

    var asksToStop: Bool { interrupts.isInterrupted }

    func tell(_ remark: Remark) { remark.talk(global.errors) }

    /// The plan is data unless the report is to be JSON; then it is talk.
    func show(_ plan: Plan, elsewhere: [String: Int]) throws(PassError) {
        let view = PlanView(plan, elsewhere: elsewhere)
        switch format {
        case .text:
            do throws(Failure) { try Console.data(view.text(global.output)) } catch { throw PassError(error) }
        case .json: Console.talk(view.text(global.errors))
        }
    }

    var asksPeople: Bool { !autoApprove }

    func approve(_ plan: Plan, for occasion: Occasion) async throws(PassError) -> Approval {
        if autoApprove { return .given }
        let question =
            switch occasion {
            case .documents: "Apply these changes?"
            case .order: "Carry this out?"
            }
        switch await Console.ask(question, orInterruptedBy: interrupts) {
        case .yes: return .givenLate
        case .no: throw PassError("not approved; nothing was changed")
        case .interrupted: throw PassError("interrupted; nothing was changed", sort: .interrupted)
        case .unasked:
            throw PassError(
                "there is no terminal to ask on; nothing was changed",
                help: "read the plan above, then give --auto-approve")
        }
    }

    func listener(to plan: Plan) -> any ExecutionListener {
        let clock = ContinuousClock(), start = clock.now
        return ProgressTalk(
            plan, style: global.errors, form: Console.progressForm(besideJSON: format == .json),
            now: { start.duration(to: clock.now) / .seconds(1) }, talk: { Console.talk($0) })
    }

    /// Shows how a pass ended, and ends the command with its exit code.
    func finish(_ report: ApplyReport, elsewhere: [String: Int] = [:]) throws(Failure) {
        let view = ApplyView(report, elsewhere: elsewhere)
        switch format {
        case .json: try Console.data(view.document.json)
        // After a plan with nothing to do there is nothing left to say.
        case .text: if !report.plan.isEmpty { try Console.data("\n" + view.text(global.output)) }
        }
        guard report.outcome == .converged else { throw Failure(nil, code: ExitStatus.of(report.outcome)) }
    }
}

/// The same person, of a command that only looks.
struct TerminalListener: Listener {
    let style: Style

    func tell(_ remark: Remark) { remark.talk(style) }
}

extension ProgressTalk: ExecutionListener {}

extension PassError {
    /// An end that a command's own part of a pass brought about. Its exit code is that of a failure.
    fileprivate init(_ failure: Failure) {
        self.init(failure.message ?? "", help: failure.help, sort: failure.message == nil ? .said : .failed)
    }
}

extension Remark {
    fileprivate func talk(_ style: Style) {
        switch self {
        case .note(let sentence): Console.talk(style.paint("note:", .yellow) + " \(PrintedText.oneLine(sentence))\n")
        case .warning(let sentence):
            Console.talk(style.paint("warning:", .yellow) + " \(PrintedText.oneLine(sentence))\n")
        case .waiting(let holder): Console.talk(PrintedText.oneLine("waiting for \(holder)") + "\n")
        case .plansDiffer(let then, let now):
            Console.talk(
                "Planned then:\n\n\(Self.indented(then))\nPlanned now:\n\n"
                    + "\(Self.indented(PlanView(now).text(Style())))\n")
        case .export(let item):
            let cause = item.error.map { ": \($0.description)" } ?? ""
            let ink: Style.Ink = [.restored, .unchanged].contains(item.state) ? .green : .yellow
            let line = "\(item.name): \(item.state.rawValue): \(item.summary)\(cause)"
            Console.talk(style.paint(PrintedText.oneLine(line), ink) + "\n")
        }
    }

    /// Indented, so that nothing in a file can pass for what is said here.
    private static func indented(_ text: String) -> String {
        // By scalars: "\r\n" is one character, and no "\n".
        text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.isEmpty ? "" : "  \(String($0))" }.joined(separator: "\n")
    }
}
