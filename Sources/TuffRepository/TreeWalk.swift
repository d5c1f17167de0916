/// Visits everything that restore points need.
///
/// Of each series the first point is walked as a whole, and of every later one only what differs from the one before it: a change
/// in one block of a leaf must not have the 31 beside it looked up again. Blocks are gathered and visited in the order of their
/// names, in portions that fit in memory: that is the order of the index, so that each of its pages is read once for a portion
/// and not once for a block. Where something is lost, the points are walked again without gathering, to tell what each of them lacks.
struct TreeWalk {
    /// What is told of a block or a node.
    protocol Visitor {
        /// A block of so many bytes that a point needs, or a node where there is no length, perhaps more than once; false: it is not
        /// there, and what is beneath cannot be looked at.
        mutating func visit(_ name: ContentName, length: Int?) throws(RepositoryError) -> Bool
        /// A stretch of the point's volume that cannot be read for what was visited last.
        mutating func lost(_ range: Range<UInt64>, of point: RestorePoint)
    }

    /// What became of one point.
    struct Outcome {
        let point: RestorePoint
        /// Bytes of its volume that cannot be read, in order.
        let lost: [Range<UInt64>]
        /// Why its walk ended early.
        let failure: RepositoryError?
    }

    private struct Block: Equatable {
        let name: ContentName
        let length: Int
    }

    private let repository: Repository
    private let index: RepositoryIndex
    /// Nodes beneath which nothing is lost, by level: in another place the same node would be none. Volumes that have much in common
    /// are walked once for all of them, as far as these are remembered.
    private var whole: [Set<ContentName>] = []
    private var remembered = 0
    /// Some 100 MiB, and 2 TiB of volumes that have nothing in common.
    private static let most = 1 << 20
    /// Blocks that are to be visited; nil: each is visited at once.
    private var gathered: [Block]?
    /// 20 MiB of memory.
    private static let portion = 1 << 19
    private var lost: [Range<UInt64>] = []
    /// Whether one of those that were gathered is not there.
    private var isMissing = false
    private let progress: JobProgress?

    /// Walks all of them.
    ///
    /// - Returns: what became of those of which something is lost or damaged, in their order.
    static func walk(
        _ points: [RestorePoint], of repository: Repository, _ index: RepositoryIndex, _ progress: JobProgress?,
        _ visitor: inout some Visitor
    ) throws(RepositoryError) -> [Outcome] {
        var trial = visitor
        var quick = TreeWalk(repository, index, progress, gathers: true)
        if try quick.isWhole(points, &trial) {
            visitor = trial
            return []
        }
        var walk = TreeWalk(repository, index, progress, gathers: false)
        var outcomes: [FileID: Outcome] = [:]
        try walk.each(points, &visitor) { outcome in
            if !outcome.lost.isEmpty || outcome.failure != nil { outcomes[outcome.point.id] = outcome }
            return true
        }
        return points.compactMap { outcomes[$0.id] }
    }

    private init(_ repository: Repository, _ index: RepositoryIndex, _ progress: JobProgress?, gathers: Bool) {
        self.repository = repository
        self.index = index
        self.progress = progress
        gathered = gathers ? [] : nil
    }

    /// Whether nothing at all is lost.
    private mutating func isWhole(
        _ points: [RestorePoint], _ visitor: inout some Visitor
    ) throws(RepositoryError) -> Bool {
        var isWhole = true
        try each(points, &visitor) { outcome in
            isWhole = outcome.lost.isEmpty && outcome.failure == nil
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
            var before: Before?
            for point in series {
                lost = []
                var failure: RepositoryError?
                var reader: TreeReader?
                do throws(RepositoryError) {
                    let tree = try TreeReader(point, repository: repository, index: index)
                    try walk(tree, since: before, point, &visitor)
                    reader = tree
                } catch  where error.isDamage { failure = error }
                lost = lost.joined()
                guard !isMissing, goesOn(Outcome(point: point, lost: lost, failure: failure)) else { return }
                before = reader.map { Before(tree: $0, lost: lost) }
            }
        }
    }

