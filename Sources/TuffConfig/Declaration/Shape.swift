import TuffModel

/// The declaration of a value: how it is decoded, and the form that says the same to schema and documentation.
///
/// Shapes are built from each other, so that each field of each kind is declared once, in one line.
struct Shape<Value: Sendable>: Sendable {
    let form: Form
    /// Nil once everything that is wrong has been reported.
    let decode: @Sendable (Node, Decoding) -> Value?
}

// MARK: Scalars

extension Shape {
    /// A text that `parse` understands.
    ///
    /// - Parameters:
    ///   - noun: a name for people, with an example: `a size such as 20Gi`.
    ///   - rule: name of the rule that other texts break.
    ///   - pattern: at least the texts that `parse` takes; exactly those where a regular expression can say so.
    ///   - advice: a sentence that helps with a text that was refused.
    static func text(
        _ noun: String, rule: String, pattern: String?, maximumLength: Int? = nil,
        advice: @escaping @Sendable (String) -> String? = { _ in nil },
        parse: @escaping @Sendable (String) -> Value?
    ) -> Self {
        let form = ScalarForm(kind: .string, noun: noun, pattern: pattern, maximumLength: maximumLength)
        return Self(form: .scalar(form)) { node, decoding in
            guard case .scalar(let scalar) = node.content, scalar.value == .string else {
                decoding.refuseType(node, wanted: noun, help: help(node, parse: parse, advice: advice))
                return nil
            }
            // Characters are no more than bytes.
            let fits =
                maximumLength.map { scalar.text.utf8.count <= $0 || scalar.text.unicodeScalars.count <= $0 } ?? true
            if fits, let value = parse(scalar.text) { return value }
            let help = advice(scalar.text) ?? (fits ? nil : "it has more than \(maximumLength!) characters")
            decoding.refuse(node, rule: rule, complaint: "must be \(noun), not \(quoted(scalar.text))", help: help)
            return nil
        }
    }

    /// Advice on a number or truth value that stands where a text must.
    private static func help(
        _ node: Node, parse: (String) -> Value?, advice: (String) -> String?
    ) -> String? {
        guard case .scalar(let scalar) = node.content, scalar.value != .null else { return nil }
        guard parse(scalar.text) != nil else { return advice(scalar.text) }
        return "write it in quotes: \"\(scalar.text)\""
    }
}

extension Shape where Value == Int {
    static func integer(_ range: ClosedRange<Int>) -> Self {
        let open = range.upperBound == .max
        let noun =
            open
            ? "a whole number of at least \(range.lowerBound)"
            : "a whole number from \(range.lowerBound) to \(range.upperBound)"
        let form = ScalarForm(
            kind: .integer, noun: noun, minimum: range.lowerBound, maximum: open ? nil : range.upperBound)
        return Self(form: .scalar(form)) { node, decoding in
            guard case .scalar(let scalar) = node.content, case .int(let number) = scalar.value else {
                decoding.refuseType(node, wanted: noun)
                return nil
            }
            guard range.contains(number) else {
                decoding.refuse(node, rule: "out-of-range", complaint: "must be \(noun), not \(quoted(scalar.text))")
                return nil
            }
            return number
        }
    }
}

extension Shape where Value == Double {
    static func number(atLeast minimum: Int, atMost maximum: Int) -> Self {
        let noun = "a number from \(minimum) to \(maximum)"
        let form = ScalarForm(kind: .number, noun: noun, minimum: minimum, maximum: maximum)
        return Self(form: .scalar(form)) { node, decoding in
            guard case .scalar(let scalar) = node.content, let number = scalar.number else {
                decoding.refuseType(node, wanted: noun)
                return nil
            }
            guard number >= Double(minimum), number <= Double(maximum) else {
                decoding.refuse(node, rule: "out-of-range", complaint: "must be \(noun)")
                return nil
            }
            return number
        }
    }
}

