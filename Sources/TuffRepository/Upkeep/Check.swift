/// Checks whether all listed points can be restored.
package struct Check: Sendable {
    /// Result of a check, which changes nothing.
    package struct Report: Hashable, Codable, Sendable {
        /// The rest is for a repair by the process that made the report, and does not leave it.
        private enum CodingKeys: String, CodingKey {
            case points, packs, share, read, damage, hurt, isIndexBroken, unknown, strays
        }

        package var points = 0
        package var packs = 0
        /// Per cent of the packs of which every record was to be read.
        package var share = 0
        /// Blocks and nodes whose content was read and checked.
        package var read: UInt64 = 0
        /// Errors of the repository's files, a sentence each.
        package var damage: [String] = []
        /// The restore points that are hurt, with the places.
        package var hurt: [Hurt] = []
        /// Whether a part of the index could not be read, and `hurt` was not determined.
        package var isIndexBroken = false
        /// Files that no repository has.
        package var unknown: [String] = []
        /// Files that nothing needs, such as those of an interrupted backup. No harm; prune removes them.
        package var strays: [String] = []
        /// Records that were read and are damaged.
        package var bad: Set<Location> = []
        /// Packs whose table is damaged, and sound records of them: only the index knows where they are.
        var torn: Set<FileID> = []
        /// A report that was encoded lacks what a repair leaves out.
        package var mayRepair = false
        var salvaged: [Location] = []

        package var isWhole: Bool { damage.isEmpty && hurt.isEmpty }
    }

    package struct Hurt: Hashable, Codable, Sendable {
        package let point: RestorePoint
        /// Bytes of the volume that cannot be restored.
        package let lost: LostRanges

        package var ranges: [Range<UInt64>] { lost.ranges }
    }

    private let repository: Repository
    private let lease: Lease?

    /// - Parameter lease: an exclusive one if a repair is to follow, which must find the state that the check saw; else
    ///   none is needed.
    package init(of repository: Repository, lease: Lease? = nil) {
        self.repository = repository
        self.lease = lease
    }

    /// Bytes of all packs: the total of a check's progress.
    package func size() throws(RepositoryError) -> UInt64 {
        try repository.packFiles().reduce(0) { $0 + $1.size }
    }

    /// - Parameter share: share of the packs whose content is read and checked, 0 to 100 %; `seed` chooses them.
    package func run(
        readShare share: Int, seed: UInt64, threads: some Threads = SystemThreads.natural, progress: JobProgress
    ) throws(RepositoryError) -> Report {
        var report = Report()
        report.mayRepair = true
        report.damage += try goneDirectories()
        let found = try repository.points()
        report.points = found.points.count
        report.damage += found.damaged.map(\.description)
        report.damage += try KeySlot.list(repository.store).damaged.map(\.description)
        let marks = try PackMark.listReadable(repository.store, repository.sealing)
        report.damage += marks.damaged.map(\.error.description)
        report.damage += try repository.setAside().damaged.map(\.description)
        report.unknown = try repository.unknownFiles()
        let index = try RepositoryIndex(store: repository.store, sealing: repository.sealing, .sorting)
        report.damage += index.broken.map(\.description)
        report.isIndexBroken = !index.broken.isEmpty
        var visitor = PointVisitor(index: index, lease: lease)
        let packs = try repository.packFiles()
        report.packs = packs.count
        let looks = PackLooks()
        try look(at: packs, looks: looks, index: index, sample: (share, seed), threads: threads, progress: progress)
        let sizes = Dictionary(packs.map { ($0.id, $0.size) }, uniquingKeysWith: { first, _ in first })
        for portion in index.portions(of: looks.waiting) {
            let packs = portion.map { PackFile(id: $0, size: sizes[$0] ?? 0) }
            let said = try index.entries(of: Set(portion))
            try look(
                at: packs, looks: looks, index: index, sample: (share, seed), threads: threads, progress: progress,
                said: said)
        }
        for seen in looks.inOrder { report.add(seen, &visitor) }
        if looks.hasLies { report.isIndexBroken = true }
        report.share = share
        // Without the whole index many files seem not to be needed.
        if report.isIndexBroken { report.strays = [] }
        if try repository.store.has("packs") { report.damage += try lost(index, visitor.packs) }
        // Without the whole index the losses of points are unknown.
        if !report.isIndexBroken {
            report.hurt = try visitor.visit(found.points, of: repository, progress: progress, damage: &report.damage)
        }
        return report
    }

    /// Checks packs, in threads.
    ///
    /// - Parameters:
    ///   - sample: per cent of the packs that are read, and the seed that chooses them.
    ///   - said: all entries of these packs in the index, where they were read.
    private func look(
        at packs: [PackFile], looks: PackLooks, index: RepositoryIndex, sample: (share: Int, seed: UInt64),
        threads: some Threads, progress: JobProgress, said: [FileID: [Location]]? = nil
    ) throws(RepositoryError) {
        looks.begin(packs)
        let lease = lease
        try threads.perform { () throws(RepositoryError) in
            let look = PackLook(repository, index)
            do throws(RepositoryError) {
                while let pack = looks.next() {
                    try progress.demand()
                    let reads = sample.share > 0 && (pack.id.number ^ sample.seed) % 100 < UInt64(sample.share)
                    let outcome = try look.at(pack.id, reads: reads, said: said.map { $0[pack.id] ?? [] })
                    looks.add(outcome)
                    if !outcome.isWaiting { progress.add(pack.size) }
                    try lease?.keep()
                }
            } catch {
                looks.stop()
                throw error
            }
        }
    }

    /// Missing directories that no later check would notice. Directories of packs exist only where they were needed.
    private func goneDirectories() throws(RepositoryError) -> [String] {
        var damage: [String] = []
        for directory in ["packs", "temporary"] {
            do throws(RepositoryError) {
                _ = try repository.store.list(directory)
            } catch  where error.code == .damaged { damage.append(error.description) }
        }
        return damage
    }

    /// Packs that the index names and that are gone: a backup would take their content for stored.
    private func lost(_ index: RepositoryIndex, _ packs: Set<FileID>) throws(RepositoryError) -> [String] {
        var named = Set(index.files.flatMap(\.packs)).subtracting(packs)
        // Destroyed by a prune, now or since the index was opened.
        named.subtract(index.doomed)
        for mark in try PackMark.listReadable(repository.store, repository.sealing).marks { named.subtract(mark.packs) }
        var damage: [String] = []
        for pack in named.sorted() {
            do throws(RepositoryError) {
                _ = try repository.store.open(Pack.path(pack))
            } catch  where error.code == .notFound {
                damage.append(
                    "the index names \(Pack.path(pack)), which is gone; 'tuff backup check --repair' makes the index "
                        + "anew"
                )
            }
        }
        return damage
    }
}

