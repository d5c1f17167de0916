import TuffHost
import TuffModel

/// Finds out why volumes that LVM was told to activate have no devices.
///
/// Where `activation/volume_list` in lvm.conf(5) does not name a volume, LVM ends with 0, says nothing and does nothing
/// (measured with 2.03.16), and whatever comes next finds no device.
struct ActivationCheck {
    let commands: CommandRunner

    /// Costs nothing where all of these (`GROUP/NAME`) have devices.
    func demand(_ volumes: [String]) async throws(HostError) {
        let absent = volumes.filter { !LogicalVolumeDevice.exists($0) }
        guard !absent.isEmpty else { return }
        let query = LVMQuery(.lvs, [.groupName, .volumeName, .volumeActive, .volumeTags], of: ["--"] + absent)
        // A volume that is missing makes the status 5 and takes nothing from the rest of the report. What is not there,
        // or not ours, is for others to tell.
        guard let rows = query.rows(in: try await commands.run(query.command)),
            let passedOver = rows.first(where: {
                $0[.volumeActive].isEmpty && $0.tags().contains { $0.hasPrefix("tuff:uid=") }
            })
        else { return }
        let group = passedOver[.groupName]
        let name = "\(group)/\(passedOver[.volumeName])"
        let setting = Command("lvm", ["lvmconfig", "activation/volume_list"], effect: .reads, outputLimit: 1 << 20)
        let output = try await commands.run(setting)
        let list = String(decoding: output.standardOutput, as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
        guard output.status == 0, list.hasPrefix("volume_list=") else {
            // Without the list a host that has tags activates what bears one of them, and nothing else.
            let tags = Command("lvm", ["lvmconfig", "tags"], effect: .reads, outputLimit: 1 << 20)
            let why =
                try await commands.run(tags).status == 0
                ? ": this host has tags (tags in lvm.conf) of which it bears none; name \"\(group)\" in "
                    + "activation/volume_list"
                : "; 'lvchange -ay -vvv \(name)' tells why"
            throw HostError(.failed, "lvm ended well and did not activate \(name)\(why)", subject: name)
        }
        throw HostError(
            .failed,
            "lvm did not activate \(name), since activation/\(list) in lvm.conf does not name it; add "
                + "\"\(group)\" to that list", subject: name)
    }
}
