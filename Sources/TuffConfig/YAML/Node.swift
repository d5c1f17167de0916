/// A piece of a YAML document with its place.
struct Node {
    enum Content {
        case scalar(Scalar)
        case mapping([Entry])
        case sequence([Node])
        /// Something that was already reported: nothing more is said about it.
        case refused
    }

    struct Entry {
        var key: Key
        var keyPosition: TextPosition
        var value: Node
    }

    var content: Content
    var position: TextPosition

    var isRefused: Bool {
        if case .refused = content { true } else { false }
    }

    /// The value of `key` in a mapping.
    subscript(key: Key) -> Node? {
        guard case .mapping(let entries) = content, let index = entries.index(of: key) else { return nil }
        return entries[index].value
    }

    /// The type's name for people.
    var typeName: String {
        switch content {
        case .scalar(let scalar): scalar.value.typeName
        case .mapping: "a map"
        case .sequence: "a list"
        case .refused: "nothing"
        }
    }
}

/// A scalar as written, and as the core schema of YAML 1.2 (section 10.3.2) understands it.
struct Scalar {
    enum Value: Equatable {
        case null
        case bool(Bool)
        case int(Int)
        case float(Double)
        case string

        var typeName: String {
            switch self {
            case .null: "empty"
            case .bool: "a truth value"
            case .int, .float: "a number"
            case .string: "a text"
            }
        }
    }

    var text: String
    var value: Value

    /// The value as a number, whole or not.
    var number: Double? {
        switch value {
        case .int(let number): Double(number)
        case .float(let number): number
        default: nil
        }
    }

    init(text: String, value: Value) {
        self.text = text
        self.value = value
    }

    /// Resolves a plain scalar without a tag. Integers beyond 64 bits become floats, as JSON readers do it.
    init(plain text: String) {
        var bytes = text
        self.init(text: text, value: bytes.withUTF8(Self.resolve))
    }

    /// The value of a plain scalar without a tag, of these bytes.
    static func resolve(_ bytes: UnsafeBufferPointer<UInt8>) -> Value {
        // Most scalars begin with a letter that none of the special forms begins with.
        guard let first = bytes.first else { return .null }
        switch first {
        case UInt8(ascii: "n"), UInt8(ascii: "N"):
            return bytes.count == 4 && isOne(of: "null", "Null", "NULL", in: bytes) ? .null : .string
        case UInt8(ascii: "~"): return bytes.count == 1 ? .null : .string
        case UInt8(ascii: "t"), UInt8(ascii: "T"):
            return bytes.count == 4 && isOne(of: "true", "True", "TRUE", in: bytes) ? .bool(true) : .string
        case UInt8(ascii: "f"), UInt8(ascii: "F"):
            return bytes.count == 5 && isOne(of: "false", "False", "FALSE", in: bytes) ? .bool(false) : .string
        case 0x30...0x39, UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            return number(bytes)
        default: return .string
        }
    }

    private static func isOne(of words: StaticString..., in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        words.contains { bytes.elementsEqual(UnsafeBufferPointer(start: $0.utf8Start, count: $0.utf8CodeUnitCount)) }
    }

    private static func number(_ bytes: UnsafeBufferPointer<UInt8>) -> Value {
        func text(from start: Int = 0) -> String { String(decoding: bytes[start...], as: UTF8.self) }
        if bytes.count > 1, bytes[0] == UInt8(ascii: "0"),
            bytes[1] == UInt8(ascii: "o") || bytes[1] == UInt8(ascii: "x")
        {
            let radix = bytes[1] == UInt8(ascii: "o") ? 8 : 16
            guard bytes[2...].allSatisfy({ isDigit($0, radix: radix) }), bytes.count > 2 else { return .string }
            return Int(text(from: 2), radix: radix).map(Value.int) ?? .string
        }
        var index = bytes[0] == UInt8(ascii: "+") || bytes[0] == UInt8(ascii: "-") ? 1 : 0
        if bytes.count == index + 4, bytes[index] == UInt8(ascii: ".") {
            switch text(from: index) {
            case ".inf", ".Inf", ".INF": return .float(bytes[0] == UInt8(ascii: "-") ? -.infinity : .infinity)
            case ".nan", ".NaN", ".NAN": return index == 0 ? .float(.nan) : .string
            default: break
            }
        }
        func digits() -> Int {
            let start = index
            while index < bytes.count, isDigit(bytes[index], radix: 10) { index += 1 }
            return index - start
        }
        let whole = digits()
        if index == bytes.count, whole > 0 { return Int(text()).map(Value.int) ?? float(text()) }
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            index += 1
            guard digits() + whole > 0 else { return .string }
        }
        guard index > 0, whole > 0 || bytes.contains(UInt8(ascii: ".")) else { return .string }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            if index < bytes.count, bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") {
                index += 1
            }
            guard digits() > 0 else { return .string }
        }
        return index == bytes.count ? float(text()) : .string
    }

    private static func float(_ text: String) -> Value {
        // Swift reads neither ".5" nor "5." nor a plus sign.
        var text = text.hasPrefix("+") ? String(text.dropFirst()) : text
        if text.hasPrefix("-.") { text = "-0" + text.dropFirst() }
        if text.hasPrefix(".") { text = "0" + text }
        if let point = text.firstIndex(of: "."), !(text[point...].dropFirst().first?.isNumber ?? false) {
            text.insert("0", at: text.index(after: point))
        }
        return Double(text).map(Value.float) ?? .string
    }

    private static func isDigit(_ byte: UInt8, radix: Int) -> Bool {
        switch byte {
        case 0x30...0x37: true
        case 0x38...0x39: radix >= 10
        case 0x41...0x46, 0x61...0x66: radix == 16
        default: false
        }
    }
}
