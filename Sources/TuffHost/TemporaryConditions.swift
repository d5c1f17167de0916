import FoundationEssentials
import TuffModel

/// What is asked about temporary snapshots: LVM's own word on whether something is one.
extension CommandConditions {
    private struct SnapshotReport: Decodable {
        struct Part: Decodable { var lv: [Row] }
        struct Row: Decodable {
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
        var report: [Part]
    }

    /// A copy-on-write snapshot has an origin and the layout `linear`; how full it is LVM tells while it is active, 100.00 when
    /// it overflowed (both measured with 2.03.16).
    func temporary(_ snapshot: TemporarySnapshot, whole: Bool, _ condition: Precondition) async throws(HostError) {
        let command = Command(
            "lvm",
            [
                "lvs", "--reportformat", "json", "-o",
                "lv_uuid,lv_tags,lv_layout,origin,origin_uuid,data_percent,lv_device_open", "--",
                "\(snapshot.group)/\(snapshot.name)",
            ], effect: .reads, outputLimit: 1 << 20)
        let output = try await commands.run(command)
        guard output.status == 0 else {
            throw failed(condition, "lvm lvs ended with status \(output.status)", output.standardError)
        }
        guard let report = try? JSONDecoder().decode(SnapshotReport.self, from: Data(output.standardOutput)),
            report.report.count == 1, report.report[0].lv.count == 1, let row = report.report[0].lv.first
        else {
            throw HostError(
                .malformed, "Nothing was done: lvm lvs did not print one snapshot", subject: command.description)
        }
        guard snapshot.uuid == nil || row.uuid == snapshot.uuid else {
            throw failed(condition, "its LVM uuid is \(row.uuid)")
        }
        let tags = row.tags.split(separator: ",").map(String.init)
        guard snapshot.tags.allSatisfy(tags.contains) else { throw failed(condition, "its tags are '\(row.tags)'") }
        guard row.layout == "linear", !row.origin.isEmpty else {
            throw failed(condition, "it is no copy-on-write snapshot (\(row.layout), origin '\(row.origin)')")
        }
        guard snapshot.originUUID.map({ $0 == row.originUUID }) ?? (row.origin == snapshot.origin) else {
            throw failed(condition, "it is a snapshot of \(row.origin)")
        }
        guard whole else {
            // Empty, or "unknown" for what is inactive and therefore not open.
            guard ["", "unknown"].contains(row.open) else { throw failed(condition, "it is open") }
            return
        }
        guard let used = Double(row.dataPercent) else { throw failed(condition, "it is inactive") }
        guard used < 100 else { throw failed(condition, "its room is full, and what it held is lost") }
    }
}
