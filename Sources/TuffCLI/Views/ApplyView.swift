package import TuffHost
package import TuffModel
package import TuffPlanning
package import TuffReconcile

/// The outcome of a plan: every change that was attempted or should have been, its error, and what to do next.
package struct ApplyView: View {
    package var report: ApplyReport

    /// Documents that are for other nodes, by node.
    package var elsewhere: [String: Int]

    package init(_ report: ApplyReport, elsewhere: [String: Int] = [:]) {
        self.report = report
        self.elsewhere = elsewhere
    }

    package var kind: String { "Apply" }

    // MARK: Text

    package func text(_ style: Style) -> String {
        let shown = report.changes.filter { ![.unchanged, .unsupported, .orphan].contains($0.verdict) }
        var text = ""
        if !shown.isEmpty { text += ResourceRow.render(shown.map(Self.row), style) + "\n" }
        text += summaryLine + "\n"
        if let advice { text += "\n" + Layout.wrap(advice, width: Style.width).joined(separator: "\n") + "\n" }
        return text
    }

    /// `Apply: 2 done, 1 failed, 1 skipped, 1 blocked; 3 unchanged. 2.4 s`
    package var summaryLine: String {
        let acted: [(ChangeReport.Verdict, String)] = [
            (.done, "done"), (.failed, "failed"), (.skipped, "skipped"), (.interrupted, "interrupted"),
            (.blocked, "blocked"),
        ]
        var parts = acted.compactMap { verdict, word in
            let number = count(verdict)
            return number > 0 ? "\(number) \(word)" : nil
        }
        if parts.isEmpty { parts = ["nothing to do"] }
        var line = "Apply: " + parts.joined(separator: ", ") + "; \(count(.unchanged)) unchanged"
        if count(.unsupported) > 0 { line += ", \(count(.unsupported)) unsupported" }
        if count(.orphan) > 0 { line += ", \(PrintedText.count(count(.orphan), "orphan"))" }
        let due = report.changes.count { $0.action == .due }
        if due > 0 { line += ", \(due) due (--run-due)" }
        let times = report.times
        return line + ". \(Layout.duration(times.total))"
    }

    private func count(_ verdict: ChangeReport.Verdict) -> Int {
        report.changes.count { $0.verdict == verdict && $0.action != .due }
    }

    private var advice: String? {
        if report.interrupted {
            return "Interrupted: commands that ran were finished, copies and wipes ended where they were, nothing else "
                + "was started. Run the same command again to carry on; it repeats only what is left."
        }
        if count(.failed) + count(.skipped) > 0 {
            return "What is done stays done. Remove the cause of the failure, then run the same command again: it "
                + "repeats only what is left."
        }
        if count(.blocked) > 0 {
            return "What is blocked stays so until its cause is removed; the lines above say why."
        }
        return nil
    }

    private static func row(_ change: ChangeReport) -> ResourceRow {
        let (mark, ink): (String, Style.Ink) =
            switch change.verdict {
            case .done, .unchanged: ("done", .green)
            case .failed: ("FAILED", .red)
            case .skipped: ("skipped", .yellow)
            case .interrupted: ("stopped", .yellow)
            case .blocked: ("blocked", .red)
            case .unsupported, .orphan: ("!", .yellow)
            }
        var details: [String] = []
        if let error = change.error {
            details.append(error.sentence)
            if let cause = error.cause { details.append("cause: \(cause)") }
            if let subject = error.subject { details.append("at: \(subject)") }
        }
        if let detail = change.detail { details.append(detail) }
        return ResourceRow(
            mark: mark, ink: ink, resource: change.resource, text: change.summary, location: change.location,
            details: details)
    }

    // MARK: JSON

    package var body: [String: Tree] {
        let times = report.times
        return [
            "exitCode": .int(Int64(ExitStatus.of(report.outcome))),
            "interrupted": .bool(report.interrupted),
            "times": .map([
                "observe": .number(times.observe), "storage": .number(times.storage), "export": .number(times.export),
                "verify": .number(times.verify), "total": .number(times.total),
            ]),
            "elsewhere": PlanView.tree(elsewhere: elsewhere),
            "changes": .list(report.changes.map(Self.tree)),
            "planned": PlanView.tree(report.plan.counts),
            "remaining": PlanView.tree(report.remaining.counts),
        ]
    }

    private static func tree(_ change: ChangeReport) -> Tree {
        .object([
            "kind": .text(change.resource.kind.rawValue),
            "name": .text(change.resource.name),
            "action": .text(change.action.rawValue),
            "summary": .text(change.summary),
            "verdict": .text(change.verdict.rawValue),
            "error": change.error.map(Tree.error) ?? .null,
            "detail": .text(change.detail),
            "location": .place(change.location),
        ])
    }
}

extension Tree {
    package static func error(_ error: HostError) -> Tree {
        .object([
            "code": .text(error.code.rawValue), "sentence": .text(error.sentence), "cause": .text(error.cause),
            "subject": .text(error.subject),
        ])
    }
}

/// One line per event of a running apply, for standard error.
package enum ProgressText {
    /// `42 %, 8.4 GiB of 20 GiB`; never 100 % before all of it is done.
    package static func share(_ moved: DataProgress) -> String {
        // How much it will be is not known before its changes are.
        guard moved.total > .zero else { return rounded(moved.done) }
        let percent = Int(Double(moved.done.bytes) / Double(moved.total.bytes) * 100)
        let isAll = moved.done >= moved.total
        return "\(isAll ? 100 : min(percent, 99)) %, \(rounded(moved.done)) of \(rounded(moved.total))"
    }

    /// One decimal of the largest unit that it has one of.
    private static func rounded(_ count: ByteCount) -> String {
        var value = Double(count.bytes), unit = "bytes"
        for next in ["KiB", "MiB", "GiB", "TiB"] where value >= 1024 { (value, unit) = (value / 1024, next) }
        let tenths = Int((value * 10).rounded(.down))
        return "\(tenths / 10)" + (tenths % 10 == 0 ? "" : ".\(tenths % 10)") + " \(unit)"
    }

    package static func line(_ event: ExecutionEvent, of plan: Plan, _ style: Style) -> String {
        func name(_ change: Int) -> String { plan.changes[change].resource.description }
        let line =
            switch event {
            case .started(let change): "\(name(change)): \(plan.changes[change].summary)"
            case .progress(let change, let moved): "\(name(change)): \(share(moved))"
            case .finished(let change, let seconds): "\(name(change)): done after \(Layout.duration(seconds))"
            case .failed(let change, let error): "\(name(change)): FAILED: \(error.sentence)"
            case .skipped(let change, let cause): "\(name(change)): skipped, it waits for \(cause)"
            case .stopping(let running, let leaving):
                "Stopping: \(PrintedText.count(running - leaving, "running step")) will be finished, "
                    + (leaving == 0 ? "" : "\(leaving) of copying or wiping left for the next pass, ")
                    + "nothing new is started."
            }
        let ink: Style.Ink? =
            switch event {
            case .started, .progress: nil
            case .finished: .green
            case .failed: .red
            case .skipped, .stopping: .yellow
            }
        return style.paint(PrintedText.oneLine(line), ink) + "\n"
    }
}
