import TuffModel

/// How text is set: with or without colours. Colours never carry a meaning of their own; the words do.
package struct Style: Sendable {
    package enum Ink: String, Sendable {
        case green = "32"
        case yellow = "33"
        case red = "31"
        case dim = "2"
        case bold = "1"
    }

    /// Columns that views try to stay within. Fixed, so that the same plan gives the same bytes everywhere.
    package static let width = 100

    package var color: Bool

    package init(color: Bool = false) { self.color = color }

    package func paint(_ text: String, _ ink: Ink?) -> String {
        guard color, let ink, !text.isEmpty else { return text }
        return TerminalText.painted(text, ink.rawValue)
    }
}

/// Setting lines and columns.
package enum Layout {
    package static func pad(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// Breaks at spaces so that no line is longer than `width`, unless a single word is.
    package static func wrap(_ text: String, width: Int) -> [String] {
        // Most texts of a large plan fit, and have nothing to join or to split. Characters are no more than bytes.
        if text.utf8.count <= width, text.utf8.allSatisfy({ $0 < 0x80 }), !text.isEmpty, isTidy(text) { return [text] }
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return (lines + [line]).map { $0.utf8.contains(0xc2) ? $0.replacing(noBreakSpace, with: " ") : $0 }
    }

    /// Whether single spaces alone stand between the words.
    private static func isTidy(_ text: String) -> Bool {
        var wasSpace = true
        for byte in text.utf8 {
            let isSpace = byte == 0x20
            if isSpace && wasSpace { return false }
            wasSpace = isSpace
        }
        return !wasSpace
    }

    private static let noBreakSpace = "\u{a0}"

    /// `text` as one word for `wrap`.
    package static func unbroken(_ text: String) -> String { text.replacing(" ", with: noBreakSpace) }

    /// Columns as wide as their widest cell, two spaces between, nothing after the last.
    package static func table(_ rows: [[String]], indent: String = "") -> String {
        let rows = rows.map { $0.map(PrintedText.oneLine) }
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            var line = indent
            for (column, cell) in row.enumerated() {
                line += column == row.count - 1 ? cell : pad(cell, to: widths[column] + 2)
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line + "\n"
        }.joined()
    }

    /// `2.4 s`, `0.03 s`, `3 min 20 s`.
    package static func duration(_ seconds: Double) -> String {
        if seconds < 0.1 { return "\((max(0, seconds) * 1000).rounded() / 1000) s" }
        if seconds < 100 { return "\((seconds * 10).rounded() / 10) s" }
        return "\(Int(seconds) / 60) min \(Int(seconds) % 60) s"
    }
}
