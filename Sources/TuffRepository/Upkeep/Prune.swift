/// Removes restore points, and packs that nothing needs then: these are marked first, and destroyed a day later.
///
/// It runs under an exclusive lease. When it throws, or the process dies, every listed restore point is whole, and the
/// next prune goes on.
package struct Prune: Sendable {
    package struct Report: Hashable, Codable, Sendable {
        package var removedPoints: [RestorePoint] = []
        /// Packs that were marked now, and those marked before that were destroyed; with their bytes.
        package var marked = 0
        package var markedBytes: UInt64 = 0
        package var destroyed = 0
        package var destroyedBytes: UInt64 = 0
        /// Bytes copied out of packs that were mostly dead.
        package var copied: UInt64 = 0
        /// Points that a person sets aside with this prune.
        package var setAside: [FileID] = []

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
    ///   - atOnce: destroys marked packs without waiting a day. Only for times when nobody restores.
    package init(_ repository: Repository, lease: Lease?, atOnce: Bool = false) {
        self.repository = repository
        self.lease = lease
        waits = atOnce ? 0 : Self.patience
    }

    package func run(removing points: [RestorePoint]) throws(RepositoryError) -> Report {
        var report = Report()
        let found = try repository.points()
        // The packs that a damaged point needs are unknown, so none can be called dead.
        if let damaged = found.damaged.first {
            throw RepositoryError(
                .damaged,
                "nothing was pruned, since what a damaged restore point needs is not known: \(damaged); to give it up, "
                    + "remove its file from the repository's directory 'points'")
        }
        let removed = Set(points.map(\.id))
        let kept = found.points.filter { !removed.contains($0.id) }
        // Before anything is removed: without knowing the needed packs nothing may be removed.
        let index = try index()
        var alive = try Alive(kept, of: repository, index: index, lease: lease)
        let leaving = try leaving(&alive)
        try lease?.demand()
        // Oldest first: of the points of one second the newest is known by its chain of predecessors, so that what is
        // left of a chain when this is cut off must be its end.
        report.removedPoints = found.points.filter { removed.contains($0.id) }
        for point in report.removedPoints { try repository.store.remove(RestorePoint.path(point.id)) }
        if !points.isEmpty { try repository.store.sync(directory: "points") }
        for id in try repository.hurtPoints().intersection(removed).sorted() {
            try repository.store.remove("hurt/\(id)")
        }
        for id in try repository.setAside().points.keys.filter(removed.contains).sorted() {
            try repository.store.remove(Repository.asidePath(id))
        }
        try removeTemporaries()
        try mark(leaving, alive: &alive, index: index, report: &report)
        try destroy(kept, &report)
        return report
    }

    /// The work of pruning without these points now, in packs and bytes. Nothing is changed.
    package func forecast(removing points: [RestorePoint]) throws(RepositoryError) -> Report {
        let removed = Set(points.map(\.id))
        let found = try repository.points().points
        let kept = found.filter { !removed.contains($0.id) }
        var alive = try Alive(kept, of: repository, index: try index(), lease: lease)
        let leaving = try leaving(&alive)
        var report = Report()
        report.removedPoints = found.filter { removed.contains($0.id) }
        report.copied = leaving.needed
        report.marked = leaving.dead.count + leaving.sparse.count
        report.markedBytes = (leaving.dead + leaving.sparse).reduce(0) { $0 + (alive.packs[$1] ?? 0) }
        let now = try repository.store.now()
        let due = try PackMark.list(repository.store, repository.sealing).filter { now - min(now, $0.made) >= waits }
        for pack in Set(due.flatMap(\.packs)) where (alive.bytes[pack] ?? 0) == 0 {
            guard let bytes = alive.packs[pack] else { continue }
            report.destroyed += 1
            report.destroyedBytes += bytes
        }
        // Marked packs are destroyed in the same run where nobody waits.
        if waits == 0 {
            report.destroyed += report.marked
            report.destroyedBytes += report.markedBytes
        }
        return report
    }

    private func index() throws(RepositoryError) -> RepositoryIndex {
        try RepositoryIndex(store: repository.store, sealing: repository.sealing, lease: lease)
    }

    /// Removes temporary files that dead writers left. A living writer has its files for minutes, not for a day.
    private func removeTemporaries() throws(RepositoryError) {
        let now = try repository.store.now()
        // Nobody writes a file whose time is a day ahead either.
        for file in try repository.store.list("temporary") where abs(now - file.modified) > Self.patience {
            try repository.store.remove("temporary/\(file.name)")
        }
    }

    // MARK: Marking

    /// Packs that nothing needs, and packs of which little is needed.
    private struct Leaving {
        var dead: [FileID] = []
        var sparse: [FileID] = []
        /// Bytes that are needed in the sparse ones.
        var needed: UInt64 = 0
    }

    private func leaving(_ alive: inout Alive) throws(RepositoryError) -> Leaving {
        let doomed = Set(try PackMark.list(repository.store, repository.sealing).flatMap(\.packs))
        var leaving = Leaving()
        for pack in alive.packs.keys.sorted() where !doomed.contains(pack) {
            let bytes = alive.bytes[pack] ?? 0
            if bytes == 0 {
                leaving.dead.append(pack)
            } else if Double(bytes) < Self.copiedBelow * Double(alive.all[pack] ?? 0) {
                leaving.needed += bytes
                leaving.sparse.append(pack)
            }
        }
        for pack in leaving.dead + leaving.sparse {
            try alive.demandSpare(pack)
            try lease?.keep()
        }
        return leaving
    }

    private func mark(
        _ leaving: Leaving, alive: inout Alive, index: RepositoryIndex, report: inout Report
    ) throws(RepositoryError) {
        var dead = leaving.dead
        let sparse = leaving.sparse
        report.copied = leaving.needed
        alive.toCopy = Set(sparse)
        // Copies are durable and in the index before their sources are marked.
        do throws(RepositoryError) {
            try copy(alive, index)
            dead += sparse
        } catch  where error.code == .full {
            // On a full disk packs without needed records go first; a later prune then has room.
            report.copied = 0
        }
        try lease?.demand()
        report.marked = dead.count
        report.markedBytes = dead.reduce(0) { $0 + (alive.packs[$1] ?? 0) }
        for begin in stride(from: 0, to: dead.count, by: PackMark.most) {
            try PackMark.write(
                Array(dead[begin..<min(dead.count, begin + PackMark.most)]), to: repository.store,
                sealing: repository.sealing)
        }
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
        let marks = try PackMark.list(store, repository.sealing)
        // A mark of the future would wait until then, so its time is set to the present.
        for mark in marks where mark.made > now { _ = try store.touch(PackMark.path(mark.id)) }
        let due = marks.filter { now - min(now, $0.made) >= waits }
        guard !due.isEmpty else { return }
        let marked = Set(due.flatMap(\.packs))
        let index = try index()
        // Checked again: a pack with the only copy of a needed record is not destroyed, whoever marked it. Without its
        // mark it is a pack like any other.
        var alive = try Alive(points, of: repository, index: index, lease: lease)
        let packs = marked.filter { (alive.bytes[$0] ?? 0) == 0 }
        for pack in packs.sorted() {
            try alive.demandSpare(pack)
            try lease?.keep()
        }
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
        for mark in due { try store.remove(PackMark.path(mark.id)) }
        try store.sync(directory: "marks")
    }

    /// Writes one index file in the place of all, which does not name these packs.
    private func rewrite(_ index: RepositoryIndex, without packs: Set<FileID>) throws(RepositoryError) {
        let old = index.files
        let writer = try IndexWriter(store: repository.store, sealing: repository.sealing, lease: lease)
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
