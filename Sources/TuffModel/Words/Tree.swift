/// A value as JSON and YAML know it. Views build it by hand, so that what is written is chosen and versioned rather
/// than whatever a type happens to hold.
package indirect enum Tree: Equatable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case number(Double)
    case text(String)
    case list([Tree])
    case map([String: Tree])

    package static func text(_ value: (some CustomStringConvertible)?) -> Tree {
        value.map { .text($0.description) } ?? .null
    }

    package static func int(_ value: Int) -> Tree { .int(Int64(value)) }

    /// A map without its null entries: an absent key and a null say the same, the absent one is shorter.
    package static func object(_ entries: [String: Tree]) -> Tree {
        .map(entries.filter { $0.value != .null })
    }
}

extension Tree: ExpressibleByStringLiteral {
    package init(stringLiteral value: String) { self = .text(value) }
}

// MARK: JSON

extension Tree {
    /// RFC 8259, keys sorted by their bytes, two spaces of indentation, a final newline: same value, same bytes.
    package var json: String {
        var text = ""
        writeJSON(to: &text, indent: 0)
        return text + "\n"
    }

    private func writeJSON(to text: inout String, indent: Int) {
        let inner = String(repeating: "  ", count: indent + 1)
        let outer = String(repeating: "  ", count: indent)
        switch self {
        case .list(let items) where !items.isEmpty:
            text += "[\n"
            for (index, item) in items.enumerated() {
                text += inner
                item.writeJSON(to: &text, indent: indent + 1)
                text += index == items.count - 1 ? "\n" : ",\n"
            }
            text += outer + "]"
        case .map(let entries) where !entries.isEmpty:
            text += "{\n"
            for (index, entry) in Self.sorted(entries).enumerated() {
                text += inner + Self.quoted(entry.key) + ": "
                entry.value.writeJSON(to: &text, indent: indent + 1)
                text += index == entries.count - 1 ? "\n" : ",\n"
            }
            text += outer + "}"
        default: text += scalar
        }
    }

    /// Scalars and empty collections: the same in JSON and in YAML's flow style.
    private var scalar: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .int(let value): "\(value)"
        // JSON has no infinity; no view has a use for one.
        case .number(let value): value.isFinite ? "\(value)" : "null"
        case .text(let value): Self.quoted(value)
        case .list: "[]"
        case .map: "{}"
        }
    }

    private static func sorted(_ entries: [String: Tree]) -> [(key: String, value: Tree)] {
        entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    /// - Parameter isYAML: YAML has an escape of eight digits where JSON writes two of four.
    private static func quoted(_ value: String, isYAML: Bool = false) -> String {
        let isPlain = value.utf8.allSatisfy {
            $0 >= 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
        if isPlain { return "\"" + value + "\"" }
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\t": text += "\\t"
            case _ where isYAML && scalar.value > 0xffff && !PrintedText.shows(scalar):
                text += "\\U" + Hex.digits(scalar.value, width: 8)
            // Also what turns the direction of writing: this is read on terminals as well.
            default: text += PrintedText.escapedJSON(scalar)
            }
        }
        return text + "\""
    }
}

// MARK: YAML

extension Tree {
    /// Block-style YAML 1.2 with sorted keys. Texts that could be read as anything else are quoted as in JSON, which
    /// YAML 1.2 contains.
    package var yaml: String {
        var text = ""
        writeYAML(to: &text, indent: 0)
        return text
    }

    private func writeYAML(to text: inout String, indent: Int) {
        let margin = String(repeating: "  ", count: indent)
        switch self {
        case .map(let entries) where !entries.isEmpty:
            for (key, value) in Self.sorted(entries) {
                text += margin + Self.plain(key) + ":"
                value.writeNested(to: &text, indent: indent)
            }
        case .list(let items) where !items.isEmpty:
            for item in items {
                guard item.isBlock else {
                    text += margin + "- " + item.flowScalar + "\n"
                    continue
                }
                var nested = ""
                item.writeYAML(to: &nested, indent: indent + 1)
                text += margin + "- " + nested.dropFirst(margin.count + 2)
            }
        default: text += margin + flowScalar + "\n"
        }
    }

    private func writeNested(to text: inout String, indent: Int) {
        guard isBlock else {
            text += " " + flowScalar + "\n"
            return
        }
        text += "\n"
        writeYAML(to: &text, indent: indent + 1)
    }

    private var isBlock: Bool {
        switch self {
        case .map(let entries): !entries.isEmpty
        case .list(let items): !items.isEmpty
        default: false
        }
    }

    private var flowScalar: String {
        if case .text(let value) = self { Self.plain(value) } else { scalar }
    }

    /// Letters first and then only characters without a meaning of their own, and none of YAML's words.
    private static func plain(_ value: String) -> String {
        let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        let safe = value.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "-_./".utf8.contains(byte)
            }
        }
        let startsWithLetter = value.utf8.first.map { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a } ?? false
        return safe && startsWithLetter && !words.contains(value.lowercased())
            ? value : quoted(value, isYAML: true)
    }
}
