/// A strict reader of JSON (RFC 8259) over bytes, for reports that must be believed whole or not at all.
///
/// Unlike JSONDecoder it sees duplicate keys (its callers are shown every member), and it is several times faster on
/// the large flat reports LVM makes.
struct JSONScanner {
    /// The text is not JSON, or not of the shape asked for.
    struct Malformed: Error {
        var sentence: String
        /// Byte at which it was noticed.
        var offset: Int
    }

    /// Nesting that `skipValue` follows; LVM's reports are five deep.
    static let maximumDepth = 16

    private let bytes: [UInt8]
    private(set) var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func malformed(_ sentence: String) -> Malformed { Malformed(sentence: sentence, offset: offset) }

    /// Reads an object; `member` must consume the value of each key it is given.
    mutating func object(
        _ member: (inout JSONScanner, String) throws(Malformed) -> Void
    ) throws(Malformed) {
        try expect(UInt8(ascii: "{"))
        if consume(UInt8(ascii: "}")) { return }
        repeat {
            let key = try string()
            try expect(UInt8(ascii: ":"))
            try member(&self, key)
        } while consume(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"))
    }

    /// Reads an array; `element` must consume one value.
    mutating func array(_ element: (inout JSONScanner) throws(Malformed) -> Void) throws(Malformed) {
        try expect(UInt8(ascii: "["))
        if consume(UInt8(ascii: "]")) { return }
        repeat { try element(&self) } while consume(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"))
    }

    /// Nothing but white space may follow.
    mutating func end() throws(Malformed) {
        skipSpace()
        if offset < bytes.count { throw malformed("something follows the end of the report") }
    }

    mutating func string() throws(Malformed) -> String {
        try expect(UInt8(ascii: "\""))
        let start = offset
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                guard let text = String(validating: bytes[start..<offset], as: UTF8.self) else {
                    throw malformed("a string is not UTF-8")
                }
                offset += 1
                return text
            case UInt8(ascii: "\\"): return try escapedString(after: start)
            case 0..<0x20: throw malformed("a control character stands in a string")
            default: offset += 1
            }
        }
        throw malformed("the report ends within a string")
    }

    /// Continues a string at its first backslash.
    private mutating func escapedString(after start: Int) throws(Malformed) -> String {
        var content = Array(bytes[start..<offset])
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw malformed("a string is not UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): content += try escape()
            case 0..<0x20: throw malformed("a control character stands in a string")
            default: content.append(byte)
            }
        }
        throw malformed("the report ends within a string")
    }

    private mutating func escape() throws(Malformed) -> [UInt8] {
        guard offset < bytes.count else { throw malformed("the report ends within a string") }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0c]
        case UInt8(ascii: "n"): return [0x0a]
        case UInt8(ascii: "r"): return [0x0d]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"):
            guard offset + 4 <= bytes.count,
                let digits = String(validating: bytes[offset..<offset + 4], as: UTF8.self),
                digits.allSatisfy(\.isHexDigit), let code = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(code)
            else { throw malformed("a \\u escape stands for no character") }
            offset += 4
            return Array(String(Character(scalar)).utf8)
        default: throw malformed("an escape is unknown")
        }
    }

    /// Reads past one value of any kind.
    mutating func skipValue(depth: Int = 0) throws(Malformed) {
        guard depth < Self.maximumDepth else { throw malformed("the report is nested too deeply") }
        skipSpace()
        guard offset < bytes.count else { throw malformed("the report ends where a value should stand") }
        switch bytes[offset] {
        case UInt8(ascii: "{"):
            try object { (scanner, _) throws(Malformed) in try scanner.skipValue(depth: depth + 1) }
        case UInt8(ascii: "["):
            try array { (scanner) throws(Malformed) in try scanner.skipValue(depth: depth + 1) }
        case UInt8(ascii: "\""): _ = try string()
        default: try skipWord()
        }
    }

    /// Reads past a number, `true`, `false` or `null`.
    private mutating func skipWord() throws(Malformed) {
        let start = offset
        while offset < bytes.count, Self.isWordByte(bytes[offset]) { offset += 1 }
        let word = String(decoding: bytes[start..<offset], as: UTF8.self)
        guard ["true", "false", "null"].contains(word) || (word.utf8.count <= 32 && Double(word) != nil) else {
            throw malformed("a value is neither string, number, object nor list")
        }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2d, 0x2e: true
        default: false
        }
    }

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0a, 0x0d, 0x09: offset += 1
            default: return
            }
        }
    }

    private mutating func consume(_ byte: UInt8) -> Bool {
        skipSpace()
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(Malformed) {
        guard consume(byte) else {
            let place = offset < bytes.count ? "" : "the report ends: "
            throw malformed("\(place)'\(Character(Unicode.Scalar(byte)))' is missing")
        }
    }
}
