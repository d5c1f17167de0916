package import TuffModel

/// Result of loading a set of documents.
package struct LoadResult: Sendable {
    /// Nil when any diagnostic is an error: a set with an error is never applied, not even in part.
    package var state: DesiredState?
    /// Sorted by place.
    package var diagnostics: [Diagnostic]
    /// Documents seen, without empty ones.
    package var documents: Int
}

/// Turns files into desired state: parse, validate, link.
package enum ConfigLoader {
    /// Everything the documents of all `sources` declare, or everything that is wrong with them, in one run.
    ///
    /// - Parameter earlier: diagnostics of reading the sources. Where they report a file as unread, nothing is called
    ///   missing that may be declared there.
    package static func load(_ sources: [ConfigSource], earlier: [Diagnostic] = []) -> LoadResult {
        var set = DocumentSet()
        if earlier.contains(where: { $0.severity == .error }) { set.unread.addAnything() }
        for source in sources { set.read(source) }
        Linker(set).check()
        let diagnostics = sorted(set.reports.values.flatMap { $0.finish() })
        let failed = diagnostics.contains { $0.severity == .error }
        return LoadResult(state: failed ? nil : set.state, diagnostics: diagnostics, documents: set.documents)
    }

    /// The one volume that a text declares, whether or not what it refers to is declared anywhere; nil: the text is no
    /// such document.
    package static func volume(declaredBy text: String) -> Declared<VolumeSpec>? {
        var set = DocumentSet()
        set.read(ConfigSource(path: "document", text: Array(text.utf8)))
        let isWrong = set.reports.values.contains { $0.errorCount > 0 }
        guard !isWrong, set.documents == 1, set.state.count == 1 else { return nil }
        return set.state.volumes.values.first
    }

    static func sorted(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        diagnostics.sorted { ($0.location, $0.rule, $0.message) < ($1.location, $1.rule, $1.message) }
    }
}

/// The documents of a set as far as they could be read, before anything is said about how they fit together.
struct DocumentSet {
    private(set) var state = DesiredState()
    /// Reports on the files, by path.
    private(set) var reports: [String: FileReport] = [:]
    private(set) var documents = 0
    /// Every resource whose document was found, with its place, also where its spec is wrong.
    private(set) var known: [ResourceID: SourceLocation] = [:]
    /// Names as they were read, by kind.
    private(set) var order: [Kind: [String]] = [:]
    /// Fields that name other resources, in the order in which they were read.
    private(set) var references: [Reference] = []
    /// Parts of the set that could not be read; a missing document may be declared there.
    var unread = UnreadParts()

    /// Resources of one kind in the order in which they were read.
    func inOrder<Spec>(_ kind: Kind, _ resources: [String: Declared<Spec>]) -> [Declared<Spec>] {
        resources.isEmpty ? [] : (order[kind] ?? []).compactMap { resources[$0] }
    }

    mutating func read(_ source: ConfigSource) {
        let report = FileReport(SourceFile(source))
        if reports.updateValue(report, forKey: source.path) != nil {
            report.error("duplicate-file", "the file is part of the set twice", at: TextPosition(line: 1, column: 1))
        }
        var composer = Composer(report)
        composer.forEachDocument { read($0, report) }
        if composer.met == 0, report.errorCount == 0 {
            report.warning("no-document", "the file holds no document", at: TextPosition(line: 1, column: 1))
        }
        documents += composer.documents
        if composer.isUnreadable { unread.addAnything() }
        for lines in composer.unread { unread.add(report.file.bytes(ofLines: lines)) }
    }

    private static let metadata: Key = "metadata", name: Key = "name", kind: Key = "kind"

    private mutating func read(_ root: Node, _ report: FileReport) {
        guard case .mapping = root.content else {
            unread.add(root)
            guard !root.isRefused else { return }
            return report.error(
                "not-a-resource", "the document is \(root.typeName), not a resource", at: root.position,
                help: "a resource has apiVersion: \(APIVersion.current), kind, metadata and spec")
        }
        guard let kind = kind(of: root, report) else { return unread.add(root) }
        let written = root[Self.metadata]?[Self.name]
        var subject = Subject(kind: kind.rawValue)
        if case .scalar(let name)? = written?.content, NameRule.isLabel(name.text) { subject.name = name.text }
        let decoding = Decoding(report: report, subject: subject, place: root.position)
        ReferenceField.add(kind, in: root, subject: subject, report: report, to: &references)
        guard let reading = KindDeclaration.of(kind).read(root, decoding) else { return unread.add(root) }
        let id = ResourceID(kind, reading.name)
        if let first = known.updateValue(reading.place, forKey: id) {
            known[id] = first
            report.error(
                "duplicate-resource", "\(id) is declared twice", at: written?.position ?? root.position,
                help: "it is declared first at \(first)")
        } else {
            order[kind, default: []].append(reading.name)
            reading.add?(&state)
        }
    }

    private func kind(of root: Node, _ report: FileReport) -> Kind? {
        var kinds: String { "the kinds are \(Kind.allCases.map(\.rawValue).joined(separator: ", "))" }
        guard let node = root[Self.kind] else {
            report.error("missing-field", "the document lacks the field 'kind'", at: root.position, help: kinds)
            return nil
        }
        guard case .scalar(let scalar) = node.content, scalar.value == .string else {
            if !node.isRefused {
                report.error("wrong-type", "kind must be a text, but is \(node.typeName)", at: node.position)
            }
            return nil
        }
        if let kind = Kind(rawValue: scalar.text) { return kind }
        let guess = Spelling.closest(to: scalar.text, among: Kind.allCases.map(\.rawValue))
        let help =
            scalar.text == ControllerSpec.kind
            ? "a controller's configuration is named by --config, it is not part of a set"
            : guess.map { "did you mean '\($0)'?" } ?? kinds
        report.error("unknown-kind", "there is no kind \(quoted(scalar.text))", at: node.position, help: help)
        return nil
    }
}
