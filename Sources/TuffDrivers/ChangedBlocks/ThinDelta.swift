package import TuffModel

/// The answer of `thin_delta`: which blocks of a thin volume differ from those of an earlier snapshot of it.
///
/// The unit of the kernel's mappings is the pool's chunk. Two snapshots that map a chunk to the same data block hold
/// the same bytes there, since a shared block is never written: a write makes a new one (dm-thin.c, `break_sharing`).
/// That a mapping differs says only that the bytes may.
package struct ThinDelta: Hashable, Sendable {
    /// Byte ranges outside of which the later snapshot holds what the earlier holds. Sorted, apart, none empty, within
    /// the volume. Where there would be too many, those that are close are one: they then hold bytes that did not
    /// change.
    package var changed: [Range<UInt64>]
    /// Byte ranges outside of which the later snapshot has no blocks, so that it reads zeros there, unless its volume
    /// has an origin outside of the pool. As `changed`.
    package var mapped: [Range<UInt64>]
    /// Chunks that the earlier and the later snapshot have, of any content, those behind the volume's end too. Compared
    /// with the kernel's own count they prove that no line of the answer is missing.
    package var leftChunks: UInt64
    package var rightChunks: UInt64
    /// Bytes of the two lists as the kernel has them, before close ranges became one.
    package var changedBytes: UInt64
    package var mappedBytes: UInt64

    /// Ranges of a list. 4 MiB of memory, and some 10 MiB where they are handed to a worker as text.
    package static let rangeLimit = 1 << 18

    /// The question that the answer must repeat.
    package struct Question: Hashable, Sendable {
        /// Device numbers of the pool (`thin_id`): the earlier snapshot and the later one. The same twice asks for all
        /// blocks that it has.
        package var left: UInt32
        package var right: UInt32
        /// Sectors of 512 bytes.
        package var chunkSectors: UInt64
        /// The pool's transaction that was reserved.
        package var transaction: UInt64
        /// Bytes of the later snapshot.
        package var size: UInt64

        package init(left: UInt32, right: UInt32, chunkSectors: UInt64, transaction: UInt64, size: UInt64) {
            self.left = left
            self.right = right
            self.chunkSectors = chunkSectors
            self.transaction = transaction
            self.size = size
        }
    }

    /// Everything at once.
    /// - Throws: `malformed`, as `ThinDeltaDecoder`.
    package static func decode(
        _ text: [UInt8], of question: Question, rangeLimit: Int = Self.rangeLimit
    ) throws(HostError) -> ThinDelta {
        var decoder = try ThinDeltaDecoder(question, rangeLimit: rangeLimit)
        try decoder.feed(text[...])
        return try decoder.end()
    }
}

