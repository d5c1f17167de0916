package import TuffModel

/// The tools whose commands take more knowledge than this module has. A driver brings it: see `HostTools`.
package enum ToolName: String, Sendable { case lvm, tgtadm }

/// A tool that the machine runs: the options that all its commands get, and the conditions that its reports tell.
///
/// It works behind the door, in the controller's process, and lives as long as its machine, for one pass. Worker
/// processes run no tools and have none.
package protocol HostTool: Sendable {
    /// The arguments that a command of this tool is started with. `CommandRunner` asks for every command, whoever
    /// wants it run.
    func arguments(of command: Command, by commands: CommandRunner) async throws(HostError) -> [String]

    /// Checks a condition that this tool tells (`Precondition.tool`).
    /// - Returns: the device mapper's uuid of the volume that the condition is about, by our uid, where it tells that:
    ///   actions that follow take the device for it, as after `HostAction.identify`, without one more question.
    /// - Throws: `preconditionFailed` where it does not hold or the tool cannot tell.
    func check(_ condition: Precondition, by commands: CommandRunner) async throws(HostError) -> [UID: String]
}

extension HostTool {
    /// For tools whose commands say everything themselves.
    package func arguments(of command: Command, by commands: CommandRunner) async throws(HostError) -> [String] {
        command.arguments
    }
}

/// A tool that makes volumes. The machine hands it the parts of actions that its commands alone do not say.
package protocol VolumeTool: HostTool {
    /// Where the machine's own settings have the tool look for volume groups.
    func outlook(by commands: CommandRunner) async throws(HostError) -> LVMOutlook

    /// Carries out `HostAction.activate`.
    /// - Parameter volumes: `GROUP/NAME`.
    func activate(_ volumes: [String], with command: Command, by commands: CommandRunner) async throws(HostError)

    /// Carries out `HostAction.identify`: the device mapper's uuid of each volume, or an error.
    func devices(
        of uids: [UID], in group: String, with command: Command, by commands: CommandRunner
    ) async throws(HostError) -> [UID: String]

    /// The device and the extents of a volume that holds them for a growth, as they are now.
    func extents(of holder: DevicePlace, by commands: CommandRunner) async throws(HostError) -> HeldExtents

    /// Makes several volumes of one group, each as `HostAction.makeVolume` does.
    /// - Returns: an outcome for each, in order. After one that failed none is begun.
    func make(_ volumes: [VolumeCreation], by commands: CommandRunner) async -> [SequenceOutcome]

    /// Makes up for what an earlier process that died left undone. A failure leaves it undone.
    func settleDebts(by commands: CommandRunner) async
}

/// The extents that a volume holds for the growth of another one.
package struct HeldExtents: Equatable, Sendable {
    /// The device of the volume, identified.
    package var device: DevicePlace
    /// As the tool takes them behind a command: `PV:FIRST-LAST`.
    package var ranges: [String]

    package init(device: DevicePlace, ranges: [String]) {
        self.device = device
        self.ranges = ranges
    }
}

/// One volume that is to be made, as `HostAction.makeVolume` says.
package struct VolumeCreation: Sendable {
    package var command: Command
    package var group: String
    package var uid: UID

    /// The volumes that these sequences make, where they make two or more in one group and do nothing else.
    package static func all(_ sequences: [[HostAction]]) -> [VolumeCreation]? {
        let found = sequences.compactMap { sequence -> VolumeCreation? in
            guard sequence.count == 1, case .makeVolume(let command, let group, let uid) = sequence[0],
                command.tool == ToolName.lvm.rawValue
            else { return nil }
            return VolumeCreation(command: command, group: group, uid: uid)
        }
        guard found.count > 1, found.count == sequences.count, Set(found.map(\.group)).count == 1 else { return nil }
        return found
    }
}

/// The tools that a program's machines have, filled where the program is put together. Each machine makes its own.
///
/// A machine refuses every command of a tool that nobody entered: without the driver's settings its reports could not
/// be believed.
package struct HostTools: Sendable {
    package var lvm: (@Sendable () -> any VolumeTool)?
    package var tgtadm: (@Sendable () -> any HostTool)?

    package init(lvm: (@Sendable () -> any VolumeTool)? = nil, tgtadm: (@Sendable () -> any HostTool)? = nil) {
        self.lvm = lvm
        self.tgtadm = tgtadm
    }
}

/// The tools of one machine.
struct MachineTools: Sendable {
    private let lvm: (any VolumeTool)?
    private let tgtadm: (any HostTool)?

    init(_ tools: HostTools) {
        lvm = tools.lvm?()
        tgtadm = tools.tgtadm?()
    }

    /// The tool that makes volumes; nil: nobody entered one.
    var volumes: (any VolumeTool)? { lvm }

    func tool(_ name: ToolName) throws(HostError) -> any HostTool {
        let tool: (any HostTool)? =
            switch name {
            case .lvm: lvm
            case .tgtadm: tgtadm
            }
        guard let tool else { throw Self.missing(name) }
        return tool
    }

    func volumeTool() throws(HostError) -> any VolumeTool {
        guard let lvm else { throw Self.missing(.lvm) }
        return lvm
    }

    private static func missing(_ name: ToolName) -> HostError {
        HostError(.refused, "This program was put together without a driver for \(name.rawValue), and does not run it")
    }
}
