import TuffModel
import TuffPlanning

/// Judges what became of each planned change from what the next plan says, and not from how its steps ended:
/// a command may fail after doing its work, or succeed without it.
struct Judgement {
    let plan: Plan
    let outcomes: [StepOutcome]
    let remaining: Plan
    /// The observation that `remaining` was made from.
    let observed: ObservedState
    let wasInterrupted: Bool

    func reports() -> [ChangeReport] {
        var outcomesByChange: [Int: [StepOutcome]] = [:]
        var stepsByChange: [Int: [Step]] = [:]
        for step in plan.steps {
            outcomesByChange[step.change, default: []].append(outcomes[step.id])
            stepsByChange[step.change, default: []].append(step.step)
        }
        let aftermath = Aftermath(observed)
        return plan.changes.enumerated().map { index, change in
            let steps = stepsByChange[index] ?? []
            let left = change.ends ? aftermath.left(of: steps) : aftermath.leftCache(of: steps)
            var report = report(change, outcomesByChange[index] ?? [], left: left)
            // A verification that found damage is not due any more, which makes nothing of it right.
            if report.verdict == .done, report.error != nil, steps.contains(where: \.proves) {
                report.verdict = .failed
                report.detail = nil
            }
            if report.verdict == .done, report.detail == nil { report.detail = observed.account(of: steps) }
            return report
        }
    }

    private func report(_ change: PlannedChange, _ outcomes: [StepOutcome], left: String?) -> ChangeReport {
        var report = ChangeReport(
            resource: change.resource, action: change.action, summary: change.summary, verdict: .unchanged,
            location: change.location)
        switch change.action {
        case .unchanged, .due: return report
        case .blocked: report.verdict = .blocked
        case .unsupported: report.verdict = .unsupported
        case .orphan: report.verdict = .orphan
        case .create, .untrash, .adopt, .update, .withdraw, .takeDown, .release, .trash, .purge:
            change.ends
                ? judgeEnd(&report, outcomes, left: left)
                : judge(&report, outcomes, left: left, waits: change.reason, of: change.uid)
        }
        return report
    }

    /// A resource that was to be made or changed is as declared when the next plan leaves it alone. A change that says
    /// itself what its resource goes on waiting for did what it could where the next plan waits for that.
    private func judge(
        _ report: inout ChangeReport, _ outcomes: [StepOutcome], left remains: String?, waits reason: Reason?,
        of uid: UID?
    ) {
        let after = remaining.changes.filter {
            $0.resource == report.resource && !$0.action.ends && $0.action != .orphan
                // A policy has a line for each of its volumes.
                && (report.resource.kind != .backupPolicy || $0.uid == nil || $0.uid == uid)
        }
        let isDone = remains == nil && !after.isEmpty && after.allSatisfy { $0.action == .unchanged }
        let left = after.first { $0.action != .unchanged }
        if remains == nil, let reason, let left, left.action == .blocked, left.reason == reason {
            report.verdict = .blocked
            return
        }
        settle(
            &report, outcomes, isDone: isDone,
            otherwise: remains.map { "carried out, and yet \($0)" } ?? left.map {
                "carried out, and yet the next plan still says: \($0.summary)"
            }
                ?? "carried out, and the next plan does not know it any more")
    }

    /// An object that was to go is gone when it is seen to be gone: a plan that does not mention it may merely not have
    /// seen it.
    private func judgeEnd(_ report: inout ChangeReport, _ outcomes: [StepOutcome], left: String?) {
        settle(&report, outcomes, isDone: left == nil, otherwise: "carried out, and yet \(left ?? "it is there")")
    }

    private func settle(
        _ report: inout ChangeReport, _ outcomes: [StepOutcome], isDone: Bool, otherwise sentence: String
    ) {
        for outcome in outcomes {
            if case .failed(let error, _) = outcome {
                report.error = error
                break
            }
        }
        if isDone {
            report.verdict = .done
            if report.error != nil { report.detail = "the command reported an error, and the result is as planned" }
            return
        }
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
            report.detail =
                wasInterrupted
                ? "not finished: interrupted"
                : "not begun: others changed this host while the pass waited for its data; apply again"
            return
        }
        report.verdict = .failed
        report.detail = sentence
    }
}

extension PlannedChange {
    /// True if it takes something away, or finishes that, so that no document says afterwards how it should be.
    fileprivate var ends: Bool { action.ends || reason == .notDeclared }
}

extension Action {
    /// True if it takes something away, so that afterwards there is nothing to compare.
    fileprivate var ends: Bool {
        switch self {
        case .withdraw, .takeDown, .release, .trash, .purge: true
        case .create, .untrash, .adopt, .update, .due, .orphan, .blocked, .unsupported, .unchanged: false
        }
    }
}

extension Step {
    /// It reads back what is stored, and ends with an error where that is not whole.
    fileprivate var proves: Bool {
        switch self {
        case .backup(.verify), .volume(.drill): true
        case .volume, .lvm, .pool, .mount, .export, .backup: false
        }
    }
}
