/// Reads nodes and blocks of one volume's tree, for one thread. All bytes that it returns have proved themselves by
/// their name.
final class PointTreeReader {
    private let repository: Repository
    private let index: RepositoryIndex
    let root: ContentName
    let shape: TreeShape
    private let decompressor = Decompressor()
    /// The last node read of each level: a walk of the volume in order reads each node once.
    private var path: [(index: Int, node: TreeNode?)?]
    private var packs: [FileID: PackReader] = [:]
    private var order: [FileID] = []
    /// Room into which records are read, behind bytes that opening the first record may write over.
    private let room: UnsafeMutableRawBufferPointer
    private static let begin = FileSeal.headroom
    private static let openPacks = 32

    init(_ point: RestorePoint, repository: Repository, index: RepositoryIndex) throws(RepositoryError) {
        (root, shape) = try point.tree()
        self.repository = repository
        self.index = index
        path = Array(repeating: nil, count: shape.nodes.count)
        room = .allocate(byteCount: Self.begin + Format.leaf + Format.fanOut * Format.proof, alignment: 4_096)
    }

    deinit { room.deallocate() }

    /// Reads the node at the top, where there is one that is not all zero.
    func readRoot() throws(RepositoryError) {
        if shape.nodes.count > 0 { _ = try node(shape.nodes.count - 1, 0) }
    }

    /// Names of the blocks beneath a node of level 0; nil if all of them are zero.
    func leaf(_ index: Int) throws(RepositoryError) -> [ContentName?]? { try node(0, index)?.children }

    /// Name of a node of level 0; nil if all beneath it is zero.
    func nameOfLeaf(_ index: Int) throws(RepositoryError) -> ContentName? { try name(0, index) }

    /// A node's place in the tree: leaves have level 0.
    struct Place {
        let level: Int
        let index: Int
    }

    /// Place of the root; nil where the volume has none, or all of it is zero.
    var top: Place? {
        root == .zero || shape.nodes.isEmpty ? nil : Place(level: shape.nodes.count - 1, index: 0)
    }

    /// Name of a node; nil if all beneath it is zero.
    func name(_ level: Int, _ index: Int) throws(RepositoryError) -> ContentName? {
        guard level + 1 < shape.nodes.count else { return root == .zero ? nil : root }
        return try node(level + 1, index / Format.fanOut)?.children[index % Format.fanOut]
    }

    private func node(_ level: Int, _ index: Int) throws(RepositoryError) -> TreeNode? {
        if let last = path[level], last.index == index { return last.node }
        let node = try name(level, index).map { name throws(RepositoryError) in
            try read(name, level: level, count: shape.children(level: level, index: index))
        }
        path[level] = (index, node)
        return node
    }

    /// A node whose place is known otherwise than by walking down to it; nil if it is damaged or gone.
    func node(named name: ContentName, level: Int, children: Int) throws(RepositoryError) -> TreeNode? {
        do throws(RepositoryError) {
            return try read(name, level: level, count: children)
        } catch  where error.isLoss { return nil }
    }

    private func read(_ name: ContentName, level: Int, count: Int) throws(RepositoryError) -> TreeNode {
        var last = RepositoryError(.damaged, "node \(name) is in no index")
        for location in try index.find(name, node: true) {
            do throws(RepositoryError) {
                try fetch(location)
                let node = try withContent(of: location, at: Self.begin) { bytes in
                    repository.sealing.name(ofNode: Array(bytes)) == name
                        ? TreeNode(bytes, level: level, count: count) : nil
                }
                guard case let node?? = node else {
                    throw RepositoryError(.damaged, "node \(name) in pack \(location.pack) is damaged")
                }
                return node
            } catch {
                last =
                    error.code == .notFound ? RepositoryError(.damaged, "\(Pack.path(location.pack)) is gone") : error
            }
        }
        throw last
    }

    /// A block, and the buffer that takes it.
    typealias Wanted = (name: ContentName, into: UnsafeMutableRawBufferPointer)

