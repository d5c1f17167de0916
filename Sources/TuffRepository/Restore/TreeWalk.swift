/// Visits everything that restore points need.
///
/// A node is walked once, however many points and places name it. Of each series the first point is walked as a whole,
/// and of every later one only the blocks that differ from the point before: after a change of one block the 31 others
/// of its leaf need not be looked up again. Blocks are gathered and visited in the order of their names, in portions
/// that fit in memory: that is the order of the index, so that each of its pages is read once for a portion and not
/// once for a block. Where a block is lost, the points are walked again without gathering, to find the losses of each.
struct TreeWalk {
    /// Receives the blocks and nodes of a walk.
    protocol Visitor {
        /// A block of so many bytes that a point needs, or a node where there is no length, perhaps more than once;
        /// false: it is not there, and nothing beneath it can be visited.
        mutating func visit(_ name: ContentName, length: Int?) throws(RepositoryError) -> Bool
        /// Receives a stretch of the point's volume that cannot be read because of the last visit.
        mutating func lost(_ range: Range<UInt64>, of point: RestorePoint)
    }

    /// Result of walking one point.
    struct Outcome {
        let point: RestorePoint
        /// Bytes of its volume that cannot be read.
        let lost: LostRanges
        /// The error that ended its walk early.
        let failure: RepositoryError?

        var isWhole: Bool { lost.bytes == 0 && failure == nil }
    }

    private struct Block: Equatable {
        let name: ContentName
        let length: Int
    }

    private let repository: Repository
    private let index: RepositoryIndex
    private var ledger: NodeLedger
    /// Blocks that are to be visited; nil: each is visited at once.
    private var gathered: [Block]?
    /// 20 MiB of memory.
    private static let portion = 1 << 19
    /// Whether a gathered block is not there.
    private var isMissing = false
    /// Number of stretches that may still be listed, of all points together: each costs a walk down its tree.
    private var toTell = 5 * LostRanges.most
    private let progress: JobProgress?

    /// Walks all points.
    ///
    /// - Returns: the results of the points that have losses or damage, in their order.
    static func walk(
        _ points: [RestorePoint], of repository: Repository, index: RepositoryIndex, progress: JobProgress?,
        visitor: inout some Visitor
    ) throws(RepositoryError) -> [Outcome] {
        var trial = visitor
        var quick = TreeWalk(repository, index: index, progress: progress, gathers: true)
        if try quick.isWhole(points, &trial) {
            visitor = trial
            return []
        }
        var walk = TreeWalk(repository, index: index, progress: progress, gathers: false)
        var outcomes: [FileID: Outcome] = [:]
        try walk.each(points, &visitor) { outcome in
            if !outcome.isWhole { outcomes[outcome.point.id] = outcome }
            return true
        }
        return points.compactMap { outcomes[$0.id] }
    }

    private init(_ repository: Repository, index: RepositoryIndex, progress: JobProgress?, gathers: Bool) {
        self.repository = repository
        self.index = index
        self.progress = progress
        ledger = NodeLedger(index)
        gathered = gathers ? [] : nil
    }

    /// Whether nothing at all is lost.
    private mutating func isWhole(
        _ points: [RestorePoint], _ visitor: inout some Visitor
    ) throws(RepositoryError) -> Bool {
        var isWhole = true
        try each(points, &visitor) { outcome in
            isWhole = outcome.isWhole
            return isWhole
        }
        guard isWhole else { return false }
        do throws(RepositoryError) {
            try flush(&visitor)
        } catch  where error.isDamage { return false }
        return !isMissing
    }

    /// Walks each point until `goesOn` says no.
    private mutating func each(
        _ points: [RestorePoint], _ visitor: inout some Visitor, goesOn: (Outcome) -> Bool
    ) throws(RepositoryError) {
        let groups = Dictionary(grouping: points, by: \.record.series).values
        for series in groups.sorted(by: { $0[0].id < $1[0].id }) {
            var before: PointTreeReader?
            for point in series {
                var failure: RepositoryError?
                var reader: PointTreeReader?
                var lost = LostRanges(room: min(LostRanges.most, toTell))
                do throws(RepositoryError) {
                    let tree = try PointTreeReader(point, repository: repository, index: index)
                    if let top = tree.top {
                        let bytes = try measure(tree.root, at: top, in: tree, before: before, visitor: &visitor)
                        if bytes > 0, gathered == nil {
                            try tell(tree.root, at: top, in: tree, of: point, lost: &lost, visitor: &visitor)
                        }
                        lost.bytes = bytes
                    }
                    reader = tree
                } catch  where error.isDamage { failure = error }
                toTell -= lost.ranges.count
                guard !isMissing, goesOn(Outcome(point: point, lost: lost, failure: failure)) else { return }
                before = reader
            }
        }
    }

