/// Reads nodes and blocks of one volume's tree, for one thread. What it returns has proved itself by its name.
final class TreeReader {
    private let repository: Repository
    private let index: RepositoryIndex
    private let root: ContentName
    let shape: TreeShape
    private let decompressor = Decompressor()
    /// The last node read of each level: whoever walks a volume in order reads each node once.
    private var path: [(index: Int, node: Node?)?]
    private var packs: [FileID: PackReader] = [:]
    private var order: [FileID] = []
    private var room: UnsafeMutableRawBufferPointer
    private static let openPacks = 32

    init(_ point: RestorePoint, repository: Repository, index: RepositoryIndex) throws(RepositoryError) {
        (root, shape) = try point.tree()
        self.repository = repository
        self.index = index
        path = Array(repeating: nil, count: shape.nodes.count)
        room = .allocate(byteCount: Format.leaf + Format.fanOut * Format.proof, alignment: 4_096)
    }

    deinit { room.deallocate() }

    /// Names of the blocks beneath a node of level 0; nil if all of them are zero.
    func leaf(_ index: Int) throws(RepositoryError) -> [ContentName?]? { try node(0, index)?.children }

    /// Name of a node of level 0; nil if all beneath it is zero.
    func nameOfLeaf(_ index: Int) throws(RepositoryError) -> ContentName? { try name(0, index) }

    private func name(_ level: Int, _ index: Int) throws(RepositoryError) -> ContentName? {
        guard level + 1 < shape.nodes.count else { return root == .zero ? nil : root }
        return try node(level + 1, index / Format.fanOut)?.children[index % Format.fanOut]
    }

    private func node(_ level: Int, _ index: Int) throws(RepositoryError) -> Node? {
        if let last = path[level], last.index == index { return last.node }
        let node = try name(level, index).map { name throws(RepositoryError) in
            try read(name, level, shape.children(level: level, index: index))
        }
        path[level] = (index, node)
        return node
    }

    private func read(_ name: ContentName, _ level: Int, _ count: Int) throws(RepositoryError) -> Node {
        guard let location = try index.find(name, node: true) else {
            throw RepositoryError(.damaged, "node \(name) is in no index")
        }
        let bytes = try record(location)
        guard repository.custody.name(ofNode: Array(bytes)) == name, let node = Node(bytes, level: level, count: count)
        else { throw RepositoryError(.damaged, "node \(name) in pack \(location.pack) is damaged") }
        return node
    }

    /// Fills `buffers`, one for each name, with blocks; each is checked. What was stored together is read together.
    func read(_ blocks: [(name: ContentName, into: UnsafeMutableRawBufferPointer)]) throws(RepositoryError) {
        var located: [(Location, ContentName, UnsafeMutableRawBufferPointer)] = []
        for (name, buffer) in blocks {
            guard let location = try index.find(name, node: false) else {
                throw RepositoryError(.damaged, "block \(name) is in no index")
            }
            guard location.entry.length == buffer.count else {
                throw RepositoryError(
                    .damaged, "block \(name) has \(location.entry.length) bytes instead of \(buffer.count)")
            }
            located.append((location, name, buffer))
        }
        var begin = 0
        while begin < located.count {
            var end = begin + 1
            var bytes = Int(located[begin].0.entry.stored)
            while end < located.count, located[end].0.pack == located[begin].0.pack,
                located[end].0.entry.offset == located[end - 1].0.entry.offset + located[end - 1].0.entry.stored
            {
                bytes += Int(located[end].0.entry.stored)
                end += 1
            }
            let first = located[begin].0
            try pack(first.pack).read(first.entry.offset, count: bytes, into: room)
            var offset = 0
            for (location, name, buffer) in located[begin..<end] {
                let stored = UnsafeRawBufferPointer(rebasing: room[offset..<(offset + Int(location.entry.stored))])
                offset += stored.count
                try unpack(stored, location, name, into: buffer)
            }
            begin = end
        }
    }

    private func unpack(
        _ stored: UnsafeRawBufferPointer, _ location: Location, _ name: ContentName,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(RepositoryError) {
        let isWhole =
            location.entry.coding == .compressedBlock
            ? decompressor.decompress(stored, into: buffer) : stored.count == buffer.count
        if isWhole, location.entry.coding == .block { buffer.copyMemory(from: stored) }
        guard isWhole, repository.custody.name(ofBlock: UnsafeRawBufferPointer(buffer)) == name else {
            throw RepositoryError(.damaged, "block \(name) in pack \(location.pack) is damaged")
        }
    }

    private func record(_ location: Location) throws(RepositoryError) -> UnsafeRawBufferPointer {
        let count = Int(location.entry.stored)
        try pack(location.pack).read(location.entry.offset, count: count, into: room)
        return UnsafeRawBufferPointer(rebasing: room[..<count])
    }

    private func pack(_ id: FileID) throws(RepositoryError) -> PackReader {
        if let pack = packs[id] { return pack }
        if order.count == Self.openPacks { packs[order.removeFirst()] = nil }
        let pack = try PackReader(id, store: repository.store, custody: repository.custody)
        packs[id] = pack
        order.append(id)
        return pack
    }
}
