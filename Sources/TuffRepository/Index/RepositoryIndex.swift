import Synchronization

/// All index files of a repository, and the entries that a backup adds, as one index.
final class RepositoryIndex: Sendable {
    private struct State {
        var files: [IndexFile]
        /// Names that this process has stored or is storing and that no index file has yet.
        var claimed: Set<Key> = []
        /// Places of those names whose packs are finished.
        var finished: [Location] = []
        /// Packs that this process has written.
        var seen: Set<FileID> = []
        /// Index files that this process has written.
        var own: [FileID] = []
        /// Whether some of them are being merged.
        var isMerging = false
        /// Time at which the last of them was written, or the work began, by this machine's monotonic clock.
        var written = ContinuousClock.now
    }

    private struct Key: Hashable {
        let name: ContentName
        let isNode: Bool
    }

    private let store: any Store
    private let sealing: Sealing
    private let state: Mutex<State>
    /// Packs on which new restore points must not rely.
    let doomed: Set<FileID>
    /// Finished entries that are written as an index file of their own: 32 MiB of memory, 16 GiB of blocks.
    private static let portion = 256 * 1_024
    /// Index files after which some are merged: each is asked for a block that none has.
    private static let mostFiles = 16
    /// Index files that are opened: each is asked for each name. Merging keeps them at a few dozen.
    private static let mostOpened = 512
    /// After this long they are written too, so that work that is killed need not be done again; and after an eighth of
    /// the time that the work takes, which bounds their number.
    private let checkpoint: Duration
    private let begin = ContinuousClock.now
    private let lease: Lease?
    /// The existing packs when a backup begins. Blocks of other packs are stored anew. Nil: believe the index.
    private let existing: Set<FileID>?
    /// Errors of the index files that were left out.
    let broken: [RepositoryError]
    /// Tallies of each pack's entries in the index files that were read: one where they agree.
    let tallies: [FileID: Set<EntryTally>]

    /// Treatment of damaged index files.
    enum Care {
        /// The first damaged file is an error. Pages are read when they are needed.
        case trusting
        /// Each file is read from its begin to its end, and damaged ones are left out.
        case sorting
    }

    /// - Parameters:
    ///   - lease: the lease under which stored blocks may be relied on.
    ///   - existing: the existing packs, for a backup.
    init(
        store: any Store, sealing: Sealing, checkpoint: Duration = .seconds(60), lease: Lease? = nil,
        existing: Set<FileID>? = nil, _ care: Care = .trusting
    ) throws(RepositoryError) {
        self.store = store
        self.sealing = sealing
        self.checkpoint = checkpoint
        self.lease = lease
        self.existing = existing
        // A reader may go on with a damaged mark: marks name packs on which new points must not rely, and say nothing
        // about existing ones.
        doomed = Set(try PackMark.listReadable(store, sealing).marks.flatMap(\.packs))
        var files: [IndexFile]
        (files, broken, tallies) = try Self.openAll(store, sealing: sealing, care: care)
        state = Mutex(State(files: files))
    }

    private static func openAll(
        _ store: any Store, sealing: Sealing, care: Care
    ) throws(RepositoryError) -> ([IndexFile], broken: [RepositoryError], [FileID: Set<EntryTally>]) {
        var files: [FileID: IndexFile] = [:]
        var broken: [FileID: RepositoryError] = [:]
        var said: [FileID: [FileID: EntryTally]] = [:]
        // One that is gone was merged since it was listed, into one that the list may not have.
        for _ in 0..<100 {
            let listed = try store.list("index").compactMap { FileID($0.name) }
            files = files.filter { listed.contains($0.key) }
            broken = broken.filter { listed.contains($0.key) }
            do throws(RepositoryError) {
                for id in listed where files[id] == nil && broken[id] == nil {
                    do throws(RepositoryError) {
                        guard files.count < mostOpened else { throw Self.tooMany(listed.count) }
                        let file = try IndexFile(id, store: store, sealing: sealing)
                        if care == .sorting { said[id] = try file.verify() }
                        files[id] = file
                    } catch  where care == .sorting && error.isDamage { broken[id] = error }
                }
                var tallies: [FileID: Set<EntryTally>] = [:]
                for id in files.keys {
                    for (pack, tally) in said[id] ?? [:] { tallies[pack, default: []].insert(tally) }
                }
                return (
                    files.values.sorted { $0.id < $1.id }, broken.sorted { $0.key < $1.key }.map(\.value), tallies
                )
            } catch  where error.code == .notFound { continue }
        }
        throw RepositoryError(.failed, "the index changes faster than it can be opened")
    }

    private static func tooMany(_ count: Int) -> RepositoryError {
        RepositoryError(
            .brokenIndex,
            "there are \(count) index files, and no more than \(mostOpened) are read: 'tuff backup check --repair' "
                + "makes the index anew"
        )
    }

    /// Throws `locked` if packs have been marked since this index was opened that it did not know to be on their way
    /// out.
    func demandUnchangedMarks() throws(RepositoryError) {
        guard try PackMark.list(store, sealing).flatMap(\.packs).allSatisfy(doomed.contains) else {
            throw RepositoryError(
                .locked, "the repository was pruned meanwhile, and what this backup relied on may go; run it again")
        }
    }

    var files: [IndexFile] { state.withLock { $0.files } }

    /// All packs that the index names.
    var packs: Set<FileID> { files.reduce(into: []) { $0.formUnion($1.packs) } }

