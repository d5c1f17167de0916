package import TuffModel

/// One thing that was looked at, and what to do where it is not well.
package struct Finding: Hashable, Sendable {
    package enum Level: String, Sendable { case ok, warn, fail }

    package var level: Level
    package var sentence: String
    /// The remedy, a command where there is one.
    package var fix: String?

    package init(_ level: Level, _ sentence: String, fix: String? = nil) {
        self.level = level
        self.sentence = sentence
        self.fix = fix
    }
}

package struct DoctorView: View {
    package var findings: [Finding]

    package init(_ findings: [Finding]) { self.findings = findings }

    package var kind: String { "Doctor" }

    package var exitCode: Int32 { findings.contains { $0.level == .fail } ? 1 : 0 }

    package func text(_ style: Style) -> String {
        var text = ""
        for finding in findings {
            let (mark, ink): (String, Style.Ink) =
                switch finding.level {
                case .ok: ("ok", .green)
                case .warn: ("warn", .yellow)
                case .fail: ("FAIL", .red)
                }
            let lines = Layout.wrap(PrintedText.oneLine(finding.sentence), width: Style.width - 6)
            text += style.paint(Layout.pad(mark, to: 4), ink) + "  " + lines.joined(separator: "\n      ") + "\n"
            if let fix = finding.fix {
                text += Layout.wrap("fix: \(fix)", width: Style.width - 8).map { "        \($0)\n" }.joined()
            }
        }
        func count(_ level: Finding.Level) -> Int { findings.count { $0.level == level } }
        return text + "\nDoctor: \(count(.ok)) ok, \(PrintedText.count(count(.warn), "warning")), "
            + "\(PrintedText.count(count(.fail), "failure")).\n"
    }

    package var body: [String: Tree] {
        [
            "findings": .list(
                findings.map {
                    .object(["level": .text($0.level.rawValue), "sentence": .text($0.sentence), "fix": .text($0.fix)])
                })
        ]
    }
}
