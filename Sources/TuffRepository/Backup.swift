import Synchronization

/// Makes one restore point of a source.
package struct Backup: Sendable {
    package struct Request: Sendable {
        package var series: Series
        /// Of the snapshot that is read, or now; RFC 3339, UTC.
        package var time: String
        /// Byte ranges outside of which nothing differs from `parent`; nil: read everything.
        package var changed: [Range<UInt64>]?
        /// The point to compare with: usually the last of the series.
        package var parent: RestorePoint?
        /// zstd's level.
        package var level = 1
        /// What is stored is indexed at least this often, so that a backup that is killed is not begun from nothing.
        package var checkpoint: Duration = .seconds(60)
        package var program: String

        package init(series: Series, time: String, program: String) {
            self.series = series
            self.time = time
            self.program = program
        }
    }

    private let repository: Repository
    private let source: any BlockSource
    private let request: Request
    private let shape: TreeShape
    private let index: RepositoryIndex
    private let lease: Lease?
    private let progress: JobProgress

    /// - Parameter lease: a shared one; nil only where nobody else can reach the repository.
    package init(
        of source: any BlockSource, to repository: Repository, _ request: Request, lease: Lease?,
        progress: JobProgress
    ) throws(RepositoryError) {
        guard let shape = TreeShape(size: source.size) else {
            throw RepositoryError(.refused, "a volume of \(source.size) bytes is larger than the format can hold")
        }
        // Spelled out: an optional chain here has the optimizer of Swift 6.3.1 fail ("outside of lifetime use").
        if request.changed != nil {
            guard let parent = request.parent, parent.record.size == source.size else {
                throw RepositoryError(.refused, "a list of changes needs an earlier restore point of the same size")
            }
        }
        self.repository = repository
        self.source = source
        self.request = request
        self.shape = shape
        self.lease = lease
        self.progress = progress
        index = try RepositoryIndex(
            store: repository.store, custody: repository.custody, checkpoint: request.checkpoint, lease: lease)
    }

    /// Reads, stores, and lists the point when all of it is durable. `finished` says the time then.
    ///
    /// Whatever is thrown, and if the process dies: nothing is listed, and what was stored spares a later backup's work.
    package func run(threads: some Threads, finished: () -> String) throws(RepositoryError) -> RestorePoint {
        // A damaged mark may name packs that are on their way out.
        try index.demandUnchangedMarks()
        let shared = SharedWork(leaves: shape.leaves)
        var counts = RestorePoint.Counts()
        let root: ContentName?
        do throws(RepositoryError) {
            try threads.perform { () throws(RepositoryError) in
                do throws(RepositoryError) {
                    try self.storeLeaves(of: shared)
                } catch {
                    shared.stop()
                    throw error
                }
            }
            counts = shared.counts
            root = try storeUpper(shared.names, &counts)
            try index.finish()
        } catch {
            // What is stored spares the next backup's work, if nobody may have destroyed it.
            if error.code != .locked { try? index.flush() }
            throw error
        }
        counts.blocks = UInt64(shape.blocks)
        // This process may have slept, and been taken for dead, for as long as it likes.
        try lease?.demand()
        try index.demandUnchangedMarks()
        let point = try RestorePoint.write(
            RestorePoint.Record(
                series: request.series, time: request.time, finished: finished(), size: source.size,
                root: (root ?? .zero).description, parent: request.parent?.id.description, counts: counts,
                program: request.program),
            store: repository.store, custody: repository.custody)
        // The point is there whatever becomes of this: a later backup tries again.
        try? index.merge()
        return point
    }

    private func storeLeaves(of shared: SharedWork) throws(RepositoryError) {
        let reader = try LeafReader(
            shape: shape, source: source, request: request, repository: repository, index: index, shared: shared,
            progress: progress)
        while let leaf = shared.next() {
            let name = try reader.store(leaf)
            shared.set(name, leaf)
            try lease?.keep()
        }
        try reader.finish()
    }

    /// Stores the levels above the leaves; the root's name, nil if all is zero.
    private func storeUpper(
        _ leaves: [ContentName?], _ counts: inout RestorePoint.Counts
    ) throws(RepositoryError) -> ContentName? {
        let packs = Packs(.nodePack, repository: repository, index: index)
        var below = leaves
        var level = 0
        while below.count > 1 {
            level += 1
            var names: [ContentName?] = []
            for begin in stride(from: 0, to: below.count, by: Format.fanOut) {
                let end = min(below.count, begin + Format.fanOut)
                names.append(try packs.store(Node(level: level, children: Array(below[begin..<end]))))
            }
            below = names
        }
        try packs.finish()
        counts.stored += packs.bytes
        return below.first ?? nil
    }
}

