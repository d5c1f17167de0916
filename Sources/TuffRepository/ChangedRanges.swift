/// Which bytes of a source may differ from an earlier restore point.
package enum ChangedRanges {
    /// Reads one `offset length` a line, in bytes, as `thin_delta` and dirty bitmaps can be made to say it; empty lines and
    /// what follows a # are nothing. In any order; overlapping is no error, since more may always be read.
    ///
    /// - Returns: sorted ranges that neither overlap nor touch, cut at `size`.
    package static func parse(_ text: String, size: UInt64) throws(RepositoryError) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
            if content.isEmpty { continue }
            guard content.count == 2, let offset = UInt64(content[0]), let length = UInt64(content[1]),
                !offset.addingReportingOverflow(length).overflow
            else {
                throw RepositoryError(
                    .refused, "line \(index + 1) of the changed ranges is not 'offset length' in bytes")
            }
            let end = min(size, offset + length)
            if offset < end { ranges.append(offset..<end) }
        }
        return ranges.joined()
    }
}
