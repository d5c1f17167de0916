import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning

/// Groups in which nothing can be changed, and settings by which LVM does something else than it is told.
extension Checkup {
    func volumeGroups() async -> [Finding] {
        let seen = await LVMDriver().observe(machine)
        return seen.entries.inKeyOrder.compactMap { name, group in
            switch group {
            case .unknown(let error):
                Finding(.warn, "volume group \(name) cannot be observed: \(error)", fix: "vgs \(name)")
            case .known(let group):
                PoolState.obstacle(of: group).map {
                    Finding(
                        .warn, $0.sentence, fix: "see 'A volume group is there and not to be had' in docs/operations.md"
                    )
                }
            }
        }
    }

    private struct Setting {
        var section: String
        var name: String
        /// Nil: whatever it is, if it is there.
        var value: String?
        var consequence: String
    }

    private static let settings = [
        Setting(section: "global", name: "test", value: "1", consequence: "LVM only pretends to do what it is told"),
        Setting(
            section: "global", name: "metadata_read_only", value: "1", consequence: "LVM refuses to change anything"),
        Setting(section: "global", name: "activation", value: "0", consequence: "LVM activates no volume"),
        Setting(
            section: "activation", name: "volume_list", value: nil,
            consequence: "LVM activates only the volumes that it names, and says nothing of others"),
        Setting(
            section: "activation", name: "read_only_volume_list", value: nil,
            consequence: "LVM activates the volumes that it names read-only, and thin pools not at all"),
    ]

    /// `lvm lvmconfig` prints what the machine's files set, as lvm.conf(5) has it, one setting a line.
    func lvmSettings() async -> [Finding] {
        let query = Command("lvm", ["lvmconfig", "--typeconfig", "current"], effect: .reads, deadline: 20)
        guard let output = try? await machine.read(query), output.status == 0 else { return [] }
        var section = ""
        var found: [Finding] = []
        for line in String(decoding: output.standardOutput, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let text = line.drop { $0 == "\t" || $0 == " " }
            if text.hasSuffix(" {") {
                section = String(text.dropLast(2))
                continue
            }
            let parts = text.split(separator: "=", maxSplits: 1)
            guard parts.count == 2,
                let setting = Self.settings.first(where: { $0.section == section && $0.name == parts[0] }),
                setting.value.map({ parts[1] == $0 }) ?? true
            else { continue }
            found.append(
                Finding(
                    .warn, "lvm.conf: \(section)/\(text): \(setting.consequence)",
                    fix: "look whether \(section)/\(setting.name) is still meant to be in /etc/lvm"))
        }
        return found
    }
}
