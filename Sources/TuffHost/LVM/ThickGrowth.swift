package import TuffModel

/// Grows a linear volume without showing what its new extents hold.
///
/// `lvextend` joins free extents as they are, and whoever has the volume open reads the bytes of the volume that had them
/// before (seen at once on an exported volume). So the extents are taken by a volume of their own, `x-UID`, wiped
/// there, and then joined by their numbers. In between they are free for a moment: somebody who took them in it would
/// make `lvextend` fail.
package struct ThickGrowth {
    /// The tag of the volume that has the extents meanwhile; a growth that died leaves it, and the next removes it.
    package static let tag = "tuff-growth"

    /// Name of the volume that has the extents meanwhile, by the uid that is to get them.
    package static func holder(of uid: UID) -> String { "x-\(uid)" }

    /// A holder as it was when it was wiped: joined are these extents and no others.
    struct Extents: Equatable {
        var device: DevicePlace
        /// As LVM takes them: `PV:first-last`.
        var ranges: [String]
    }

    let commands: CommandRunner
    let group: String
    let uid: UID

    private static func query(_ group: String, _ uid: UID) -> LVMQuery {
        LVMQuery(
            .lvs, [.groupUUID, .volumeUUID, .extentRanges], options: ["--segments"],
            of: ["-S", "lv_tags={\"\(tag)\"}", "--", "\(group)/\(holder(of: uid))"])
    }

    /// The device of the holder, and its extents.
    func extents() async throws(HostError) -> Extents {
        let query = Self.query(group, uid), holder = "\(group)/\(Self.holder(of: uid))"
        let output = try await commands.run(query.command)
        guard output.status == 0, let rows = query.rows(in: output), let first = rows.first else {
            throw HostError(
                .preconditionFailed, "\(query.name) did not tell the extents of \(holder)",
                subject: query.command.description)
        }
        let ranges = rows.flatMap { $0[.extentRanges].split(separator: " ").map(String.init) }
        guard !ranges.isEmpty, ranges.allSatisfy({ $0.hasPrefix("/dev/") && $0.contains(":") }) else {
            throw HostError(
                .malformed, "\(query.name) tells extents '\(ranges)' of \(holder)", subject: query.command.description)
        }
        let uuid = DeviceMapper.uuid(group: first[.groupUUID], volume: first[.volumeUUID])
        return Extents(
            device: DevicePlace(group: group, name: Self.holder(of: uid), uid: uid, uuid: uuid), ranges: ranges)
    }

    /// - Parameter ranges: where LVM is to find the extents; empty: anywhere, as a person is shown it.
    static func joining(_ group: String, _ name: String, to size: ByteCount, _ ranges: [String]) -> Command {
        Command(
            "lvm", ["lvextend", "-qq", "--size", "\(size.bytes)b", "--", "\(group)/\(name)"] + ranges,
            effect: .mutates, deadline: 600)
    }
}
