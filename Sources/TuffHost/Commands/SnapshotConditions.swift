import TuffModel

/// What is asked about copy-on-write snapshots: LVM's own word on whether something is one.
extension CommandConditions {
    private struct SnapshotRow: Decodable {
        var uuid: String
        var tags: String
        var layout: String
        var origin: String
        var originUUID: String
        var dataPercent: String
        var open: String

        enum CodingKeys: String, CodingKey {
            case uuid = "lv_uuid"
            case tags = "lv_tags"
            case layout = "lv_layout"
            case origin
            case originUUID = "origin_uuid"
            case dataPercent = "data_percent"
            case open = "lv_device_open"
        }
    }

    /// Nobody has this temporary snapshot open, and it is one.
    func temporary(_ snapshot: TemporarySnapshot, _ condition: Precondition) async throws(HostError) {
        let row = try await snapshotRow(
            "\(snapshot.group)/\(snapshot.name)", snapshot.uuid, snapshot.tags, ["linear", "thin,sparse"], condition)
        guard snapshot.originUUID.map({ $0 == row.originUUID }) ?? (row.origin == snapshot.origin) else {
            throw failed(condition, "it is a snapshot of \(row.origin)")
        }
        // Empty, or "unknown" for what is inactive and therefore not open.
        guard ["", "unknown"].contains(row.open) else { throw failed(condition, "it is open") }
    }

    /// How full it is LVM tells while it is active, 100.00 when it overflowed (measured with 2.03.16).
    func whole(_ path: String, _ uuid: String?, _ uid: UID, _ condition: Precondition) async throws(HostError) {
        let row = try await snapshotRow(path, uuid, ["tuff:uid=\(uid)"], ["linear"], condition)
        guard let used = Double(row.dataPercent) else { throw failed(condition, "it is inactive") }
        guard used < 100 else { throw failed(condition, "its room is full, and what it held is lost") }
    }

    /// A copy-on-write snapshot has an origin and the layout `linear`, a thin one an origin and `thin,sparse` (measured
    /// with 2.03.16).
    private func snapshotRow(
        _ path: String, _ uuid: String?, _ demanded: [String], _ layouts: [String], _ condition: Precondition
    ) async throws(HostError) -> SnapshotRow {
        let command = Command(
            "lvm",
            [
                "lvs", "--reportformat", "json", "-o",
                "lv_uuid,lv_tags,lv_layout,origin,origin_uuid,data_percent,lv_device_open", "--", path,
            ], effect: .reads, outputLimit: 1 << 20)
        let output = try await commands.run(command)
        guard output.status == 0 else {
            throw failed(condition, "lvm lvs ended with status \(output.status)", output.standardError)
        }
        guard let rows = LVMReport<SnapshotRow>.rows(output.standardOutput), rows.count == 1, let row = rows.first
        else {
            throw HostError(
                .malformed, "Nothing was done: lvm lvs did not print one snapshot", subject: command.description)
        }
        guard uuid == nil || row.uuid == uuid else { throw failed(condition, "its LVM uuid is \(row.uuid)") }
        let tags = row.tags.split(separator: ",").map(String.init)
        guard demanded.allSatisfy(tags.contains) else { throw failed(condition, "its tags are '\(row.tags)'") }
        guard layouts.contains(row.layout), !row.origin.isEmpty else {
            throw failed(condition, "it is no such snapshot (\(row.layout), origin '\(row.origin)')")
        }
        return row
    }
}
