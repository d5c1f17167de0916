/// Ranges of a source that may differ from an earlier restore point.
package enum ChangedRanges {
    /// Reads one `offset length` a line, in bytes, as `thin_delta` and dirty bitmaps can be made to say it; empty lines
    /// and text behind a # are ignored. Lines end as on Unix or as on Windows. In any order; overlapping is no error,
    /// since more may always be read.
    ///
    /// - Returns: sorted ranges that neither overlap nor touch, cut at `size`.
    /// - Throws: `refused`, naming the line. A line that cannot be understood is never left out, since its range would
    ///   be missing in the backup.
    package static func parse(_ text: [UInt8], size: UInt64) throws(RepositoryError) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        var number = 0
        var rest = text[...]
        while !rest.isEmpty {
            number += 1
            let line = rest.prefix { $0 != UInt8(ascii: "\n") }
            rest = rest.dropFirst(line.count + 1)
            guard let range = range(line) else {
                throw RepositoryError(.refused, "line \(number) of the changed ranges is not 'offset length' in bytes")
            }
            // Its last range may be rounded up. One that begins behind the end is of another volume, or not in bytes.
            guard range.lowerBound < size || range.isEmpty else {
                throw RepositoryError(
                    .refused,
                    "line \(number) of the changed ranges begins at byte \(range.lowerBound), and the source has "
                        + "\(size) bytes: the list is of something else, or not in bytes")
            }
            if !range.isEmpty { ranges.append(range.lowerBound..<min(size, range.upperBound)) }
        }
        return ranges.joined()
    }

    /// The same of ranges that a program found.
    package static func within(_ ranges: [Range<UInt64>], size: UInt64) throws(RepositoryError) -> [Range<UInt64>] {
        if let range = ranges.first(where: { !$0.isEmpty && $0.lowerBound >= size }) {
            throw RepositoryError(
                .refused,
                "a changed range begins at byte \(range.lowerBound), and the source has \(size) bytes: the ranges are "
                    + "of something else")
        }
        return ranges.filter { !$0.isEmpty }.map { $0.lowerBound..<min(size, $0.upperBound) }.joined()
    }

    /// The range of a line; empty where the line has none, nil where it cannot be understood.
    private static func range(_ line: ArraySlice<UInt8>) -> Range<UInt64>? {
        let words = line.prefix { $0 != UInt8(ascii: "#") }.split { [0x20, 0x09, 0x0d].contains($0) }
        if words.isEmpty { return 0..<0 }
        guard words.count == 2, let offset = UInt64(String(decoding: words[0], as: UTF8.self)),
            let length = UInt64(String(decoding: words[1], as: UTF8.self)),
            !offset.addingReportingOverflow(length).overflow
        else { return nil }
        return offset..<(offset + length)
    }
}
