import Synchronization
import TuffHost
import TuffModel

/// Completes commands of LVM with what Tuff decides itself: `LVMSettings`, and which volumes are looked into.
///
/// With `devices/scan_lvs` LVM finds the groups that initiators make inside their disks. One of them that has the name
/// of a group of the host makes every command that names it fail, at boot too. Those who set it have groups on volumes
/// of other groups. So each command looks at ordinary devices alone, where the group that it names is there; and
/// elsewhere at no volume that may be an initiator's.
final class LVMHost: Sendable {
    static let tool = "lvm"
    /// lvm.conf(5), FILES.
    static let directory = "/etc/lvm"
    /// Groups upon volumes of groups upon volumes: how many times that is followed.
    static let levels = 4

    private struct Known {
        /// Nil: not read yet. An empty one within: a file cannot be read.
        var names: Set<String>??
        var look: (outlook: LVMOutlook, filter: LVMFilter)?
    }

    private let directory: String
    private let volumes: @Sendable () -> [LogicalVolumeDevice]
    private let known = Mutex(Known())

    /// - Parameter volumes: finds those that are active.
    init(
        directory: String, volumes: @escaping @Sendable () -> [LogicalVolumeDevice] = { LogicalVolumeDevice.all }
    ) {
        self.directory = directory
        self.volumes = volumes
    }

    /// The settings in the machine's files that Tuff sets otherwise or has to know. Nil: a file cannot be read.
    private var names: Set<String>? {
        known.withLock { known in
            if let names = known.names { return names }
            let names = LVMSettings.named(in: directory, among: ["scan_lvs"])
            known.names = .some(names)
            return names
        }
    }

    /// The machine's files set nothing that Tuff sets otherwise.
    var hasPlainFiles: Bool { names.map { $0.isEmpty } ?? false }

    /// Asked of LVM where its files say anything about it, and only once.
    func outlook(by commands: CommandRunner) async throws(HostError) -> LVMOutlook {
        try await look(commands).outlook
    }

    private func look(_ commands: CommandRunner) async throws(HostError) -> (outlook: LVMOutlook, filter: LVMFilter) {
        if let known = known.withLock({ $0.look }) { return known }
        var found = (outlook: LVMOutlook(), filter: LVMFilter(global: nil, local: nil))
        // Off where nobody sets it (LVM 2.03).
        if names?.contains("scan_lvs") ?? true {
            found.outlook.looksIntoVolumes = try await setting("scan_lvs", type: "full", commands: commands) == "1"
            if found.outlook.looksIntoVolumes {
                found.outlook.hasDevicesFile =
                    try await setting("use_devicesfile", type: "full", commands: commands) == "1"
                found.filter = LVMFilter(
                    global: try await setting("global_filter", type: "current", commands: commands),
                    local: try await setting("filter", type: "current", commands: commands))
            }
        }
        let look = found
        known.withLock { $0.look = look }
        return found
    }

    /// A setting as LVM itself reads the machine's files; nil: it is not set.
    private func setting(_ name: String, type: String, commands: CommandRunner) async throws(HostError) -> String? {
        let query = Command(
            Self.tool, ["lvmconfig", "--typeconfig", type, "devices/\(name)"], effect: .reads, deadline: 20)
        let output = try await commands.start(query, query.arguments)
        let text = String(decoding: output.standardOutput, as: UTF8.self)
        guard output.status == 0, text.hasPrefix("\(name)=") else { return nil }
        return String(text.dropFirst(name.count + 1).prefix { $0 != "\n" })
    }

    /// The arguments that the command is started with.
    func arguments(of command: Command, by commands: CommandRunner) async throws(HostError) -> [String] {
        let devices: String
        switch command.view {
        case .own:
            let into = try await looksIntoVolumes(for: command, commands)
            devices = into ? try await volumesOfNobody(commands) : Self.plain
        case .volumes: devices = try await volumesOfNobody(commands)
        case .everything: devices = try await everything(commands)
        }
        return LVMSettings.arguments(command.arguments, with: [devices])
    }

    private static let plain = "devices/scan_lvs=0"

