import TuffModel

/// Rules for a file's bytes, checked before a YAML parser sees them.
enum Encoding {
    static let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]

    struct Problem {
        var rule: String
        var message: String
        /// Offset of the first bad byte.
        var offset: Int
        var help: String
    }

    /// Nil when `text` is UTF-8 (a byte order mark at its start is allowed) of characters that YAML 1.2 section 5.1
    /// calls printable. NEL, LS, PS and inner byte order marks are refused too: libyaml counts the first three as line
    /// breaks as YAML 1.1 did, editors do not, and no reader should have to know.
    static func problem(in text: [UInt8]) -> Problem? {
        if let wide = wideEncoding(text) {
            return Problem(
                rule: "not-utf8", message: "the file is \(wide), not UTF-8", offset: 0, help: "save it as UTF-8")
        }
        return text.withUnsafeBufferPointer { bytes in
            var index = text.starts(with: byteOrderMark) ? 3 : 0
            let raw = UnsafeRawBufferPointer(bytes)
            while index < bytes.count {
                if index + 8 <= bytes.count, isPlain(raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)) {
                    index += 8
                    continue
                }
                let byte = bytes[index]
                if byte >= 0x20 && byte < 0x7f || byte == 0x0a || byte == 0x0d || byte == 0x09 {
                    index += 1
                    continue
                }
                guard let (scalar, length) = decode(bytes, at: index) else {
                    return Problem(
                        rule: "not-utf8", message: "the file is not UTF-8: byte 0x\(hex(UInt32(byte), 2))",
                        offset: index, help: "save it as UTF-8")
                }
                if !isAllowed(scalar) {
                    return Problem(
                        rule: "control-character", message: "the character U+\(hex(scalar, 4)) may not stand here",
                        offset: index, help: "remove it, or write it as an escape in double quotes")
                }
                index += length
            }
            return nil
        }
    }

    /// The highest bit of each of eight bytes.
    private static let highBits: UInt64 = 0x8080_8080_8080_8080

    /// True when eight bytes are all of `0x20...0x7e` and line feeds, as nearly all are. Without high bits no sum here
    /// carries into the next byte.
    private static func isPlain(_ word: UInt64) -> Bool {
        let isShown = word &+ 0x6060_6060_6060_6060
        let isDelete = word &+ 0x0101_0101_0101_0101
        let isNoLineFeed = (word ^ 0x0a0a_0a0a_0a0a_0a0a) &+ 0x7f7f_7f7f_7f7f_7f7f
        return (word | isDelete) & highBits == 0 && (isShown | ~isNoLineFeed) & highBits == highBits
    }

    static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var bits: UInt64 = 0
        var index = 0
        while index + 8 <= bytes.count {
            bits |= bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            index += 8
        }
        return bits & highBits == 0 && bytes[index...].allSatisfy { $0 < 0x80 }
    }

    private static func wideEncoding(_ text: [UInt8]) -> String? {
        if text.starts(with: [0xff, 0xfe, 0, 0]) || text.starts(with: [0, 0, 0xfe, 0xff]) { return "UTF-32" }
        if text.starts(with: [0xff, 0xfe]) || text.starts(with: [0xfe, 0xff]) { return "UTF-16" }
        // YAML 1.2 section 5.2: without a mark, the zero bytes of an initial ASCII character tell the encoding.
        guard text.count >= 2 else { return nil }
        if text[0] == 0, text[1] != 0 || text.count >= 4 { return text[1] == 0 ? "UTF-32" : "UTF-16" }
        if text[0] != 0, text[1] == 0 { return text.count >= 4 && text[2] == 0 ? "UTF-32" : "UTF-16" }
        return nil
    }

    /// The scalar at `index` and its length; nil where the bytes are no shortest-form UTF-8.
    private static func decode(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> (UInt32, Int)? {
        let first = bytes[index]
        let length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
        guard length > 0, index + length <= bytes.count else { return nil }
        var scalar = UInt32(length == 1 ? first : first & (0x7f >> UInt8(length)))
        for next in index + 1..<index + length {
            guard bytes[next] & 0xc0 == 0x80 else { return nil }
            scalar = scalar << 6 | UInt32(bytes[next] & 0x3f)
        }
        let shortest: [UInt32] = [0, 0, 0x80, 0x800, 0x10000]
        guard scalar >= shortest[length], scalar <= 0x10ffff, !(0xd800...0xdfff).contains(scalar) else { return nil }
        return (scalar, length)
    }

    private static func isAllowed(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x09, 0x0a, 0x0d, 0x20...0x7e: true
        case 0x2028, 0x2029, 0xfeff, 0xfffe, 0xffff: false
        default: scalar >= 0xa0
        }
    }

    static func hex(_ value: UInt32, _ width: Int) -> String {
        Hex.digits(value, width: width).uppercased()
    }
}
