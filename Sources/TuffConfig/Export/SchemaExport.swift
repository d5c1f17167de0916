package import TuffModel

/// JSON Schemas (draft 2020-12) of all kinds, from the declarations that the decoder reads by.
///
/// A schema accepts whatever the program accepts. It cannot say all that the program checks: references, uniqueness,
/// multiples of a sector, whether a range of a schedule runs forwards.
package enum SchemaExport {
    /// File of the schema that covers all kinds.
    package static let allFileName = "all.json"
    /// File of the schema of the controller's configuration.
    package static let controllerFileName = fileName(ControllerSpec.kind)

    /// `volume-tuff-v1.json`: what kubeconform asks for as `{{ .ResourceKind }}{{ .KindSuffix }}.json`.
    package static func fileName(for kind: Kind) -> String { fileName(kind.rawValue) }

    /// File names and texts of everything beneath `schemas/`, sorted.
    package static func files() -> [(name: String, text: String)] {
        var result = Kind.allCases.map { (name: fileName(for: $0), text: schema(for: $0)) }
        result.append((name: allFileName, text: all()))
        result.append((name: controllerFileName, text: controller()))
        return result.sorted { $0.name < $1.name }
    }

    /// The schema of one kind's documents.
    package static func schema(for kind: Kind) -> String {
        text(fileName(for: kind), title: kind.rawValue, members: schemaMembers(KindDeclaration.of(kind).form))
    }

    /// One schema for documents of any kind, for editors.
    package static func all() -> String {
        let names = Kind.allCases.map(\.rawValue)
        let branches = names.map { name in
            JSONText.object([
                ("if", .object([("properties", .object([("kind", .object([("const", .string(name))]))]))])),
                ("then", .object([("$ref", .string("#/$defs/\(name)"))])),
            ])
        }
        let definitions = Kind.allCases.map { kind in
            (kind.rawValue, JSONText.object(schemaMembers(KindDeclaration.of(kind).form)))
        }
        return text(
            allFileName, title: "Resources of Tuff",
            members: [
                ("type", .string("object")),
                ("required", .strings(["apiVersion", "kind"])),
                ("properties", .object([("kind", .object([("enum", .strings(names))]))])),
                ("allOf", .array(branches)),
                ("$defs", .object(definitions)),
            ])
    }

    /// The schema of the controller's configuration.
    package static func controller() -> String {
        text(controllerFileName, title: ControllerSpec.kind, members: schemaMembers(Shape.controllerDocument.form))
    }

    private static func fileName(_ kind: String) -> String { "\(kind.lowercased())-tuff-v1.json" }

    private static func text(_ fileName: String, title: String, members: [(String, JSONText)]) -> String {
        let head: [(String, JSONText)] = [
            ("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
            ("$id", .string("https://tuff.dev/schemas/v1/\(fileName)")),
            ("title", .string(title)),
        ]
        return JSONText.object(head + members).rendered() + "\n"
    }

    // MARK: Forms

    private static func schemaMembers(_ form: Form) -> [(String, JSONText)] {
        switch form {
        case .scalar(let scalar): scalarMembers(scalar)
        case .object(let object): objectMembers(object)
        case .map(let map):
            [
                ("type", .string("object")),
                ("propertyNames", .object(scalarMembers(map.keys))),
                ("additionalProperties", .object(scalarMembers(map.values))),
            ] + (map.mayBeEmpty ? [] : [("minProperties", .integer(1))])
        case .list(let list):
            [
                ("type", .string("array")),
                ("items", .object(scalarMembers(list.elements))),
                ("uniqueItems", .boolean(true)),
            ] + (list.mayBeEmpty ? [] : [("minItems", .integer(1))])
        }
    }

    private static func scalarMembers(_ scalar: ScalarForm) -> [(String, JSONText)] {
        if scalar.words.count == 1 { return [("const", .string(scalar.words[0]))] }
        if !scalar.words.isEmpty { return [("enum", .strings(scalar.words))] }
        var members: [(String, JSONText)] = [("type", .string(scalar.kind.rawValue))]
        if let pattern = scalar.pattern { members.append(("pattern", .string(pattern))) }
        if let length = scalar.maximumLength { members.append(("maxLength", .integer(length))) }
        if let minimum = scalar.minimum { members.append(("minimum", .integer(minimum))) }
        if let maximum = scalar.maximum { members.append(("maximum", .integer(maximum))) }
        return members
    }

    private static func objectMembers(_ object: ObjectForm) -> [(String, JSONText)] {
        var required: [String] = []
        let properties = object.entries.map { entry in
            var members: [(String, JSONText)] = [("description", .string(entry.doc))] + schemaMembers(entry.form)
            switch entry.presence {
            case .required: required.append(entry.name)
            case .defaulted(let text): members.append(("default", defaultValue(text, entry.form)))
            case .optional, .choice: break
            }
            return (entry.name, JSONText.object(members))
        }
        var members: [(String, JSONText)] = [
            ("type", .string("object")),
            ("additionalProperties", .boolean(false)),
            ("properties", .object(properties)),
        ]
        if !required.isEmpty { members.append(("required", .strings(required))) }
        if !object.mayBeEmpty { members.append(("minProperties", .integer(1))) }
        let choices = object.choices.map { names in
            JSONText.array(names.map { .object([("required", .strings([$0]))]) })
        }
        if choices.count == 1 { members.append(("oneOf", choices[0])) }
        if choices.count > 1 { members.append(("allOf", .array(choices.map { .object([("oneOf", $0)]) }))) }
        return members
    }

    private static func defaultValue(_ text: String, _ form: Form) -> JSONText {
        guard case .scalar(let scalar) = form else { return .string(text) }
        switch scalar.kind {
        case .string: return .string(text)
        case .integer, .number: return .number(text)
        case .boolean: return .boolean(text == "true")
        }
    }
}
