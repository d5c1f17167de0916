import TuffHost
package import TuffModel

/// Devices, and how pools are made of them, as LVM 2.03.16 was seen to do it.
extension FakeLVM {
    /// A block device that is no logical volume.
    package struct Device: Equatable, Sendable {
        package var number: DeviceNumber
        package var size: ByteCount
        package var signatures: [DeviceSignature] = []
        package var firstData: Int64?
        package var isInUse = false
        package var isReadOnly = false
        /// Bytes of a logical sector.
        package var sectorSize = 512
        /// Uuid of the group whose physical volume it is.
        package var group: String?
        /// Stands for its bytes, as `Volume.content` does.
        package var content: UInt64

        package var isBlank: Bool { signatures.isEmpty && firstData == nil }
    }

    /// A disk is plugged in: blank, or with what `change` puts on it.
    package mutating func plugIn(
        _ path: String, size: ByteCount = ByteCount(8 << 30), _ change: (inout Device) -> Void = { _ in }
    ) {
        let number = Int(mint())
        var device = Device(
            number: DeviceNumber(major: 8, minor: number), size: size, content: UInt64(number))
        change(&device)
        devices[path] = device
    }

    /// Somebody writes to a blank device.
    package mutating func putData(on path: String) {
        guard devices[path]?.isBlank == true else { return }
        let content = mint()
        devices[path]?.firstData = 1 << 20
        devices[path]?.content = content
    }

    /// The answer to a look at a device.
    func look(at path: String) throws(HostError) -> CandidateDevice {
        guard let device = devices[path] else { throw HostError(.notFound, "\(path) does not exist") }
        return CandidateDevice(
            path: path, node: path, number: device.number, size: device.size, isReadOnly: device.isReadOnly,
            isInUse: device.isInUse || device.group.map(hasActiveVolume) == true, signatures: device.signatures,
            firstData: device.firstData)
    }

    private func hasActiveVolume(_ uuid: String) -> Bool {
        groups.contains { $0.uuid == uuid && $0.volumes.values.contains(where: \.active) }
    }

    /// Uuids and paths of the physical volumes of a group.
    func physicalVolumes(of group: Group) -> [(uuid: String, path: String)] {
        devices.filter { $0.value.group == group.uuid }.compactMap { path, device in
            device.signatures.first?.uuid.map { ($0, path) }
        }.sorted { $0.0 < $1.0 }
    }

    /// `blockdev --getss DEVICE…`
    func sectorSizes(_ arguments: [String]) -> CommandOutput {
        precondition(arguments.first == "--getss", "FakeLVM does not know: blockdev \(arguments)")
        let found = arguments.dropFirst().map { devices[$0]?.sectorSize }
        guard !found.contains(nil) else { return CommandOutput(status: 1, standardOutput: []) }
        return CommandOutput(
            status: 0, standardOutput: found.flatMap { Array("\($0 ?? 0)\n".utf8) })
    }

    /// `-qq` without `--yes`: every question is answered with no.
    mutating func makePhysicalVolume(_ options: Options, _ operands: [String]) throws(CommandRefusal) {
        precondition(
            operands.count == 1 && options["--yes"] == nil && options["--norestorefile"] != nil,
            "FakeLVM knows pvcreate of one device, with a uuid and without --yes: \(options) \(operands)")
        try label(operands[0], uuid: options["--uuid"]?.last ?? "")
    }

    private mutating func label(_ path: String, uuid: String) throws(CommandRefusal) {
        guard let device = devices[path] else {
            throw CommandRefusal(status: Self.refused, sentence: "No device found for \(path).")
        }
        guard !device.isInUse, !device.isReadOnly, device.group == nil else {
            throw CommandRefusal(
                status: Self.refused, sentence: "Can't open \(path) exclusively.  Mounted filesystem?")
        }
        if let first = device.signatures.first, first.type != DeviceSignature.physicalVolume {
            throw CommandRefusal(
                status: Self.refused,
                sentence: "WARNING: \(first.type) signature detected on \(path). Wipe it? [y/n]: [n]")
        }
        let content = mint()
        devices[path]?.signatures = [
            DeviceSignature(type: DeviceSignature.physicalVolume, offset: 536, uuid: uuid)
        ]
        devices[path]?.firstData = 512
        devices[path]?.content = content
    }

