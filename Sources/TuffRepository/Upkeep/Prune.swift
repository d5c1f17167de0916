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

    private let repository: Repository
    private let lease: Lease?
    private let isAtOnce: Bool

    /// - Parameters:
    ///   - lease: an exclusive one; nil only where nobody else can reach the repository.
    ///   - atOnce: destroys marked packs without waiting a day. Only for times when nobody restores.
    package init(_ repository: Repository, lease: Lease?, atOnce: Bool = false) {
        self.repository = repository
        self.lease = lease
        isAtOnce = atOnce
    }

    package func run(removing points: [RestorePoint]) throws(RepositoryError) -> Report {
        // Before anything is removed: without knowing the needed packs nothing may be removed.
        var (plan, index, alive) = try decide(removing: points)
        try lease?.demand()
        try remove(plan.removed.map(\.id))
        try removeTemporaries()
        var report = Report()
        report.removedPoints = plan.removed
        let (packs, marks) = try mark(plan, alive: &alive, index: index, report: &report)
        for mark in plan.misdated { _ = try repository.store.touch(PackMark.path(mark)) }
        try destroy(
            plan.due + (plan.isAtOnce ? packs : []), markedBy: plan.dueMarks + (plan.isAtOnce ? marks : []),
            points: plan.kept, report: &report)
        return report
    }

    /// Removes restore points alone. What nothing needs then goes with the next prune.
    /// - Parameter points: oldest first.
    package func removePoints(_ points: [FileID]) throws(RepositoryError) {
        try lease?.demand()
        try remove(points)
    }

    /// The work of pruning without these points now, in packs and bytes. Nothing is changed.
    package func forecast(removing points: [RestorePoint]) throws(RepositoryError) -> Report {
        try decide(removing: points).plan.report
    }

    // MARK: Deciding

    /// Gathers the facts, decides, and proves that what is to go is needed by nobody.
    private func decide(
        removing points: [RestorePoint]
    ) throws(RepositoryError) -> (plan: PrunePlan, index: RepositoryIndex, alive: Alive) {
        let found = try repository.points()
        // The packs that a damaged point needs are unknown, so none can be called dead.
        if let damaged = found.damaged.first {
            throw RepositoryError(
                .damaged,
                "nothing was pruned, since what a damaged restore point needs is not known: \(damaged)")
        }
        var facts = PrunePlan.Facts()
        facts.points = found.points
        facts.leaving = Set(points.map(\.id))
        facts.isAtOnce = isAtOnce
        let index = try index()
        let kept = found.points.filter { !facts.leaving.contains($0.id) }
        var alive = try Alive(kept, of: repository, index: index, lease: lease)
        for (pack, size) in alive.packs {
            facts.packs[pack] = PrunePlan.Pack(
                size: size, needed: alive.bytes[pack] ?? 0, records: alive.all[pack] ?? 0)
        }
        facts.marks = try PackMark.list(repository.store, repository.sealing)
        facts.now = try repository.store.now()
        let plan = PrunePlan(facts)
        for pack in plan.dead + plan.sparse {
            try alive.demandSpare(pack)
            try lease?.goOn()
        }
        return (plan, index, alive)
    }

    private func index() throws(RepositoryError) -> RepositoryIndex {
        try RepositoryIndex(store: repository.store, sealing: repository.sealing, lease: lease)
    }

    // MARK: Removing

    /// - Parameter points: oldest first.
    private func remove(_ points: [FileID]) throws(RepositoryError) {
        // Oldest first: of the points of one second the newest is known by its chain of predecessors, so that what is
        // left of a chain when this is cut off must be its end.
        for point in points { try repository.store.remove(RestorePoint.path(point)) }
        if !points.isEmpty { try repository.store.sync(directory: "points") }
        let removed = Set(points)
        for id in try repository.hurtPoints().intersection(removed).sorted() {
            try repository.store.remove("hurt/\(id)")
        }
        for id in try repository.setAside().points.keys.filter(removed.contains).sorted() {
            try repository.store.remove(Repository.asidePath(id))
        }
    }

    /// Removes temporary files that dead writers left. A living writer has its files for minutes, not for a day.
    private func removeTemporaries() throws(RepositoryError) {
        let now = try repository.store.now()
        // Nobody writes a file whose time is a day ahead either.
        for file in try repository.store.list("temporary") where abs(now - file.modified) > PrunePlan.patience {
            try repository.store.remove("temporary/\(file.name)")
        }
    }

    // MARK: Marking

    /// Marks the packs that are dead, and those that are sparse if there is room for copies of what is needed in them.
    /// - Returns: the marked packs, and their marks.
    private func mark(
        _ plan: PrunePlan, alive: inout Alive, index: RepositoryIndex, report: inout Report
    ) throws(RepositoryError) -> (packs: [FileID], marks: [FileID]) {
        var packs = plan.dead
        alive.toCopy = Set(plan.sparse)
        // Copies are durable and in the index before their sources are marked.
        do throws(RepositoryError) {
            try copy(alive, index)
            packs += plan.sparse
            report.copied = plan.copied
        } catch  where error.code == .full {
            // On a full disk packs without needed records go first; a later prune then has room.
        }
        try lease?.demand()
        report.marked = packs.count
        report.markedBytes = plan.bytes(of: packs)
        var marks: [FileID] = []
        for begin in stride(from: 0, to: packs.count, by: PackMark.most) {
            marks.append(
                try PackMark.write(
                    Array(packs[begin..<min(packs.count, begin + PackMark.most)]), to: repository.store,
                    sealing: repository.sealing))
        }
        return (packs, marks)
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
            try lease?.goOn()
        }
        try blocks.finish()
        try nodes.finish()
        try index.flush()
    }

    // MARK: Destroying

    /// Destroys packs, and takes their marks away.
    private func destroy(
        _ due: [FileID], markedBy marks: [FileID], points: [RestorePoint], report: inout Report
    ) throws(RepositoryError) {
        guard !marks.isEmpty else { return }
        let store = repository.store
        let index = try index()
        // Checked again, with what this run wrote: a pack with the only copy of a needed record is not destroyed,
        // whoever marked it. Without its mark it is a pack like any other.
        var alive = try Alive(points, of: repository, index: index, lease: lease)
        let packs = Set(due).filter { (alive.bytes[$0] ?? 0) == 0 }
        for pack in packs.sorted() {
            try alive.demandSpare(pack)
            try lease?.goOn()
        }
        // This process may have slept, and been taken for dead, for as long as it likes.
        try lease?.demand()
        for pack in packs.sorted() {
            try lease?.goOn()
            do throws(RepositoryError) {
                report.destroyedBytes += try store.open(Pack.path(pack)).size
            } catch  where error.code == .notFound {
                continue  // Destroyed by a run that ended before it wrote the index.
            }
            try store.remove(Pack.path(pack))
            report.destroyed += 1
        }
        try rewrite(index, without: packs)
        for mark in marks { try store.remove(PackMark.path(mark)) }
        try store.sync(directory: "marks")
    }

    /// Writes one index file in the place of all, which does not name these packs.
    private func rewrite(_ index: RepositoryIndex, without packs: Set<FileID>) throws(RepositoryError) {
        let old = index.files
        let writer = try IndexWriter(store: repository.store, sealing: repository.sealing, lease: lease)
        var merge = try IndexMerge(old)
        while let location = try merge.next() {
            if !packs.contains(location.pack) { try writer.append(location) }
            try lease?.goOn()
        }
        _ = try writer.finish()
        for file in old { try repository.store.remove(IndexFile.path(file.id)) }
        try repository.store.sync(directory: "index")
    }
}
