import Synchronization

/// Which packs a check still has to look at, and what its threads found; shared by them.
final class PackLooks: Sendable {
    private struct State {
        var next = 0
        var isStopped = false
        var outcomes: [PackLook.Outcome] = []
    }

    private let packs: [PackFile]
    private let state = Mutex(State())

    init(_ packs: [PackFile]) { self.packs = packs }

    func next() -> PackFile? {
        state.withLock { state in
            guard !state.isStopped, state.next < packs.count else { return nil }
            defer { state.next += 1 }
            return packs[state.next]
        }
    }

    /// A thread failed: what the others do is for nothing.
    func stop() { state.withLock { $0.isStopped = true } }

    func add(_ outcome: PackLook.Outcome) { state.withLock { $0.outcomes.append(outcome) } }

    /// What was found, in the order of the packs' IDs, whichever thread was first.
    var inOrder: [PackLook.Outcome] { state.withLock { $0.outcomes }.sorted { $0.id < $1.id } }
}

/// One thread's looks at packs: the table of each, whether the index says the same, and perhaps its records.
final class PackLook {
    struct Outcome: Sendable {
        let id: FileID
        /// Whether what the index says of its records may be believed.
        var isThere = false
        /// Nothing of it is in the index.
        var isStray = false
        var read: UInt64 = 0
        var damage: [String] = []
        var bad: Set<Location> = []
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

    func at(_ id: FileID, reads: Bool) throws(RepositoryError) -> Outcome {
        var outcome = Outcome(id: id)
        let entries: [PackEntry]
        do throws(RepositoryError) {
            entries = try PackReader(id, store: repository.store, custody: repository.custody).table().1
            outcome.isThere = true
        } catch  where error.isDamage {
            outcome.damage.append(error.description)
            try salvage(&outcome)
            return outcome
        } catch  where error.code == .notFound {
            // Destroyed by a prune since it was listed, unless nobody had said that it would be.
            if !index.doomed.contains(id) { outcome.damage.append(error.description) }
            return outcome
        }
        let all = entries.map { Location(pack: id, entry: $0) }
        var known: Set<Location> = []
        for location in all where try index.find(location.entry.name, node: location.isNode).contains(location) {
            known.insert(location)
        }
        outcome.isStray = known.isEmpty
        guard reads else { return outcome }
        // What an earlier repair left out of the index hurts nobody, but the next one must know it as well, to leave it out again.
        // Where nothing of a pack is in the index, the index may be what is lost.
        for location in all {
            _ = try isSound(location, tells: known.isEmpty || known.contains(location), &outcome)
        }
        return outcome
    }

    /// Reads all that the index knows of a pack whose own table cannot be read.
    private func salvage(_ outcome: inout Outcome) throws(RepositoryError) {
        outcome.isThere = true
        for location in try index.entries(ofPack: outcome.id) where try isSound(location, tells: true, &outcome) {
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