    /// Into volumes as well: a person may just have taken the setting away by which LVM showed the group.
    private func everything(_ commands: CommandRunner) async throws(HostError) -> String {
        let isUsual = try await look(commands).outlook.looksIntoVolumes
        return try await settings(
            commands, LVMFilter(global: nil, local: nil), of: ["--foreign", "--shared"],
            beside: #"devices{use_devicesfile=0 filter="a|.*|" global_filter="a|.*|"} "#
        ) { isUsual ? !$0.isOurs : $0.isNobodys }
    }

    /// Tells whether the group that a command names is nowhere but in logical volumes, or may be.
    private func looksIntoVolumes(for command: Command, _ commands: CommandRunner) async throws(HostError) -> Bool {
        guard let name = command.arguments.drop(while: { $0 != "--" }).dropFirst().first,
            try await look(commands).outlook.looksIntoVolumes
        else { return false }
        let group = name.prefix { $0 != "/" }
        // A device by its path.
        guard !group.isEmpty else { return true }
        let query = Command(
            Self.tool, ["vgs", "--readonly", "--foreign", "--shared", "-o", "vg_name", "--", String(group)],
            effect: .reads, deadline: 20)
        return try await commands.start(query, LVMSettings.arguments(query.arguments, with: [Self.plain])).status != 0
    }

    // MARK: Volumes of nobody

    /// A volume, and who has it.
    private struct Use {
        /// `MAJOR:MINOR`; nil: the volume is not active.
        let device: String?
        /// Bears a mark of Tuff's.
        let isOurs: Bool
        private let isOpen: Bool

        static let columns: [LVMColumn] = [.volumeTags, .kernelMajor, .kernelMinor, .volumeOpen]

        init(_ row: LVMRow) {
            let major = row[.kernelMajor], minor = row[.kernelMinor]
            device = Int(major) ?? -1 >= 0 && Int(minor) ?? -1 >= 0 ? "\(major):\(minor)" : nil
            isOurs = row.tags().contains { $0.hasPrefix("tuff") }
            isOpen = row[.volumeOpen] == "open"
        }

        /// Bears none, and nobody but another device of the device mapper has it open: exporters hold it open.
        var isNobodys: Bool {
            guard !isOurs, let device else { return false }
            guard isOpen else { return true }
            return LogicalVolumeDevice.hasHolders(device)
        }
    }

    /// The settings under which LVM looks into volumes, and into none that may be an initiator's. Found anew each time,
    /// since Tuff exports volumes meanwhile: level by level, so that what is not known to be nobody's is not looked
    /// into either.
    private func volumesOfNobody(_ commands: CommandRunner) async throws(HostError) -> String {
        let (outlook, filter) = try await look(commands)
        guard outlook.looksIntoVolumes else { return Self.plain }
        // LVM takes no filter beside it, and it lists each volume that may be looked into by a person's word.
        guard !outlook.hasDevicesFile else { return "devices/scan_lvs=1" }
        return try await settings(commands, filter) { $0.isNobodys }
    }

    /// - Parameters:
    ///   - groups: options of `lvs` for groups that it does not show otherwise.
    ///   - others: settings that stand before these.
    private func settings(
        _ commands: CommandRunner, _ filter: LVMFilter, of groups: [String] = [], beside others: String = "",
        where isLookedInto: (Use) -> Bool
    ) async throws(HostError) -> String {
        let query = LVMQuery(.lvs, Use.columns, of: groups, deadline: 20, outputLimit: 32 << 20)
        var settings = others + Self.plain
        var found: Set<String>?
        for _ in 0..<Self.levels {
            let output = try await commands.start(
                query.command, LVMSettings.arguments(query.command.arguments, with: [settings]))
            guard let rows = query.rows(in: output) else {
                throw HostError(
                    .malformed, "\(query.name) did not tell which volumes are in use",
                    subject: query.command.description)
            }
            let now = Set(rows.map { Use($0) }.filter(isLookedInto).compactMap(\.device))
            if now == found { break }
            found = now
            settings = others + (try filter.settings(passingOver: volumes().filter { !now.contains($0.number) }))
        }
        return settings
    }
}
