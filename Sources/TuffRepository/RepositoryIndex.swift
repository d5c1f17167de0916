import Glibc
import Synchronization

/// All index files of a repository, and what a backup adds to them, as one index.
final class RepositoryIndex: Sendable {
    private struct State {
        var files: [IndexFile]
        /// Names that this process has stored or is storing and that no index file has yet.
        var claimed: Set<Key> = []
        /// Where those of them are whose packs are finished.
        var finished: [Location] = []
        /// When they were last written, by the monotonic clock.
        var flushed = RepositoryIndex.seconds()
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
    /// Seconds after which fewer are: what is in no index when a backup dies, the next one stores again.
    private static let patience: Int64 = 60
    /// Index files after which some are merged: each is asked for a block that none has.
    private static let mostFiles = 16

    init(store: any Store, custody: Custody) throws(RepositoryError) {
        self.store = store
        self.custody = custody
        doomed = Set(try Mark.list(store, custody).flatMap(\.packs))
        state = Mutex(State(files: try Self.open(store, custody)))
    }

    /// One that was merged since it was listed is in another, which may not have been listed: then all is listed again.
    private static func open(_ store: any Store, _ custody: Custody) throws(RepositoryError) -> [IndexFile] {
        var last = RepositoryError(.failed, "the index changes faster than it can be read")
        for _ in 0..<100 {
            do throws(RepositoryError) {
                var files: [IndexFile] = []
                for file in try store.list("index") {
                    guard let id = FileID(file.name) else { continue }
                    files.append(try IndexFile(id, store: store, custody: custody))
                }
                return files
            } catch  where error.code == .notFound { last = error }
        }
        throw last
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
            return state.finished.count >= Self.portion || Self.seconds() - state.flushed >= Self.patience
        }
        if isDue { try flush() }
    }

    /// Writes an index file of what is finished, durably.
    func flush() throws(RepositoryError) {
        let finished = state.withLock { state in
            state.flushed = Self.seconds()
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

    /// Makes one index file of small ones where there are many, as log-structured merge trees do: each entry is written again
    /// when what it is with doubles, so a few times in all. To be called under a lease: prune makes files of its own.
    func merge() throws(RepositoryError) {
        let all = files.sorted { $0.layout.entries < $1.layout.entries }
        guard all.count > Self.mostFiles else { return }
        var chosen: [IndexFile] = []
        var entries = 0
        for file in all where all.count - chosen.count > Self.mostFiles / 2 || file.layout.entries <= entries {
            chosen.append(file)
            entries += file.layout.entries
        }
        let writer = try IndexWriter(store: store, custody: custody)
        var merge = try IndexMerge(chosen)
        while let location = try merge.next() { try writer.append(location) }
        let merged = try IndexFile(try writer.finish(), store: store, custody: custody)
        let replaced = Set(chosen.map(\.id))
        state.withLock { state in
            state.files.removeAll { replaced.contains($0.id) }
            state.files.append(merged)
        }
        for file in chosen { try store.remove(IndexFile.path(file.id)) }
        try store.sync(directory: "index")
    }

    private static func seconds() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec)
    }
}