    /// Fills buffers, one for each name, with blocks; each is checked. Records that were stored together are read
    /// together.
    func read(_ blocks: [Wanted]) throws(RepositoryError) {
        var located: [(Location, ContentName, UnsafeMutableRawBufferPointer)] = []
        for (name, buffer) in blocks {
            guard let location = try index.find(name, node: false).first else {
                throw RepositoryError(.damaged, "block \(name) is in no index")
            }
            located.append((location, name, buffer))
        }
        var begin = 0
        while begin < located.count {
            var end = begin + 1
            var bytes = Int(located[begin].0.entry.stored)
            while end < located.count, located[end].0.pack == located[begin].0.pack,
                located[end].0.entry.offset == located[end - 1].0.entry.offset + located[end - 1].0.entry.stored,
                end - begin < Format.fanOut
            {
                bytes += Int(located[end].0.entry.stored)
                end += 1
            }
            try read(located[begin..<end], bytes: bytes)
            begin = end
        }
    }

    /// Records that lie one behind the other. One that cannot be read or is damaged may have another copy.
    private func read(
        _ run: ArraySlice<(Location, ContentName, UnsafeMutableRawBufferPointer)>, bytes: Int
    ) throws(RepositoryError) {
        guard let first = run.first?.0 else { return }
        let isThere: Bool
        do throws(RepositoryError) {
            try fetch(first, count: bytes)
            isThere = true
        } catch  where error.isLoss { isThere = false }
        // One bad sector must not cost its neighbours.
        if !isThere, run.count > 1 {
            for index in run.indices { try read(run[index...index], bytes: Int(run[index].0.entry.stored)) }
            return
        }
        var offset = Self.begin
        for (location, name, buffer) in run {
            // Opening it may write over the end of the one before, which is done with.
            if isThere, try unpack(location, at: offset, name, into: buffer) {
                offset += Int(location.entry.stored)
                continue
            }
            offset += Int(location.entry.stored)
            try readElsewhere(name, into: buffer, not: location)
            // The other copy was read into the same room.
            if isThere { try fetch(first, count: bytes) }
        }
    }

    private func readElsewhere(
        _ name: ContentName, into buffer: UnsafeMutableRawBufferPointer, not bad: Location
    ) throws(RepositoryError) {
        for location in try index.find(name, node: false) where location != bad {
            do throws(RepositoryError) {
                try fetch(location)
                if try unpack(location, at: Self.begin, name, into: buffer) { return }
            } catch  where error.isLoss { continue }
        }
        throw RepositoryError(.damaged, "block \(name) in pack \(bad.pack) is damaged")
    }

    /// Fills the buffer from a record that lies at `offset` of the room; false if that is not the block of this name.
    private func unpack(
        _ location: Location, at offset: Int, _ name: ContentName, into buffer: UnsafeMutableRawBufferPointer
    ) throws(RepositoryError) -> Bool {
        guard location.entry.length == buffer.count,
            try withContent(of: location, at: offset, { decode($0, location.entry.coding, into: buffer) }) == true
        else { return false }
        return repository.sealing.name(ofBlock: UnsafeRawBufferPointer(buffer)) == name
    }

    private func decode(
        _ content: UnsafeRawBufferPointer, _ coding: Format.Coding, into buffer: UnsafeMutableRawBufferPointer
    ) -> Bool {
        if coding == .compressedBlock { return decompressor.decompress(content, into: buffer) }
        guard content.count == buffer.count else { return false }
        buffer.copyMemory(from: content)
        return true
    }

    /// Passes the content of the record at `offset` of the room, opened where it is sealed, to `body` and returns its
    /// result; nil if the record does not prove itself.
    private func withContent<Value>(
        of location: Location, at offset: Int, _ body: (UnsafeRawBufferPointer) -> Value
    ) throws(RepositoryError) -> Value? {
        let count = Int(location.entry.stored)
        guard repository.sealing.isEncrypted else {
            return body(UnsafeRawBufferPointer(rebasing: room[offset..<(offset + count)]))
        }
        let seal = try pack(location.pack).seal(location.isNode ? .nodePack : .blockPack)
        return seal.withContent(
            of: count, at: offset, in: room, position: UInt64(location.entry.offset), body)
    }

    /// Reads a record, or several that lie one behind the other, to the begin of the room.
    private func fetch(_ first: Location, count: Int? = nil) throws(RepositoryError) {
        try pack(first.pack).read(
            first.entry.offset, count: count ?? Int(first.entry.stored),
            into: UnsafeMutableRawBufferPointer(rebasing: room[Self.begin...]))
    }

    private func pack(_ id: FileID) throws(RepositoryError) -> PackReader {
        if let pack = packs[id] { return pack }
        if order.count == Self.openPacks { packs[order.removeFirst()] = nil }
        let pack = try PackReader(id, store: repository.store, sealing: repository.sealing)
        packs[id] = pack
        order.append(id)
        return pack
    }
}
