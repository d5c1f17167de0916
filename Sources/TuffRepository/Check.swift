/// Looks whether everything that is listed can be restored.
package struct Check: Sendable {
    /// What was found. Nothing is changed.
    package struct Report: Hashable, Sendable {
        package var points = 0
        package var packs = 0
        /// Blocks and nodes whose content was read and checked.
        package var read: UInt64 = 0
        /// What is wrong with the files of the repository, a sentence each.
        package var damage: [String] = []
        /// The restore points that are hurt, and where.
        package var hurt: [Hurt] = []
        /// Files that nothing needs, such as those of an interrupted backup. No harm; prune removes them.
        package var strays: [String] = []
        /// Records that were read and are damaged.
        package var bad: Set<Location> = []
        /// Sound records of packs whose table is damaged: only the index knows where they are.
        var salvaged: [Location] = []

        package var isWhole: Bool { damage.isEmpty && hurt.isEmpty }
    }

    package struct Hurt: Hashable, Sendable {
        package let point: RestorePoint
        /// Bytes of the volume that cannot be restored, in order.
        package let ranges: [Range<UInt64>]
    }

    private let repository: Repository

    package init(of repository: Repository) { self.repository = repository }

    /// - Parameter share: of the packs whose content is read and checked, 0 to 100 %; which of them `seed` chooses.
    package func run(readShare share: Int, seed: UInt64, progress: JobProgress) throws(RepositoryError) -> Report {
        var report = Report()
        let found = try repository.points()
        report.points = found.points.count
        report.damage += found.damaged.map(\.description)
        report.damage += try KeySlot.list(repository.store).damaged.map(\.description)
        report.damage += try Mark.listReadable(repository.store, repository.custody).damaged.map(\.error.description)
        let index: RepositoryIndex
        do throws(RepositoryError) {
            index = try RepositoryIndex(store: repository.store, custody: repository.custody)
        } catch  where error.isDamage {
            report.damage.append(error.description)
            return report
        }
        var visitor = Visitor(index: index)
        for id in try repository.packs() {
            report.packs += 1
            let reads = share > 0 && (id.number ^ seed) % 100 < UInt64(share)
            try look(at: id, reads: reads, index, &visitor, &report)
            progress.add(1)
        }
        report.damage += try lost(index, visitor.packs)
        var walk = TreeWalk(repository, index)
        for point in found.points {
            do throws(RepositoryError) {
                try walk.walk(point, &visitor)
            } catch  where error.isDamage { report.damage.append(error.description) }
            if !visitor.ranges.isEmpty { report.hurt.append(Hurt(point: point, ranges: visitor.take())) }
        }
        return report
    }

    /// Packs that the index names and that are gone: a backup would take their content for stored.
    private func lost(_ index: RepositoryIndex, _ packs: Set<FileID>) throws(RepositoryError) -> [String] {
        var named = Set(index.files.flatMap(\.packs)).subtracting(packs)
        // Destroyed by a prune that has not written its index yet, or damaged, which is told already.
        for mark in try Mark.listReadable(repository.store, repository.custody).marks { named.subtract(mark.packs) }
        var damage: [String] = []
        for pack in named.sorted() {
            do throws(RepositoryError) {
                _ = try repository.store.open(Pack.path(pack))
            } catch  where error.code == .notFound {
                damage.append("the index names \(Pack.path(pack)), which is gone; 'check --repair' makes it anew")
            }
        }
        return damage
    }

    /// A pack's table, that the index says the same, and perhaps its records.
    private func look(
        at id: FileID, reads: Bool, _ index: RepositoryIndex, _ visitor: inout Visitor, _ report: inout Report
    ) throws(RepositoryError) {
        let entries: [PackEntry]
        do throws(RepositoryError) {
            let reader = try PackReader(id, store: repository.store, custody: repository.custody)
            entries = try reader.table().1
            visitor.packs.insert(id)
        } catch  where error.isDamage || error.code == .notFound {
            report.damage.append(error.description)
            if error.isDamage { try salvage(id, index, &visitor, &report) }
            return
        }
        var known: [Location] = []
        for entry in entries {
            let location = Location(pack: id, entry: entry)
            if try index.find(entry.name, node: entry.coding == .node).contains(location) { known.append(location) }
        }
        if known.isEmpty { report.strays.append(Pack.path(id)) }
        guard reads else { return }
        let checker = RecordChecker(repository)
        // What a repair left out of the index is not read by anybody any more. Where nothing of a pack is in it the index itself
        // may be what is lost, and a repair needs to know what of the pack is sound.
        for location in known.isEmpty ? entries.map({ Location(pack: id, entry: $0) }) : known {
            _ = try isSound(location, checker, &visitor, &report)
        }
    }

    /// Reads all that the index knows of a pack whose own table cannot be read.
    private func salvage(
        _ id: FileID, _ index: RepositoryIndex, _ visitor: inout Visitor, _ report: inout Report
    ) throws(RepositoryError) {
        visitor.packs.insert(id)
        let checker = RecordChecker(repository)
        for location in try index.entries(ofPack: id) where try isSound(location, checker, &visitor, &report) {
            report.salvaged.append(location)
        }
    }

    private func isSound(
        _ location: Location, _ checker: RecordChecker, _ visitor: inout Visitor, _ report: inout Report
    ) throws(RepositoryError) -> Bool {
        report.read += 1
        if try checker.isSound(location) { return true }
        visitor.bad.insert(location)
        report.bad.insert(location)
        let entry = location.entry
        report.damage.append(
            "\(Pack.path(location.pack)): the record of \(entry.name) at byte \(entry.offset) is damaged")
        return false
    }

    private struct Visitor: TreeWalk.Visitor {
        let index: RepositoryIndex
        /// Packs whose table is sound, and records in them that are not.
        var packs: Set<FileID> = []
        var bad: Set<Location> = []
        var ranges: [Range<UInt64>] = []

        func visit(_ name: ContentName, isNode: Bool) throws(RepositoryError) -> Bool {
            try index.find(name, node: isNode).contains { packs.contains($0.pack) && !bad.contains($0) }
        }

        mutating func lost(_ range: Range<UInt64>, of point: RestorePoint) {
            ranges.append(range)
        }

        mutating func take() -> [Range<UInt64>] {
            defer { ranges = [] }
            return ranges.joined()
        }
    }
}
