package import TuffHost
package import TuffModel

/// LVM as the machine runs it: its settings and filters, its conditions, and what acts on volumes take beside their
/// command.
///
/// One for each machine, since the machine's files are read once.
package final class LVMTool: VolumeTool {
    private let host: LVMHost
    private let stateDirectory: String?

    /// - Parameters:
    ///   - stateDirectory: where is written down that copies of a group's metadata are owed; nil: nowhere (tests).
    ///   - directory: where LVM's own files are.
    package init(stateDirectory: String? = nil, directory: String = LVMHost.directory) {
        self.stateDirectory = stateDirectory
        host = LVMHost(directory: directory)
    }

    package func arguments(of command: Command, by commands: CommandRunner) async throws(HostError) -> [String] {
        try await host.arguments(of: command, by: commands)
    }

    package func check(
        _ condition: Precondition, by commands: CommandRunner
    ) async throws(HostError) -> [UID: String] {
        try await LVMConditions(commands: commands).check(condition)
    }

    package func outlook(by commands: CommandRunner) async throws(HostError) -> LVMOutlook {
        try await host.outlook(by: commands)
    }

    package func activate(
        _ volumes: [String], with command: Command, by commands: CommandRunner
    ) async throws(HostError) {
        do throws(HostError) {
            try await commands.demand(command)
        } catch {
            // An `lvcreate` is not tried again: LVM tells a thin pool what it is owed before it makes more in it.
            guard error.code == .failed, command.arguments.first != "lvcreate",
                try await ThinPoolMessages(commands: commands).send(for: volumes)
            else { throw error }
            try await commands.demand(command)
        }
        try await ActivationCheck(commands: commands).demand(volumes)
    }

    package func devices(
        of uids: [UID], in group: String, with command: Command, by commands: CommandRunner
    ) async throws(HostError) -> [UID: String] {
        try await LogicalVolumeNames(commands: commands).devices(of: uids, in: group, by: command)
    }

    package func extents(of holder: DevicePlace, by commands: CommandRunner) async throws(HostError) -> HeldExtents {
        try await ThickGrowth.extents(of: holder, by: commands)
    }

    package func make(_ volumes: [VolumeCreation], by commands: CommandRunner) async -> [SequenceOutcome] {
        await script(commands).run(volumes)
    }

    package func settleDebts(by commands: CommandRunner) async { await script(commands).settle() }

    private func script(_ commands: CommandRunner) -> LVMScript {
        LVMScript(commands: commands, host: host, stateDirectory: stateDirectory)
    }
}
