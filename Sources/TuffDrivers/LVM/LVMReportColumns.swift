import TuffModel

/// The columns that are asked for of one sort of LVM's objects, lvmreport(7), in the order in which they are asked for.
/// The number of a case is its place in a row, so that finding a cell costs nothing.
protocol LVMReportColumn: CaseIterable, RawRepresentable<Int>, Sendable {
    /// Its name in LVM's options and reports.
    var title: String { get }
}

extension LVMReportColumn {
    static var titles: [String] { allCases.map(\.title) }
}

/// Columns of volume groups.
enum LVMGroupColumn: Int, LVMReportColumn {
    case name, uuid, size, free, extentSize, missingDevices, lockType, partial, exported, metadataSize
    case metadataFree, tags, systemID, volumeCount, deviceCount

    var title: String {
        switch self {
        case .name: "vg_name"
        case .uuid: "vg_uuid"
        case .size: "vg_size"
        case .free: "vg_free"
        case .extentSize: "vg_extent_size"
        case .missingDevices: "vg_missing_pv_count"
        case .lockType: "vg_lock_type"
        case .partial: "vg_partial"
        case .exported: "vg_exported"
        case .metadataSize: "vg_mda_size"
        case .metadataFree: "vg_mda_free"
        case .tags: "vg_tags"
        case .systemID: "vg_systemid"
        case .volumeCount: "lv_count"
        case .deviceCount: "pv_count"
        }
    }
}

/// Columns of logical volumes.
enum LVMVolumeColumn: Int, LVMReportColumn {
    case name, uuid, size, tags, layout, active, suspended, open, pool, origin, dataPercent, metadataPercent
    case metadataSize, health, kernelMajor, kernelMinor, profile, whenFull, needsCheck, permissions, parent

    var title: String {
        switch self {
        case .name: "lv_name"
        case .uuid: "lv_uuid"
        case .size: "lv_size"
        case .tags: "lv_tags"
        case .layout: "lv_layout"
        case .active: "lv_active_locally"
        case .suspended: "lv_suspended"
        case .open: "lv_device_open"
        case .pool: "pool_lv"
        case .origin: "origin"
        case .dataPercent: "data_percent"
        case .metadataPercent: "metadata_percent"
        case .metadataSize: "lv_metadata_size"
        case .health: "lv_health_status"
        case .kernelMajor: "lv_kernel_major"
        case .kernelMinor: "lv_kernel_minor"
        case .profile: "lv_profile"
        case .whenFull: "lv_when_full"
        case .needsCheck: "lv_check_needed"
        case .permissions: "lv_permissions"
        case .parent: "lv_parent"
        }
    }
}

/// Columns of physical volumes.
enum LVMDeviceColumn: Int, LVMReportColumn {
    case uuid, free, allocatable, missing, name

    var title: String {
        switch self {
        case .uuid: "pv_uuid"
        case .free: "pv_free"
        case .allocatable: "pv_allocatable"
        case .missing: "pv_missing"
        case .name: "pv_name"
        }
    }
}

/// Columns of segments.
enum LVMSegmentColumn: Int, LVMReportColumn {
    case volumeUUID, chunkSize, monitor, zero, type, thinID, transactionID

    var title: String {
        switch self {
        case .volumeUUID: "lv_uuid"
        case .chunkSize: "chunk_size"
        case .monitor: "seg_monitor"
        case .zero: "zero"
        case .type: "segtype"
        case .thinID: "thin_id"
        case .transactionID: "transaction_id"
        }
    }
}

/// One row of a report as it was read: a cell for each column, nil where it is missing.
struct LVMReportRow<Column: LVMReportColumn> {
    private var cells: [String?]

    init() { cells = [String?](repeating: nil, count: Column.allCases.count) }

    subscript(_ column: Column) -> String? {
        get { cells[column.rawValue] }
        set { cells[column.rawValue] = newValue }
    }
}

/// The cells of one row, read as what LVM means by them. All are texts; an absent one is an error.
struct LVMReportCells<Column: LVMReportColumn> {
    private let row: LVMReportRow<Column>
    private let subject: String

    /// - Parameter subject: the object of the row, for errors.
    init(_ row: LVMReportRow<Column>, of subject: String) {
        self.row = row
        self.subject = subject
    }

    func text(_ column: Column) throws(HostError) -> String {
        guard let text = row[column] else {
            throw HostError(.malformed, "the report of lvm lacks \(column.title) of \(subject)")
        }
        return text
    }

    func nonEmpty(_ column: Column) throws(HostError) -> String {
        let text = try text(column)
        guard !text.isEmpty else { throw unreadable(column, text) }
        return text
    }

    func optional(_ column: Column) throws(HostError) -> String? {
        let text = try text(column)
        return text.isEmpty ? nil : text
    }

    func size(_ column: Column) throws(HostError) -> ByteCount { ByteCount(try number(column, try text(column))) }

    func optionalSize(_ column: Column) throws(HostError) -> ByteCount? {
        guard let text = try optional(column) else { return nil }
        return ByteCount(try number(column, text))
    }

    func count(_ column: Column) throws(HostError) -> Int { Int(try number(column, try text(column))) }

    /// A column under `--binary`: nil where LVM says `-1`, undefined.
    func flag(_ column: Column) throws(HostError) -> Bool? {
        let text = try text(column)
        switch text {
        case "1": return true
        case "0": return false
        case "-1": return nil
        default: throw unreadable(column, text)
        }
    }

    func percent(_ column: Column) throws(HostError) -> Double? {
        guard let text = try optional(column) else { return nil }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2e }), let value = Double(text),
            value <= 100
        else { throw unreadable(column, text) }
        return value
    }

    /// A device's major and minor number: nil where LVM says `-1`, as it does of what is inactive.
    func device(_ major: Column, _ minor: Column) throws(HostError) -> DeviceNumber? {
        if try text(major) == "-1", try text(minor) == "-1" { return nil }
        return DeviceNumber(major: try count(major), minor: try count(minor))
    }

    private func number(_ column: Column, _ text: String) throws(HostError) -> Int64 {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int64(text) else {
            throw unreadable(column, text)
        }
        return value
    }

    private func unreadable(_ column: Column, _ text: String) -> HostError {
        HostError(.malformed, "the report of lvm gives '\(text.prefix(80))' as \(column.title) of \(subject)")
    }
}
