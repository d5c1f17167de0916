package import TuffHost
package import TuffModel
package import TuffPlanning

/// The end of carrying out one step. Only observation tells whether it had its effect.
package enum StepOutcome: Hashable, Codable, Sendable {
    case finished(seconds: Double)
    case failed(HostError, seconds: Double)
    /// A step this one waits for did not finish; the named resource is why.
    case skipped(because: ResourceID)
    /// An interrupt arrived before it was started, or ended it before it was finished; or others had the host
    /// meanwhile, and it is theirs or wanted no more.
    case notStarted
}

/// The outcome of one planned change, judged by observing again and planning again under the same context.
package struct ChangeReport: Hashable, Codable, Sendable {
    package enum Verdict: String, Codable, Sendable {
        /// Carried out, and the next observation agrees.
        case done
        /// A step failed, or the next observation still differs.
        case failed
        /// Something it depends on failed.
        case skipped
        /// Not started, or not finished, because of an interrupt or of another pass.
        case interrupted
        /// Blocked, unsupported or an orphan in the plan: nothing was attempted. Blocked also where all that could be
        /// done was done, and the rest goes on waiting for what the change says.
        case blocked, unsupported, orphan
        case unchanged
    }

    package var resource: ResourceID
    package var action: Action
    package var summary: String
    package var verdict: Verdict
    /// The machine's error, where a step failed.
    package var error: HostError?
    /// A sentence: what still differs, or what it was skipped for.
    package var detail: String?
    package var location: SourceLocation?

    package init(
        resource: ResourceID, action: Action, summary: String, verdict: Verdict, error: HostError? = nil,
        detail: String? = nil, location: SourceLocation? = nil
    ) {
        self.resource = resource
        self.action = action
        self.summary = summary
        self.verdict = verdict
        self.error = error
        self.detail = detail
        self.location = location
    }
}

/// Wall time of the parts of a pass, in seconds.
package struct PhaseTimes: Hashable, Codable, Sendable {
    package var observe = 0.0
    /// From the first storage step's start to the last one's end.
    package var storage = 0.0
    /// From the first export step's start to the last one's end.
    package var export = 0.0
    package var verify = 0.0
    /// From the first step's start to the last one's end: storage and export overlap.
    package var execute = 0.0

    package init() {}

    /// The time that a person waited, questions aside.
    package var total: Double { observe + execute + verify }
}

/// The result of a pass.
package struct ApplyReport: Hashable, Codable, Sendable {
    package var plan: Plan
    package var changes: [ChangeReport]
    /// The plan after everything: empty when the pass converged.
    package var remaining: Plan
    package var interrupted: Bool
    package var times: PhaseTimes
    /// Others had the host while this pass waited for its data: it is theirs to go on.
    package var isOthers: Bool?

    package init(plan: Plan, changes: [ChangeReport], remaining: Plan, interrupted: Bool, times: PhaseTimes) {
        self.plan = plan
        self.changes = changes
        self.remaining = remaining
        self.interrupted = interrupted
        self.times = times
    }

    package enum Outcome: Sendable {
        /// Everything agrees.
        case converged
        /// Something was attempted, and nothing that was attempted succeeded.
        case failed
        /// Something is blocked, or some of what was attempted failed, and the rest is as declared.
        case partly
        case interrupted
    }

    package var outcome: Outcome {
        if interrupted { return .interrupted }
        func has(_ verdicts: ChangeReport.Verdict...) -> Bool { changes.contains { verdicts.contains($0.verdict) } }
        guard has(.failed, .skipped, .blocked, .interrupted) else { return .converged }
        return has(.failed, .skipped) && !has(.done) ? .failed : .partly
    }
}

/// Events while a plan is carried out, for progress on standard error.
package enum ExecutionEvent: Sendable {
    case started(change: Int)
    /// The progress of a step of it that reads and writes all of a volume.
    case progress(change: Int, DataProgress)
    case finished(change: Int, seconds: Double)
    case failed(change: Int, HostError)
    case skipped(change: Int, because: ResourceID)
    /// An interrupt was seen, `running` steps being at work: they are finished, but for those `leaving` that move data,
    /// which end at their next block. No new step is started.
    case stopping(running: Int, leaving: Int)
}
