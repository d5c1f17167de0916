/// JSON to be written, with its members in the order given: the same input makes the same bytes.
enum JSONText {
    case object([(String, JSONText)])
    case array([JSONText])
    case string(String)
    case integer(Int)
    case boolean(Bool)
    /// A number as it is written.
    case number(String)

    static func strings(_ values: [String]) -> JSONText { .array(values.map(JSONText.string)) }

    /// Two blanks of indentation; lists of scalars in one line.
    func rendered(indentation: Int = 0) -> String {
        let inner = String(repeating: " ", count: indentation + 2)
        let outer = String(repeating: " ", count: indentation)
        switch self {
        case .object(let members):
            guard !members.isEmpty else { return "{}" }
            let lines = members.map { "\(inner)\(Self.quote($0.0)): \($0.1.rendered(indentation: indentation + 2))" }
            return "{\n\(lines.joined(separator: ",\n"))\n\(outer)}"
        case .array(let items):
            if items.allSatisfy(\.isScalar) { return "[\(items.map { $0.rendered() }.joined(separator: ", "))]" }
            let lines = items.map { inner + $0.rendered(indentation: indentation + 2) }
            return "[\n\(lines.joined(separator: ",\n"))\n\(outer)]"
        case .string(let text): return Self.quote(text)
        case .integer(let number): return "\(number)"
        case .boolean(let value): return value ? "true" : "false"
        case .number(let text): return text
        }
    }

    private var isScalar: Bool {
        switch self {
        case .object, .array: false
        default: true
        }
    }

    private static func quote(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default:
                result += scalar.value < 0x20 ? "\\u" + Encoding.hex(scalar.value, 4) : String(scalar)
            }
        }
        return result + "\""
    }
}