    /// Places of a block or node, best first: packs that stay come before those on their way out.
    func find(_ name: ContentName, node: Bool) throws(RepositoryError) -> [Location] {
        var staying: [Location] = []
        var leaving: [Location] = []
        for file in files {
            for location in try file.find(name, node: node) {
                if doomed.contains(location.pack) { leaving.append(location) } else { staying.append(location) }
            }
        }
        return staying + leaving
    }

    /// Whether it is in a pack that stays.
    private func holds(_ name: ContentName, node: Bool) throws(RepositoryError) -> Bool {
        for file in files {
            if try file.find(name, node: node).contains(where: { stays($0.pack) }) { return true }
        }
        return false
    }

    private func stays(_ pack: FileID) -> Bool {
        if doomed.contains(pack) { return false }
        // The blocks that this process has stored are younger than the list.
        guard let existing, !existing.contains(pack) else { return true }
        return state.withLock { $0.seen.contains(pack) }
    }

    /// Whether the caller has to store this block or node: true once for each that is not in the repository.
    func claim(_ name: ContentName, node: Bool) throws(RepositoryError) -> Bool {
        let key = Key(name: name, isNode: node)
        if state.withLock({ $0.claimed.contains(key) }) { return false }
        guard try !holds(name, node: node) else { return false }
        return state.withLock { $0.claimed.insert(key).inserted }
    }

    /// Notes that a pack is at its place.
    func add(_ pack: PackWriter) throws(RepositoryError) {
        let now = ContinuousClock.now
        let isDue = state.withLock { state in
            state.finished += pack.entries.map { Location(pack: pack.id, entry: $0) }
            state.seen.insert(pack.id)
            return state.finished.count >= Self.portion
                || now - state.written >= max(checkpoint, (now - begin) / 8)
        }
        if isDue { try flush() }
    }

    /// Writes an index file of the finished entries, durably.
    func flush() throws(RepositoryError) {
        let finished = state.withLock { state in
            state.written = .now
            defer { state.finished = [] }
            return state.finished
        }
        guard !finished.isEmpty else { return }
        let writer = try IndexWriter(store: store, sealing: sealing, lease: lease, filtering: finished.count)
        for location in finished.sorted(by: { $0.entry.name < $1.entry.name }) { try writer.append(location) }
        let file = try writer.reopened(sealing)
        state.withLock { state in
            state.files.append(file)
            state.own.append(file.id)
            for location in finished {
                state.claimed.remove(Key(name: location.entry.name, isNode: location.entry.coding == .node))
            }
        }
        try mergeOwn()
    }

    /// Keeps the files of a backup that takes long few: each is an open file, and one to ask where its filter would be
    /// too large.
    private func mergeOwn() throws(RepositoryError) {
        let own = state.withLock { state -> [IndexFile] in
            let own = state.files.filter { state.own.contains($0.id) }
            guard !state.isMerging, own.count > Self.mostFiles else { return [] }
            state.isMerging = true
            return own
        }
        guard !own.isEmpty else { return }
        defer { state.withLock { $0.isMerging = false } }
        try unite(Self.smallest(of: own))
    }

    /// Ends the work: writes the remaining entries, and merges the index files that this process has written.
    func finish() throws(RepositoryError) {
        try flush()
        let own = state.withLock { state in state.files.filter { state.own.contains($0.id) } }
        if own.count > 1 { try unite(own) }
    }

    /// Puts one in the place of several. Where that fails (a full disk, one of them that cannot be read) they stay,
    /// which are slower to look up and otherwise as good: they index all blocks of the backup. Only a lease that is
    /// gone ends the work.
    private func unite(_ files: [IndexFile]) throws(RepositoryError) {
        do throws(RepositoryError) {
            let writer = try IndexWriter(
                store: store, sealing: sealing, lease: lease, filtering: files.map(\.layout.entries).reduce(0, +))
            var merge = try IndexMerge(files)
            while let location = try merge.next() { try writer.append(location) }
            try replace(files, by: writer.reopened(sealing))
        } catch  where error.code != .locked {}
    }

    /// The index files to merge, so that half as many are left. An entry is written again when the size of its file
    /// doubles, as in log-structured merge trees, so only a few times in all.
    private static func smallest(of files: [IndexFile]) -> [IndexFile] {
        var chosen: [IndexFile] = []
        var entries = 0
        for file in files.sorted(by: { $0.layout.entries < $1.layout.entries })
        where files.count - chosen.count > mostFiles / 2 || file.layout.entries <= entries {
            chosen.append(file)
            entries += file.layout.entries
        }
        return chosen
    }

    /// Makes one index file of small ones where there are many. To be called under a lease: prune makes files of its
    /// own.
    func merge() throws(RepositoryError) {
        let all = files
        if all.count > Self.mostFiles { try unite(Self.smallest(of: all)) }
    }

    private func replace(_ old: [IndexFile], by merged: IndexFile) throws(RepositoryError) {
        let replaced = Set(old.map(\.id))
        state.withLock { state in
            state.files.removeAll { replaced.contains($0.id) }
            state.files.append(merged)
            if !replaced.isDisjoint(with: state.own) {
                state.own = state.own.filter { !replaced.contains($0) } + [merged.id]
            }
        }
        for file in old { try store.remove(IndexFile.path(file.id)) }
        try store.sync(directory: "index")
    }
}
