/// Takes restore points away, and what then nothing needs: marked first, destroyed a day later.
///
/// To be run under an exclusive lease. Whatever is thrown, and if the process dies: every restore point that is listed is
/// whole, and pruning again goes on.
package struct Prune: Sendable {
    package struct Report: Hashable, Sendable {
        package var removedPoints: [RestorePoint] = []
        /// Packs that were marked now, and those marked before that were destroyed; with their bytes.
        package var marked = 0
        package var markedBytes: UInt64 = 0
        package var destroyed = 0
        package var destroyedBytes: UInt64 = 0
        /// Bytes copied out of packs that were mostly dead.
        package var copied: UInt64 = 0

        package init() {}
    }

    /// Nanoseconds between marking and destroying: a restore that began before has this long.
    static let patience: Int64 = 24 * 3600 * 1_000_000_000
    /// A pack of which less than this share of its bytes is alive is copied.
    private static let copiedBelow = 0.5

    private let repository: Repository
    private let lease: Lease?
    private let waits: Int64

    /// - Parameters:
    ///   - lease: an exclusive one; nil only where nobody else can reach the repository.
    ///   - atOnce: destroy what is marked without waiting a day. Only when nobody restores.
    package init(_ repository: Repository, lease: Lease?, atOnce: Bool = false) {
        self.repository = repository
        self.lease = lease
        waits = atOnce ? 0 : Self.patience
    }

    package func run(removing points: [RestorePoint]) throws(RepositoryError) -> Report {
        var report = Report()
        let found = try repository.points()
        // What a damaged point needs is not known: nothing can be called dead.
        if let damaged = found.damaged.first {
            throw RepositoryError(
                .damaged,
                "nothing was pruned, since what a damaged restore point needs is not known: \(damaged); to give it up, "
                    + "remove its file from the repository's directory 'points'")
        }
        try lease?.demand()
        let removed = Set(points.map(\.id))
        // Oldest first: of the points of one second the newest is known by its chain of predecessors, so that what is left
        // of a chain when this is cut off must be its end.
        report.removedPoints = found.points.filter { removed.contains($0.id) }
        for point in report.removedPoints { try repository.store.remove(RestorePoint.path(point.id)) }
        if !points.isEmpty { try repository.store.sync(directory: "points") }
        let kept = found.points.filter { !removed.contains($0.id) }
        try removeTemporaries()
        try markDead(kept, &report)
        try destroy(kept, &report)
        return report
    }

    /// What writers that died left. A living one has its files for minutes, not for a day.
    private func removeTemporaries() throws(RepositoryError) {
        let now = try repository.store.now()
        for file in try repository.store.list("temporary") where now - file.modified > Self.patience {
            try repository.store.remove("temporary/\(file.name)")
        }
    }

    // MARK: Marking

    private func markDead(_ points: [RestorePoint], _ report: inout Report) throws(RepositoryError) {
        let index = try RepositoryIndex(store: repository.store, custody: repository.custody)
        let doomed = Set(try Mark.list(repository.store, repository.custody).flatMap(\.packs))
        var alive = try Alive(points, repository, index, lease)
        var dead: [FileID] = []
        var sparse: [FileID] = []
        var sizes: [FileID: UInt64] = [:]
        for pack in try repository.packs() where !doomed.contains(pack) {
            let bytes = alive.bytes[pack] ?? 0
            let size = try repository.store.open(Pack.path(pack)).size
            if bytes == 0 {
                dead.append(pack)
            } else if Double(bytes) < Self.copiedBelow * Double(alive.all[pack] ?? 0) {
                report.copied += bytes
                sparse.append(pack)
            } else {
                continue
            }
            sizes[pack] = size
        }
        alive.toCopy = Set(sparse)
        // Copies are durable and in the index before what they were copied from is marked.
        do throws(RepositoryError) {
            try copy(alive, index)
            dead += sparse
        } catch  where error.code == .full {
            // On a full disk what holds nothing goes first; a later prune has the room.
            report.copied = 0
        }
        try lease?.demand()
        report.marked = dead.count
        report.markedBytes = dead.reduce(0) { $0 + (sizes[$1] ?? 0) }
        if !dead.isEmpty { try Mark.write(dead, repository.store, repository.custody) }
    }

    private func copy(_ alive: Alive, _ index: RepositoryIndex) throws(RepositoryError) {
        guard !alive.toCopy.isEmpty else { return }
        let checker = RecordChecker(repository)
        let blocks = Packs(.blockPack, repository: repository, index: index)
        let nodes = Packs(.nodePack, repository: repository, index: index)
        for location in try alive.locations(in: alive.toCopy).sorted(by: {
            ($0.pack, $0.entry.offset) < ($1.pack, $1.entry.offset)
        }) {
            guard let stored = try checker.stored(location) else {
                throw RepositoryError(
                    .damaged,
                    "\(Pack.path(location.pack)) holds a damaged record; 'tuff backup check --read-data' says whose")
            }
            let entry = location.entry
            let packs = entry.coding == .node ? nodes : blocks
            try packs.append(stored, name: entry.name, length: entry.length, coding: entry.coding)
            try lease?.keep()
        }
        try blocks.finish()
        try nodes.finish()
        try index.flush()
    }

    // MARK: Destroying

    private func destroy(_ points: [RestorePoint], _ report: inout Report) throws(RepositoryError) {
        let store = repository.store
        let now = try store.now()
        let due = try Mark.list(store, repository.custody).filter { now - $0.made >= waits }
        guard !due.isEmpty else { return }
        let marked = Set(due.flatMap(\.packs))
        let index = try RepositoryIndex(store: store, custody: repository.custody)
        // Looked at again: what a listed point needs and nothing else holds is not destroyed, whoever marked it. Without
        // its mark the pack is as good as any.
        let alive = try Alive(points, repository, index, lease)
        let packs = marked.filter { (alive.bytes[$0] ?? 0) == 0 }
        // This process may have slept, and been taken for dead, for as long as it likes.
        try lease?.demand()
        for pack in packs.sorted() {
            try lease?.keep()
            do throws(RepositoryError) {
                report.destroyedBytes += try store.open(Pack.path(pack)).size
            } catch  where error.code == .notFound {
                continue  // Destroyed by a run that ended before it wrote the index.
            }
            try store.remove(Pack.path(pack))
            report.destroyed += 1
        }
        try rewrite(index, without: packs)
        for mark in due { try store.remove(Mark.path(mark.id)) }
        try store.sync(directory: "marks")
    }

    /// One index file instead of all, which does not name these packs.
    private func rewrite(_ index: RepositoryIndex, without packs: Set<FileID>) throws(RepositoryError) {
        let old = index.files
        let writer = try IndexWriter(store: repository.store, custody: repository.custody)
        var merge = try IndexMerge(old)
        while let location = try merge.next() {
            if !packs.contains(location.pack) { try writer.append(location) }
            try lease?.keep()
        }
        _ = try writer.finish()
        for file in old { try repository.store.remove(IndexFile.path(file.id)) }
        try repository.store.sync(directory: "index")
    }
}

