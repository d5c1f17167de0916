extension Backup {
    /// Blocks of a sample: of a list that keeps a twentieth of a volume back, one in thirty backups would pass.
    package static let sampleBlocks = 64

    /// Reads blocks at random of those that would not be read, and compares them with what the restore point would say
    /// of them. It is the only guard against a list of changes that is wrong and looks right.
    ///
    /// A quarter is taken of what is said to have no blocks at all, the rest of what is said to be as it was.
    /// - Returns: a byte at which the source holds something else; nil: there is none in the sample.
    package func sample(
        blocks count: Int = Self.sampleBlocks, using random: inout some RandomNumberGenerator
    ) throws(RepositoryError) -> UInt64? {
        let changed = request.changed.map(Self.blocks), mapped = request.mapped.map(Self.blocks)
        let all = UInt64(shape.blocks)
        let unmapped = mapped.map { Self.gaps(in: $0, of: all) } ?? []
        let unchanged = changed.map { Self.gaps(in: $0, of: all) } ?? []
        // With both lists a block counts as unchanged where it has one.
        let kept = mapped.map { Self.common(unchanged, $0) } ?? unchanged
        var chosen = Self.choice(of: kept.isEmpty ? count : count / 4, from: unmapped, using: &random)
        chosen += Self.choice(of: count - chosen.count, from: kept, using: &random)
        guard !chosen.isEmpty else { return nil }
        let parent = try request.parent.map { point throws(RepositoryError) in
            try PointTreeReader(point, repository: repository, index: index)
        }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Format.block, alignment: 4_096)
        defer { room.deallocate() }
        for block in chosen.sorted() {
            let offset = block * UInt64(Format.block)
            let length = Int(min(UInt64(Format.block), shape.size - offset))
            let bytes = UnsafeMutableRawBufferPointer(rebasing: room[..<length])
            try source.read(at: offset, into: bytes)
            var expected: ContentName?
            if let parent, let changed, !Self.holds(changed, block) {
                expected = try parent.leaf(Int(block) / Format.fanOut)?[Int(block) % Format.fanOut]
            }
            let content = UnsafeRawBufferPointer(bytes)
            let found = isZero(content) ? nil : repository.sealing.name(ofBlock: content)
            guard found == expected else { return offset }
        }
        return nil
    }

    /// Blocks that ranges of bytes touch.
    private static func blocks(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
        let block = UInt64(Format.block)
        return ranges.filter { !$0.isEmpty }.map { range in
            (range.lowerBound / block)..<((range.upperBound - 1) / block + 1)
        }.joined()
    }

    private static func gaps(in ranges: [Range<UInt64>], of count: UInt64) -> [Range<UInt64>] {
        var gaps: [Range<UInt64>] = [], position: UInt64 = 0
        for range in ranges {
            if position < range.lowerBound { gaps.append(position..<min(range.lowerBound, count)) }
            position = max(position, range.upperBound)
        }
        if position < count { gaps.append(position..<count) }
        return gaps.filter { !$0.isEmpty }
    }

    private static func common(_ one: [Range<UInt64>], _ other: [Range<UInt64>]) -> [Range<UInt64>] {
        var common: [Range<UInt64>] = [], next = 0
        for range in one {
            while next < other.count, other[next].upperBound <= range.lowerBound { next += 1 }
            var position = next
            while position < other.count, other[position].lowerBound < range.upperBound {
                common.append(range.clamped(to: other[position]))
                position += 1
            }
        }
        return common
    }

    private static func holds(_ ranges: [Range<UInt64>], _ block: UInt64) -> Bool {
        let next = ranges.partitioningIndex { $0.upperBound > block }
        return next < ranges.count && ranges[next].lowerBound <= block
    }

    private static func choice(
        of count: Int, from ranges: [Range<UInt64>], using random: inout some RandomNumberGenerator
    ) -> [UInt64] {
        let total = ranges.reduce(UInt64(0)) { $0 + UInt64($1.count) }
        guard total > 0, count > 0 else { return [] }
        // Twice the same block is no harm.
        let wanted = (0..<count).map { _ in UInt64.random(in: 0..<total, using: &random) }.sorted()
        var chosen: [UInt64] = [], before: UInt64 = 0, next = wanted.startIndex
        for range in ranges {
            let end = before + UInt64(range.count)
            while next < wanted.endIndex, wanted[next] < end {
                chosen.append(range.lowerBound + wanted[next] - before)
                next += 1
            }
            before = end
        }
        return chosen
    }
}