    mutating func makeGroup(_ options: Options, _ operands: [String]) throws(CommandRefusal) {
        precondition(
            operands.count > 1 && options["--yes"] == nil && options["--physicalextentsize"] == ["4194304b"],
            "FakeLVM knows vgcreate with extents of 4 MiB and without --yes: \(options) \(operands)")
        let name = operands[0], paths = operands.dropFirst()
        guard self[name] == nil else {
            throw CommandRefusal(
                status: Self.refused, sentence: "A volume group called \(name) already exists.")
        }
        try Self.check(name: name, tags: options["--addtag"] ?? [])
        for path in paths where devices[path]?.group != nil {
            throw CommandRefusal(
                status: Self.refused, sentence: "Physical volume '\(path)' is already in another volume group")
        }
        // What is no physical volume yet is made one, by the same rules.
        for path in paths where devices[path]?.signatures.first?.type != DeviceSignature.physicalVolume {
            let uuid = mintUUID()
            try label(path, uuid: uuid)
        }
        let extent: Int64 = 4 << 20
        let extents = paths.reduce(Int64(0)) { $0 + ((devices[$1]?.size.bytes ?? 0) - (17 << 20)) / extent }
        addGroup(name, size: ByteCount(extents * extent))
        self[name]?.tags = options["--addtag"] ?? []
        let uuid = self[name]?.uuid
        for path in paths { devices[path]?.group = uuid }
    }

    mutating func makeThinPool(
        _ name: String, options: Options, operands: [String]
    ) throws(CommandRefusal) {
        func value(_ option: String) throws(CommandRefusal) -> ByteCount {
            try Self.size(options[option]?.last ?? "")
        }
        precondition(
            operands.count == 1 && options["--zero"] == ["y"] && options["--poolmetadataspare"] == ["y"]
                && options["--config"]?.count == 1,
            "FakeLVM only knows thin pools with zeroing, a spare and a word about being full: \(options) \(operands)")
        try complete(try writable(operands[0]))
        do {
            try addThinPool(
                name, in: operands[0], size: try value("--size"), metadataSize: try value("--poolmetadatasize"),
                chunkSize: try value("--chunksize"))
        } catch let refusal as Refusal {
            throw CommandRefusal(status: Self.refused, sentence: refusal.sentence)
        } catch {
            throw CommandRefusal(status: Self.badArguments, sentence: "\(error)")
        }
        self[operands[0], name]?.whenFull = options["--config"] == ["activation/error_when_full=1"] ? "error" : "queue"
        self[operands[0], name]?.profile = options["--metadataprofile"]?.last
    }

    /// `lvchange` of a thin pool's profile or of its monitoring.
    mutating func watch(_ options: Options, _ operands: [String]) throws(CommandRefusal) {
        guard let (group, volume) = try selected(options, operands) else { return }
        if let profile = options["--metadataprofile"]?.last { self[group, volume.name]?.profile = profile }
        if options["--detachprofile"] != nil { self[group, volume.name]?.profile = nil }
        if let monitor = options["--monitor"]?.last { self[group, volume.name]?.isMonitored = monitor == "y" }
    }

    /// `vgchange` of tags.
    mutating func relabelGroup(_ options: Options, _ operands: [String]) throws(CommandRefusal) {
        precondition(operands.count == 1, "FakeLVM changes one group at a time: \(operands)")
        let group = try writable(operands[0])
        let removed = Set(options["--deltag"] ?? [])
        self[group.name]?.tags = group.tags.filter { !removed.contains($0) } + (options["--addtag"] ?? [])
    }
}

extension FakeWorld {
    /// Read without the newline at the end.
    func profileEntries() -> [TreeEntry] {
        profiles.sorted { $0.key < $1.key }.map { name, text in
            TreeEntry(path: name, kind: .file, text: text.hasSuffix("\n") ? String(text.dropLast()) : text)
        }
    }

    /// The conditions on devices and groups, as the machine's interpreter asks them.
    func holds(_ condition: Precondition) -> Bool {
        switch condition {
        case .blankDevice(let expected):
            guard let found = try? lvm.look(at: expected.path) else { return false }
            return found.isBlank && found.number == expected.number && found.size == expected.size
        case .physicalVolume(let path, let uuid):
            guard let found = try? lvm.look(at: path) else { return false }
            return found.physicalVolume == uuid && !found.isInUse && !found.isReadOnly
        case .volumeGroup(let name, let uuid, let tags):
            guard let group = lvm[name] else { return false }
            return (uuid == nil || group.uuid == uuid) && tags.allSatisfy(group.tags.contains)
        case .thinPool(let group, let name):
            guard case .thinPool = lvm[group, name]?.kind else { return false }
            return true
        default: preconditionFailure("no condition on devices or groups: \(condition.sentence)")
        }
    }
}
