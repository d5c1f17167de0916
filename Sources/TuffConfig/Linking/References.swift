import TuffModel

/// A field of a document that names another resource of the set.
struct Reference {
    /// The document as messages call it.
    var subject: Subject
    /// Dotted path of the field.
    var path: String
    var target: ResourceID
    var position: TextPosition
    var report: FileReport
}

/// The fields that name other resources. They are read from documents as these were written, so that a document with
/// other errors has its references checked as well, in the same run.
enum ReferenceField {
    private struct Field {
        var path: String
        /// Names of the fields on the way, without `spec`.
        var keys: [Key]
        var target: Kind

        init(_ path: String, _ target: Kind) {
            self.path = path
            keys = path.split(separator: ".").dropFirst().map { Key(String($0)) }
            self.target = target
        }
    }

    private static let volume = [
        Field("spec.pool", .pool), Field("spec.source.volume", .volume), Field("spec.source.snapshot", .snapshot),
        Field("spec.source.backup.repository", .backupRepository),
        Field("spec.source.cinderBackup.repository", .backupRepository),
    ]
    private static let attachment = [Field("spec.volume", .volume)]
    private static let snapshot = [Field("spec.volume", .volume)]
    private static let snapshotPolicy = [Field("spec.volumes.names", .volume)]
    private static let backupPolicy = [
        Field("spec.volumes.names", .volume), Field("spec.repository", .backupRepository),
        Field("spec.drill.pool", .pool),
    ]
    private static let backup = [Field("spec.volume", .volume), Field("spec.repository", .backupRepository)]
    private static let restore = [
        Field("spec.volume", .volume), Field("spec.from.snapshot", .snapshot),
        Field("spec.from.backup.repository", .backupRepository),
    ]

    private static let spec: Key = "spec"

    private static func fields(of kind: Kind) -> [Field] {
        switch kind {
        case .pool, .backupRepository: []
        case .volume: volume
        case .attachment: attachment
        case .snapshot: snapshot
        case .snapshotPolicy: snapshotPolicy
        case .backupPolicy: backupPolicy
        case .backup: backup
        case .restore: restore
        }
    }

    /// Adds the references of the document `root` of a kind, as far as they can be read: a value that is no name has
    /// an error of its own.
    static func add(
        _ kind: Kind, in root: Node, subject: Subject, report: FileReport, to references: inout [Reference]
    ) {
        guard let spec = root[Self.spec] else { return }
        for field in fields(of: kind) {
            guard let node = value(at: field.keys, in: spec) else { continue }
            switch node.content {
            case .scalar: note(node, field.path)
            case .sequence(let items):
                for (index, item) in items.enumerated() { note(item, "\(field.path).\(index)") }
            case .mapping, .refused: break
            }

            func note(_ node: Node, _ path: String) {
                guard case .scalar(let scalar) = node.content, scalar.value == .string, NameRule.isLabel(scalar.text)
                else { return }
                references.append(
                    Reference(
                        subject: subject, path: path, target: ResourceID(field.target, scalar.text),
                        position: node.position,
                        report: report))
            }
        }
    }

    private static func value(at keys: [Key], in spec: Node) -> Node? {
        var node = spec
        for key in keys {
            guard let next = node[key] else { return nil }
            node = next
        }
        return node
    }
}

/// The parts of a set that could not be read, and the names that they may declare. A reference to one of these is not
/// called dangling.
struct UnreadParts {
    /// Some part is unknown altogether and may declare anything.
    private var isOpen = false
    /// Words in the parts that could not be understood.
    private var words: Set<String> = []

    var isEmpty: Bool { !isOpen && words.isEmpty }

    func mayDeclare(_ name: String) -> Bool { isOpen || words.contains(name) }

    /// Adds a part that was not read at all.
    mutating func addAnything() { isOpen = true }

    /// Adds lines that are no YAML. A resource that they declare has its name among their words.
    mutating func add(_ text: some Sequence<UInt8>) {
        var word: [UInt8] = []
        func end() { if (1...63).contains(word.count) { words.insert(String(decoding: word, as: UTF8.self)) } }
        for byte in text {
            switch byte {
            case 0x30...0x39, 0x61...0x7a, UInt8(ascii: "-"): if word.count < 64 { word.append(byte) }
            default:
                end()
                word.removeAll(keepingCapacity: true)
            }
        }
        end()
    }

    /// Adds a document that is YAML and has no known name: any text in it may be the name.
    mutating func add(_ node: Node) {
        switch node.content {
        case .scalar(let scalar): words.insert(scalar.text)
        case .mapping(let entries): for entry in entries { add(entry.value) }
        case .sequence(let items): for item in items { add(item) }
        case .refused: isOpen = true
        }
    }
}
