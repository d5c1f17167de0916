package import TuffHost
package import TuffModel

/// Groups that are not to be had, told from groups that are not there.
extension LVMDriver {
    /// Looks for groups that a report should have shown and did not, on every device whatever hides it. One that is
    /// there is unknown, and not absent: nothing in it is lost.
    ///
    /// Only asked for groups that somebody counts on: filters (`devices/filter`, lvm.conf(5)) also keep LVM from
    /// devices that do not answer.
    package func find(
        _ names: Set<String>, on machine: any Machine
    ) async -> [String: HostError] {
        let output: CommandOutput
        let found: [String]
        do throws(HostError) {
            output = try await run(Self.everything, on: machine)
            found = try LVMReportDecoder.decodeNames(output.standardOutput)
        } catch {
            guard error.code != .notFound else { return [:] }
            return Dictionary(names.map { ($0, error) }) { first, _ in first }
        }
        var hidden: [String: HostError] = [:]
        for name in names {
            if found.contains(name) {
                hidden[name] = HostError(
                    .failed,
                    "LVM does not show it, though it is there: its devices are hidden by LVM's own settings (devices/filter, "
                        + "global_filter, use_devicesfile or scan_lvs), or are volumes that somebody has open")
            } else if output.standardError.contains("clustered VG \(name).") {
                // No report shows such a group, and no status tells of it. The text only ever makes it unknown.
                hidden[name] = HostError(
                    .failed,
                    "it is a clustered group, which LVM does not touch any more; once no other host uses it, 'vgchange "
                        + "--lock-opt force --lock-type none \(name)' makes it one of this host")
            }
        }
        return hidden
    }

    /// Says of each group with a system ID whether this host may use it. LVM has no column for that.
    ///
    /// The text of `lvm systemid` is for people, and the only one there is: what does not look like it makes such
    /// groups unknown.
    func tellForeign(in seen: inout ObservationMap<VolumeGroup>, on machine: any Machine) async {
        let groups = seen.entries.values.compactMap(\.value).filter { $0.systemID != nil }
        guard !groups.isEmpty else { return }
        let ours: (own: String, others: Set<String>)
        do throws(HostError) {
            ours = try await systemIDs(machine)
        } catch {
            for group in groups { seen.entries[group.name] = .unknown(error) }
            return
        }
        for var group in groups {
            guard let systemID = group.systemID, systemID != ours.own, !ours.others.contains(systemID) else { continue }
            group.foreignTo = ours.own
            seen.entries[group.name] = .known(group)
        }
    }

    private func systemIDs(_ machine: any Machine) async throws(HostError) -> (own: String, others: Set<String>) {
        let query = Command("lvm", ["systemid"], effect: .reads, deadline: 20)
        let text = String(decoding: try await output(of: query, on: machine), as: UTF8.self)
        let label = "system ID:"
        guard let line = text.split(whereSeparator: \.isNewline).first(where: { $0.contains(label) }),
            let end = line.firstRange(of: label)?.upperBound
        else {
            throw HostError(.malformed, "lvm systemid does not tell this host's system ID", subject: query.description)
        }
        let own = line[end...].split(separator: " ").first.map(String.init) ?? ""
        // Ends with 5 where the setting is not there.
        let setting = Command(
            "lvm", ["lvmconfig", "local/extra_system_ids"], effect: .reads, deadline: 20)
        let extra = try await machine.read(setting)
        guard extra.status == 0 else { return (own, []) }
        let parts = String(decoding: extra.standardOutput, as: UTF8.self).split(
            separator: "\"", omittingEmptySubsequences: false)
        // Every second part stands between quotes.
        return (own, Set(parts.enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }))
    }
}
