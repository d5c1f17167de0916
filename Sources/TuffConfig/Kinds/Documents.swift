import TuffModel

/// A document as far as it could be understood. A class, since specs are large and handed on several times.
final class Document<Spec: Sendable>: Sendable {
    let metadata: Metadata?
    let spec: Spec?

    init(metadata: Metadata?, spec: Spec?) {
        self.metadata = metadata
        self.spec = spec
    }
}

enum APIVersion {
    static let current = "tuff.dev/v1"
}

extension [String: String] {
    /// One empty map for all: a literal is made anew by a function that no compiler specializes for size.
    fileprivate static let none: Self = [:]
}

extension Shape where Value == Metadata {
    static let metadata = object(
        required("name", .name, doc: "Unique within its kind. The name of a volume is part of its IQN."),
        optional("labels", .map(keys: .labelKey, values: .labelValue, mayBeEmpty: true), doc: "What selectors match."),
        optional(
            "annotations", .map(keys: .labelKey, values: .anyText, mayBeEmpty: true),
            doc: "For people and other tools; `\(Metadata.renamedFromKey)` names what the resource was called before.")
    ) { name, labels, annotations in
        Metadata(name: name, labels: labels ?? .none, annotations: annotations ?? .none)
    }
}

extension Shape {
    /// A whole document of `kind` with this shape as its `spec`.
    func document(_ kind: String) -> Shape<Document<Value>> {
        .object(
            attempted(required("apiVersion", Shape<String>.constant(APIVersion.current), doc: "Always `tuff.dev/v1`.")),
            attempted(required("kind", Shape<String>.constant(kind), doc: "Always `\(kind)`.")),
            attempted(required("metadata", .metadata, doc: "Name, labels and annotations.")),
            attempted(required("spec", self, doc: "What is wanted."))
        ) { _, _, metadata, spec in
            Document(metadata: metadata, spec: spec)
        }
    }
}

extension Shape where Value == String {
    static func constant(_ text: String) -> Self { oneWord(of: [text]) { $0 == text ? $0 : nil } }
}
