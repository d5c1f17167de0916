package import TuffModel

/// Diagnostics as a person reads them in a terminal.
package enum DiagnosticText {
    /// All of `diagnostics` with their lines and carets, and a count at the end; empty when there are none.
    package static func render(_ diagnostics: [Diagnostic], color: Bool) -> String {
        guard !diagnostics.isEmpty else { return "" }
        let paint = Paint(isOn: color)
        return diagnostics.map { block($0, paint) }.joined(separator: "\n") + "\n" + summary(diagnostics) + "\n"
    }

    /// `2 errors in 1 file`, `1 error and 3 warnings in 2 files`.
    package static func summary(_ diagnostics: [Diagnostic]) -> String {
        let errors = diagnostics.count { $0.severity == .error }
        let warnings = diagnostics.count - errors
        let counts = [(errors, "error"), (warnings, "warning")].filter { $0.0 > 0 }.map { counted($0.0, $0.1) }
        return counts.joined(separator: " and ") + " in " + counted(Set(diagnostics.map(\.location.file)).count, "file")
    }

    private static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    private static func block(_ diagnostic: Diagnostic, _ paint: Paint) -> String {
        let isError = diagnostic.severity == .error
        let head = paint(isError ? .red : .yellow, "\(diagnostic.severity.rawValue)[\(diagnostic.rule)]")
        let number = "\(diagnostic.location.line)"
        let gutter = String(repeating: " ", count: number.count)
        let bar = paint(.blue, "|")
        var lines = ["\(head): \(paint(.bold, clean(diagnostic.message)))"]
        lines.append(" \(gutter)\(paint(.blue, "-->")) \(clean(diagnostic.location.description))")
        if let line = diagnostic.sourceLine {
            let scalars = line.unicodeScalars
            let start = max(0, min(diagnostic.location.column - 1, scalars.count))
            let padding = scalars.prefix(start).map { $0 == "\t" ? "\t" : " " }.joined()
            let length = max(1, min(diagnostic.length, scalars.count - start))
            let carets = paint(isError ? .red : .yellow, String(repeating: "^", count: length))
            lines.append(" \(gutter) \(bar)")
            lines.append(" \(paint(.blue, number)) \(bar)" + (line.isEmpty ? "" : " \(clean(line))"))
            lines.append(" \(gutter) \(bar) \(padding)\(carets)")
        }
        if let help = diagnostic.help { lines.append(" \(gutter) \(paint(.blue, "=")) help: \(clean(help))") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Replaces characters that move the cursor, change colours or turn the direction of writing by U+FFFD.
    private static func clean(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            result.append(scalar == "\t" || PrintedText.shows(scalar) ? scalar : "\u{fffd}")
        }
        return String(result)
    }

    private struct Paint {
        enum Color: String {
            case red = "1;31"
            case yellow = "1;33"
            case blue = "34"
            case bold = "1"
        }

        var isOn: Bool

        func callAsFunction(_ color: Color, _ text: String) -> String {
            isOn ? TerminalText.painted(text, color.rawValue) : text
        }
    }
}
