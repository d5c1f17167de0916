package import TuffCinder
import TuffController
package import TuffModel

/// Backups of Cinder's, oldest first.
package struct CinderBackupsView: View {
    private let backups: [CinderBackup]

    package init(_ backups: [CinderBackup]) { self.backups = backups }

    package var kind: String { "CinderBackups" }

    package func text(_ style: Style) -> String {
        guard !backups.isEmpty else { return "There is no backup of Cinder's.\n" }
        let rows = backups.map { backup in
            [
                backup.id.description, backup.created ?? "-", Self.name(backup),
                backup.size.map(Self.size) ?? "-", backup.own.map(Self.size) ?? "-", Self.kind(backup),
                Self.state(backup),
            ]
        }
        return Layout.table([["BACKUP", "CREATED", "VOLUME", "SIZE", "OWN", "KIND", "STATE"]] + rows)
    }

    package var body: [String: Tree] {
        [
            "items": .list(
                backups.map { backup in
                    .object([
                        "backup": .text(backup.id), "volume": .text(backup.volume), "state": .text(Self.state(backup)),
                        "reason": .text(Self.reason(backup)), "created": .text(backup.created),
                        "name": .text(backup.name.flatMap { $0.isEmpty ? nil : $0 }),
                        "volumeName": .text(backup.volumeName.flatMap { $0.isEmpty ? nil : $0 }),
                        "parent": .text(backup.parent),
                        "sizeBytes": backup.size.map { .int(Int64(clamping: $0)) } ?? .null,
                        "own": backup.own.map { .int(Int64(clamping: $0)) } ?? .null,
                    ])
                })
        ]
    }

    private static func name(_ backup: CinderBackup) -> String {
        guard let name = backup.volumeName, !name.isEmpty else { return backup.volume.description }
        return name.count > 36 ? name.prefix(35) + "…" : name
    }

    private static func kind(_ backup: CinderBackup) -> String {
        guard backup.created != nil else { return "-" }
        return backup.parent == nil ? "full" : "incremental"
    }

    private static func state(_ backup: CinderBackup) -> String {
        switch backup.state {
        case .complete: "complete"
        case .incomplete: "incomplete"
        case .damaged: "damaged"
        }
    }

    private static func reason(_ backup: CinderBackup) -> String? {
        guard case .damaged(let reason) = backup.state else { return nil }
        return reason
    }

    private static func size(_ bytes: UInt64) -> String { ByteCount(Int64(clamping: bytes)).description }
}

/// The result of a restore of a backup of Cinder's.
struct CinderRestoredView: View {
    private let target: String
    private let outcome: CinderRun.Outcome

    init(_ outcome: CinderRun.Outcome, to target: String) {
        self.target = target
        self.outcome = outcome
    }

    var kind: String { "CinderRestored" }

    func text(_ style: Style) -> String {
        let backups = outcome.layers == 1 ? "a full backup" : "from a chain of \(outcome.layers)"
        let size = ByteCount(Int64(clamping: outcome.size)), written = ByteCount(Int64(clamping: outcome.written))
        let proof =
            switch outcome.proven {
            case 0: "; there are no digests of the whole.\n"
            case outcome.covered...: ", and the whole by Cinder's digests.\n"
            default:
                ", and the first \(ByteCount(Int64(clamping: outcome.proven))) by Cinder's digests, which end there.\n"
            }
        return
            "\(PrintedText.oneLine(target)) is Cinder's backup \(outcome.backup) of \(PrintedText.oneLine(outcome.created)), "
            + "\(backups): \(size); \(written) were written. Every object was checked"
            + proof
    }

    var body: [String: Tree] {
        [
            "backup": .text(outcome.backup), "volume": .text(outcome.volume), "to": .text(target),
            "sizeBytes": .int(Int64(clamping: outcome.size)), "writtenBytes": .int(Int64(clamping: outcome.written)),
            "provenBytes": .int(Int64(clamping: outcome.proven)),
            "layers": .int(Int64(outcome.layers)), "digests": .bool(outcome.hasDigests),
        ]
    }
}
