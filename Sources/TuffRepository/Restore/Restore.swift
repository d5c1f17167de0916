import Synchronization

/// Writes the volume of a restore point to a target.
package struct Restore: Sendable {
    /// Result of a restore.
    package struct Outcome: Hashable, Codable, Sendable {
        /// Bytes that were written; all others had their value already.
        package var written: UInt64 = 0
        /// Bytes of the volume that could not be restored and became zeros; none unless that was asked for.
        package var losses = LostRanges()

        /// Ranges of these bytes, in order; of very many the first ones.
        package var lost: [Range<UInt64>] { losses.ranges }
    }

    package let point: RestorePoint
    private let repository: Repository
    private let index: RepositoryIndex
    private let shape: TreeShape
    private let progress: JobProgress
    private let keepsGoing: Bool

    /// - Parameter keepingGoing: damaged blocks become zeros instead of ending the restore.
    package init(
        _ point: RestorePoint, of repository: Repository, progress: JobProgress, keepingGoing: Bool = false
    ) throws(RepositoryError) {
        keepsGoing = keepingGoing
        self.point = point
        self.repository = repository
        self.progress = progress
        shape = try point.tree().shape
        index = try RepositoryIndex(store: repository.store, sealing: repository.sealing)
        // Before anything is written anywhere: without its root nothing of the volume can be restored.
        if !keepsGoing { try PointTreeReader(point, repository: repository, index: index).readRoot() }
    }

    /// Every block is checked by its name, which the root of the tree proves, before a byte of it is written: a restore
    /// that ends without error and losses gives the volume whose digest is the root.
    package func run(to target: any BlockTarget, threads: some Threads) throws(RepositoryError) -> Outcome {
        let leaves = LeafQueue(shape)
        let outcome = Mutex(Outcome())
        try threads.perform { () throws(RepositoryError) in
            let writer = try LeafWriter(
                point, repository: repository, index: index, target: target, keepsGoing: keepsGoing)
            do throws(RepositoryError) {
                while let leaf = leaves.next() {
                    try progress.demand()
                    let zeros = writer.zeros(from: leaf)
                    if zeros.count > 1 {
                        leaves.skip(to: zeros.upperBound)
                        progress.add(UInt64(zeros.count) * UInt64(Format.leaf))
                    } else {
                        progress.add(try writer.write(leaf))
                    }
                }
            } catch {
                leaves.stop()
                throw error
            }
            outcome.withLock {
                $0.written += writer.written
                $0.losses.add(writer.lost)
            }
        }
        try target.finish(size: shape.size)
        return outcome.withLock(\.self)
    }
}

extension [Range<UInt64>] {
    /// Lost ranges, in order; those that touch are joined.
    func joined() -> [Range<UInt64>] {
        var result: [Range<UInt64>] = []
        for range in sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound {
                result[result.count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }
}

/// One thread of a restore.
private final class LeafWriter {
    private let repository: Repository
    private let target: any BlockTarget
    private let tree: PointTreeReader
    private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Format.leaf, alignment: 4_096)
    private let keepsGoing: Bool
    private(set) var written: UInt64 = 0
    private(set) var lost = LostRanges()

    init(
        _ point: RestorePoint, repository: Repository, index: RepositoryIndex, target: any BlockTarget,
        keepsGoing: Bool
    ) throws(RepositoryError) {
        self.repository = repository
        self.target = target
        self.keepsGoing = keepsGoing
        tree = try PointTreeReader(point, repository: repository, index: index)
    }

    deinit { room.deallocate() }

    /// The leaves from this one on that need no write, as all beneath one node is zero and the target is so already: a
    /// volume may have any number of them, and one name. Empty where that is not so, or not known.
    func zeros(from leaf: Int) -> Range<Int> {
        guard target.isBlank, !target.isStream else { return leaf..<leaf }
        var width = 1, end = leaf
        for level in 0..<tree.shape.nodes.count {
            do throws(RepositoryError) {
                if try tree.name(level, leaf / width) != nil { break }
            } catch { break }
            end = min(tree.shape.leaves, (leaf / width + 1) * width)
            width *= Format.fanOut
        }
        return leaf..<end
    }

    /// Writes one leaf of the target. Returns the number of its bytes.
    func write(_ leaf: Int) throws(RepositoryError) -> UInt64 {
        let offset = UInt64(leaf) * UInt64(Format.leaf)
        let count = Int(min(UInt64(Format.leaf), tree.shape.size - offset))
        let bytes = UnsafeMutableRawBufferPointer(rebasing: room[..<count])
        let names = try names(of: leaf, at: offset, count)
        // The target's own bytes, unless it is blank: only blocks that differ are written.
        let isBlank = target.isBlank
        if !isBlank { try target.read(at: offset, into: bytes) }
        var missing: [PointTreeReader.Wanted] = []
        var differing: [Range<Int>] = []
        for begin in stride(from: 0, to: count, by: Format.block) {
            let range = begin..<min(begin + Format.block, count)
            let block = UnsafeMutableRawBufferPointer(rebasing: bytes[range])
            let name = names?[begin / Format.block]
            if !isBlank {
                let isThere =
                    name.map { repository.sealing.name(ofBlock: UnsafeRawBufferPointer(block)) == $0 }
                    ?? isZero(UnsafeRawBufferPointer(block))
                if isThere { continue }
            }
            if let name {
                missing.append((name, block))
            } else if isBlank {
                continue
            } else {
                block.initializeMemory(as: UInt8.self, repeating: 0)
            }
            differing.append(range)
        }
        try read(missing, into: bytes, at: offset)
        try write(differing, of: bytes, at: offset)
        return UInt64(count)
    }

    private func names(of leaf: Int, at offset: UInt64, _ count: Int) throws(RepositoryError) -> [ContentName?]? {
        do throws(RepositoryError) {
            return try tree.leaf(leaf)
        } catch  where keepsGoing && error.isLoss {
            lost.add(offset..<(offset + UInt64(count)))
            return nil
        }
    }

    /// Fills blocks of a leaf. Where one of them is damaged, each is read alone, and those that are lost become zeros.
    private func read(
        _ missing: [PointTreeReader.Wanted], into leaf: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(RepositoryError) {
        do throws(RepositoryError) {
            try tree.read(missing)
            return
        } catch  where keepsGoing && error.isLoss {}
        for wanted in missing {
            do throws(RepositoryError) {
                try tree.read([wanted])
            } catch  where error.isLoss {
                wanted.into.initializeMemory(as: UInt8.self, repeating: 0)
                guard let block = wanted.into.baseAddress, let start = leaf.baseAddress else { continue }
                let begin = offset + UInt64(block - start)
                lost.add(begin..<(begin + UInt64(wanted.into.count)))
            }
        }
    }

    /// Writes ranges of a leaf, neighbours in one go.
    private func write(
        _ ranges: [Range<Int>], of bytes: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(RepositoryError) {
        var next = 0
        while next < ranges.count {
            var range = ranges[next]
            next += 1
            while next < ranges.count, ranges[next].lowerBound == range.upperBound {
                range = range.lowerBound..<ranges[next].upperBound
                next += 1
            }
            try target.write(
                UnsafeRawBufferPointer(rebasing: bytes[range]), at: offset + UInt64(range.lowerBound))
            written += UInt64(range.count)
        }
    }
}
