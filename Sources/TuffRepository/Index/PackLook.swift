import Synchronization

/// The packs that a check still has to read, and the results of its threads, which share it.
final class PackLooks: Sendable {
    private struct State {
        var packs: [PackFile] = []
        var isStopped = false
        /// Entries of the index that tables of packs deny.
        var denied = 0
        var outcomes: [PackLook.Outcome] = []
        var waiting: [FileID] = []
    }

    private let state = Mutex(State())

    /// Gives these packs to the threads.
    func begin(_ packs: [PackFile]) { state.withLock { $0.packs = packs.reversed() } }

    func next() -> PackFile? { state.withLock { state in state.isStopped ? nil : state.packs.popLast() } }

    /// Stops the others, since a thread failed.
    func stop() { state.withLock { $0.isStopped = true } }

    func add(_ outcome: PackLook.Outcome) {
        var outcome = outcome
        state.withLock { state in
            guard !outcome.isWaiting else { return state.waiting.append(outcome.id) }
            state.denied += outcome.denied.count
            if state.denied > Self.mostDenied { outcome.denied = [] }
            state.outcomes.append(outcome)
        }
    }

    /// Denied entries beyond which an index is not believed at all, and nothing of it is kept in memory.
    private static let mostDenied = 100_000

    /// Whether so many entries of the index are denied that it is not believed at all.
    var hasLies: Bool { state.withLock { $0.denied > Self.mostDenied } }

    /// Packs for which all entries of the index must be read first, in the order of their IDs.
    var waiting: [FileID] { state.withLock { $0.waiting }.sorted() }

    /// The results, in the order of the packs' IDs, whichever thread was first.
    var inOrder: [PackLook.Outcome] { state.withLock { $0.outcomes }.sorted { $0.id < $1.id } }
}

/// Checks packs, for one thread: the table of each, whether the index agrees with it, and perhaps its records.
final class PackLook {
    struct Outcome: Sendable {
        let id: FileID
        /// Nothing was decided yet: all entries of the pack in the index are needed, which are read in one pass for
        /// many packs.
        var isWaiting = false
        /// Whether the index's entries of this pack may be believed.
        var isThere = false
        /// The pack's own table cannot be read.
        var isTorn = false
        /// The index has no entry of this pack.
        var isStray = false
        var read: UInt64 = 0
        var damage: [String] = []
        var bad: Set<Location> = []
        /// Entries of the index that the pack's table does not have.
        var denied: Set<Location> = []
        var salvaged: [Location] = []
    }

    private let repository: Repository
    private let index: RepositoryIndex
    private let checker: RecordChecker

    init(_ repository: Repository, _ index: RepositoryIndex) {
        self.repository = repository
        self.index = index
        checker = RecordChecker(repository)
    }

    /// - Parameter said: all entries of the pack in the index, where they were read.
    func at(_ id: FileID, reads: Bool, said: [Location]? = nil) throws(RepositoryError) -> Outcome {
        var outcome = Outcome(id: id)
        let entries: [PackEntry]
        do throws(RepositoryError) {
            entries = try PackReader(id, store: repository.store, sealing: repository.sealing).table().1
            outcome.isThere = true
        } catch  where error.isDamage {
            guard let said = said ?? (index.tallies[id] == nil ? [] : nil) else {
                outcome.isWaiting = true
                return outcome
            }
            outcome.damage.append(error.description)
            try salvage(said, &outcome)
            return outcome
        } catch  where error.code == .notFound {
            // Destroyed by a prune since it was listed, unless nobody had said that it would be.
            if !index.doomed.contains(id) { outcome.damage.append(error.description) }
            return outcome
        }
        let all = entries.map { Location(pack: id, entry: $0) }
        guard let known = try known(all, said: said, outcome: &outcome) else {
            outcome = Outcome(id: id)
            outcome.isWaiting = true
            return outcome
        }
        outcome.isStray = known.isEmpty
        guard reads else { return outcome }
        // Records that an earlier repair left out of the index hurt nobody, but the next repair must know them, to
        // leave them out again. Where the index has no entry of a pack, the index itself may be incomplete.
        for location in all {
            _ = try isSound(location, tells: known.isEmpty || known.contains(location), &outcome)
        }
        return outcome
    }

    /// The records of a table that the index has. Entries of the index that the table does not have are noted. Nil: all
    /// entries of the pack are needed to tell.
    private func known(
        _ table: [Location], said all: [Location]?, outcome: inout Outcome
    ) throws(RepositoryError) -> Set<Location>? {
        guard let tallies = index.tallies[outcome.id] else { return [] }
        if tallies == [EntryTally(table.map(\.entry))] { return Set(table) }
        // A repair left damaged records out, or the index is forged. Its entries of these names are looked up one by
        // one, and only where these are not all entries of the pack the whole index is read.
        var said = Set(all ?? [])
        if all == nil {
            for location in table {
                for isNode in [false, true] {
                    said.formUnion(
                        try index.find(location.entry.name, node: isNode).filter { $0.pack == outcome.id })
                }
            }
            if tallies != [EntryTally(said.map(\.entry))] { return nil }
        }
        let known = said.intersection(table)
        outcome.denied = said.subtracting(known)
        guard let first = outcome.denied.min(by: { $0.entry.name < $1.entry.name }) else { return known }
        outcome.damage.append(
            "of \(outcome.denied.count) records the index says that they are in \(Pack.path(outcome.id)), and the "
                + "pack's own table "
                + "has no such record: the first is \(first.entry.name), \(first.entry.length) bytes, at byte "
                + "\(first.entry.offset); 'tuff backup check --repair' makes the index anew")
        return known
    }

    /// Reads all records that the index has of a pack whose own table cannot be read.
    private func salvage(_ said: [Location], _ outcome: inout Outcome) throws(RepositoryError) {
        (outcome.isThere, outcome.isTorn) = (true, true)
        for location in said where try isSound(location, tells: true, &outcome) {
            outcome.salvaged.append(location)
        }
    }

    private func isSound(
        _ location: Location, tells: Bool, _ outcome: inout Outcome
    ) throws(RepositoryError) -> Bool {
        outcome.read += 1
        do throws(RepositoryError) {
            if try checker.isSound(location) { return true }
        } catch  where error.code == .notFound && index.doomed.contains(location.pack) { return false }
        outcome.bad.insert(location)
        guard tells else { return false }
        let entry = location.entry
        outcome.damage.append(
            "\(Pack.path(location.pack)): the record of \(entry.name) at byte \(entry.offset) is damaged")
        return false
    }
}
