package import TuffModel

/// Reads what `lvm fullreport --reportformat json --binary --units b --nosuffix` prints for the columns below.
///
/// A report is not evidence merely because it is JSON. What cannot be attributed to one volume group (broken syntax, a
/// group without a name) makes the whole report an error; what is wrong within one group, or between two, makes those
/// groups unknown and leaves the others known. Percentages are empty for inactive volumes and read nil.
///
/// The names of volumes that LVM hides stand in brackets (`report/mark_hidden_devices`).
package enum LVMReportDecoder {
    package static let groupColumns = LVMGroupColumn.titles
    package static let volumeColumns = LVMVolumeColumn.titles
    package static let deviceColumns = LVMDeviceColumn.titles
    package static let segmentColumns = LVMSegmentColumn.titles
    package static let nameColumns = [LVMGroupColumn.name.title, LVMGroupColumn.uuid.title]

    /// Most bytes of a report: some 80,000 logical volumes.
    package static let maximumSize = 32 << 20

    /// The groups of a report by name. Throws `malformed` when the report cannot be believed as a whole.
    package static func decode(_ bytes: [UInt8]) throws(HostError) -> [String: Observation<VolumeGroup>] {
        var result: [String: Observation<VolumeGroup>] = [:]
        var nameOfUUID: [String: String] = [:]
        for raw in try entries(bytes) {
            let (name, uuid) = try identity(of: raw)
            if result[name] != nil {
                result[name] = .unknown(
                    contradiction("two volume groups are named \(name); LVM wants one of them renamed by its uuid"))
                continue
            }
            if let other = nameOfUUID.updateValue(name, forKey: uuid) {
                let error = contradiction("volume groups \(other) and \(name) have the same uuid \(uuid)")
                result[other] = .unknown(error)
                result[name] = .unknown(error)
                continue
            }
            do {
                result[name] = .known(try LVMReportGroup(raw, name: name, uuid: uuid).volumeGroup())
            } catch {
                result[name] = .unknown(error)
            }
        }
        return result
    }

    /// The names in the output of `lvm vgs` with `nameColumns`, sorted; a name that occurs twice is given once.
    package static func decodeNames(_ bytes: [UInt8]) throws(HostError) -> [String] {
        var names: Set<String> = []
        for raw in try entries(bytes) {
            for row in raw.groups {
                guard let name = row[.name], !name.isEmpty else { throw contradiction("a volume group has no name") }
                names.insert(name)
            }
        }
        return names.sorted()
    }

    static func contradiction(_ sentence: String) -> HostError {
        HostError(.malformed, "the report of lvm contradicts itself: \(sentence)")
    }

    private static func identity(of raw: LVMRawEntry) throws(HostError) -> (name: String, uuid: String) {
        guard raw.groups.count == 1, let name = raw.groups[0][.name], let uuid = raw.groups[0][.uuid], !name.isEmpty,
            !uuid.isEmpty
        else { throw contradiction("one of its parts does not say which volume group it is about") }
        return (name, uuid)
    }

    /// The parts of the report that speak of a volume group. Physical volumes in no group make a part without one.
    private static func entries(_ bytes: [UInt8]) throws(HostError) -> [LVMRawEntry] {
        guard bytes.count <= maximumSize else {
            throw HostError(.malformed, "the report of lvm is larger than \(ByteCount(Int64(maximumSize)))")
        }
        do throws(JSONScanner.Malformed) {
            var scanner = JSONScanner(bytes)
            var entries: [LVMRawEntry]?
            try scanner.object { (scanner, key) throws(JSONScanner.Malformed) in
                guard key == "report" else { return try scanner.skipValue() }
                guard entries == nil else { throw scanner.malformed("it holds two reports") }
                var found: [LVMRawEntry] = []
                try scanner.array { (scanner) throws(JSONScanner.Malformed) in
                    let entry = try LVMRawEntry(&scanner)
                    if entry.aboutGroup { found.append(entry) }
                }
                entries = found
            }
            try scanner.end()
            guard let entries else { throw scanner.malformed("it holds no report") }
            return entries
        } catch {
            throw HostError(
                .malformed, "the report of lvm cannot be read", cause: "\(error.sentence) (byte \(error.offset))")
        }
    }
}

/// One part of a report as it was read.
struct LVMRawEntry {
    var groups: [LVMReportRow<LVMGroupColumn>] = []
    var devices: [LVMReportRow<LVMDeviceColumn>]?
    var volumes: [LVMReportRow<LVMVolumeColumn>]?
    var segments: [LVMReportRow<LVMSegmentColumn>]?
    var aboutGroup = false

    init(_ scanner: inout JSONScanner) throws(JSONScanner.Malformed) {
        var seen: Set<String> = []
        var groups: [LVMReportRow<LVMGroupColumn>] = []
        var devices: [LVMReportRow<LVMDeviceColumn>]?
        var volumes: [LVMReportRow<LVMVolumeColumn>]?
        var segments: [LVMReportRow<LVMSegmentColumn>]?
        try scanner.object { (scanner, key) throws(JSONScanner.Malformed) in
            guard seen.insert(key).inserted else { throw scanner.malformed("'\(key)' occurs twice in one part") }
            switch key {
            case "vg": groups = try Self.rows(&scanner)
            case "pv": devices = try Self.rows(&scanner)
            case "lv": volumes = try Self.rows(&scanner)
            case "seg": segments = try Self.rows(&scanner)
            default: try scanner.skipValue()
            }
        }
        self.groups = groups
        self.devices = devices
        self.volumes = volumes
        self.segments = segments
        aboutGroup = seen.contains("vg") || seen.contains("lv")
    }

    private static func rows<Column: LVMReportColumn>(
        _ scanner: inout JSONScanner
    ) throws(JSONScanner.Malformed) -> [LVMReportRow<Column>] {
        let titles = Column.titles, columns = Array(Column.allCases), blank = LVMReportRow<Column>()
        var rows: [LVMReportRow<Column>] = []
        try scanner.array { (scanner) throws(JSONScanner.Malformed) in
            var row = blank
            // LVM prints the columns in the order they were asked for, so the next one is nearly always the right one.
            var next = 0
            try scanner.object { (scanner, key) throws(JSONScanner.Malformed) in
                let place = next < titles.count && titles[next] == key ? next : titles.firstIndex(of: key)
                guard let place else { return try scanner.skipValue() }
                let column = columns[place]
                guard row[column] == nil else { throw scanner.malformed("'\(key)' occurs twice in one row") }
                row[column] = try scanner.string()
                next = place + 1
            }
            rows.append(row)
        }
        return rows
    }
}
