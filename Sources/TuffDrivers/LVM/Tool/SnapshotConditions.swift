import TuffHost
import TuffModel

/// Conditions on snapshots. LVM tells whether a volume is one.
extension LVMConditions {
    /// Nobody has this temporary snapshot open, and it is one.
    func temporary(_ snapshot: TemporarySnapshot, _ condition: Precondition) async throws(HostError) {
        let row = try await snapshotRow(
            "\(snapshot.group)/\(snapshot.name)", uuid: snapshot.uuid, tagged: snapshot.tags,
            layouts: ["linear", "thin,sparse"], for: condition)
        guard snapshot.originUUID.map({ $0 == row[.originUUID] }) ?? (row[.origin] == snapshot.origin) else {
            throw condition.failure("it is a snapshot of \(row[.origin])")
        }
        // Empty, or "unknown" for what is inactive and therefore not open.
        guard ["", "unknown"].contains(row[.volumeOpen]) else { throw condition.failure("it is open") }
    }

    /// LVM tells the fill level while it is active, 100.00 when it overflowed (measured with 2.03.16).
    func whole(_ path: String, uuid: String?, uid: UID, for condition: Precondition) async throws(HostError) {
        let row = try await snapshotRow(
            path, uuid: uuid, tagged: ["tuff:uid=\(uid)"], layouts: ["linear"], for: condition)
        guard let used = Double(row[.dataPercent]) else { throw condition.failure("it is inactive") }
        guard used < 100 else { throw condition.failure("its room is full, and what it held is lost") }
    }

    /// A copy-on-write snapshot has an origin and the layout `linear`, a thin one an origin and `thin,sparse` (measured
    /// with 2.03.16).
    private func snapshotRow(
        _ path: String, uuid: String?, tagged demanded: [String], layouts: [String],
        for condition: Precondition
    ) async throws(HostError) -> LVMRow {
        let query = LVMQuery(
            .lvs,
            [.volumeUUID, .volumeTags, .volumeLayout, .origin, .originUUID, .dataPercent, .volumeOpen],
            of: ["--", path])
        let row = try await row(query, condition, or: "did not print one snapshot")
        guard uuid == nil || row[.volumeUUID] == uuid else {
            throw condition.failure("its LVM uuid is \(row[.volumeUUID])")
        }
        let tags = row.tags()
        guard demanded.allSatisfy(tags.contains) else { throw condition.failure("its tags are '\(row[.volumeTags])'") }
        guard layouts.contains(row[.volumeLayout]), !row[.origin].isEmpty else {
            throw condition.failure(
                "it is no such snapshot (\(row[.volumeLayout]), origin '\(row[.origin])')")
        }
        return row
    }
}
