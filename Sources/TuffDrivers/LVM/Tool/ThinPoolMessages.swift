import TuffHost
import TuffModel

/// Sends messages that LVM wrote down for a thin pool and has not told the kernel.
///
/// `lvcreate` of a thin volume commits the group's metadata with the new volume and a message to the pool (`message1 {
/// create = "…" }`), sends it, and commits again without it. Where the machine dies in between, LVM 2.03.16 does not
/// send it when the pool or the volume is activated: `reload ioctl failed: No data available`, for ever (seen after a
/// guest was killed). Any command that changes the pool's volumes sends what is left; so a volume is made and removed
/// again, both by their tag and neither ever active.
struct ThinPoolMessages {
    let commands: CommandRunner

    private static let name = "tuff-settle"

    /// - Returns: whether anything was done, so that trying again may help.
    func send(for volumes: [String]) async throws(HostError) -> Bool {
        let query = LVMQuery(.lvs, [.groupName, .pool], of: ["--"] + volumes)
        // A volume that is missing makes the status 5 and takes nothing from the rest of the report.
        guard let rows = query.rows(in: try await commands.run(query.command)) else { return false }
        let pools = Set(rows.filter { !$0[.pool].isEmpty }.map { [$0[.groupName], $0[.pool]] })
        for pool in pools.sorted(by: { $0.joined() < $1.joined() }) {
            // What an attempt that died left; usually there is none, and removing nothing is an error that does not
            // count.
            _ = try await remove(from: pool[0])
            let creation = Self.change([
                "lvcreate", "-qq", "--yes", "--thin", "--virtualsize", "4m", "--name", Self.name, "--addtag", Self.name,
                "--activate", "n", "--wipesignatures", "n", "--", pool.joined(separator: "/"),
            ])
            try await commands.demand(creation, named: "lvm lvcreate")
            guard try await remove(from: pool[0]).status == 0 else {
                throw HostError(.failed, "\(pool[0])/\(Self.name) was made to settle \(pool[1]) and cannot be removed")
            }
        }
        return !pools.isEmpty
    }

    private func remove(from group: String) async throws(HostError) -> CommandOutput {
        try await commands.run(
            Self.change(["lvremove", "-qq", "--yes", "-S", "lv_tags={\"\(Self.name)\"}", "--", "\(group)/\(Self.name)"])
        )
    }

    private static func change(_ arguments: [String]) -> Command {
        Command("lvm", arguments, effect: .mutates, deadline: 600)
    }
}
