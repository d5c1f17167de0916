package import TuffHost
package import TuffModel
import TuffReconcile

/// LVM through its one executable, `lvm`. Reads are JSON reports; texts for people are never parsed.
///
/// Measured with LVM 2.03.16: a report that lvm was interrupted in is still well-formed JSON and merely lacks the
/// groups it could not lock, so a report with a non-zero exit status is evidence of nothing that it does not show.
package struct LVMDriver: VolumeGroupDriver {
    /// Seconds for the report on all groups, and for one group's where that failed.
    static let reportDeadline = 60
    static let groupDeadline = 20
    /// Reports on single groups that run at once.
    static let width = 4

    /// The host's directory of state; nil: nothing is written down, and so no pool's metadata are reserved.
    let stateDirectory: String?

    package init(stateDirectory: String? = nil) { self.stateDirectory = stateDirectory }

    package func observe(_ machine: any Machine) async -> ObservationMap<VolumeGroup> {
        var seen = await observeDevices(machine)
        do throws(HostError) {
            if try await machine.lvmOutlook().looksIntoVolumes {
                // Groups upon volumes of other groups. Those on devices are told by their devices alone.
                let stacked = try await groups(by: Self.report(of: nil, view: .volumes), on: machine)
                seen.entries.merge(stacked) { first, _ in first }
            }
        } catch {
            seen.unlisted = seen.unlisted ?? error
        }
        await tellForeign(in: &seen, on: machine)
        await tellThresholds(in: &seen, on: machine)
        return seen
    }

    private func observeDevices(_ machine: any Machine) async -> ObservationMap<VolumeGroup> {
        let failure: HostError
        do {
            return ObservationMap(try await groups(by: Self.report(of: nil), on: machine))
        } catch {
            failure = error
        }
        switch failure.code {
        // Asking again, group by group, cannot help without the tool or without the right to use it.
        case .notFound, .permissionDenied: return ObservationMap(unlisted: failure)
        case .malformed, .damaged, .timeout, .failed, .preconditionFailed, .busy, .exhausted, .refused, .exposed,
            .interrupted,
            .unreachable:
            return await observeEach(machine)
        }
    }

    /// Asks for each group on its own, so that a group whose lock is held by a stuck command, or that lvm cannot
    /// report, does not blind the others.
    private func observeEach(_ machine: any Machine) async -> ObservationMap<VolumeGroup> {
        let names: [String]
        do {
            names = try LVMReportDecoder.decodeNames(try await output(of: Self.list, on: machine))
        } catch {
            return ObservationMap(unlisted: error)
        }
        return await withTaskGroup(of: (String, Observation<VolumeGroup>).self) { tasks in
            var waiting = names[...]
            for name in waiting.prefix(Self.width) {
                tasks.addTask { (name, await observe(group: name, on: machine)) }
            }
            waiting = waiting.dropFirst(Self.width)
            var entries: [String: Observation<VolumeGroup>] = [:]
            for await (name, group) in tasks {
                entries[name] = group
                guard let next = waiting.popFirst() else { continue }
                tasks.addTask { (next, await observe(group: next, on: machine)) }
            }
            return ObservationMap(entries)
        }
    }

    private func observe(group name: String, on machine: any Machine) async -> Observation<VolumeGroup> {
        do throws(HostError) {
            let groups = try await groups(by: Self.report(of: name), on: machine)
            guard let group = groups[name], groups.count == 1 else {
                throw LVMReportDecoder.contradiction("asked for volume group \(name) alone it shows something else")
            }
            return group
        } catch {
            return .unknown(error)
        }
    }

    private func groups(
        by command: Command, on machine: any Machine
    ) async throws(HostError) -> [String: Observation<VolumeGroup>] {
        try LVMReportDecoder.decode(try await output(of: command, on: machine))
    }

    func output(of command: Command, on machine: any Machine) async throws(HostError) -> [UInt8] {
        try await run(command, on: machine).standardOutput
    }

    /// A command that is demanded to succeed.
    func run(_ command: Command, on machine: any Machine) async throws(HostError) -> CommandOutput {
        let output = try await machine.read(command)
        // Who may not open devices gets a report without them, for `--readonly` even with status 0 (measured with LVM
        // 2.03.16). The text only ever makes LVM unknown.
        guard !output.standardError.contains("Running as a non-root user") else {
            throw HostError(
                .permissionDenied, "lvm sees no devices", cause: "Permission denied; run as root",
                subject: command.description)
        }
        guard command.successStatuses.contains(output.status) else {
            throw output.failure(of: command, named: "lvm \(command.arguments[0])")
        }
        return output
    }

    /// Thin pools, and backup bases, of which LVM's numbers are in segments. A base that somebody renamed is told by
    /// its tags all the same, and serves nobody any more.
    static let wantedSegments = "segtype=thin-pool || (segtype=thin && lv_name=~^b-)"

    /// The report on all groups (nil) or on one.
    ///
    /// `--binary` turns texts such as `active locally` into 1, 0 and -1. `--shared` shows groups that lvmlockd guards,
    /// `--foreign` those of other hosts (lvmsystemid(7)), which would otherwise look absent. `--all` shows hidden
    /// volumes, where the health of RAID and caches is told. Segments of physical volumes cannot be left out of a full
    /// report, only filtered to nothing; of other segments only
    /// `wantedSegments`.
    package static func report(of group: String?, view: LVMView = .own) -> Command {
        var arguments = [
            "fullreport", "--all", "--reportformat", "json", "--units", "b", "--nosuffix", "--binary", "--shared",
            "--foreign",
            "--configreport", "vg", "-o", LVMReportDecoder.groupColumns.joined(separator: ","),
            "--configreport", "lv", "-o", LVMReportDecoder.volumeColumns.joined(separator: ","),
            "--configreport", "seg", "-o", LVMReportDecoder.segmentColumns.joined(separator: ","),
            "-S", Self.wantedSegments,
            "--configreport", "pv", "-o", LVMReportDecoder.deviceColumns.joined(separator: ","),
            "--configreport", "pvseg", "-o", "pv_uuid", "-S", "pv_uuid=none",
        ]
        if let group { arguments += ["--", group] }
        return Command(
            "lvm", arguments, effect: .reads, deadline: group == nil ? reportDeadline : groupDeadline,
            outputLimit: LVMReportDecoder.maximumSize, view: view)
    }

    /// The names of all groups. `--readonly` takes no locks, hence it answers while a group is locked.
    package static let list = names(view: .own)

    /// The names of all groups on devices of any kind, whatever hides them.
    package static let everything = names(view: .everything)

    private static func names(view: LVMView) -> Command {
        Command(
            "lvm",
            [
                "vgs", "--reportformat", "json", "--readonly", "--shared", "--foreign", "-o",
                LVMReportDecoder.nameColumns.joined(separator: ","),
            ],
            effect: .reads, deadline: groupDeadline, outputLimit: LVMReportDecoder.maximumSize, view: view)
    }
}
