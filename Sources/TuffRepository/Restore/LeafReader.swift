/// One thread of a backup: reads leaves of the source and stores the blocks that the repository does not have.
final class LeafReader {
    private let shape: TreeShape
    private let source: any BlockSource
    private let changed: [Range<UInt64>]?
    private let mapped: [Range<UInt64>]?
    private let repository: Repository
    private let index: RepositoryIndex
    private let shared: SharedWork
    private let progress: JobProgress
    /// The tree of the point that is compared with, where it has the same leaves.
    private let parent: PointTreeReader?
    private let compressor: Compressor?
    private let blocks: Packs
    private let nodes: Packs
    private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Format.leaf, alignment: 4_096)
    private var counts = RestorePoint.Counts()
    /// Blocks of a list of changes that were zero before.
    private var unzeroed: UInt64 = 0

    init(
        shape: TreeShape, source: any BlockSource, request: Backup.Request, repository: Repository,
        index: RepositoryIndex, shared: SharedWork, progress: JobProgress
    ) throws(RepositoryError) {
        self.shape = shape
        self.source = source
        changed = request.changed
        mapped = request.mapped
        self.repository = repository
        self.index = index
        self.shared = shared
        self.progress = progress
        parent = try request.parent.map { point throws(RepositoryError) in
            try PointTreeReader(point, repository: repository, index: index)
        }
        compressor = request.level.map { Compressor(level: $0) }
        blocks = Packs(.blockPack, repository: repository, index: index)
        nodes = Packs(.nodePack, repository: repository, index: index)
    }

    deinit { room.deallocate() }

    /// Backs up one leaf, and the nodes above it that are complete then.
    func store(_ leaf: Int) throws(RepositoryError) {
        var name = try nameOfStored(leaf), level = 0, index = leaf
        while let above = shared.tree.add(name, level: level, index: index) {
            name = try nodes.store(above.node)
            (level, index) = (above.node.level, above.index)
        }
    }

    /// Stores one leaf; its name, nil if all of it is zero.
    private func nameOfStored(_ leaf: Int) throws(RepositoryError) -> ContentName? {
        let offset = UInt64(leaf) * UInt64(Format.leaf)
        let count = Int(min(UInt64(Format.leaf), shape.size - offset))
        defer { progress.add(UInt64(count)) }
        let wanted = blocks(in: changed, offset, count)
        if wanted == 0, let parent { return try parent.nameOfLeaf(leaf) }
        let children = shape.children(level: 0, index: leaf)
        let there = wanted & blocks(in: mapped, offset, count)
        if wanted == .max, there == 0 || source.isHole(at: offset, count: count) {
            counts.zero += UInt64(children)
            if changed != nil { unzeroed += UInt64(try zeros(before: leaf, among: wanted, of: children)) }
            return nil
        }
        let before = try knownBefore(leaf)
        if changed != nil { unzeroed += UInt64(try zeros(before: leaf, among: wanted, of: children)) }
        var names = before ?? Array(repeating: nil, count: children)
        try read(there, at: offset, count: count)
        for child in 0..<children where wanted & (1 << UInt32(child)) != 0 {
            guard there & (1 << UInt32(child)) != 0 else {
                counts.zero += 1
                names[child] = nil
                continue
            }
            let begin = child * Format.block
            let block = UnsafeRawBufferPointer(rebasing: room[begin..<min(begin + Format.block, count)])
            names[child] = try store(block, before: before?[child])
        }
        return try nodes.store(TreeNode(level: 0, children: names))
    }

    /// Places the open packs and adds up the counts.
    func finish() throws(RepositoryError) {
        try blocks.finish()
        try nodes.finish()
        counts.stored = blocks.bytes + nodes.bytes
        shared.add(counts, unzeroed: unzeroed)
    }

    /// Blocks of a leaf that were zero in the point that the list of changes is relative to.
    private func zeros(before leaf: Int, among wanted: UInt32, of children: Int) throws(RepositoryError) -> Int {
        guard let names = try knownBefore(leaf) else { return 0 }
        return (0..<children).count { wanted & (1 << UInt32($0)) != 0 && names[$0] == nil }
    }

    /// A bit for each block of a leaf that a list of ranges touches; all of them where there is no list.
    private func blocks(in ranges: [Range<UInt64>]?, _ offset: UInt64, _ count: Int) -> UInt32 {
        guard let changed = ranges else { return .max }
        let leaf = offset..<(offset + UInt64(count))
        var bits: UInt32 = 0
        // Ranges are sorted and apart: the first that ends behind the leaf's begin may touch it.
        var next = changed.partitioningIndex { $0.upperBound > leaf.lowerBound }
        while next < changed.count, changed[next].lowerBound < leaf.upperBound {
            let range = changed[next].clamped(to: leaf)
            let first = (range.lowerBound - offset) / UInt64(Format.block)
            let last = (range.upperBound - 1 - offset) / UInt64(Format.block)
            for block in first...last { bits |= 1 << UInt32(block) }
            next += 1
        }
        return bits
    }

    /// Names that the parent has for the blocks of this leaf; nil where it has no such leaf.
    private func knownBefore(_ leaf: Int) throws(RepositoryError) -> [ContentName?]? {
        guard let parent, leaf < parent.shape.leaves,
            parent.shape.children(level: 0, index: leaf) == shape.children(level: 0, index: leaf)
        else { return nil }
        do throws(RepositoryError) {
            return try parent.leaf(leaf) ?? Array(repeating: nil, count: shape.children(level: 0, index: leaf))
        } catch  where error.isLoss && changed == nil {
            // All blocks are read, and lost ones are stored anew.
            return nil
        }
    }

    /// Reads the wanted blocks of a leaf into the room, neighbours in one go.
    private func read(_ wanted: UInt32, at offset: UInt64, count: Int) throws(RepositoryError) {
        var block = 0
        while block * Format.block < count {
            guard wanted & (1 << UInt32(block)) != 0 else {
                block += 1
                continue
            }
            var end = block + 1
            while end < Format.fanOut, wanted & (1 << UInt32(end)) != 0 { end += 1 }
            let range = (block * Format.block)..<min(end * Format.block, count)
            try source.read(
                at: offset + UInt64(range.lowerBound), into: UnsafeMutableRawBufferPointer(rebasing: room[range]))
            counts.read += UInt64(range.count)
            block = end
        }
    }

    private func store(_ block: UnsafeRawBufferPointer, before: ContentName?) throws(RepositoryError) -> ContentName? {
        guard !isZero(block) else {
            counts.zero += 1
            return nil
        }
        let name = repository.sealing.name(ofBlock: block)
        if name == before { return name }
        guard try index.claim(name, node: false) else { return name }
        counts.new += 1
        if let frame = compressor?.compress(block) {
            try blocks.append(frame, name: name, length: block.count, coding: .compressedBlock)
        } else {
            try blocks.append(block, name: name, length: block.count, coding: .block)
        }
        return name
    }
}
