import TuffModel

/// One volume group's part of a report, being made into the model's records. Every error names the group and the cell.
struct LVMReportGroup {
    private let raw: LVMRawEntry
    private let name: String
    private let uuid: String

    init(_ raw: LVMRawEntry, name: String, uuid: String) {
        self.raw = raw
        self.name = name
        self.uuid = uuid
    }

    func volumeGroup() throws(HostError) -> VolumeGroup {
        let cells = LVMReportCells(raw.groups[0], of: "volume group \(name)")
        let size = try cells.size(.size)
        let free = try cells.size(.free)
        let extentSize = try cells.size(.extentSize)
        guard free <= size, extentSize > .zero else {
            throw LVMReportDecoder.contradiction("volume group \(name) has more free than it holds, or empty extents")
        }
        let devices = try physicalVolumes()
        let volumes = try logicalVolumes()
        try demandCount(devices.uuids.count, is: try cells.count(.deviceCount), "physical")
        // LVM counts those that it shows without being asked for all.
        try demandCount(volumes.seen.count, is: try cells.count(.volumeCount), "logical")
        guard devices.free == free else {
            throw LVMReportDecoder.contradiction(
                "\(free) of volume group \(name) are free and \(devices.free) of its physical volumes")
        }
        var group = VolumeGroup(
            name: name, uuid: uuid, size: size, free: devices.allocatable,
            unallocatable: free > devices.allocatable ? free - devices.allocatable : nil,
            extentSize: extentSize,
            missingDevices: try cells.count(.missingDevices), lockType: try cells.text(.lockType),
            partial: try cells.flag(.partial) == true,
            exported: try cells.flag(.exported) == true, metadataAreaSize: try cells.size(.metadataSize),
            metadataAreaFree: try cells.size(.metadataFree), tags: try tags(try cells.text(.tags), of: name),
            systemID: try cells.optional(.systemID), physicalVolumes: devices.uuids, logicalVolumes: volumes.seen,
            hiddenVolumes: volumes.hidden)
        group.devicePaths = devices.paths.sorted()
        return group
    }

    private func demandCount(_ found: Int, is said: Int, _ what: String) throws(HostError) {
        guard found == said else {
            throw LVMReportDecoder.contradiction(
                "volume group \(name) has \(said) \(what) volumes by its own word, and \(found) are listed")
        }
    }

    /// By bytes: finding the characters of a thousand volumes' tags costs more than all the rest.
    ///
    /// lvm(8), VALID NAMES, has the characters of a tag. Anything else, `;` above all, is no tag but several that were
    /// joined by something that we do not know, and read as one it would be no mark of ours.
    private func tags(_ text: String, of subject: String) throws(HostError) -> [String] {
        guard text.utf8.allSatisfy(Self.isTagCharacter) else {
            throw LVMReportDecoder.contradiction(
                "the tags of \(subject) are '\(text.prefix(200))', which LVM takes for none")
        }
        return text.utf8.split(separator: UInt8(ascii: ",")).map { String(Substring($0)) }
    }

