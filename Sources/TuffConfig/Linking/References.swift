import TuffModel

/// A field of a document that names another resource of the set.
struct Reference {
    /// The document as messages call it: `Volume/db-data`.
    var subject: String
    /// Dotted path of the field.
    var path: String
    var target: ResourceID
    var position: TextPosition
    var report: FileReport
}

/// The fields that name other resources. They are read from documents as these were written, so that a document with
/// other errors has its references checked as well, in the same run.
enum ReferenceField {
    private static let fields: [Kind: [(path: String, target: Kind)]] = [
        .volume: [
            ("spec.pool", .pool), ("spec.source.volume", .volume), ("spec.source.snapshot", .snapshot),
            ("spec.source.backup.repository", .backupRepository),
            ("spec.source.cinderBackup.repository", .backupRepository),
        ],
        .attachment: [("spec.volume", .volume)],
        .snapshot: [("spec.volume", .volume)],
        .snapshotPolicy: [("spec.volumes.names", .volume)],
        .backupPolicy: [
            ("spec.volumes.names", .volume), ("spec.repository", .backupRepository), ("spec.drill.pool", .pool),
        ],
        .backup: [("spec.volume", .volume), ("spec.repository", .backupRepository)],
        .restore: [
            ("spec.volume", .volume), ("spec.from.snapshot", .snapshot),
            ("spec.from.backup.repository", .backupRepository),
        ],
    ]

    /// The references of the document `root` of a kind, as far as they can be read: a value that is no name has an
    /// error of its own.
    static func references(_ kind: Kind, in root: Node, subject: String, report: FileReport) -> [Reference] {
        (fields[kind] ?? []).flatMap { field -> [Reference] in
            let node = field.path.split(separator: ".").reduce(root as Node?) { $0?[String($1)] }
            switch node?.content {
            case .scalar?: return reference(node!, field.path)
            case .sequence(let items)?:
                return items.enumerated().flatMap { reference($1, "\(field.path).\($0)") }
            case .mapping?, .refused?, nil: return []
            }

            func reference(_ node: Node, _ path: String) -> [Reference] {
                guard case .scalar(let scalar) = node.content, scalar.value == .string, NameRule.isLabel(scalar.text)
                else { return [] }
                return [
                    Reference(
                        subject: subject, path: path, target: ResourceID(field.target, scalar.text),
                        position: node.position,
                        report: report)
                ]
            }
        }
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