/// Which entries of the index restore points need: one of each name, a bit for each entry.
private struct Alive {
    private var files: [IndexFile]
    private var bits: [[UInt64]]
    /// Bytes of records that are needed, of each pack.
    private(set) var bytes: [FileID: UInt64] = [:]
    /// Bytes of all records that the index names, of each pack.
    private(set) var all: [FileID: UInt64] = [:]
    var toCopy: Set<FileID> = []

    init(
        _ points: [RestorePoint], _ repository: Repository, _ index: RepositoryIndex, _ lease: Lease?
    ) throws(RepositoryError) {
        files = index.files
        bits = files.map { Array(repeating: 0, count: ($0.layout.entries + 63) / 64) }
        for file in files {
            for page in 0..<file.layout.entryPages {
                for item in try file.entries(ofPage: page) {
                    all[file.packs[item.pack], default: 0] += UInt64(item.entry.stored)
                }
            }
        }
        var visitor = Visitor(index: index, lease: lease, alive: self)
        var walk = TreeWalk(repository, index)
        for point in points {
            try walk.walk(point, &visitor)
            try lease?.keep()
        }
        if let lost = visitor.lost {
            throw RepositoryError(
                .damaged,
                "nothing was pruned: restore point \(lost) is damaged; 'tuff backup check' says where")
        }
        self = visitor.alive
    }

    /// Every needed entry of these packs.
    func locations(in packs: Set<FileID>) throws(RepositoryError) -> [Location] {
        var result: [Location] = []
        for (number, file) in files.enumerated() {
            for page in 0..<file.layout.entryPages {
                for (slot, item) in try file.entries(ofPage: page).enumerated() {
                    let entry = page * IndexLayout.entriesPerPage + slot
                    let pack = file.packs[item.pack]
                    guard packs.contains(pack), bits[number][entry / 64] & (1 << UInt64(entry % 64)) != 0 else {
                        continue
                    }
                    result.append(Location(pack: pack, entry: item.entry))
                }
            }
        }
        return result
    }

    /// Takes note of the one copy that is kept; false if there is none.
    fileprivate mutating func note(
        _ name: ContentName, isNode: Bool, _ index: RepositoryIndex
    ) throws(RepositoryError) -> Bool {
        guard let best = try index.find(name, node: isNode).first else { return false }
        for (number, file) in files.enumerated() {
            for (entry, location) in try file.findNumbered(name, node: isNode) where location == best {
                if bits[number][entry / 64] & (1 << UInt64(entry % 64)) == 0 {
                    bits[number][entry / 64] |= 1 << UInt64(entry % 64)
                    bytes[best.pack, default: 0] += UInt64(best.entry.stored)
                }
                return true
            }
        }
        return false
    }

    private struct Visitor: TreeWalk.Visitor {
        let index: RepositoryIndex
        let lease: Lease?
        var alive: Alive
        var lost: FileID?

        mutating func visit(_ name: ContentName, isNode: Bool) throws(RepositoryError) -> Bool {
            try lease?.keep()
            return try alive.note(name, isNode: isNode, index)
        }

        mutating func lost(_ range: Range<UInt64>, of point: RestorePoint) { lost = point.id }
    }
}
