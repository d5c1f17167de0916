package import TuffHost
package import TuffModel
import TuffReconcile

/// Logical sectors of volume groups. LVM does not report them; a volume has the largest of the devices it is on
/// (dm_calculate_queue_limits in drivers/md/dm-table.c), which for one group are nearly always alike
/// (devices/allow_mixed_block_sizes, lvm.conf(5)).
extension LVMDriver {
    package func sectorSizes(of groups: [VolumeGroup], on machine: any Machine) async -> [String: Int] {
        let paths = Set(groups.flatMap { $0.devicePaths ?? [] }).sorted()
        guard !paths.isEmpty, let output = try? await machine.read(Self.sectors(of: paths)), output.status == 0 else {
            return [:]
        }
        let sizes = String(decoding: output.standardOutput, as: UTF8.self).split(separator: "\n").map { Int($0) }
        guard sizes.count == paths.count else { return [:] }
        let sizeOfPath = Dictionary(zip(paths, sizes)) { first, _ in first }
        var found: [String: Int] = [:]
        for group in groups {
            let own = (group.devicePaths ?? []).map { sizeOfPath[$0] ?? nil }
            guard !own.contains(nil), let largest = own.compactMap({ $0 }).max(), largest >= 512 else { continue }
            found[group.name] = largest
        }
        return found
    }

    /// A line for each device: `--getss`, blockdev(8), which takes everything after the first device for one.
    static func sectors(of paths: [String]) -> Command {
        Command("blockdev", ["--getss"] + paths, effect: .reads, deadline: groupDeadline)
    }
}
