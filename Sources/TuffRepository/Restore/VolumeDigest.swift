/// The digest of a volume, computed from its bytes alone: the name of the tree that a backup of them would make. It
/// reads nothing of the repository and stores nothing in it.
package struct VolumeDigest: Sendable {
    private let sealing: Sealing
    private let shape: TreeShape
    private let progress: JobProgress

    /// - Parameter size: bytes of the volume; what lies behind them is not read.
    /// - Throws: `refused` for a volume larger than the format can hold.
    package init(ofSize size: UInt64, in repository: Repository, progress: JobProgress) throws(RepositoryError) {
        guard let shape = TreeShape(size: size) else {
            throw RepositoryError(.refused, "a volume of \(size) bytes is larger than the format can hold")
        }
        self.shape = shape
        self.progress = progress
        sealing = repository.sealing
    }

    /// As a restore point's record has it (`root`).
    package func run(_ volume: any BlockTarget, threads: some Threads) throws(RepositoryError) -> String {
        let leaves = LeafQueue(shape), tree = TreeBuilder(shape)
        try threads.perform { () throws(RepositoryError) in
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Format.leaf, alignment: 4_096)
            defer { room.deallocate() }
            do throws(RepositoryError) {
                while let leaf = leaves.next() {
                    try progress.demand()
                    try self.add(leaf, of: volume, to: tree, room)
                }
            } catch {
                leaves.stop()
                throw error
            }
        }
        return (tree.root ?? .zero).description
    }

    private func add(
        _ leaf: Int, of volume: any BlockTarget, to tree: TreeBuilder, _ room: UnsafeMutableRawBufferPointer
    ) throws(RepositoryError) {
        let offset = UInt64(leaf) * UInt64(Format.leaf)
        let count = Int(min(UInt64(Format.leaf), shape.size - offset))
        let bytes = UnsafeMutableRawBufferPointer(rebasing: room[..<count])
        try volume.read(at: offset, into: bytes)
        let names = stride(from: 0, to: count, by: Format.block).map { begin -> ContentName? in
            let block = UnsafeRawBufferPointer(rebasing: bytes[begin..<min(begin + Format.block, count)])
            return isZero(block) ? nil : sealing.name(ofBlock: block)
        }
        var name = name(of: TreeNode(level: 0, children: names)), level = 0, index = leaf
        while let above = tree.add(name, level: level, index: index) {
            name = self.name(of: above.node)
            (level, index) = (above.node.level, above.index)
        }
        progress.add(UInt64(count))
    }

    private func name(of node: TreeNode) -> ContentName? { node.isZero ? nil : sealing.name(ofNode: node.bytes) }
}
