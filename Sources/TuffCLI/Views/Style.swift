import TuffModel

/// The setting of text: with or without colours. Colours never carry a meaning of their own; the words do.
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
        text + String(repeating: " ", count: max(0, width - columns(text)))
    }

    /// Number of characters, which is that of bytes in nearly all texts.
    package static func columns(_ text: String) -> Int {
        PrintedText.isPlain(text) ? text.utf8.count : text.count
    }

    /// A byte that is a character of its own, whatever stands beside it.
    private static func isPlain(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7f }

    /// Breaks at spaces so that no line is longer than `width`, unless a single word is.
    package static func wrap(_ text: String, width: Int) -> [String] {
        // Most texts of a large plan fit, and have nothing to join or to split.
        if text.utf8.count <= width, PrintedText.isPlain(text), !text.isEmpty, isTidy(text) { return [text] }
        var bytes = text
        if let lines = bytes.withUTF8({ wrapPlain($0, width: width) }) { return lines }
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

    /// The same where every character is a byte or a no-break space; nil: there are others.
    private static func wrapPlain(_ text: UnsafeBufferPointer<UInt8>, width: Int) -> [String]? {
        var lines: [String] = []
        var line: [UInt8] = []
        var word: [UInt8] = []
        func endWord() {
            guard !word.isEmpty else { return }
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(String(decoding: line, as: UTF8.self))
                line.removeAll(keepingCapacity: true)
            }
            if !line.isEmpty { line.append(0x20) }
            line += word
            word.removeAll(keepingCapacity: true)
        }
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte == 0x20 {
                endWord()
            } else if isPlain(byte) {
                word.append(byte)
            } else {
                guard byte == 0xc2, index + 1 < text.count, text[index + 1] == 0xa0 else { return nil }
                word.append(0x20)
                index += 1
            }
            index += 1
        }
        endWord()
        return lines + [String(decoding: line, as: UTF8.self)]
    }

    /// True when single spaces alone stand between the words.
    private static func isTidy(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var wasSpace = true
            for byte in bytes {
                let isSpace = byte == 0x20
                if isSpace && wasSpace { return false }
                wasSpace = isSpace
            }
            return !wasSpace
        }
    }

    private static let noBreakSpace = "\u{a0}"

    /// `text` as one word for `wrap`.
    package static func unbroken(_ text: String) -> String {
        text.utf8.contains(0x20) ? text.replacing(" ", with: noBreakSpace) : text
    }

    /// Columns as wide as their widest cell, two spaces between, nothing after the last.
    package static func table(_ rows: [[String]], indent: String = "") -> String {
        let rows = rows.map { $0.map(PrintedText.oneLine) }
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { column < $0.count ? columns($0[column]) : 0 }.max() ?? 0 }
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
