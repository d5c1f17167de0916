import FoundationEssentials
import Testing
import TuffModel

@testable import TuffConfig

/// A text field of a kind, found by walking its declaration.
struct TextField: Sendable, CustomTestStringConvertible {
    var kind: Kind
    /// Names from the document's root; `[]` stands for an element of a list, `*` for a value of a map.
    var path: [String]
    var form: ScalarForm

    var testDescription: String { "\(kind.rawValue).\(path.joined(separator: "."))" }

    static let all: [TextField] = Kind.allCases.flatMap { kind in fields(of: KindDeclaration.of(kind).form, [], kind) }

    private static func fields(of form: Form, _ path: [String], _ kind: Kind) -> [TextField] {
        switch form {
        case .scalar(let scalar): [TextField(kind: kind, path: path, form: scalar)]
        case .list(let list): [TextField(kind: kind, path: path + ["[]"], form: list.elements)]
        case .map(let map): [TextField(kind: kind, path: path + ["*"], form: map.values)]
        case .object(let object): object.entries.flatMap { fields(of: $0.form, path + [$0.name], kind) }
        }
    }

    /// A document that holds `value` (as YAML) here, on a line of its own, and else only its name.
    func document(_ value: String) -> String {
        var text = value
        for name in path.dropFirst().reversed() {
            switch name {
            case "[]": text = "[\n\(text)\n]"
            case "*": text = "{key: \n\(text)\n}"
            default: text = "{\(name): \n\(text)\n}"
            }
        }
        let root = path.first ?? ""
        var members = ["apiVersion": "tuff.dev/v1", "kind": kind.rawValue, "metadata": "{name: x}"]
        members[root] = text
        return "{" + members.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ",\n")
            + "}\n"
    }
}

/// `text` as a double-quoted scalar of ASCII characters only.
func doubleQuoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar.value {
        case 0x22, 0x5c: result += "\\\(scalar)"
        case 0x20...0x7e: result += String(scalar)
        default:
            let digits = String(scalar.value, radix: 16)
            result += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
        }
    }
    return result + "\""
}

/// https://github.com/minimaxir/big-list-of-naughty-strings in every text field of every kind.
@Suite struct NaughtyStringTests {
    static let strings: [String] = {
        guard Corpora.root != nil, let bytes = try? Corpora.bytes("naughty-strings/blns.json"),
            case .array(let items)? = JSONValue.stream(String(decoding: bytes, as: UTF8.self))?.first
        else { return [] }
        return items.compactMap { if case .string(let text) = $0 { text } else { nil } }
    }()

    @Test(.enabled(if: Corpora.root != nil, "TUFF_CORPORA absent"))
    func theListIsThere() { #expect(Self.strings.count >= 515) }

    /// Whatever the program accepts, the pattern of the schema accepts too.
    @Test(arguments: TextField.all)
    func noStringPassesThatTheSchemaRefuses(_ field: TextField) throws {
        guard field.path != ["kind"], field.path != ["apiVersion"] else { return }
        // Few enough in one file that none of their errors is left unsaid.
        for start in stride(from: 0, to: Self.strings.count, by: 100) {
            try check(Array(Self.strings[start..<min(start + 100, Self.strings.count)]), in: field)
        }
    }

    private func check(_ strings: [String], in field: TextField) throws {
        let pattern = try field.form.pattern.map { try Regex($0) }
        let texts = strings.map(doubleQuoted)
        let document = texts.map(field.document).joined(separator: "---\n")
        let lines = document.split(separator: "\n", omittingEmptySubsequences: false)
        let result = load(document)
        #expect(result.documents == texts.count)
        let refusedLines = Set(result.diagnostics.map(\.location.line))
        var line = 0
        for (text, quoted) in zip(strings, texts) {
            line = try #require(lines[line...].firstIndex { $0.hasPrefix(quoted) }) + 1
            guard !refusedLines.contains(line) else { continue }
            #expect(field.form.kind == .string, "\(quoted) was accepted as a \(field.form.kind)")
            #expect(try pattern?.wholeMatch(in: text) != nil || pattern == nil, "\(quoted) does not match the schema")
            #expect(text.unicodeScalars.count <= field.form.maximumLength ?? .max)
            #expect(field.form.words.isEmpty || field.form.words.contains(text))
            if field.path.last == "name" { #expect(NameRule.isLabel(text)) }
        }
    }

    @Test func noStringIsALabelKeyUnlessKubernetesTakesIt() throws {
        let pattern = try Regex("([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
        for text in Self.strings {
            let key = doubleQuoted(text)
            let document =
                "{apiVersion: tuff.dev/v1, kind: Pool, metadata: {name: x, labels: {\(key): a}}, "
                + "spec: {directory: {path: /srv/x}}}"
            guard load(document).state != nil else { continue }
            #expect(try pattern.wholeMatch(in: text) != nil, "\(key) was accepted")
        }
    }
}
