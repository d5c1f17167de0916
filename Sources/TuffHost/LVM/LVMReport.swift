import FoundationEssentials

/// What `lvs --reportformat json` or `vgs` prints, lvmreport(7): a part for each thing that was asked about, with rows of the
/// columns that were asked for.
struct LVMReport<Row: Decodable>: Decodable {
    private struct Part: Decodable {
        /// Under the name of the kind of report: `lv`, `vg`, `seg`.
        var rows: [Row]

        private struct Kind: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        init(from decoder: any Decoder) throws {
            let kinds = try decoder.container(keyedBy: Kind.self)
            rows = try kinds.allKeys.flatMap { try kinds.decode([Row].self, forKey: $0) }
        }
    }

    private var report: [Part]

    /// Nil for what is no such report.
    static func rows(_ output: [UInt8]) -> [Row]? {
        (try? JSONDecoder().decode(Self.self, from: Data(output)))?.report.flatMap(\.rows)
    }
}
