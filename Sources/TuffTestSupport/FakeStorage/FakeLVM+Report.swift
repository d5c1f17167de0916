import TuffDrivers
import TuffHost
import TuffModel

/// Reports in LVM's own form, byte for byte as 2.03.16 was seen to print them.
extension FakeLVM {
    func report(_ arguments: [String], isOpen: (String, Volume) -> Bool) -> FakeResponse {
        let name = arguments.suffix(2).first == "--" ? arguments.last : nil
        precondition(arguments == LVMDriver.report(of: name).arguments, "FakeLVM does not know: lvm \(arguments)")
        let wanted = groups.filter { (name == nil || $0.name == name) && !$0.isHidden }
        if wanted.contains(where: \.isLocked) { return .hangs }
        // A name that stands for none or for several is refused, with an empty report.
        let refused = name != nil && wanted.count != 1
        let parts = refused ? [] : wanted.map { part($0, isOpen: isOpen) }
        let text = "  {\n      \"report\": [\n" + parts.joined(separator: "          ,\n") + "      ]\n  }\n"
        return .output(
            CommandOutput(
                status: refused ? Self.refused : 0, standardOutput: Array(text.utf8),
                standardError: refused ? "Cannot process volume group \(name ?? "")" : ""))
    }

    func nameReport(everything: Bool) -> String {
        let rows = groups.filter { everything || !$0.isHidden }.map {
            Self.row(LVMReportDecoder.nameColumns, [$0.name, $0.uuid])
        }
        return "  {\n      \"report\": [\n          {\n" + Self.section("vg", rows) + "          }\n      ]\n  }\n"
    }

    private func part(_ group: Group, isOpen: (String, Volume) -> Bool) -> String {
        let volumes = group.volumes.values.sorted { $0.name < $1.name }
        let pools: [[String]] = volumes.compactMap { volume in
            if volume.pool != nil, volume.name.hasPrefix("b-"), let own = thinIdentity(of: volume, in: group.name) {
                return [volume.uuid, "0", "", "-1", "thin", "\(own.device)", "\(own.transaction)"]
            }
            guard case .thinPool(_, let chunkSize) = volume.kind else { return nil }
            return [
                volume.uuid, "\(chunkSize.bytes)", volume.isMonitored ? "monitored" : "not monitored",
                volume.zeroesChunks ? "1" : "0", "thin-pool", "",
                "\(metadata["\(group.name)/\(volume.name)"]?.transaction ?? 0)",
            ]
        }
        let devices = deviceCells(group)
        let sections = [
            Self.section(
                "vg",
                [
                    Self.row(
                        LVMReportDecoder.groupColumns, Self.cells(group) + ["\(volumes.count)", "\(devices.count)"])
                ]),
            Self.section(
                "pv", devices.map { Self.row(LVMReportDecoder.deviceColumns, $0) }),
            Self.section(
                "lv",
                volumes.map {
                    Self.row(
                        LVMReportDecoder.volumeColumns,
                        Self.cells($0, group, used: used($0, in: group), isOpen: isOpen(group.name, $0)))
                }),
            Self.section("pvseg", []),
            Self.section("seg", pools.map { Self.row(LVMReportDecoder.segmentColumns, $0) }),
        ]
        return "          {\n" + sections.joined(separator: "              ,\n") + "          }\n"
    }

    private static func section(_ name: String, _ rows: [String]) -> String {
        let body = rows.isEmpty ? "" : rows.map { "                  \($0)" }.joined(separator: ",\n") + "\n"
        return "              \"\(name)\": [\n\(body)              ]\n"
    }

    private static func row(_ columns: [String], _ cells: [String]) -> String {
        "{" + zip(columns, cells).map { "\"\($0)\":\"\($1)\"" }.joined(separator: ", ") + "}"
    }

    private static func cells(_ group: Group) -> [String] {
        [
            group.name, group.uuid, "\(group.size.bytes)", "\(group.free.bytes)", "\(group.extentSize.bytes)",
            "\(group.missingDevices)", group.lockType, group.missingDevices > 0 ? "1" : "0",
            group.exported ? "1" : "0", "\(group.metadataAreaSize.bytes)", "\(group.metadataAreaFree.bytes)",
            group.tags.sorted().joined(separator: ","), group.systemID,
        ]
    }

    /// All that is free is on the first device. A group that was not made of devices of this world has one all the
    /// same.
    private func deviceCells(_ group: Group) -> [[String]] {
        let known = physicalVolumes(of: group)
        let devices = known.isEmpty ? [(uuid: "pv-\(group.uuid)", path: "")] : known
        return devices.enumerated().map { index, device in
            [
                device.uuid, index == 0 ? "\(group.free.bytes)" : "0", group.isClosed ? "0" : "1", "0", device.path,
            ]
        }
    }

    private static func cells(_ volume: Volume, _ group: Group, used: Double, isOpen: Bool) -> [String] {
        var layout = "linear"
        var pool = ""
        var origin = ""
        var metadataSize = ""
        var percents = ["", ""]
        var whenFull = ""
        switch volume.kind {
        case .linear: break
        case .copyOnWrite(let source):
            origin = source
            if volume.active { percents = [percent(volume.dataPercent), ""] }
        case .thin(let name, let source):
            layout = "thin,sparse"
            pool = name
            origin = source ?? ""
            if volume.active {
                percents = [percent(100 * Double(volume.mapped.bytes) / Double(volume.size.bytes)), ""]
            }
        case .thinPool(let size, _):
            layout = "thin,pool"
            metadataSize = "\(size.bytes)"
            whenFull = volume.whenFull
            if volume.active { percents = [percent(used), percent(volume.metadataPercent)] }
        }
        func flag(_ value: Bool) -> String { volume.active ? (value ? "1" : "0") : "-1" }
        var health = volume.health.isEmpty && group.missingDevices > 0 ? "partial" : volume.health
        if health.isEmpty, case .thinPool = volume.kind, volume.active, used >= 100 { health = "out_of_data" }
        return [
            volume.name, volume.uuid, "\(volume.size.bytes)", volume.tags.sorted().joined(separator: ","), layout,
            volume.active ? "1" : "0", flag(volume.suspended), flag(isOpen), pool, origin, percents[0], percents[1],
            metadataSize, health, volume.active ? "\(FakeLVM.major)" : "-1", volume.active ? "\(volume.minor)" : "-1",
            volume.profile ?? "", whenFull, whenFull.isEmpty ? "-1" : flag(volume.needsCheck),
            volume.isReadOnly ? "read-only" : volume.active ? "writeable" : "unknown", "",
        ]
    }

    /// Two decimals, as LVM prints them.
    private static func percent(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
