import TuffModel

/// Grows a linear volume without showing what its new extents hold.
///
/// `lvextend` joins free extents as they are, and whoever has the volume open reads the bytes of the volume that had them
/// before (seen at once on an exported volume). So the extents are taken by a volume of their own, wiped there, and then
/// joined by their numbers. In between they are free for a moment: somebody who took them in it would make `lvextend` fail.
struct ThickGrowth {
    /// The tag of the volume that has the extents meanwhile; a growth that died leaves it, and the next removes it.
    static let tag = "tuff-growth"

    let commands: CommandRunner
    let group: String
    let name: String
    let uid: UID

    private var helper: String { "\(group)/x-\(uid)" }

    private struct Row: Decodable {
        var group: String
        var volume: String
        var ranges: String

        enum CodingKeys: String, CodingKey {
            case group = "vg_uuid"
            case volume = "lv_uuid"
            case ranges = "seg_pe_ranges"
        }
    }

    func run(
        uuid: String?, from: ByteCount, to: ByteCount, wipe: (DevicePlace) async throws(HostError) -> Void
    ) async throws(HostError) {
        let still = Precondition.logicalVolume(group: group, name: name, uuid: uuid, uid: uid, size: from)
        try await CommandConditions(commands: commands).check(still)
        // What an attempt that died left; usually there is nothing, and that is an error that does not count.
        _ = try await commands.run(removal)
        try await expectSuccess([
            "lvcreate", "-qq", "--yes", "--type", "linear", "--size", "\((to - from).bytes)b", "--name", "x-\(uid)",
            "--activate", "n", "--zero", "n", "--wipesignatures", "n", "--addtag", Self.tag, "--", group,
        ])
        try await expectSuccess(["lvchange", "-qq", "--activate", "y", "--", helper])
        let (device, ranges) = try await look()
        try await wipe(device)
        try await CommandConditions(commands: commands).check(still)
        guard try await commands.run(removal).status == 0 else {
            throw HostError(.failed, "\(helper), whose extents \(group)/\(name) was to get, cannot be removed")
        }
        try await expectSuccess(["lvextend", "-qq", "--size", "\(to.bytes)b", "--", "\(group)/\(name)"] + ranges)
    }

    /// The device of the helper, and its extents as `PV:first-last`.
    private func look() async throws(HostError) -> (DevicePlace, [String]) {
        let query = Command(
            "lvm",
            [
                "lvs", "--segments", "--reportformat", "json", "-o", "vg_uuid,lv_uuid,seg_pe_ranges", "--", helper,
            ], effect: .reads, outputLimit: 1 << 20)
        let output = try await commands.run(query)
        guard output.status == 0,
            let rows = LVMReport<Row>.rows(output.standardOutput), let first = rows.first
        else {
            throw HostError(.malformed, "lvm lvs did not tell the extents of \(helper)", subject: query.description)
        }
        let ranges = rows.flatMap { $0.ranges.split(separator: " ").map(String.init) }
        guard !ranges.isEmpty, ranges.allSatisfy({ $0.hasPrefix("/dev/") && $0.contains(":") }) else {
            throw HostError(.malformed, "lvm lvs tells extents '\(ranges)' of \(helper)", subject: query.description)
        }
        let uuid = DeviceMapper.uuid(group: first.group, volume: first.volume)
        return (DevicePlace(group: group, name: "x-\(uid)", uid: uid, uuid: uuid), ranges)
    }

    /// Without a discard, whatever lvm.conf says: what a device shows of discarded extents is not promised, and they were wiped to
    /// be handed on.
    private var removal: Command {
        Self.change([
            "lvremove", "-qq", "--yes", "--config", "devices/issue_discards=0", "-S", "lv_tags={\"\(Self.tag)\"}", "--",
            helper,
        ])
    }

    private func expectSuccess(_ arguments: [String]) async throws(HostError) {
        let command = Self.change(arguments)
        let output = try await commands.run(command)
        guard output.status == 0 else {
            throw HostError(
                .failed, "lvm \(arguments[0]) ended with status \(output.status)", cause: output.standardError,
                subject: command.description)
        }
    }

    private static func change(_ arguments: [String]) -> Command {
        Command("lvm", arguments, effect: .mutates, deadline: 600)
    }
}
