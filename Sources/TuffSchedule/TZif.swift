/// The reason why bytes are no time zone that can be used here. Its sentence continues one about the file.
package struct ZoneError: Error, Hashable, CustomStringConvertible {
    package let description: String
}

extension ZoneRules {
    /// The largest file that is read; those of the tz database have up to 4 KB.
    package static let maximumFileSize = 1 << 18

    /// Reads a TZif file (RFC 9636, versions 1 to 4): the 64-bit block and the footer where there are any. Nothing in
    /// the bytes is trusted: every count is checked against what is there before anything is read or reserved.
    ///
    /// Files with leap seconds (`right/…`) are refused, since an `Instant` has none.
    package init(tzif bytes: [UInt8]) throws(ZoneError) {
        guard bytes.count <= Self.maximumFileSize else { throw ZoneError(description: "is too large for a time zone") }
        var reader = TZifReader(bytes: bytes[...])
        var header = try reader.header()
        guard header.version > 0 else {
            self = try reader.body(header, wide: false, rule: { nil })
            return
        }
        guard reader.take(header.size(wide: false)) != nil else { throw .truncated }
        header = try reader.header()
        var footer = reader
        guard footer.take(header.size(wide: true)) != nil else { throw .truncated }
        self = try reader.body(header, wide: true) { () throws(ZoneError) in try footer.footer() }
    }
}

extension ZoneError {
    fileprivate static let truncated = ZoneError(description: "ends too early for a time zone")
}

private struct TZifReader {
    struct Header {
        /// 0 for version 1.
        var version: UInt8
        var utcIndicators: Int
        var standardIndicators: Int
        var leapSeconds: Int
        var times: Int
        var types: Int
        var characters: Int

        /// Bytes of the block that follows. Each count has 32 bits, so that nothing overflows.
        func size(wide: Bool) -> Int {
            let time = wide ? 8 : 4
            return times * (time + 1) + types * 6 + characters + leapSeconds * (time + 4) + standardIndicators
                + utcIndicators
        }
    }

    var bytes: ArraySlice<UInt8>

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count <= bytes.count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count)
    }

    private static func bits(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    mutating func header() throws(ZoneError) -> Header {
        guard let head = take(44) else { throw .truncated }
        let start = head.startIndex
        guard head.starts(with: "TZif".utf8) else { throw ZoneError(description: "is no time zone: TZif is missing") }
        let version = head[start + 4]
        guard version == 0 || version >= UInt8(ascii: "2") else {
            throw ZoneError(description: "has a version that no TZif file has")
        }
        func count(_ index: Int) -> Int { Int(Self.bits(head[(start + 20 + index * 4)..<(start + 24 + index * 4)])) }
        return Header(
            version: version, utcIndicators: count(0), standardIndicators: count(1), leapSeconds: count(2),
            times: count(3), types: count(4), characters: count(5))
    }

    mutating func body(
        _ header: Header, wide: Bool, rule: () throws(ZoneError) -> PosixZone?
    ) throws(ZoneError) -> ZoneRules {
        let width = wide ? 8 : 4
        guard header.leapSeconds == 0 else {
            throw ZoneError(description: "counts leap seconds; take the zone of the same name outside of 'right/'")
        }
        guard let times = take(header.times * width), let indices = take(header.times),
            let types = take(header.types * 6)
        else { throw .truncated }
        var offsets: [Int] = []
        for start in stride(from: types.startIndex, to: types.endIndex, by: 6) {
            let offset = Int(Int32(truncatingIfNeeded: Self.bits(types[start..<(start + 4)])))
            // RFC 9636 section 3.2: more than -25 hours, less than 26 hours.
            guard (-89_999...93_599).contains(offset) else { throw ZoneError(description: "has an offset of days") }
            offsets.append(offset)
        }
        guard let first = offsets.first else { throw ZoneError(description: "has no local time at all") }
        var changes: [ZoneRules.Change] = []
        changes.reserveCapacity(header.times)
        for (position, index) in indices.enumerated() {
            let start = times.startIndex + position * width
            let raw = Self.bits(times[start..<(start + width)])
            let second = wide ? Int64(bitPattern: raw) : Int64(Int32(truncatingIfNeeded: raw))
            guard Int(index) < offsets.count else {
                throw ZoneError(description: "names a local time it does not have")
            }
            guard changes.last.map({ $0.at < second }) ?? true else {
                throw ZoneError(description: "has changes that do not ascend")
            }
            changes.append(ZoneRules.Change(at: second, offset: offsets[Int(index)]))
        }
        return ZoneRules(firstOffset: first, changes: changes, rule: try rule())
    }

    /// A newline, a rule or nothing, a newline.
    mutating func footer() throws(ZoneError) -> PosixZone? {
        let newline = UInt8(ascii: "\n")
        guard take(1)?.first == newline, let end = bytes.firstIndex(of: newline) else { throw .truncated }
        let text = Array(bytes[..<end])
        guard !text.isEmpty else { return nil }
        guard let rule = PosixZone(text) else { throw ZoneError(description: "ends in a rule that is none") }
        return rule
    }
}
