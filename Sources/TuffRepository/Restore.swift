/// Writes a restore point's volume somewhere.
package struct Restore: Sendable {
    private let point: RestorePoint
    private let repository: Repository
    private let target: any BlockTarget
    private let index: RepositoryIndex
    private let shape: TreeShape
    private let progress: JobProgress

    package init(
        _ point: RestorePoint, of repository: Repository, to target: any BlockTarget, progress: JobProgress
    ) throws(RepositoryError) {
        self.point = point
        self.repository = repository
        self.target = target
        self.progress = progress
        shape = try point.tree().shape
        index = try RepositoryIndex(store: repository.store, custody: repository.custody)
    }

    /// Bytes that were written; the rest was there already.
    package func run(threads: some Threads) throws(RepositoryError) -> UInt64 {
        let shared = SharedWork(leaves: shape.leaves)
        try threads.perform { () throws(RepositoryError) in
            let writer = try LeafWriter(point, repository: repository, index: index, target: target)
            while let leaf = shared.next() {
                progress.add(try writer.write(leaf))
            }
            var counts = RestorePoint.Counts()
            counts.stored = writer.written
            shared.add(counts)
        }
        try target.finish()
        return shared.counts.stored
    }
}

/// One thread of a restore.
private final class LeafWriter {
    private let repository: Repository
    private let target: any BlockTarget
    private let tree: TreeReader
    private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Format.leaf, alignment: 4_096)
    private(set) var written: UInt64 = 0

    init(
        _ point: RestorePoint, repository: Repository, index: RepositoryIndex, target: any BlockTarget
    ) throws(RepositoryError) {
        self.repository = repository
        self.target = target
        tree = try TreeReader(point, repository: repository, index: index)
    }

    deinit { room.deallocate() }

    /// Makes one leaf of the target what it shall be; its bytes.
    func write(_ leaf: Int) throws(RepositoryError) -> UInt64 {
        let offset = UInt64(leaf) * UInt64(Format.leaf)
        let count = Int(min(UInt64(Format.leaf), tree.shape.size - offset))
        let bytes = UnsafeMutableRawBufferPointer(rebasing: room[..<count])
        let names = try tree.leaf(leaf)
        // What is there already, in a target that had something: only what differs is written.
        let isBlank = target.isBlank
        if !isBlank { try target.read(at: offset, into: bytes) }
        var missing: [(name: ContentName, into: UnsafeMutableRawBufferPointer)] = []
        var differing: [Range<Int>] = []
        for begin in stride(from: 0, to: count, by: Format.block) {
            let range = begin..<min(begin + Format.block, count)
            let block = UnsafeMutableRawBufferPointer(rebasing: bytes[range])
            let name = names?[begin / Format.block]
            if !isBlank {
                let isThere =
                    name.map { repository.custody.name(ofBlock: UnsafeRawBufferPointer(block)) == $0 }
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
        try tree.read(missing)
        try write(differing, of: bytes, at: offset)
        return UInt64(count)
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
