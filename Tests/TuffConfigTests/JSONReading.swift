@testable import TuffConfig

/// A JSON value, to compare what was composed with what an outside suite expects.
indirect enum JSONValue: Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The values in `text`, which may hold several one after another; nil when it is not JSON.
    static func stream(_ text: String) -> [JSONValue]? {
        var reader = JSONStreamReader(bytes: Array(text.utf8))
        return try? reader.all()
    }

    /// The JSON of `node`; nil where part of it was refused.
    init?(_ node: Node) {
        switch node.content {
        case .refused: return nil
        case .scalar(let scalar):
            switch scalar.value {
            case .null: self = .null
            case .bool(let value): self = .bool(value)
            case .int(let value): self = .number(Double(value))
            case .float(let value): self = .number(value)
            case .string: self = .string(scalar.text)
            }
        case .sequence(let items):
            let values = items.compactMap(JSONValue.init)
            guard values.count == items.count else { return nil }
            self = .array(values)
        case .mapping(let entries):
            var members: [String: JSONValue] = [:]
            for entry in entries {
                guard let value = JSONValue(entry.value) else { return nil }
                members[entry.key.text] = value
            }
            self = .object(members)
        }
    }
}

private struct JSONStreamReader {
    struct Malformed: Error {}

    let bytes: [UInt8]
    var index = 0

    mutating func all() throws -> [JSONValue] {
        var values: [JSONValue] = []
        skipBlanks()
        while index < bytes.count {
            values.append(try value())
            skipBlanks()
        }
        return values
    }

    private mutating func skipBlanks() {
        while index < bytes.count, [0x20, 0x0a, 0x0d, 0x09].contains(bytes[index]) { index += 1 }
    }

    private mutating func take(_ text: String) -> Bool {
        guard bytes[index...].starts(with: text.utf8) else { return false }
        index += text.utf8.count
        return true
    }

    private mutating func value() throws -> JSONValue {
        skipBlanks()
        if take("null") { return .null }
        if take("true") { return .bool(true) }
        if take("false") { return .bool(false) }
        if take("[") { return .array(try items(until: "]") { try $0.value() }) }
        if take("{") {
            let members = try items(until: "}") { reader in
                let key = try reader.string()
                reader.skipBlanks()
                guard reader.take(":") else { throw Malformed() }
                return (key, try reader.value())
            }
            return .object(Dictionary(members) { _, last in last })
        }
        if index < bytes.count, bytes[index] == UInt8(ascii: "\"") { return .string(try string()) }
        let start = index
        while index < bytes.count, "+-.eE0123456789".utf8.contains(bytes[index]) { index += 1 }
        guard let number = Double(String(decoding: bytes[start..<index], as: UTF8.self)) else { throw Malformed() }
        return .number(number)
    }

    private mutating func items<Item>(
        until end: String, _ item: (inout JSONStreamReader) throws -> Item
    ) throws -> [Item] {
        var result: [Item] = []
        skipBlanks()
        if take(end) { return [] }
        while true {
            skipBlanks()
            result.append(try item(&self))
            skipBlanks()
            if take(end) { return result }
            guard take(",") else { throw Malformed() }
        }
    }

    private mutating func string() throws -> String {
        guard take("\"") else { throw Malformed() }
        var units: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: units, as: UTF8.self)
            case UInt8(ascii: "\\"): units += try escape()
            default: units.append(byte)
            }
        }
        throw Malformed()
    }

    private mutating func escape() throws -> [UInt8] {
        guard index < bytes.count else { throw Malformed() }
        let byte = bytes[index]
        index += 1
        let simple: [Character: String] = [
            "n": "\n", "t": "\t", "r": "\r", "b": "\u{8}", "f": "\u{c}", "\"": "\"", "\\": "\\", "/": "/",
        ]
        if let text = simple[Character(Unicode.Scalar(byte))] { return Array(text.utf8) }
        guard byte == UInt8(ascii: "u") else { throw Malformed() }
        var units = [try codeUnit()]
        if UTF16.isLeadSurrogate(units[0]), take("\\u") { units.append(try codeUnit()) }
        return Array(String(decoding: units, as: UTF16.self).utf8)
    }

    private mutating func codeUnit() throws -> UInt16 {
        guard index + 4 <= bytes.count,
            let unit = UInt16(String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16)
        else { throw Malformed() }
        index += 4
        return unit
    }
}
