package import TuffHost
package import TuffModel

/// Facts on the thin volumes of a group that LVM alone shows: their numbers in the pool.
package struct ThinVolumeReport: Sendable {
    package static let columns = [
        "lv_uuid", "lv_name", "lv_size", "thin_id", "transaction_id", "pool_lv", "lv_permissions", "lv_tags",
    ]

    /// The report on one group. Columns of segments, of which a thin volume has one.
    package static func command(group: String) -> Command {
        Command(
            "lvm",
            [
                "lvs", "--reportformat", "json", "--binary", "--units", "b", "--nosuffix", "-o",
                columns.joined(separator: ","), "-S", "segtype=thin", "--", group,
            ], effect: .reads, deadline: LVMDriver.groupDeadline, outputLimit: LVMReportDecoder.maximumSize)
    }

    /// A thin volume.
    package struct Volume: Hashable, Sendable {
        package var identity: ThinIdentity
        package var name: String
        package var pool: String
        package var size: ByteCount
        package var isReadOnly: Bool
        package var tags: [String]
    }

    /// The thin volumes by LVM's uuid.
    /// - Throws: `malformed` for a report that is not whole, or says of a volume two things.
    package static func decode(_ bytes: [UInt8]) throws(HostError) -> [String: Volume] {
        var volumes: [String: Volume] = [:]
        for row in try rows(bytes) {
            guard row.count == columns.count, let size = Int64(plain: row[2]), let device = UInt32(plain: row[3]),
                let transaction = UInt64(plain: row[4]), !row[0].isEmpty, !row[1].isEmpty, !row[5].isEmpty
            else { throw malformed("a row is '\(row.joined(separator: ", ").prefix(200))'") }
            let volume = Volume(
                identity: ThinIdentity(uuid: row[0], device: device, transaction: transaction), name: row[1],
                pool: row[5], size: ByteCount(size), isReadOnly: row[6] == "read-only",
                tags: row[7].split(separator: ",").map(String.init))
            guard volumes.updateValue(volume, forKey: row[0]) == nil else {
                throw malformed("two volumes have uuid \(row[0])")
            }
        }
        return volumes
    }

    private static func rows(_ bytes: [UInt8]) throws(HostError) -> [[String]] {
        do throws(JSONScanner.Malformed) {
            var scanner = JSONScanner(bytes)
            var rows: [[String]]?
            try scanner.object { (scanner, key) throws(JSONScanner.Malformed) in
                guard key == "report", rows == nil else { throw scanner.malformed("it holds something else") }
                var found: [[String]] = []
                try scanner.array { (scanner) throws(JSONScanner.Malformed) in
                    try scanner.object { (scanner, key) throws(JSONScanner.Malformed) in
                        guard key == "lv" else { return try scanner.skipValue() }
                        try scanner.array { (scanner) throws(JSONScanner.Malformed) in found.append(try row(&scanner)) }
                    }
                }
                rows = found
            }
            try scanner.end()
            guard let rows else { throw scanner.malformed("it holds no report") }
            return rows
        } catch {
            throw malformed("\(error.sentence) (byte \(error.offset))")
        }
    }

    /// The cells in the order of the columns; fewer where one is missing.
    private static func row(_ scanner: inout JSONScanner) throws(JSONScanner.Malformed) -> [String] {
        var cells: [String: String] = [:]
        try scanner.object { (scanner, key) throws(JSONScanner.Malformed) in
            guard columns.contains(key) else { return try scanner.skipValue() }
            guard cells.updateValue(try scanner.string(), forKey: key) == nil else {
                throw scanner.malformed("'\(key)' occurs twice in one row")
            }
        }
        return columns.compactMap { cells[$0] }
    }

    private static func malformed(_ sentence: String) -> HostError {
        HostError(.malformed, "the report of lvm on thin volumes cannot be believed: \(sentence)")
    }
}
