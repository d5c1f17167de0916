import FoundationEssentials
import TuffHost
import TuffModel

/// Columns of LVM's reports that single questions are about, lvmreport(7).
enum LVMColumn: String {
    case volumeName = "lv_name"
    case volumeUUID = "lv_uuid"
    case volumeSize = "lv_size"
    case volumeTags = "lv_tags"
    case volumeLayout = "lv_layout"
    case volumeOpen = "lv_device_open"
    case volumeActive = "lv_active_locally"
    case kernelMajor = "lv_kernel_major"
    case kernelMinor = "lv_kernel_minor"
    case dataPercent = "data_percent"
    case origin = "origin"
    case originUUID = "origin_uuid"
    case pool = "pool_lv"
    case segmentType = "segtype"
    case extentRanges = "seg_pe_ranges"
    case groupName = "vg_name"
    case groupUUID = "vg_uuid"
    case groupTags = "vg_tags"
}

/// One row of a report. Every cell is a text.
struct LVMRow {
    private let cells: [String: String]

    /// Nil where a column is missing.
    fileprivate init?(_ cells: [String: String], _ columns: [LVMColumn]) {
        guard columns.allSatisfy({ cells[$0.rawValue] != nil }) else { return nil }
        self.cells = cells
    }

    /// The text of a column that was asked for.
    subscript(_ column: LVMColumn) -> String { cells[column.rawValue] ?? "" }

    /// The tags in a column of tags.
    func tags(_ column: LVMColumn = .volumeTags) -> [String] {
        self[column].split(separator: ",").map(String.init)
    }
}

/// One question to LVM whose answer is a report: `lvs` or `vgs` with the columns that are wanted.
///
/// All single questions of this module go through it. A report in which a row lacks a column is no answer.
struct LVMQuery {
    enum Verb: String { case lvs, vgs }

    let command: Command
    private let columns: [LVMColumn]

    /// - Parameters:
    ///   - options: options besides the format and the columns.
    ///   - selection: what is asked about: `-S` and names.
    ///   - deadline: seconds.
    ///   - outputLimit: most bytes of the report.
    init(
        _ verb: Verb, _ columns: [LVMColumn], options: [String] = [], of selection: [String], deadline: Int = 60,
        outputLimit: Int = 1 << 20
    ) {
        self.columns = columns
        let names = columns.map(\.rawValue).joined(separator: ",")
        command = Command(
            "lvm", [verb.rawValue, "--reportformat", "json"] + options + ["-o", names] + selection, effect: .reads,
            deadline: deadline, outputLimit: outputLimit)
    }

    /// The question that a command asks which was made by another query with these columns.
    init(_ command: Command, _ columns: [LVMColumn]) {
        self.command = command
        self.columns = columns
    }

    /// The command in two words, for messages: `lvm lvs`.
    var name: String { "\(command.tool) \(command.arguments[0])" }

    /// The rows of a report, whatever the status. Nil: the output is no report with these columns.
    func rows(in output: CommandOutput) -> [LVMRow]? {
        guard let whole = try? JSONDecoder().decode(Report.self, from: Data(output.standardOutput)) else { return nil }
        let cells = whole.report.flatMap { $0.values.joined() }
        let rows = cells.compactMap { LVMRow($0, columns) }
        return rows.count == cells.count ? rows : nil
    }

    /// The rows of a report that LVM ended well with.
    func rows(by commands: CommandRunner) async throws(HostError) -> [LVMRow] {
        let output = try await commands.run(command)
        guard output.status == 0 else { throw output.failure(of: command, named: name) }
        guard let rows = rows(in: output) else {
            throw HostError(.malformed, "\(name) did not print a report", subject: command.description)
        }
        return rows
    }

    /// A part for each thing that was asked about; in it rows of cells, under the kind of report: `lv`, `vg`, `seg`.
    private struct Report: Decodable {
        var report: [[String: [[String: String]]]]
    }
}