    private static func isTagCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "_+.-/=!:&#,".utf8.contains(byte)
        }
    }

    private struct Devices {
        var uuids: [String] = []
        var paths: [String] = []
        var free = ByteCount.zero
        /// Free on those that are there and from which LVM allocates: pvchange(8), `--allocatable`.
        var allocatable = ByteCount.zero
    }

    private func physicalVolumes() throws(HostError) -> Devices {
        guard let rows = raw.devices else {
            throw LVMReportDecoder.contradiction("the physical volumes of group \(name) are missing")
        }
        var found = Devices()
        for row in rows {
            let cells = LVMReportCells(row, of: "a physical volume of \(name)")
            let free = try cells.size(.free)
            let takes = try cells.flag(.allocatable) == true
            let isMissing = try cells.flag(.missing) != false
            found.uuids.append(try cells.nonEmpty(.uuid))
            // The name of one that is missing is `[unknown]`.
            let path = try cells.text(.name)
            if path.hasPrefix("/") { found.paths.append(path) }
            found.free += free
            if takes, !isMissing { found.allocatable += free }
        }
        found.uuids.sort()
        return found
    }

    private func logicalVolumes() throws(HostError) -> (seen: [LogicalVolume], hidden: [LogicalVolume]) {
        guard let rows = raw.volumes, let segments = raw.segments else {
            throw LVMReportDecoder.contradiction("the logical volumes or segments of group \(name) are missing")
        }
        let pieces = try thinPools(segments), numbers = try thinNumbers(segments)
        var names: Set<String> = []
        var uuids: Set<String> = []
        var pools: Set<String> = []
        var volumes: [LogicalVolume] = []
        var hidden: [LogicalVolume] = []
        volumes.reserveCapacity(rows.count)
        for row in rows {
            let volume = try logicalVolume(row, pieces, numbers: numbers)
            guard names.insert(volume.name).inserted else {
                throw LVMReportDecoder.contradiction("\(name)/\(volume.name) is listed twice")
            }
            guard uuids.insert(volume.uuid).inserted else {
                throw LVMReportDecoder.contradiction("two logical volumes of \(name) have uuid \(volume.uuid)")
            }
            if volume.layout == .thinPool { pools.insert(volume.name) }
            if Self.isHidden(row[.name] ?? "") { hidden.append(volume) } else { volumes.append(volume) }
        }
        for volume in volumes where volume.layout == .thin {
            guard let pool = volume.pool, pools.contains(pool) else {
                throw LVMReportDecoder.contradiction("\(name)/\(volume.name) is thin and its thin pool is not listed")
            }
        }
        return (volumes.sorted { $0.name < $1.name }, hidden.sorted { $0.name < $1.name })
    }

    private static func isHidden(_ name: String) -> Bool { name.hasPrefix("[") && name.hasSuffix("]") }

    /// A name without the brackets around that of a hidden volume.
    private static func bare(_ name: String) -> String { isHidden(name) ? String(name.dropFirst().dropLast()) : name }

    private func logicalVolume(
        _ row: LVMReportRow<LVMVolumeColumn>, _ pieces: [String: ThinPoolPiece], numbers: [String: ThinIdentity]
    ) throws(HostError) -> LogicalVolume {
        let volumeName = row[.name] ?? "(without a name)"
        let cells = LVMReportCells(row, of: "\(name)/\(volumeName)")
        guard let active = try cells.flag(.active) else {
            // `-1` under --binary: LVM was asked without device-mapper, or could not reach it.
            throw HostError(.failed, "LVM cannot tell whether \(name)/\(volumeName) is active")
        }
        let volumeUUID = try cells.nonEmpty(.uuid)
        let layout = Self.layout(try cells.text(.layout))
        let pool = try cells.optional(.pool), origin = try cells.optional(.origin)
        // `pool_lv` is a cache's pool or volume as well, and VDO's pool; only thin volumes are in a thin pool.
        let isThin = layout == .thin
        var volume = LogicalVolume(
            name: Self.bare(try cells.nonEmpty(.name)), uuid: volumeUUID, size: try cells.size(.size),
            tags: try tags(try cells.text(.tags), of: "\(name)/\(volumeName)"), layout: layout, active: active,
            suspended: try cells.flag(.suspended) == true,
            open: try cells.flag(.open) == true, pool: isThin ? pool : nil,
            origin: origin.flatMap { Self.isHidden($0) ? nil : $0 },
            dataPercent: try cells.percent(.dataPercent), metadataPercent: try cells.percent(.metadataPercent),
            metadataSize: try cells.optionalSize(.metadataSize), chunkSize: pieces[volumeUUID]?.chunkSize,
            health: try cells.text(.health), profile: try cells.optional(.profile),
            whenFull: try cells.optional(.whenFull),
            needsCheck: try cells.flag(.needsCheck) == true, isMonitored: pieces[volumeUUID]?.isMonitored,
            zeroesChunks: pieces[volumeUUID]?.zeroesChunks, device: try cells.device(.kernelMajor, .kernelMinor))
        volume.thinIdentity = isThin ? numbers[volumeUUID] : nil
        volume.permission = Self.permission(try cells.text(.permissions))
        volume.parent = try cells.optional(.parent).map(Self.bare)
        volume.parts = [isThin ? nil : pool, origin.flatMap { Self.isHidden($0) ? $0 : nil }].compactMap { $0 }.map(
            Self.bare)
        return volume
    }

    /// `unknown` is what LVM says of a volume without a device that its metadata let be written (measured).
    private static func permission(_ text: String) -> LogicalVolume.Permission {
        switch text {
        case "read-only": .readOnly
        case "read-only-override": .overridden
        default: .writable
        }
    }

    private struct ThinPoolPiece {
        var chunkSize: ByteCount
        var isMonitored: Bool
        var zeroesChunks: Bool
    }

    /// Facts that only segments tell, by the uuid of the thin pool.
    private func thinPools(_ rows: [LVMReportRow<LVMSegmentColumn>]) throws(HostError) -> [String: ThinPoolPiece] {
        var result: [String: ThinPoolPiece] = [:]
        for row in rows where row[.type] != Self.thin {
            let cells = LVMReportCells(row, of: "a segment of \(name)")
            for column in [LVMSegmentColumn.type, .thinID, .transactionID] { _ = try cells.text(column) }
            guard let zeroesChunks = try cells.flag(.zero) else {
                throw HostError(.malformed, "LVM cannot tell whether a thin pool of \(name) zeroes new chunks")
            }
            // A text for people, and the only one there is; what it says is only ever told, and asked for once more.
            let piece = ThinPoolPiece(
                chunkSize: try cells.size(.chunkSize), isMonitored: try cells.text(.monitor) == "monitored",
                zeroesChunks: zeroesChunks)
            guard result.updateValue(piece, forKey: try cells.nonEmpty(.volumeUUID)) == nil else {
                throw LVMReportDecoder.contradiction("a thin pool of \(name) has two segments")
            }
        }
        return result
    }

    /// `segtype` of thin volumes.
    private static let thin = "thin"

    /// The numbers of thin volumes in their pools, as far as they were asked for, by uuid.
    private func thinNumbers(_ rows: [LVMReportRow<LVMSegmentColumn>]) throws(HostError) -> [String: ThinIdentity] {
        var result: [String: ThinIdentity] = [:]
        for row in rows where row[.type] == Self.thin {
            let cells = LVMReportCells(row, of: "a segment of \(name)")
            let uuid = try cells.nonEmpty(.volumeUUID)
            guard let device = UInt32(exactly: try cells.count(.thinID)) else {
                throw LVMReportDecoder.contradiction("a thin volume of \(name) has no number")
            }
            let identity = ThinIdentity(
                uuid: uuid, device: device, transaction: UInt64(try cells.count(.transactionID)))
            guard result.updateValue(identity, forKey: uuid) == nil else {
                throw LVMReportDecoder.contradiction("a thin volume of \(name) has two segments")
            }
        }
        return result
    }

    /// `lv_layout` is a set of words: `thin,pool`, `thin,sparse`, `linear`, `linear,striped`, `raid,raid5,raid5_ls`, …
    private static func layout(_ text: String) -> LogicalVolume.Layout {
        if text == "thin,sparse" { return .thin }
        if text == "linear" { return .linear }
        let words = text.split(separator: ",")
        let isPool = words.contains("pool")
        if words.contains("thin") { return isPool ? .thinPool : .thin }
        if words.contains("cachevol") || (isPool && words.contains("cache")) { return .cachePool }
        if words.contains("vdo") { return isPool ? .vdoPool : .vdo }
        let others: [(Substring, LogicalVolume.Layout)] = [
            ("cache", .cache), ("writecache", .writecache), ("integrity", .integrity), ("mirror", .mirror),
            ("raid10", .raid10), ("raid0", .raid0), ("raid0_meta", .raid0), ("raid1", .raid1), ("raid4", .raid4),
            ("raid5", .raid5), ("raid6", .raid6), ("striped", .striped),
        ]
        return others.first { words.contains($0.0) }?.1 ?? .other
    }
}
