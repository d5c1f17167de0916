/// Numbers and bytes in hexadecimal.
package enum Hex {
    /// At least `width` digits, small letters.
    package static func digits(_ number: some BinaryInteger, width: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Two digits a byte.
    package static func text(_ bytes: some Sequence<UInt8>) -> String {
        bytes.reduce(into: "") { $0 += digits($1, width: 2) }
    }
}

/// Text of other programs and people on its way to a terminal.
package enum PrintedText {
    /// Whether a terminal shows `scalar` as itself, without moving the cursor or changing the direction of writing.
    package static func shows(_ scalar: Unicode.Scalar) -> Bool {
        // Nearly all text, and asking for categories costs.
        if (0x20...0x7e).contains(scalar.value) { return true }
        return switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: false
        default: true
        }
    }

    /// Spells out a scalar that a terminal would obey, as `\u{1b}`.
    package static func spelled(_ scalar: Unicode.Scalar) -> String {
        shows(scalar) ? String(scalar) : "\\u{\(String(scalar.value, radix: 16))}"
    }

    /// A scalar within a text of JSON (RFC 8259, section 7) where a terminal would obey it: `\u202e`.
    package static func escapedJSON(_ scalar: Unicode.Scalar) -> String {
        guard !shows(scalar) else { return String(scalar) }
        return String(scalar).utf16.reduce(into: "") { $0 += "\\u" + Hex.digits($1, width: 4) }
    }

    /// A whole text of JSON, in which such scalars can only stand within texts.
    package static func escapedJSON(_ text: String) -> String {
        guard !text.utf8.allSatisfy({ (0x20...0x7e).contains($0) || $0 == 0x0a }) else { return text }
        return text.unicodeScalars.reduce(into: "") { $0 += $1 == "\n" ? "\n" : escapedJSON($1) }
    }

    /// `text` in one line that a terminal shows and does not obey: control characters are spelled out, ends of lines
    /// become blanks.
    package static func oneLine(_ text: String) -> String {
        // Nearly all texts, and bytes are quicker to look at than scalars.
        if isPlain(text) { return text }
        guard !text.unicodeScalars.allSatisfy({ shows($0) }) else { return text }
        return text.unicodeScalars.reduce(into: "") { $0 += $1 == "\n" ? " " : spelled($1) }
    }

    /// True if all characters are of `0x20...0x7e`, and so bytes that a terminal shows one by one.
    package static func isPlain(_ text: String) -> Bool {
        // Eight bytes at a time: each line of a large plan is asked several times.
        let isPlain = text.utf8.withContiguousStorageIfAvailable { bytes in
            let raw = UnsafeRawBufferPointer(bytes)
            var index = 0
            while index + 8 <= raw.count {
                let word = raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                // Without high bits no sum carries into the next byte: below 0x20, and 0x7f.
                let isShown = word &+ 0x6060_6060_6060_6060, isDelete = word &+ 0x0101_0101_0101_0101
                let high: UInt64 = 0x8080_8080_8080_8080
                guard (word | isDelete) & high == 0, isShown & high == high else { return false }
                index += 8
            }
            return raw[index...].allSatisfy { $0 >= 0x20 && $0 < 0x7f }
        }
        return isPlain ?? text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
    }

    /// `1 error`, `2 errors`.
    package static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// `text` in quotes for a message: no control or formatting characters, cut after 60 characters.
    package static func quoted(_ text: some StringProtocol) -> String {
        var result = "'"
        for (index, scalar) in text.unicodeScalars.enumerated() {
            if index == 60 {
                result += "…"
                break
            }
            result += spelled(scalar)
        }
        return result + "'"
    }
}
