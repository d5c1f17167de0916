package import TuffHost
package import TuffModel

/// Asks LVM what the device mapper calls logical volumes that carry our uids.
package struct LogicalVolumeNames {
    let commands: CommandRunner

    /// The action that finds the devices of these volumes.
    package static func identification(of uids: [UID], in group: String) -> HostAction {
        .identify(query(group, uids).command, group: group, uids)
    }

    private static func query(_ group: String, _ uids: [UID]) -> LVMQuery {
        let ours = uids.map { "lv_tags={\"tuff:uid=\($0)\"}" }.joined(separator: " || ")
        return LVMQuery(
            .lvs, [.groupUUID, .volumeUUID, .volumeTags], of: ["-S", ours, "--", group], outputLimit: 64 << 20)
    }

    /// The device mapper's uuid of each volume. One that is missing or there twice is an error: whoever asks has just
    /// activated it.
    func devices(of uids: [UID], in group: String, by command: Command) async throws(HostError) -> [UID: String] {
        let query = LVMQuery(command, [.groupUUID, .volumeUUID, .volumeTags])
        let rows = try await query.rows(by: commands)
        var found: [UID: String] = [:]
        for uid in uids {
            let ours = rows.filter { $0.tags().contains("tuff:uid=\(uid)") }
            guard ours.count == 1, !ours[0][.groupUUID].isEmpty, !ours[0][.volumeUUID].isEmpty else {
                throw HostError(
                    .failed, "\(ours.count) volumes of \(group) carry our uid \(uid), where one was activated",
                    subject: query.command.description)
            }
            found[uid] = DeviceMapper.uuid(group: ours[0][.groupUUID], volume: ours[0][.volumeUUID])
        }
        return found
    }
}