/// Reads what `thin_delta` prints, in pieces of any length, in memory that does not grow with it.
///
/// It takes the one form that thin-provisioning-tools 0.9 and 1.x print without `--verbose` and nothing else that XML
/// may be: no declaration, comment, entity or text. What is not understood, lacks its end or is in no order is an
/// error, never a shorter list: a range that is missing here would be missing in the backup.
package struct ThinDeltaDecoder: Sendable {
    private enum Place { case before, superblock, diff, afterDiff, after }

    private let question: ThinDelta.Question
    private let chunk: UInt64
    private var tags = ThinTagReader()
    private var place = Place.before
    /// The first chunk that the next range may begin with.
    private var next: UInt64 = 0
    private var changed: BoundedRanges
    private var mapped: BoundedRanges
    private var counts: (left: UInt64, right: UInt64) = (0, 0)
    private var failure: HostError?

    /// - Throws: `malformed` where no pool has such chunks.
    package init(_ question: ThinDelta.Question, rangeLimit: Int = ThinDelta.rangeLimit) throws(HostError) {
        guard ThinPoolStatus.isChunk(sectors: question.chunkSectors) else {
            throw Self.malformed("the pool is said to have chunks of \(question.chunkSectors) sectors")
        }
        self.question = question
        chunk = question.chunkSectors * 512
        changed = BoundedRanges(limit: rangeLimit, step: chunk)
        mapped = BoundedRanges(limit: rangeLimit, step: chunk)
    }

    /// - Throws: `malformed`. The decoder is then of no more use, and `end` throws the same.
    package mutating func feed(_ bytes: ArraySlice<UInt8>) throws(HostError) {
        if let failure { throw failure }
        do throws(HostError) {
            var rest = bytes
            while let tag = try tags.next(&rest) { try take(tag) }
        } catch {
            failure = error
            throw error
        }
    }

    /// The whole answer.
    /// - Throws: `malformed` where its end did not come.
    package mutating func end() throws(HostError) -> ThinDelta {
        if let failure { throw failure }
        guard case .after = place, tags.isBetween else { throw Self.malformed("its end is missing") }
        return ThinDelta(
            changed: changed.ranges, mapped: mapped.ranges, leftChunks: counts.left, rightChunks: counts.right,
            changedBytes: changed.bytes, mappedBytes: mapped.bytes)
    }

    private mutating func take(_ tag: ThinTag) throws(HostError) {
        switch place {
        case .before:
            try checkSuperblock(tag)
            place = .superblock
        case .superblock:
            try checkDiff(tag)
            place = .diff
        case .diff where tag.form == .closing && tag.name == "diff": place = .afterDiff
        case .diff: try takeRange(tag)
        case .afterDiff where tag.form == .closing && tag.name == "superblock": place = .after
        case .afterDiff, .after: throw Self.malformed("'\(tag.name)' follows its end")
        }
    }

    private func checkSuperblock(_ tag: ThinTag) throws(HostError) {
        guard tag.form == .opening, tag.name == "superblock",
            tag.attributes.allSatisfy({ Self.superblockAttributes.contains($0.key) }), tag.attributes["time"] != nil,
            tag.attributes["nr_data_blocks"] != nil
        else { throw Self.malformed("it does not begin with the pool's superblock") }
        guard try tag.number("data_block_size") == question.chunkSectors else {
            throw Self.malformed("its chunks are not those of the pool, of \(question.chunkSectors) sectors")
        }
        let transaction = try tag.number("transaction")
        guard transaction == question.transaction else {
            throw Self.malformed("it is of the pool's transaction \(transaction) and not of \(question.transaction)")
        }
    }

    private static let superblockAttributes: Set<String> = [
        "uuid", "time", "transaction", "flags", "version", "data_block_size", "nr_data_blocks", "metadata_snap",
    ]

    private func checkDiff(_ tag: ThinTag) throws(HostError) {
        guard tag.form == .opening, tag.name == "diff", tag.attributes.count == 2,
            try tag.number("left") == question.left, try tag.number("right") == question.right
        else {
            throw Self.malformed("it does not compare the devices \(question.left) and \(question.right)")
        }
    }

    private mutating func takeRange(_ tag: ThinTag) throws(HostError) {
        guard ["same", "different", "left_only", "right_only"].contains(tag.name) else {
            throw Self.malformed("'\(tag.name)' is unknown")
        }
        guard tag.form == .empty, tag.attributes.count == 2 else {
            throw Self.malformed("'\(tag.name)' is not a range of its own: it is of --verbose, or of another version")
        }
        let begin = try tag.number("begin"), length = try tag.number("length")
        // 2^24 chunks of 1 GiB are more than the kernel maps, and their bytes fit.
        let (end, isOver) = begin.addingReportingOverflow(length)
        guard length > 0, !isOver, !end.multipliedReportingOverflow(by: chunk).overflow else {
            throw Self.malformed("there can be no range of \(length) chunks from \(begin)")
        }
        guard begin >= next else { throw Self.malformed("its ranges overlap or are in no order, at chunk \(begin)") }
        next = end
        let range = (begin * chunk)..<(end * chunk)
        if tag.name != "right_only" { counts.left += length }
        if tag.name != "left_only" {
            counts.right += length
            mapped.append(range.clamped(to: 0..<question.size))
        }
        if tag.name != "same" { changed.append(range.clamped(to: 0..<question.size)) }
    }

    static func malformed(_ sentence: String) -> HostError {
        HostError(.malformed, "the answer of thin_delta cannot be believed: \(sentence)")
    }
}

/// Ascending ranges in bounded memory. Where there would be more than the limit, those with the smallest gaps between
/// become one, so that all that was put in stays in.
struct BoundedRanges: Sendable {
    private(set) var ranges: [Range<UInt64>] = []
    /// Bytes that were put in.
    private(set) var bytes: UInt64 = 0
    private let limit: Int
    private let step: UInt64
    /// Ranges that are not farther apart are one.
    private var gap: UInt64 = 0

    /// - Parameter step: the least gap that there can be.
    init(limit: Int, step: UInt64) {
        precondition(limit > 0 && step > 0)
        self.limit = limit
        self.step = step
    }

    /// - Parameter range: none that begins before the end of the last; an empty one is nothing.
    mutating func append(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        bytes += UInt64(range.count)
        join(range)
        while ranges.count > limit {
            gap = gap == 0 ? step : gap.multipliedReportingOverflow(by: 2).overflow ? .max : gap * 2
            let finer = ranges
            ranges.removeAll(keepingCapacity: true)
            for range in finer { join(range) }
        }
    }

    private mutating func join(_ range: Range<UInt64>) {
        guard let last = ranges.last, range.lowerBound - last.upperBound <= gap else { return ranges.append(range) }
        ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
    }
}
