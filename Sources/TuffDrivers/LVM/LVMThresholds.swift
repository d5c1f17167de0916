package import TuffHost
import TuffModel

/// The fill level above which LVM makes no new volume in a thin pool, and dmeventd extends it.
extension LVMDriver {
    /// LVM's own least value (lvm.conf(5)): below it nobody is asked, which spares most passes a command.
    private static let least = 50.0

    /// Asks for each profile of thin pools that are at least half full, once. What cannot be told stays unknown.
    func tellThresholds(in seen: inout ObservationMap<VolumeGroup>, on machine: any Machine) async {
        var known: [String?: Int?] = [:]
        for (name, entry) in seen.entries.inKeyOrder {
            guard case .known(var group) = entry else { continue }
            var isChanged = false
            for position in group.logicalVolumes.indices {
                let pool = group.logicalVolumes[position]
                guard pool.layout == .thinPool, max(pool.dataPercent ?? 0, pool.metadataPercent ?? 0) >= Self.least
                else { continue }
                let threshold: Int?
                if let found = known[pool.profile] {
                    threshold = found
                } else {
                    threshold = await Self.threshold(of: pool.profile, on: machine)
                    known[pool.profile] = .some(threshold)
                }
                group.logicalVolumes[position].autoextendThreshold = threshold
                isChanged = true
            }
            if isChanged { seen.entries[name] = .known(group) }
        }
    }

    /// - Parameter profile: the pool's metadata profile; nil: what lvm.conf says.
    package static func thresholdQuery(_ profile: String?) -> Command {
        Command(
            "lvm",
            ["lvmconfig", "--typeconfig", "full"] + (profile.map { ["--metadataprofile", $0] } ?? [])
                + ["activation/thin_pool_autoextend_threshold"],
            effect: .reads, deadline: groupDeadline, outputLimit: 1 << 16)
    }

    private static func threshold(of profile: String?, on machine: any Machine) async -> Int? {
        guard let output = try? await machine.read(thresholdQuery(profile)), output.status == 0 else { return nil }
        let text = String(decoding: output.standardOutput, as: UTF8.self).filter { !$0.isWhitespace }
        guard text.hasPrefix("thin_pool_autoextend_threshold=") else { return nil }
        return Int(text.dropFirst("thin_pool_autoextend_threshold=".count))
    }
}
