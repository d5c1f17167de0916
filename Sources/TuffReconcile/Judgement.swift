import TuffModel
import TuffPlanning

/// Judges what became of each planned change from what the next plan says, and not from how its steps ended:
/// a command may fail after doing its work, or succeed without it.
struct Judgement {
    let plan: Plan
    let outcomes: [StepOutcome]
    let remaining: Plan

    func reports() -> [ChangeReport] {
        var outcomesByChange: [Int: [StepOutcome]] = [:]
        for step in plan.steps { outcomesByChange[step.change, default: []].append(outcomes[step.id]) }
        return plan.changes.enumerated().map { report($1, outcomesByChange[$0] ?? []) }
    }

    private func report(_ change: PlannedChange, _ outcomes: [StepOutcome]) -> ChangeReport {
        var report = ChangeReport(
            resource: change.resource, action: change.action, summary: change.summary, verdict: .unchanged,
            location: change.location)
        switch change.action {
        case .unchanged: return report
        case .blocked: report.verdict = .blocked
        case .unsupported: report.verdict = .unsupported
        case .orphan: report.verdict = .orphan
        case .create, .untrash, .adopt, .update: judge(&report, outcomes, ended: false)
        case .withdraw, .release, .trash, .purge: judge(&report, outcomes, ended: true, uid: change.uid)
        }
        return report
    }

    /// - Parameter ended: the change takes something away, so that the next plan has nothing to say about it.
    private func judge(_ report: inout ChangeReport, _ outcomes: [StepOutcome], ended: Bool, uid: UID? = nil) {
        for outcome in outcomes {
            if case .failed(let error, _) = outcome {
                report.error = error
                break
            }
        }
        let after = remaining.changes.filter {
            $0.resource == report.resource && (ended ? $0.uid == uid : $0.action != .orphan)
        }
        if ended ? after.isEmpty : !after.isEmpty && after.allSatisfy({ $0.action == .unchanged }) {
            report.verdict = .done
            if report.error != nil { report.detail = "the command reported an error, and the result is as planned" }
            return
        }
        let left = after.first { $0.action != .unchanged }
        if report.error != nil {
            report.verdict = .failed
            return
        }
        for outcome in outcomes {
            if case .skipped(let cause) = outcome, cause != report.resource {
                report.verdict = .skipped
                report.detail = "skipped because \(cause) failed"
                return
            }
        }
        if outcomes.contains(.notStarted) {
            report.verdict = .interrupted
            report.detail = "not finished: interrupted"
            return
        }
        report.verdict = .failed
        report.detail =
            left.map { "carried out, and yet the next plan still says: \($0.summary)" }
            ?? "carried out, and the next plan does not know it any more"
    }
}
