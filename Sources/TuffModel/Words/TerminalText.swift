/// The way of all text to a terminal: sequences that Tuff itself writes pass, and those in anybody else's text are
/// spelled out.
///
/// Views put marks in the place of terminal sequences. Part of a mark is drawn when the process starts, so that no
/// document, inventory, plan file, volume name or repository can hold one; `rendered` alone turns marks into terminal
/// sequences.
package enum TerminalText {
    /// Select Graphic Rendition of ECMA-48, by its parameters: `31`, `1;33`. The end takes all of it back.
    package static func painted(_ text: String, _ parameters: String) -> String {
        mark(parameters) + text + mark("0")
    }

    /// Moves to the beginning of the line and erases it (ECMA-48, EL): the next text is written over the line.
    package static let lineAnew = mark(erase)

    /// `text` as it is written: every scalar that a terminal would obey is spelled out, except line ends, tabs and the
    /// sequences of our own marks.
    package static func rendered(_ text: String) -> String {
        // Nearly all text has none.
        if text.utf8.allSatisfy({ (0x20...0x7e).contains($0) || $0 == 0x0a }) { return text }
        var result = String.UnicodeScalarView()
        var rest = text.unicodeScalars[...]
        while let scalar = rest.first {
            if scalar == begin, let parameters = takeMark(&rest) {
                result += (parameters == erase ? "\r\u{1b}[K" : "\u{1b}[\(parameters)m").unicodeScalars
                continue
            }
            rest.removeFirst()
            if scalar == "\n" || scalar == "\t" || PrintedText.shows(scalar) {
                result.append(scalar)
            } else {
                result += PrintedText.spelled(scalar).unicodeScalars
            }
        }
        return String(result)
    }

    /// The parameters of the mark that `rest` begins with, which is taken off; nil where it only looks like one.
    private static func takeMark(_ rest: inout Substring.UnicodeScalarView) -> String? {
        var scalars = rest.dropFirst()
        for part in key {
            guard scalars.popFirst() == part else { return nil }
        }
        var parameters = String.UnicodeScalarView()
        while let scalar = scalars.popFirst() {
            if scalar == end {
                rest = scalars
                return String(parameters)
            }
            parameters.append(scalar)
        }
        return nil
    }

    private static func mark(_ parameters: String) -> String {
        var scalars = String.UnicodeScalarView()
        scalars.append(begin)
        scalars += key
        scalars += parameters.unicodeScalars
        scalars.append(end)
        return String(scalars)
    }

    private static let erase = "K"
    private static let begin: Unicode.Scalar = "\u{f8f0}"
    private static let end: Unicode.Scalar = "\u{f8f1}"

    /// 48 bits of the system's generator, in private-use scalars, as begin and end are.
    private static let key: [Unicode.Scalar] = (0..<3).map { _ in
        Unicode.Scalar(UInt32.random(in: 0xf0000...0xffffd)) ?? "\u{f0000}"
    }
}
