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
        let cells = Cells(raw.groups[0], LVMReportDecoder.groupColumns, of: "volume group \(name)")
        let size = try cells.size(2)
        let free = try cells.size(3)
        let extentSize = try cells.size(4)
        guard free <= size, extentSize > .zero else {
            throw LVMReportDecoder.contradiction("volume group \(name) has more free than it holds, or empty extents")
        }
        let devices = try physicalVolumes()
        let volumes = try logicalVolumes()
        try demandCount(devices.uuids.count, is: try cells.count(14), "physical")
        // LVM counts those that it shows without being asked for all.
        try demandCount(volumes.seen.count, is: try cells.count(13), "logical")
        guard devices.free == free else {
            throw LVMReportDecoder.contradiction(
                "\(free) of volume group \(name) are free and \(devices.free) of its physical volumes")
        }
        var group = VolumeGroup(
            name: name, uuid: uuid, size: size, free: devices.allocatable,
            unallocatable: free > devices.allocatable ? free - devices.allocatable : nil,
            extentSize: extentSize,
            missingDevices: try cells.count(5), lockType: try cells.text(6), partial: try cells.flag(7) == true,
            exported: try cells.flag(8) == true, metadataAreaSize: try cells.size(9),
            metadataAreaFree: try cells.size(10), tags: try tags(try cells.text(11), of: name),
            systemID: try cells.optional(12), physicalVolumes: devices.uuids, logicalVolumes: volumes.seen,
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
            let cells = Cells(row, LVMReportDecoder.deviceColumns, of: "a physical volume of \(name)")
            let free = try cells.size(1)
            let takes = try cells.flag(2) == true
            let isMissing = try cells.flag(3) != false
            found.uuids.append(try cells.nonEmpty(0))
            // The name of one that is missing is `[unknown]`.
            let path = try cells.text(4)
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
            if Self.isHidden(row[0] ?? "") { hidden.append(volume) } else { volumes.append(volume) }
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
        _ row: LVMRawEntry.Row, _ pieces: [String: ThinPoolPiece], numbers: [String: ThinIdentity]
    ) throws(HostError) -> LogicalVolume {
        let volumeName = row[0] ?? "(without a name)"
        let cells = Cells(row, LVMReportDecoder.volumeColumns, of: "\(name)/\(volumeName)")
        guard let active = try cells.flag(5) else {
            // `-1` under --binary: LVM was asked without device-mapper, or could not reach it.
            throw HostError(.failed, "LVM cannot tell whether \(name)/\(volumeName) is active")
        }
        let volumeUUID = try cells.nonEmpty(1)
        let layout = Self.layout(try cells.text(4))
        let pool = try cells.optional(8), origin = try cells.optional(9)
        // `pool_lv` is a cache's pool or volume as well, and VDO's pool; only thin volumes are in a thin pool.
        let isThin = layout == .thin
        var volume = LogicalVolume(
            name: Self.bare(try cells.nonEmpty(0)), uuid: volumeUUID, size: try cells.size(2),
            tags: try tags(try cells.text(3), of: "\(name)/\(volumeName)"), layout: layout, active: active,
            suspended: try cells.flag(6) == true,
            open: try cells.flag(7) == true, pool: isThin ? pool : nil,
            origin: origin.flatMap { Self.isHidden($0) ? nil : $0 },
            dataPercent: try cells.percent(10), metadataPercent: try cells.percent(11),
            metadataSize: try cells.optionalSize(12), chunkSize: pieces[volumeUUID]?.chunkSize,
            health: try cells.text(13), profile: try cells.optional(16), whenFull: try cells.optional(17),
            needsCheck: try cells.flag(18) == true, isMonitored: pieces[volumeUUID]?.isMonitored,
            zeroesChunks: pieces[volumeUUID]?.zeroesChunks, device: try cells.device(14, 15))
        volume.thinIdentity = isThin ? numbers[volumeUUID] : nil
        volume.permission = Self.permission(try cells.text(19))
        volume.parent = try cells.optional(20).map(Self.bare)
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
    private func thinPools(_ rows: [LVMRawEntry.Row]) throws(HostError) -> [String: ThinPoolPiece] {
        var result: [String: ThinPoolPiece] = [:]
        for row in rows where row[4] != Self.thin {
            let cells = Cells(row, LVMReportDecoder.segmentColumns, of: "a segment of \(name)")
            for column in 4...6 { _ = try cells.text(column) }
            guard let zeroesChunks = try cells.flag(3) else {
                throw HostError(.malformed, "LVM cannot tell whether a thin pool of \(name) zeroes new chunks")
            }
            // A text for people, and the only one there is; what it says is only ever told, and asked for once more.
            let piece = ThinPoolPiece(
                chunkSize: try cells.size(1), isMonitored: try cells.text(2) == "monitored",
                zeroesChunks: zeroesChunks)
            guard result.updateValue(piece, forKey: try cells.nonEmpty(0)) == nil else {
                throw LVMReportDecoder.contradiction("a thin pool of \(name) has two segments")
            }
        }
        return result
    }

    /// `segtype` of thin volumes.
    private static let thin = "thin"

    /// The numbers of thin volumes in their pools, as far as they were asked for, by uuid.
    private func thinNumbers(_ rows: [LVMRawEntry.Row]) throws(HostError) -> [String: ThinIdentity] {
        var result: [String: ThinIdentity] = [:]
        for row in rows where row[4] == Self.thin {
            let cells = Cells(row, LVMReportDecoder.segmentColumns, of: "a segment of \(name)")
            let uuid = try cells.nonEmpty(0)
            guard let device = UInt32(exactly: try cells.count(5)) else {
                throw LVMReportDecoder.contradiction("a thin volume of \(name) has no number")
            }
            let identity = ThinIdentity(uuid: uuid, device: device, transaction: UInt64(try cells.count(6)))
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

/// The cells of one row, read as what LVM means by them. All are texts; an absent one is an error.
private struct Cells {
    private let row: LVMRawEntry.Row
    private let columns: [String]
    private let subject: String

    init(_ row: LVMRawEntry.Row, _ columns: [String], of subject: String) {
        self.row = row
        self.columns = columns
        self.subject = subject
    }

    func text(_ index: Int) throws(HostError) -> String {
        guard let text = row[index] else {
            throw HostError(.malformed, "the report of lvm lacks \(columns[index]) of \(subject)")
        }
        return text
    }

    func nonEmpty(_ index: Int) throws(HostError) -> String {
        let text = try text(index)
        guard !text.isEmpty else { throw unreadable(index, text) }
        return text
    }

    func optional(_ index: Int) throws(HostError) -> String? {
        let text = try text(index)
        return text.isEmpty ? nil : text
    }

    func size(_ index: Int) throws(HostError) -> ByteCount { ByteCount(try number(index, try text(index))) }

    func optionalSize(_ index: Int) throws(HostError) -> ByteCount? {
        guard let text = try optional(index) else { return nil }
        return ByteCount(try number(index, text))
    }

    func count(_ index: Int) throws(HostError) -> Int { Int(try number(index, try text(index))) }

    /// A column under `--binary`: nil where LVM says `-1`, undefined.
    func flag(_ index: Int) throws(HostError) -> Bool? {
        let text = try text(index)
        switch text {
        case "1": return true
        case "0": return false
        case "-1": return nil
        default: throw unreadable(index, text)
        }
    }

    func percent(_ index: Int) throws(HostError) -> Double? {
        guard let text = try optional(index) else { return nil }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2e }), let value = Double(text),
            value <= 100
        else { throw unreadable(index, text) }
        return value
    }

    /// A device's major and minor number: nil where LVM says `-1`, as it does of what is inactive.
    func device(_ major: Int, _ minor: Int) throws(HostError) -> DeviceNumber? {
        if try text(major) == "-1", try text(minor) == "-1" { return nil }
        return DeviceNumber(major: try count(major), minor: try count(minor))
    }

    private func number(_ index: Int, _ text: String) throws(HostError) -> Int64 {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int64(text) else {
            throw unreadable(index, text)
        }
        return value
    }

    private func unreadable(_ index: Int, _ text: String) -> HostError {
        HostError(.malformed, "the report of lvm gives '\(text.prefix(80))' as \(columns[index]) of \(subject)")
    }
}
