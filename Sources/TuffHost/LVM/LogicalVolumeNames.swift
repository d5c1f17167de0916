import TuffModel

/// Asks LVM what the device mapper calls logical volumes that carry our uids.
struct LogicalVolumeNames {
    let commands: CommandRunner

    static func command(_ group: String, _ uids: [UID]) -> Command {
        let ours = uids.map { "lv_tags={\"tuff:uid=\($0)\"}" }.joined(separator: " || ")
        return Command(
            "lvm",
            ["lvs", "--reportformat", "json", "-o", "vg_uuid,lv_uuid,lv_tags", "-S", ours, "--", group],
            effect: .reads)
    }

    /// The device mapper's uuid of each volume. One that is missing or there twice is an error: whoever asks has just
    /// activated it.
    func devices(of uids: [UID], in group: String) async throws(HostError) -> [UID: String] {
        let command = Self.command(group, uids)
        let output = try await commands.run(command)
        guard output.status == 0 else {
            throw HostError(
                .failed, "lvm lvs ended with status \(output.status)", cause: output.standardError,
                subject: command.description)
        }
        guard let rows = LVMReport<Row>.rows(output.standardOutput) else {
            throw HostError(.malformed, "lvm lvs did not print a report on \(group)", subject: command.description)
        }
        var found: [UID: String] = [:]
        for uid in uids {
            let ours = rows.filter { $0.tags.split(separator: ",").contains("tuff:uid=\(uid)") }
            guard ours.count == 1, !ours[0].group.isEmpty, !ours[0].volume.isEmpty else {
                throw HostError(
                    .failed, "\(ours.count) volumes of \(group) carry our uid \(uid), where one was activated",
                    subject: command.description)
            }
            found[uid] = DeviceMapper.uuid(group: ours[0].group, volume: ours[0].volume)
        }
        return found
    }

    private struct Row: Decodable {
        var group: String
        var volume: String
        var tags: String

        enum CodingKeys: String, CodingKey {
            case group = "vg_uuid"
            case volume = "lv_uuid"
            case tags = "lv_tags"
        }
    }
}
