import Synchronization

/// All index files of a repository, and what a backup adds to them, as one index.
final class RepositoryIndex: Sendable {
    private struct State {
        var files: [IndexFile]
        /// Names that this process has stored or is storing and that no index file has yet.
        var claimed: Set<Key> = []
        /// Where those of them are whose packs are finished.
        var finished: [Location] = []
    }

    private struct Key: Hashable {
        let name: ContentName
        let isNode: Bool
    }

    private let store: any Store
    private let custody: Custody
    private let state: Mutex<State>
    /// Packs that what is stored now must not rely on.
    private let doomed: Set<FileID>
    /// Finished entries that are written as an index file of their own: 32 MiB of memory, 16 GiB of blocks.
    private static let portion = 256 * 1_024

    init(store: any Store, custody: Custody) throws(RepositoryError) {
        self.store = store
        self.custody = custody
        doomed = Set(try Mark.list(store, custody).flatMap(\.packs))
        var files: [IndexFile] = []
        for file in try store.list("index") {
            guard let id = FileID(file.name) else { continue }
            do throws(RepositoryError) {
                files.append(try IndexFile(id, store: store, custody: custody))
            } catch  where error.code == .notFound {
                continue  // Merged since it was listed.
            }
        }
        state = Mutex(State(files: files))
    }

    /// Throws `locked` if packs have been marked since this index was opened that it did not know to be on their way out.
    func demandUnchangedMarks() throws(RepositoryError) {
        guard try Mark.list(store, custody).flatMap(\.packs).allSatisfy(doomed.contains) else {
            throw RepositoryError(
                .locked, "the repository was pruned meanwhile, and what this backup relied on may go; run it again")
        }
    }

    var files: [IndexFile] { state.withLock { $0.files } }

    /// Where a block or node is, best first: packs that stay come before those on their way out.
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
            if try file.find(name, node: node).contains(where: { !doomed.contains($0.pack) }) { return true }
        }
        return false
    }

    /// Whether the caller has to store this block or node: true once for each that is not in the repository.
    func claim(_ name: ContentName, node: Bool) throws(RepositoryError) -> Bool {
        let key = Key(name: name, isNode: node)
        if state.withLock({ $0.claimed.contains(key) }) { return false }
        guard try !holds(name, node: node) else { return false }
        return state.withLock { $0.claimed.insert(key).inserted }
    }

    /// Says that a pack is at its place.
    func add(_ pack: PackWriter) throws(RepositoryError) {
        let isDue = state.withLock { state in
            state.finished += pack.entries.map { Location(pack: pack.id, entry: $0) }
            return state.finished.count >= Self.portion
        }
        if isDue { try flush() }
    }

    /// Writes an index file of what is finished, durably.
    func flush() throws(RepositoryError) {
        let finished = state.withLock { state in
            defer { state.finished = [] }
            return state.finished
        }
        guard !finished.isEmpty else { return }
        let writer = try IndexWriter(store: store, custody: custody)
        for location in finished.sorted(by: { $0.entry.name < $1.entry.name }) { try writer.append(location) }
        let file = try IndexFile(try writer.finish(), store: store, custody: custody)
        state.withLock { state in
            state.files.append(file)
            for location in finished {
                state.claimed.remove(Key(name: location.entry.name, isNode: location.entry.coding == .node))
            }
        }
    }
}