    private mutating func walk(
        _ tree: TreeReader, since before: Before?, _ point: RestorePoint, _ visitor: inout some Visitor
    ) throws(RepositoryError) {
        guard tree.root != .zero, !tree.shape.nodes.isEmpty else { return }
        let place = TreeReader.Place(level: tree.shape.nodes.count - 1, index: 0)
        _ = try walk(tree.root, place, tree, before, point, &visitor)
    }

    /// Whether all beneath a node is there.
    private mutating func walk(
        _ name: ContentName, _ place: TreeReader.Place, _ tree: TreeReader, _ before: Before?, _ point: RestorePoint,
        _ visitor: inout some Visitor
    ) throws(RepositoryError) -> Bool {
        let range = tree.shape.range(level: place.level, index: place.index)
        // At the end of a volume the same node may have fewer children or a shorter block beneath it than elsewhere.
        let isFull = range.count == Format.leaf << (5 * place.level)
        while whole.count <= place.level { whole.append([]) }
        if isFull, whole[place.level].contains(name) { return true }
        try progress?.demand()
        if let before, before.name(place, range) == name, before.isWhole(range) { return true }
        let children = tree.shape.children(level: place.level, index: place.index)
        guard try visitor.visit(name, length: nil),
            let node = try tree.node(named: name, level: place.level, children: children)
        else {
            visitor.lost(range, of: point)
            lost.append(range)
            return false
        }
        var isWhole = true
        for (slot, child) in node.children.enumerated() {
            guard let child else { continue }
            let index = place.index * Format.fanOut + slot
            let isThere: Bool
            if place.level > 0 {
                isThere = try walk(
                    child, TreeReader.Place(level: place.level - 1, index: index), tree, before, point, &visitor)
            } else {
                isThere = try block(child, index, tree, before, point, &visitor)
            }
            if !isThere { isWhole = false }
        }
        if isWhole, isFull, remembered < Self.most, whole[place.level].insert(name).inserted { remembered += 1 }
        return isWhole
    }

    /// Whether a block is there; of one that is gathered that is told later.
    private mutating func block(
        _ name: ContentName, _ index: Int, _ tree: TreeReader, _ before: Before?, _ point: RestorePoint,
        _ visitor: inout some Visitor
    ) throws(RepositoryError) -> Bool {
        let range = tree.shape.range(ofBlock: index)
        if let before, before.name(ofBlock: index, range) == name, before.isWhole(range) { return true }
        if gathered != nil {
            gathered?.append(Block(name: name, length: range.count))
            if gathered?.count == Self.portion { try flush(&visitor) }
            return true
        }
        if try visitor.visit(name, length: range.count) { return true }
        visitor.lost(range, of: point)
        lost.append(range)
        return false
    }

    /// Visits what is gathered, in the order of the index.
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

/// The point of the series that was walked before.
private struct Before {
    let tree: TreeReader
    let lost: [Range<UInt64>]

    /// Whether it lacks nothing there. What it lacks is looked for again: a node above may have been all that was gone.
    func isWhole(_ range: Range<UInt64>) -> Bool {
        let next = lost.partitioningIndex { $0.upperBound > range.lowerBound }
        return next == lost.endIndex || lost[next].lowerBound >= range.upperBound
    }

    /// What it had in a place; nil where it had none that is as large, or nobody can tell.
    func name(_ place: TreeReader.Place, _ range: Range<UInt64>) -> ContentName? {
        guard place.level < tree.shape.nodes.count, place.index < tree.shape.nodes[place.level],
            tree.shape.range(level: place.level, index: place.index) == range
        else { return nil }
        return (try? tree.name(place.level, place.index)) ?? nil
    }

    func name(ofBlock index: Int, _ range: Range<UInt64>) -> ContentName? {
        guard index < tree.shape.blocks, tree.shape.range(ofBlock: index) == range,
            let leaf = try? tree.leaf(index / Format.fanOut)
        else { return nil }
        return leaf[index % Format.fanOut]
    }
}