/// Finds the losses of restore points, by an index and the packs for which it may be believed.
struct PointVisitor: TreeWalk.Visitor {
    let index: RepositoryIndex
    let lease: Lease?
    /// Packs whose table is sound, and records in them that are not.
    var packs: Set<FileID> = []
    var bad: Set<Location> = []
    /// Bytes of blocks whose length is not the one that their place needs.
    private var misfit: Int?
    /// The first such place of each point, in a sentence.
    private var misfits: [FileID: String] = [:]

    init(index: RepositoryIndex, lease: Lease?) {
        self.index = index
        self.lease = lease
    }

    /// The points that lack something.
    mutating func visit(
        _ points: [RestorePoint], of repository: Repository, progress: JobProgress, damage: inout [String]
    ) throws(RepositoryError) -> [Check.Hurt] {
        let outcomes = try TreeWalk.walk(points, of: repository, index: index, progress: progress, visitor: &self)
        damage += outcomes.compactMap(\.failure?.description)
        damage += points.compactMap { misfits[$0.id] }
        return outcomes.filter { $0.lost.bytes > 0 }.map { Check.Hurt(point: $0.point, lost: $0.lost) }
    }

    mutating func visit(_ name: ContentName, length: Int?) throws(RepositoryError) -> Bool {
        try lease?.keep()
        let there = try index.find(name, node: length == nil).filter { packs.contains($0.pack) && !bad.contains($0) }
        guard let length, !there.isEmpty else { return !there.isEmpty }
        if there.contains(where: { $0.entry.length == length }) { return true }
        misfit = there[0].entry.length
        return false
    }

    mutating func lost(_ range: Range<UInt64>, of point: RestorePoint) {
        guard let length = misfit else { return }
        misfit = nil
        if misfits[point.id] == nil { misfits[point.id] = Self.misfit(point, length, at: range.lowerBound) }
    }

    /// A tree that no backup writes: no later backup can repair it.
    private static func misfit(_ point: RestorePoint, _ length: Int, at offset: UInt64) -> String {
        "restore point \(point.id) of \(point.record.size) bytes names a block of \(length) bytes where one of "
            + "another length must be, at "
            + "byte \(offset): its size or its tree is not what a backup wrote. No backup heals it: 'tuff backup "
            + "restore --keep-going' "
            + "gets what is left of it, and 'tuff backup check --repair' has prune go on without what it lacks"
    }
}

extension Check.Report {
    fileprivate mutating func add(_ seen: PackLook.Outcome, _ visitor: inout PointVisitor) {
        read += seen.read
        damage += seen.damage
        bad.formUnion(seen.bad)
        visitor.bad.formUnion(seen.bad)
        visitor.bad.formUnion(seen.denied)
        salvaged += seen.salvaged
        if seen.isTorn { torn.insert(seen.id) }
        if seen.isStray { strays.append(Pack.path(seen.id)) }
        if seen.isThere { visitor.packs.insert(seen.id) }
    }
}
