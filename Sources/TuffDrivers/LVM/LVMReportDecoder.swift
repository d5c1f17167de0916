package import TuffModel

/// Reads what `lvm fullreport --reportformat json --binary --units b --nosuffix` prints for the columns below.
///
/// A report is not evidence merely because it is JSON. What cannot be attributed to one volume group (broken syntax, a
/// group without a name) makes the whole report an error; what is wrong within one group, or between two, makes those
/// groups unknown and leaves the others known. Percentages are empty for inactive volumes and read nil.
///
/// The names of volumes that LVM hides stand in brackets (`report/mark_hidden_devices`).
package enum LVMReportDecoder {
    package static let groupColumns = [
        "vg_name", "vg_uuid", "vg_size", "vg_free", "vg_extent_size", "vg_missing_pv_count", "vg_lock_type",
        "vg_partial", "vg_exported", "vg_mda_size", "vg_mda_free", "vg_tags", "vg_systemid", "lv_count", "pv_count",
    ]
    package static let volumeColumns = [
        "lv_name", "lv_uuid", "lv_size", "lv_tags", "lv_layout", "lv_active_locally", "lv_suspended",
        "lv_device_open", "pool_lv", "origin", "data_percent", "metadata_percent", "lv_metadata_size",
        "lv_health_status", "lv_kernel_major", "lv_kernel_minor", "lv_profile", "lv_when_full", "lv_check_needed",
        "lv_permissions", "lv_parent",
    ]
    package static let deviceColumns = ["pv_uuid", "pv_free", "pv_allocatable", "pv_missing", "pv_name"]
    package static let segmentColumns = [
        "lv_uuid", "chunk_size", "seg_monitor", "zero", "segtype", "thin_id", "transaction_id",
    ]
    package static let nameColumns = ["vg_name", "vg_uuid"]

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
                guard let name = row[0], !name.isEmpty else { throw contradiction("a volume group has no name") }
                names.insert(name)
            }
        }
        return names.sorted()
    }

    static func contradiction(_ sentence: String) -> HostError {
        HostError(.malformed, "the report of lvm contradicts itself: \(sentence)")
    }

    private static func identity(of raw: LVMRawEntry) throws(HostError) -> (name: String, uuid: String) {
        guard raw.groups.count == 1, let name = raw.groups[0][0], let uuid = raw.groups[0][1], !name.isEmpty,
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

/// One part of a report as it was read: rows of cells in the order of the columns, nil where a cell is missing.
struct LVMRawEntry {
    typealias Row = [String?]

    var groups: [Row] = []
    var devices: [Row]?
    var volumes: [Row]?
    var segments: [Row]?
    var aboutGroup = false

    init(_ scanner: inout JSONScanner) throws(JSONScanner.Malformed) {
        var seen: Set<String> = []
        var groups: [Row] = []
        var devices: [Row]?
        var volumes: [Row]?
        var segments: [Row]?
        try scanner.object { (scanner, key) throws(JSONScanner.Malformed) in
            guard seen.insert(key).inserted else { throw scanner.malformed("'\(key)' occurs twice in one part") }
            switch key {
            case "vg": groups = try Self.rows(&scanner, LVMReportDecoder.groupColumns)
            case "pv": devices = try Self.rows(&scanner, LVMReportDecoder.deviceColumns)
            case "lv": volumes = try Self.rows(&scanner, LVMReportDecoder.volumeColumns)
            case "seg": segments = try Self.rows(&scanner, LVMReportDecoder.segmentColumns)
            default: try scanner.skipValue()
            }
        }
        self.groups = groups
        self.devices = devices
        self.volumes = volumes
        self.segments = segments
        aboutGroup = seen.contains("vg") || seen.contains("lv")
    }

    private static func rows(
        _ scanner: inout JSONScanner, _ columns: [String]
    ) throws(JSONScanner.Malformed) -> [Row] {
        var rows: [Row] = []
        try scanner.array { (scanner) throws(JSONScanner.Malformed) in
            var row = Row(repeating: nil, count: columns.count)
            // LVM prints the columns in the order they were asked for, so the next one is nearly always the right one.
            var next = 0
            try scanner.object { (scanner, key) throws(JSONScanner.Malformed) in
                let column = next < columns.count && columns[next] == key ? next : columns.firstIndex(of: key)
                guard let column else { return try scanner.skipValue() }
                guard row[column] == nil else { throw scanner.malformed("'\(key)' occurs twice in one row") }
                row[column] = try scanner.string()
                next = column + 1
            }
            rows.append(row)
        }
        return rows
    }
}
