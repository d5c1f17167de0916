package import TuffModel

/// The table of a kind's fields for its page in docs/spec, from the declarations that the decoder reads by.
package enum SpecTable {
    package static let beginMarker = "<!-- fields: generated, do not edit -->"
    package static let endMarker = "<!-- end of fields -->"

    /// Name of the page beneath docs/spec.
    package static func pageName(for kind: Kind) -> String { "\(kind.rawValue.lowercased()).md" }
    package static let controllerPageName = "controller.md"

    /// Markdown rows for all fields of `kind`, beneath `spec`.
    package static func table(for kind: Kind) -> String { table(KindDeclaration.of(kind).form) }

    /// The table of the controller's configuration.
    package static func controllerTable() -> String { table(Shape.controllerDocument.form) }

    /// `page` with the text between the markers replaced by `table`; nil without markers.
    package static func replacing(in page: String, with table: String) -> String? {
        guard let begin = page.firstRange(of: beginMarker), let end = page.firstRange(of: endMarker),
            begin.upperBound <= end.lowerBound
        else { return nil }
        return page[..<begin.upperBound] + "\n" + table + page[end.lowerBound...]
    }

    private static func table(_ form: Form) -> String {
        var rows = ["| field | value | default | meaning |", "|---|---|---|---|"]
        addRows(form, prefix: "", to: &rows)
        return rows.joined(separator: "\n") + "\n"
    }

    private static func addRows(_ form: Form, prefix: String, to rows: inout [String]) {
        guard case .object(let object) = form else { return }
        for entry in object.entries {
            let path = prefix + entry.name
            let presence =
                switch entry.presence {
                case .required: "**required**"
                case .optional: "–"
                case .defaulted(let text): "`\(text)`"
                case .choice: "**one of** \(siblings(of: entry.name, object))"
                }
            rows.append("| `\(path)` | \(value(entry.form)) | \(presence) | \(entry.doc) |")
            addRows(entry.form, prefix: path + ".", to: &rows)
        }
    }

    private static func siblings(of name: String, _ object: ObjectForm) -> String {
        (object.choices.first { $0.contains(name) } ?? []).map { "`\($0)`" }.joined(separator: " ")
    }

    private static func value(_ form: Form) -> String {
        switch form {
        case .scalar(let scalar): word(scalar)
        case .object: "map"
        case .map: "map of texts"
        case .list(let list): "list: \(word(list.elements))"
        }
    }

    private static func word(_ scalar: ScalarForm) -> String {
        scalar.words.isEmpty ? scalar.noun : scalar.words.map { "`\($0)`" }.joined(separator: " ")
    }
}
