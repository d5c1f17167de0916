import TuffModel
import TuffPlanning

/// The record of a temporary snapshot, which exists while a volume in use is copied. It is listed with the snapshots,
/// under its name in LVM, with the copy that it serves.
enum TemporaryRecord {
    static func of(_ temporary: StoredVolume, _ index: StorageIndex) -> ResourceRecord {
        let origin = temporary.marks.origin.flatMap { index.volume($0)?.marks.name }
        let copy: String =
            if case .temporary(let purpose) = temporary.marks.role {
                index.volume(purpose)?.marks.role.resource.description ?? "a volume that is gone (uid \(purpose))"
            } else { "" }
        let sentence = "\(temporary.location) is there for as long as \(copy) is copied from it"
        let overflow = "\(temporary.location), from which \(copy) is copied, overflowed: the next apply removes it"
        return ResourceRecord(
            id: ResourceID(.snapshot, temporary.location.objectName), location: nil, labels: [:],
            conditions: [
                temporary.isOverflowed
                    ? Condition("Ready", .no, reason: "Overflowed", message: overflow)
                    : Condition("Ready", .yes, reason: "Temporary", message: sentence)
            ],
            facts: .snapshot(SnapshotFacts(declared: nil, stored: temporary, volumeName: origin)))
    }
}
