/// One part of an object: a field, or a set of fields of which exactly one is written. It yields a `Value`.
struct Field<Value: Sendable>: Sendable {
    let entries: [Entry]
    /// Nil when something is wrong and was reported.
    let read: @Sendable ([Node.Entry], Decoding) -> Value?
}

/// A field that must be written.
func required<Value>(_ name: String, _ shape: Shape<Value>, doc: String) -> Field<Value> {
    let key = Key(name)
    return Field(entries: [Entry(name: name, presence: .required, form: shape.form, doc: doc)]) { entries, decoding in
        guard let index = entries.index(of: key) else {
            decoding.refuseMissing(name, help: advice(name, shape.form))
            return nil
        }
        let entry = entries[index]
        return decoding.descend(into: name, entry.value, at: entry.keyPosition) { shape.decode(entry.value, decoding) }
    }
}

private func advice(_ name: String, _ form: Form) -> String {
    switch form {
    case .scalar(let form): "write \(name): and \(form.noun)"
    case .list: "write \(name): and a list"
    case .map, .object: "write \(name): and its fields below it"
    }
}

/// A field that may be left out.
func optional<Value>(_ name: String, _ shape: Shape<Value>, doc: String) -> Field<Value?> {
    let key = Key(name)
    return Field(entries: [Entry(name: name, presence: .optional, form: shape.form, doc: doc)]) { entries, decoding in
        guard let index = entries.index(of: key) else { return .some(nil) }
        let entry = entries[index]
        return decoding.descend(into: name, entry.value, at: entry.keyPosition) { shape.decode(entry.value, decoding) }
            .map(Optional.some)
    }
}

/// A field that means `text` when it is left out.
func defaulted<Value>(_ name: String, _ shape: Shape<Value>, to text: String, doc: String) -> Field<Value> {
    let position = TextPosition(line: 1, column: 1)
    let scratch = FileReport(SourceFile(ConfigSource(path: "", text: [])))
    let node = Node(content: .scalar(Scalar(plain: text)), position: position)
    guard let value = shape.decode(node, Decoding(report: scratch, subject: Subject(kind: name), place: position))
    else {
        preconditionFailure("the default of '\(name)', \(text), breaks its own rule")
    }
    let whenWritten = optional(name, shape, doc: doc)
    let entry = Entry(name: name, presence: .defaulted(text), form: shape.form, doc: doc)
    return Field(entries: [entry]) { entries, decoding in
        whenWritten.read(entries, decoding).map { $0 ?? value }
    }
}

/// The same field as an optional one: its failure, which was reported, leaves a gap instead of losing the whole object.
func attempted<Value>(_ field: Field<Value>) -> Field<Value?> {
    Field(entries: field.entries) { entries, decoding in .some(field.read(entries, decoding)) }
}

/// One possibility of `exactlyOne`.
func choice<Part, Value>(
    _ name: String, _ shape: Shape<Part>, doc: String, build: @escaping @Sendable (Part) -> Value
) -> Field<Value> {
    let field = required(name, shape, doc: doc)
    let entry = Entry(name: name, presence: .choice, form: shape.form, doc: doc)
    return Field(entries: [entry]) { entries, decoding in field.read(entries, decoding).map(build) }
}

/// Fields of which exactly one is written.
func exactlyOne<Value>(_ choices: Field<Value>...) -> Field<Value> {
    let all = choices.flatMap(\.entries)
    let keys = all.map { Key($0.name) }
    return Field(entries: all) { entries, decoding in
        let written = entries.indices.filter { keys.holds(entries[$0].key) }
        guard let first = written.first else {
            decoding.refuseMissing(choice: all.map(\.name))
            return nil
        }
        for other in written.dropFirst() { decoding.refuseConflict(entries[first], entries[other]) }
        let values = written.map { index in
            keys.firstIndex(of: entries[index].key).flatMap { choices[$0].read(entries, decoding) }
        }
        return written.count == 1 ? values[0] : nil
    }
}

extension Shape {
    /// A map with fields of its own. Everything wrong with any of them is reported before the object is given up.
    static func object<each Part: Sendable>(
        _ field: repeat Field<each Part>, reserved: [ReservedWord] = [], mayBeEmpty: Bool = true,
        build: @escaping @Sendable (repeat each Part) -> Value
    ) -> Self {
        var entries: [Entry] = []
        var choices: [[String]] = []
        for part in repeat each field {
            entries += part.entries
            if part.entries.count > 1 { choices.append(part.entries.map(\.name)) }
        }
        let fields = FieldNames(entries.map(\.name), reserved: reserved, mayBeEmpty: mayBeEmpty)
        let form = ObjectForm(entries: entries, choices: choices, mayBeEmpty: mayBeEmpty)
        return Self(form: .object(form)) { node, decoding in
            guard let written = fields.entries(of: node, decoding) else { return nil }
            let parts = (repeat (each field).read(written, decoding))
            do {
                return build(repeat try present(each parts))
            } catch {
                return nil
            }
        }
    }
}

/// The names of an object's fields, and what is done about others: the part of reading that is the same for all
/// objects.
private struct FieldNames: Sendable {
    private let names: [String]
    private let keys: [Key]
    private let reserved: [ReservedWord]
    private let mayBeEmpty: Bool

    init(_ names: [String], reserved: [ReservedWord], mayBeEmpty: Bool) {
        self.names = names
        keys = names.map { Key($0) }
        self.reserved = reserved
        self.mayBeEmpty = mayBeEmpty
    }

    private var help: String { "its fields are \(names.joined(separator: ", "))" }

    /// The entries of an object, those with unknown names reported; nil where it is none, which was reported.
    func entries(of node: Node, _ decoding: Decoding) -> [Node.Entry]? {
        guard case .mapping(let written) = node.content else {
            decoding.refuseType(node, wanted: "a map with fields", help: help)
            return nil
        }
        if written.isEmpty, !mayBeEmpty {
            decoding.refuse(node, rule: "empty", complaint: "must not be empty", help: help)
            return nil
        }
        for index in written.indices where !keys.holds(written[index].key) {
            decoding.refuseUnknown(written[index], known: names, reserved: reserved)
        }
        return written
    }
}

private struct Absent: Error {}

/// Inlined, since a call of a generic function looks its type up each time: a tenth of reading a set.
@inline(__always)
private func present<Value>(_ value: Value?) throws(Absent) -> Value {
    guard let value else { throw Absent() }
    return value
}
