import TuffModel

/// The declaration of one kind: the form of its documents, and a function that reads one.
final class KindDeclaration: Sendable {
    /// A document whose name could be read.
    struct Reading {
        var name: String
        var place: SourceLocation
        /// Adds the resource to a desired state; nil: the document has an error.
        var add: ((inout DesiredState) -> Void)?
    }

    let kind: Kind
    let form: Form
    /// Nil when not even the name could be read.
    let read: @Sendable (Node, Decoding) -> Reading?

    private init<Spec: Hashable>(
        _ kind: Kind, _ shape: Shape<Spec>,
        add: @escaping @Sendable (inout DesiredState, Declared<Spec>) -> Void
    ) {
        let shape = shape.document(kind.rawValue)
        self.kind = kind
        form = shape.form
        read = { node, decoding in
            let errors = decoding.report.errorCount
            let document = shape.decode(node, decoding)
            guard let metadata = document?.metadata, let place = decoding.fields["metadata.name"] else { return nil }
            var reading = Reading(name: metadata.name, place: place)
            if let spec = document?.spec, decoding.report.errorCount == errors {
                let declared = Declared(metadata: metadata, spec: spec, location: place, fields: decoding.fields)
                reading.add = { add(&$0, declared) }
            }
            return reading
        }
    }

    static let all: [Kind: KindDeclaration] = [
        .pool: KindDeclaration(.pool, .pool) { $0.pools[$1.metadata.name] = $1 },
        .volume: KindDeclaration(.volume, .volume) { $0.volumes[$1.metadata.name] = $1 },
        .snapshot: KindDeclaration(.snapshot, .snapshot) { $0.snapshots[$1.metadata.name] = $1 },
        .snapshotPolicy: KindDeclaration(.snapshotPolicy, .snapshotPolicy) {
            $0.snapshotPolicies[$1.metadata.name] = $1
        },
        .attachment: KindDeclaration(.attachment, .attachment) { $0.attachments[$1.metadata.name] = $1 },
        .backupRepository: KindDeclaration(.backupRepository, .backupRepository) {
            $0.backupRepositories[$1.metadata.name] = $1
        },
        .backupPolicy: KindDeclaration(.backupPolicy, .backupPolicy) { $0.backupPolicies[$1.metadata.name] = $1 },
        .backup: KindDeclaration(.backup, .backup) { $0.backups[$1.metadata.name] = $1 },
        .restore: KindDeclaration(.restore, .restore) { $0.restores[$1.metadata.name] = $1 },
    ]

    static func of(_ kind: Kind) -> KindDeclaration {
        guard let declaration = all[kind] else { preconditionFailure("\(kind) is not declared") }
        return declaration
    }
}
