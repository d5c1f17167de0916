import TuffHost
package import TuffModel

/// Grows a linear volume without showing what its new extents hold.
///
/// `lvextend` joins free extents as they are, and whoever has the volume open reads the bytes of the volume that had
/// them before (seen at once on an exported volume). So the extents are taken by a volume of their own, `x-UID`, wiped
/// there, and then joined by their numbers. In between they are free for a moment: somebody who took them in it would
/// make `lvextend` fail.
package enum ThickGrowth {
    /// The tag of the volume that has the extents meanwhile; a growth that died leaves it, and the next removes it.
    package static let tag = "tuff-growth"

    /// Name of the volume that has the extents meanwhile, by the uid that is to get them.
    package static func holder(of uid: UID) -> String { "x-\(uid)" }

    /// The device of a holder, and its extents.
    static func extents(of holder: DevicePlace, by commands: CommandRunner) async throws(HostError) -> HeldExtents {
        let place = "\(holder.group)/\(holder.name)"
        let query = LVMQuery(
            .lvs, [.groupUUID, .volumeUUID, .extentRanges], options: ["--segments"],
            of: ["-S", "lv_tags={\"\(tag)\"}", "--", place])
        let output = try await commands.run(query.command)
        guard output.status == 0, let rows = query.rows(in: output), let first = rows.first else {
            throw HostError(
                .preconditionFailed, "\(query.name) did not tell the extents of \(place)",
                subject: query.command.description)
        }
        let ranges = rows.flatMap { $0[.extentRanges].split(separator: " ").map(String.init) }
        guard !ranges.isEmpty, ranges.allSatisfy({ $0.hasPrefix("/dev/") && $0.contains(":") }) else {
            throw HostError(
                .malformed, "\(query.name) tells extents '\(ranges)' of \(place)", subject: query.command.description)
        }
        var device = holder
        device.uuid = DeviceMapper.uuid(group: first[.groupUUID], volume: first[.volumeUUID])
        return HeldExtents(device: device, ranges: ranges)
    }
}
