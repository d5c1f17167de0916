/// Visits everything that restore points need, each node once however many points share it.
struct TreeWalk {
    /// What is told of a block or a node.
    protocol Visitor {
        /// A block of so many bytes that a point needs, or a node where there is no length. Asked only once for each node that was
        /// whole; false: what is beneath cannot be looked at.
        mutating func visit(_ name: ContentName, length: Int?) throws(RepositoryError) -> Bool
        /// A stretch of the point's volume that cannot be read.
        mutating func lost(_ range: Range<UInt64>, of point: RestorePoint)
    }

    private let repository: Repository
    private let index: RepositoryIndex
    /// Nodes beneath which nothing is lost, by level: in another place the same node would be none.
    private var whole: [Set<ContentName>] = []

    init(_ repository: Repository, _ index: RepositoryIndex) {
        self.repository = repository
        self.index = index
    }

    mutating func walk(_ point: RestorePoint, _ visitor: inout some Visitor) throws(RepositoryError) {
        let reader = try TreeReader(point, repository: repository, index: index)
        let (root, shape) = try point.tree()
        guard root != .zero, !shape.nodes.isEmpty else { return }
        _ = try walk(root, shape.nodes.count - 1, 0, shape, reader, point, &visitor)
    }

    /// Whether all beneath a node is there.
    private mutating func walk(
        _ name: ContentName, _ level: Int, _ position: Int, _ shape: TreeShape, _ reader: TreeReader,
        _ point: RestorePoint, _ visitor: inout some Visitor
    ) throws(RepositoryError) -> Bool {
        // At the end of a volume the same node may have fewer children or a shorter block beneath it than elsewhere.
        let range = shape.range(level: level, index: position)
        let isFull = range.count == Format.leaf << (5 * level)
        while whole.count <= level { whole.append([]) }
        if isFull, whole[level].contains(name) { return true }
        let children = shape.children(level: level, index: position)
        guard try visitor.visit(name, length: nil),
            let node = try reader.node(named: name, level: level, children: children)
        else {
            visitor.lost(range, of: point)
            return false
        }
        var isWhole = true
        for (slot, child) in node.children.enumerated() {
            guard let child else { continue }
            let index = position * Format.fanOut + slot
            if level > 0 {
                if try !walk(child, level - 1, index, shape, reader, point, &visitor) { isWhole = false }
            } else if try !visitor.visit(child, length: shape.length(ofBlock: index)) {
                visitor.lost(shape.range(ofBlock: index), of: point)
                isWhole = false
            }
        }
        if isWhole, isFull { whole[level].insert(name) }
        return isWhole
    }
}