    /// Visits everything beneath a node that was not met before. Returns the number of lost bytes beneath it.
    private mutating func measure(
        _ name: ContentName, at place: PointTreeReader.Place, in tree: PointTreeReader, before: PointTreeReader?,
        visitor: inout some Visitor
    ) throws(RepositoryError) -> UInt64 {
        let range = tree.shape.range(level: place.level, index: place.index)
        let entry = try entry(of: name, place, range)
        switch entry.map({ ledger[$0] }) {
        case .whole: return 0
        case .hurt(let bytes): return bytes
        case .unknown, nil: break
        }
        try progress?.demand()
        let children = tree.shape.children(level: place.level, index: place.index)
        guard try visitor.visit(name, length: nil),
            let node = try tree.node(named: name, level: place.level, children: children)
        else { return UInt64(range.count) }
        let known = place.level == 0 ? try names(of: place.index, before) : nil
        var lost: UInt64 = 0
        for (slot, child) in node.children.enumerated() {
            guard let child else { continue }
            let index = place.index * Format.fanOut + slot
            if place.level > 0 {
                let below = PointTreeReader.Place(level: place.level - 1, index: index)
                lost += try measure(child, at: below, in: tree, before: before, visitor: &visitor)
            } else if known?[slot] != child || range.count != Format.leaf {
                lost += try measure(child, length: tree.shape.length(ofBlock: index), visitor: &visitor)
            }
        }
        if let entry { ledger[entry] = lost == 0 ? .whole : .hurt(lost) }
        return lost
    }

    /// The ledger's entry of a node. At the end of a volume the same node may have fewer children or a shorter block
    /// beneath it than elsewhere: that one node of each level is walked for each point.
    private func entry(
        of name: ContentName, _ place: PointTreeReader.Place, _ range: Range<UInt64>
    ) throws(RepositoryError) -> NodeLedger.Place? {
        guard range.count == Format.leaf << (5 * place.level) else { return nil }
        return try ledger.place(of: name, level: place.level)
    }

    /// Number of lost bytes of a block. The loss of a gathered block is found later.
    private mutating func measure(
        _ name: ContentName, length: Int, visitor: inout some Visitor
    ) throws(RepositoryError) -> UInt64 {
        guard gathered != nil else { return try visitor.visit(name, length: length) ? 0 : UInt64(length) }
        gathered?.append(Block(name: name, length: length))
        if gathered?.count == Self.portion { try flush(&visitor) }
        return 0
    }

    /// Names of the blocks that the point walked before has beneath a leaf, where all of them are there.
    private func names(of leaf: Int, _ before: PointTreeReader?) throws(RepositoryError) -> [ContentName?]? {
        guard let before, leaf < before.shape.leaves,
            let name = try? before.nameOfLeaf(leaf),
            let entry = try entry(
                of: name, PointTreeReader.Place(level: 0, index: leaf), before.shape.range(level: 0, index: leaf)),
            ledger[entry] == .whole
        else { return nil }
        return try? before.leaf(leaf)
    }

    /// Walks down once more to the losses beneath a node, and lists their places in order while there is room for them.
    private func tell(
        _ name: ContentName, at place: PointTreeReader.Place, in tree: PointTreeReader, of point: RestorePoint,
        lost: inout LostRanges, visitor: inout some Visitor
    ) throws(RepositoryError) {
        guard !lost.isFull else { return }
        let range = tree.shape.range(level: place.level, index: place.index)
        let state = try entry(of: name, place, range).map { ledger[$0] }
        if state == .whole { return }
        // A node that is lost as a whole may have any number of leaves, and is one stretch.
        if place.level > 0, state == .hurt(UInt64(range.count)) { return lost.add(range) }
        let children = tree.shape.children(level: place.level, index: place.index)
        guard try visitor.visit(name, length: nil),
            let node = try tree.node(named: name, level: place.level, children: children)
        else {
            visitor.lost(range, of: point)
            return lost.add(range)
        }
        for (slot, child) in node.children.enumerated() where !lost.isFull {
            guard let child else { continue }
            let index = place.index * Format.fanOut + slot
            if place.level > 0 {
                try tell(
                    child, at: PointTreeReader.Place(level: place.level - 1, index: index), in: tree, of: point,
                    lost: &lost, visitor: &visitor)
                continue
            }
            let range = tree.shape.range(ofBlock: index)
            if try visitor.visit(child, length: range.count) { continue }
            visitor.lost(range, of: point)
            lost.add(range)
        }
    }

    /// Visits the gathered blocks, in the order of the index.
    private mutating func flush(_ visitor: inout some Visitor) throws(RepositoryError) {
        guard var blocks = gathered else { return }
        gathered = []
        blocks.sort { $0.name < $1.name }
        var last: Block?
        for block in blocks where block != last {
            last = block
            if try !visitor.visit(block.name, length: block.length) { isMissing = true }
        }
    }
}