extension Shape where Value == Bool {
    static let truth = Self(form: .scalar(ScalarForm(kind: .boolean, noun: "true or false"))) { node, decoding in
        guard case .scalar(let scalar) = node.content, case .bool(let value) = scalar.value else {
            decoding.refuseType(node, wanted: "true or false", help: "write true or false, without quotes")
            return nil
        }
        return value
    }
}

extension Shape where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the words of an enumeration.
    static var word: Self {
        let words = Value.allCases.map(\.rawValue)
        return oneWord(of: words) { Value(rawValue: $0) }
    }
}

extension Shape {
    static func oneWord(of words: [String], parse: @escaping @Sendable (String) -> Value?) -> Self {
        let noun = words.count == 1 ? words[0] : "one of \(words.joined(separator: ", "))"
        let form = ScalarForm(kind: .string, noun: noun, words: words)
        return Self(form: .scalar(form)) { node, decoding in
            guard case .scalar(let scalar) = node.content, scalar.value == .string else {
                decoding.refuseType(node, wanted: noun)
                return nil
            }
            if let value = parse(scalar.text) { return value }
            let guess = Spelling.closest(to: scalar.text, among: words)
            decoding.refuse(
                node, rule: "unknown-value", complaint: "must be \(noun), not \(quoted(scalar.text))",
                help: guess.map { "did you mean '\($0)'?" })
            return nil
        }
    }
}

// MARK: Lists and maps

extension Shape {
    /// A list of scalars, none twice.
    static func list<Element: Hashable & Sendable>(of element: Shape<Element>, mayBeEmpty: Bool = false) -> Self
    where Value == [Element] {
        guard case .scalar(let elements) = element.form else { preconditionFailure("lists hold scalars") }
        return Self(form: .list(ListForm(elements: elements, mayBeEmpty: mayBeEmpty))) { node, decoding in
            guard case .sequence(let items) = node.content else {
                decoding.refuseType(node, wanted: "a list", help: "write it as [ … ] or with a '- ' before each value")
                return nil
            }
            if items.isEmpty, !mayBeEmpty {
                decoding.refuse(node, rule: "empty", complaint: "must not be empty")
                return nil
            }
            var values: [Element] = []
            var seen: Set<Element> = []
            for (index, item) in items.enumerated() {
                decoding.descend(into: "\(index)", item, at: item.position) {
                    guard let value = element.decode(item, decoding) else { return }
                    if seen.insert(value).inserted {
                        values.append(value)
                    } else {
                        decoding.refuse(item, rule: "duplicate-value", complaint: "is in the list already")
                    }
                }
            }
            return values.count == items.count ? values : nil
        }
    }

    /// A map whose keys people choose.
    static func map(keys: Shape<String>, values: Shape<String>, mayBeEmpty: Bool) -> Self
    where Value == [String: String] {
        guard case .scalar(let keyForm) = keys.form, case .scalar(let valueForm) = values.form else {
            preconditionFailure("maps hold scalars")
        }
        let form = MapForm(keys: keyForm, values: valueForm, mayBeEmpty: mayBeEmpty)
        return Self(form: .map(form)) { node, decoding in
            guard case .mapping(let entries) = node.content else {
                decoding.refuseType(node, wanted: "a map")
                return nil
            }
            if entries.isEmpty, !mayBeEmpty {
                decoding.refuse(node, rule: "empty", complaint: "must not be empty")
                return nil
            }
            var result = [String: String](minimumCapacity: entries.count)
            for entry in entries {
                let name = entry.key.text
                decoding.descend(into: name, entry.value, at: entry.keyPosition) {
                    let key = Node(content: .scalar(Scalar(text: name, value: .string)), position: entry.keyPosition)
                    guard keys.decode(key, decoding) != nil, let value = values.decode(entry.value, decoding) else {
                        return
                    }
                    result[name] = value
                }
            }
            return result.count == entries.count ? result : nil
        }
    }
}