/// Threads that do blocking work side by side.
package protocol Threads: Sendable {
    /// Runs `body` on each of them and returns when all have; throws the first failure.
    func perform(_ body: @escaping @Sendable () throws(RepositoryError) -> Void) throws(RepositoryError)
}

/// How far a job is; written by its threads, read by whoever shows it.
package final class JobProgress: Sendable {
    private let bytes = Atomic<UInt64>(0)

    package init() {}

    /// Bytes of the volume that are dealt with.
    package var done: UInt64 { bytes.load(ordering: .relaxed) }

    package func add(_ count: UInt64) { bytes.add(count, ordering: .relaxed) }
}

/// What the threads of a backup share: which leaf is next, and what became of each.
final class SharedWork: Sendable {
    private let nextLeaf = Atomic<Int>(0)
    private let stopped = Atomic<Bool>(false)
    private let leaves: Int
    private let results: Mutex<(names: [ContentName?], counts: RestorePoint.Counts)>

    init(leaves: Int) {
        self.leaves = leaves
        results = Mutex((Array(repeating: nil, count: leaves), RestorePoint.Counts()))
    }

    func next() -> Int? {
        guard !isStopped else { return nil }
        let leaf = nextLeaf.add(1, ordering: .relaxed).oldValue
        return leaf < leaves ? leaf : nil
    }

    /// A thread failed: what the others do is for nothing.
    func stop() { stopped.store(true, ordering: .relaxed) }
    var isStopped: Bool { stopped.load(ordering: .relaxed) }

    func set(_ name: ContentName?, _ leaf: Int) { results.withLock { $0.names[leaf] = name } }

    func add(_ counts: RestorePoint.Counts) {
        results.withLock {
            $0.counts.zero += counts.zero
            $0.counts.new += counts.new
            $0.counts.read += counts.read
            $0.counts.stored += counts.stored
        }
    }

    var names: [ContentName?] { results.withLock { $0.names } }
    var counts: RestorePoint.Counts { results.withLock { $0.counts } }
}

/// One thread's packs of one kind: one is open, and placed when it is full.
final class Packs {
    private let kind: Format.Kind
    private let repository: Repository
    private let index: RepositoryIndex
    private var open: PackWriter?
    /// Bytes added to the repository so far.
    private(set) var bytes: UInt64 = 0

    init(_ kind: Format.Kind, repository: Repository, index: RepositoryIndex) {
        self.kind = kind
        self.repository = repository
        self.index = index
    }

    func append(
        _ stored: UnsafeRawBufferPointer, name: ContentName, length: Int, coding: Format.Coding
    ) throws(RepositoryError) {
        let pack: PackWriter
        if let open {
            pack = open
        } else {
            pack = try PackWriter(kind, store: repository.store, custody: repository.custody)
            open = pack
        }
        try pack.append(stored, name: name, length: length, coding: coding)
        if pack.isFull { try finish() }
    }

    /// Stores a node that the repository does not have; its name, nil if all beneath it is zero.
    func store(_ node: Node) throws(RepositoryError) -> ContentName? {
        guard !node.isZero else { return nil }
        let bytes = node.bytes
        let name = repository.custody.name(ofNode: bytes)
        guard try index.claim(name, node: true) else { return name }
        var failure: RepositoryError?
        bytes.withUnsafeBytes { bytes in
            do throws(RepositoryError) {
                try append(bytes, name: name, length: bytes.count, coding: .node)
            } catch { failure = error }
        }
        if let failure { throw failure }
        return name
    }

    /// Places the open pack.
    func finish() throws(RepositoryError) {
        guard let pack = open else { return }
        open = nil
        try pack.finish()
        bytes += UInt64(pack.size)
        try index.add(pack)
    }
}
