/// Makes the index anew from the packs that are there, and takes note of the restore points that lack something.
///
/// To be run under an exclusive lease. The new files are durable before the old ones go.
package struct IndexRepair: Sendable {
    private let repository: Repository
    private let lease: Lease?
    /// Entries that are sorted at a time: some 30 MiB of memory.
    private static let portion = 256 * 1_024

    /// - Parameter lease: an exclusive one; nil only where nobody else can reach the repository.
    package init(_ repository: Repository, lease: Lease?) {
        self.repository = repository
        self.lease = lease
    }

    /// - Parameter report: of a check under the same lease that read all data: records that it found damaged are left
    ///   out, and so are packs whose table is damaged. After a check that read less, records that an earlier repair
    ///   left out would come back.
    /// - Returns: the report as a check would give it now: the losses of restore points by the new index.
    @discardableResult
    package func run(
        after report: Check.Report, progress: JobProgress = JobProgress()
    ) throws(RepositoryError) -> Check.Report {
        guard report.share == 100, report.mayRepair else {
            throw RepositoryError(.refused, "a repair needs a check by the same process that read all data")
        }
        let points = try repository.points().points
        // Before the index changes: a backup that then compares with a hurt point would take lost blocks for stored.
        // Where the index is broken each may be hurt.
        try takeNote(of: Set(report.isIndexBroken ? points.map(\.id) : report.hurt.map(\.point.id)), forgetting: false)
        try makeIndex(report)
        // The packs that a damaged mark named are unknown; prune finds them again.
        for mark in try PackMark.listReadable(repository.store, repository.sealing).damaged {
            try repository.store.remove(PackMark.path(mark.id))
        }
        try repository.store.sync(directory: "marks")
        var left = report
        var visitor = PointVisitor(
            index: try RepositoryIndex(store: repository.store, sealing: repository.sealing), lease: lease)
        visitor.packs = Set(try repository.packs())
        left.hurt = try visitor.visit(points, of: repository, progress: progress, damage: &left.damage)
        (left.isIndexBroken, left.strays) = (false, [])
        try takeNote(of: Set(left.hurt.map(\.point.id)), forgetting: true)
        return left
    }

    private func makeIndex(_ report: Check.Report) throws(RepositoryError) {
        let old = try repository.store.list("index").compactMap { FileID($0.name) }
        var pending: [Location] = []
        for id in try repository.packs() {
            do throws(RepositoryError) {
                let reader = try PackReader(id, store: repository.store, sealing: repository.sealing)
                pending += try reader.table().1.map { Location(pack: id, entry: $0) }.filter {
                    !report.bad.contains($0)
                }
            } catch  where report.torn.contains(id) && error.isDamage || error.code == .notFound { continue }
            // Any other was whole a moment ago: to leave it out would be to lose it.
            if pending.count >= Self.portion { try write(&pending) }
            try lease?.keep()
        }
        try write(&pending)
        try copy(report.salvaged)
        try lease?.demand()
        for id in old { try repository.store.remove(IndexFile.path(id)) }
        try repository.store.sync(directory: "index")
    }

    /// Gives records of packs whose table is damaged a pack of their own. Prune then takes the old one away.
    private func copy(_ records: [Location]) throws(RepositoryError) {
        guard !records.isEmpty else { return }
        let index = try RepositoryIndex(
            store: repository.store, sealing: repository.sealing, lease: lease, .sorting)
        let checker = RecordChecker(repository)
        let blocks = Packs(.blockPack, repository: repository, index: index)
        let nodes = Packs(.nodePack, repository: repository, index: index)
        for location in records {
            guard let stored = try checker.stored(location) else { continue }
            let entry = location.entry
            let packs = entry.coding == .node ? nodes : blocks
            try packs.append(stored, name: entry.name, length: entry.length, coding: entry.coding)
        }
        try blocks.finish()
        try nodes.finish()
        try index.flush()
    }

    private func takeNote(of hurt: Set<FileID>, forgetting: Bool) throws(RepositoryError) {
        let noted = try repository.hurtPoints()
        for id in hurt.subtracting(noted).sorted() { try repository.store.place([], at: "hurt/\(id)") }
        guard forgetting else { return }
        for id in noted.subtracting(hurt).sorted() { try repository.store.remove("hurt/\(id)") }
    }

    private func write(_ pending: inout [Location]) throws(RepositoryError) {
        guard !pending.isEmpty else { return }
        let writer = try IndexWriter(store: repository.store, sealing: repository.sealing, lease: lease)
        for location in pending.sorted(by: { $0.entry.name < $1.entry.name }) { try writer.append(location) }
        _ = try writer.finish()
        pending = []
    }
}
