import TuffModel

/// Collects the messages about one file.
final class FileReport {
    let file: SourceFile
    private(set) var diagnostics: [Diagnostic] = []
    private var left = Limits.diagnosticsPerFile
    private var unsaid = 0
    /// Lines that may hold a secret: no message repeats them.
    private var secretLines: Set<Int32> = []

    init(_ file: SourceFile) { self.file = file }

    /// Errors so far, those left unsaid included.
    private(set) var errorCount = 0

    func error(_ rule: String, _ message: String, at position: TextPosition, help: String? = nil) {
        add(.error, rule: rule, message: message, at: position, help: help)
    }

    func warning(_ rule: String, _ message: String, at position: TextPosition, help: String? = nil) {
        add(.warning, rule: rule, message: message, at: position, help: help)
    }

    private func add(
        _ severity: Diagnostic.Severity, rule: String, message: String, at position: TextPosition, help: String?
    ) {
        if severity == .error { errorCount += 1 }
        guard left > 0 else {
            unsaid += 1
            return
        }
        left -= 1
        guard file.isQuotable else {
            // Nearly every message repeats a word of the document.
            let place = SourceLocation(file: file.path, line: Int(position.line), column: 1)
            return diagnostics.append(
                Diagnostic(
                    severity, rule: rule, "line \(position.line) of what this link leads to breaks the rule '\(rule)'",
                    at: place, help: "give the file that it leads to to -f by its own path to read what is wrong"))
        }
        diagnostics.append(
            Diagnostic(
                severity, rule: rule, message, at: file.location(position), length: max(1, Int(position.length)),
                sourceLine: file.excerpt(line: Int(position.line)), help: help))
    }

    /// Keeps the line of `position` out of every message.
    func conceal(_ position: TextPosition) { secretLines.insert(position.line) }

    /// All messages, without excerpts of lines with secrets, and a last one that counts the messages left out.
    func finish() -> [Diagnostic] {
        for index in diagnostics.indices where secretLines.contains(Int32(clamping: diagnostics[index].location.line)) {
            diagnostics[index].sourceLine = nil
        }
        if unsaid > 0, let last = diagnostics.map(\.location).max() {
            diagnostics.append(
                Diagnostic(rule: "too-many-errors", "\(unsaid) more errors in \(file.path) are not listed", at: last))
        }
        return diagnostics
    }
}

/// `PrintedText.quoted`, which nearly every message here needs.
func quoted(_ text: some StringProtocol) -> String { PrintedText.quoted(text) }
