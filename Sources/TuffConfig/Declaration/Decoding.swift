import TuffModel

/// The decoder's position in one document, and the fields that it has met.
final class Decoding {
    let report: FileReport
    /// The resource as messages call it.
    let subject: Subject
    /// Place that messages about the present value point to: its key, or the value itself in a list.
    private(set) var place: TextPosition
    /// See `Declared.fields`: a scalar's own place, the place of the key for maps and lists.
    private(set) var fields: FieldPlaces
    /// Number of the field that is being decoded; -1 at the document itself.
    private var current: Int32 = -1

    /// Paths of fields that somebody probably meant by an unknown one.
    private var misspelt: Set<String> = []

    init(report: FileReport, subject: Subject, place: TextPosition) {
        self.report = report
        self.subject = subject
        self.place = place
        // Most documents have no more.
        fields = FieldPlaces(file: report.file.path, count: 10)
    }

    /// Dotted path of the value being decoded; empty at the document itself.
    var path: String { fields.path(of: current) }

    /// Runs `body` one level deeper.
    func descend<Result>(into name: String, _ node: Node, at position: TextPosition, _ body: () -> Result) -> Result {
        let outer = (current, place)
        place = position
        let shown = if case .scalar = node.content { node.position } else { position }
        current = fields.add(name, within: current, line: shown.line, column: shown.column)
        defer { (current, place) = outer }
        return body()
    }

    /// `Volume/db-data`, or `Volume/db-data: spec.iscsi` where the field itself has to be named.
    private var container: String {
        path.isEmpty || path == "spec" ? "\(subject)" : "\(subject): \(path)"
    }

    func refuseUnknown(_ entry: Node.Entry, known: [String], reserved: [ReservedWord]) {
        let name = entry.key.text
        if let word = reserved.first(where: { $0.name == name }) {
            if word.isSecret {
                report.conceal(entry.keyPosition)
                report.conceal(entry.value.position)
                for field in known where field.hasSuffix("From") { misspelt.insert("\(path).\(field)") }
            }
            return report.error(
                "reserved-field", "\(container): \(word.sentence)", at: entry.keyPosition, help: word.help)
        }
        let guess = Spelling.closest(to: name, among: known)
        if let guess { misspelt.insert("\(path).\(guess)") }
        report.error(
            "unknown-field", "\(container) has no field \(quoted(name))", at: entry.keyPosition,
            help: guess.map { "did you mean '\($0)'?" } ?? "its fields are \(known.joined(separator: ", "))")
    }

    /// Says that a field is missing, unless a misspelt one was just reported in its place.
    func refuseMissing(_ name: String, help: String) {
        guard !misspelt.contains("\(path).\(name)") else { return }
        report.error("missing-field", "\(container) lacks the field '\(name)'", at: place, help: help)
    }

    func refuseMissing(choice names: [String]) {
        guard !names.contains(where: { misspelt.contains("\(path).\($0)") }) else { return }
        report.error(
            "missing-field", "\(container) lacks one of the fields \(Self.listed(names))", at: place,
            help: "write exactly one of them")
    }

    func refuseConflict(_ first: Node.Entry, _ second: Node.Entry) {
        report.error(
            "conflicting-fields", "\(container) has both '\(first.key.text)' and '\(second.key.text)'",
            at: second.keyPosition,
            help: "write exactly one of them; '\(first.key.text)' stands in line \(first.keyPosition.line)")
    }

    /// Reports that the value breaks a rule. A node that was refused earlier is not reported again.
    func refuse(_ node: Node, rule: String, complaint: String, help: String? = nil) {
        guard !node.isRefused else { return }
        report.error(
            rule, "\(subject): \(path.isEmpty ? "the document" : path) \(complaint)", at: node.position, help: help)
    }

    /// Says something about the value here that is no error.
    func warn(_ node: Node, rule: String, remark: String, help: String? = nil) {
        report.warning(rule, "\(subject): \(path) \(remark)", at: node.position, help: help)
    }

    func refuseType(_ node: Node, wanted noun: String, help: String? = nil) {
        refuse(node, rule: "wrong-type", complaint: "must be \(noun), but is \(node.typeName)", help: help)
    }

    static func listed(_ names: [String]) -> String { names.map { "'\($0)'" }.joined(separator: ", ") }
}

/// A resource as messages call it: `Volume/db-data`, or its kind where the name cannot be used.
struct Subject: CustomStringConvertible {
    var kind: String
    var name: String?

    var description: String { name.map { "\(kind)/\($0)" } ?? kind }
}

/// A field name that means something to people but not (or not here) to Tuff, with the sentence that says so.
struct ReservedWord: Sendable {
    var name: String
    var sentence: String
    var help: String?
    /// The value may be a secret; no message repeats it.
    var isSecret = false
}
