import Synchronization

/// Makes one restore point of a source.
package struct Backup: Sendable {
    package struct Request: Sendable {
        package var series: Series
        /// Time of the snapshot that is read, or the present; RFC 3339, UTC.
        package var time: String
        /// Byte ranges outside of which nothing differs from `parent`; nil: read everything.
        package var changed: [Range<UInt64>]?
        /// Byte ranges outside of which the source reads zeros, and is not read; nil: not known.
        package var mapped: [Range<UInt64>]?
        /// The point to compare with: usually the last of the series.
        package var parent: RestorePoint?
        /// Facts of declared volumes: the policy's name, labels, the volume's YAML, and its revision.
        package var policy: String?
        package var labels: [String: String]?
        package var document: String?
        package var commit: String?
        /// zstd's level; nil: blocks are stored as they are.
        package var level: Int? = 1
        /// Longest time between two index files, so that a killed backup need not begin from nothing.
        package var checkpoint: Duration = .seconds(60)
        package var program: String

        package init(series: Series, time: String, program: String) {
            self.series = series
            self.time = time
            self.program = program
        }
    }

    let repository: Repository
    let source: any BlockSource
    let request: Request
    let shape: TreeShape
    let index: RepositoryIndex
    private let lease: Lease?
    private let progress: JobProgress
    /// Whether packs that the index names are gone. Then no block counts as stored because an earlier restore point has
    /// it.
    private let lacksPacks: Bool

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
        let packs = Set(try repository.packs())
        index = try RepositoryIndex(
            store: repository.store, sealing: repository.sealing, checkpoint: request.checkpoint, lease: lease,
            existing: packs)
        var gone = index.packs.subtracting(packs).subtracting(index.doomed)
        // Another backup may have placed some since they were listed.
        if !gone.isEmpty { gone.subtract(try repository.packs()) }
        lacksPacks = !gone.isEmpty
        if request.changed != nil, let pack = gone.min() {
            throw RepositoryError(
                .damaged,
                "packs that the index names are gone (\(gone.count), \(Pack.path(pack)) for one), so what has not "
                    + "changed cannot be relied on; back up without a list of changes, and see 'tuff backup check'")
        }
        if request.changed != nil, let parent = request.parent {
            try PointTreeReader(parent, repository: repository, index: index).readRoot()
        }
    }

    /// Reads and stores the volume, and lists the point when all of it is durable. `finished` returns the time then.
    ///
    /// When it throws, or the process dies, nothing is listed, and the blocks that were stored spare a later backup's
    /// work.
    package func run(threads: some Threads, finished: () -> String) throws(RepositoryError) -> RestorePoint {
        // A damaged mark may name packs that are on their way out.
        try index.demandUnchangedMarks()
        let shared = SharedWork(shape)
        do throws(RepositoryError) {
            try threads.perform { () throws(RepositoryError) in
                do throws(RepositoryError) {
                    try self.storeLeaves(of: shared)
                } catch {
                    shared.leaves.stop()
                    throw error
                }
            }
            try source.demandSameSize()
            try index.finish()
        } catch {
            // The stored blocks spare the next backup's work, if nobody may have destroyed them.
            if error.code != .locked { try? index.flush() }
            throw error
        }
        var counts = shared.counts
        if request.changed != nil, let before = request.parent?.record.counts {
            // What was not read is zero as it was; `unzeroed` was, among what was read.
            let zero = min(before.zero, UInt64(shape.blocks))
            counts.zero += zero - min(zero, shared.unzeroed)
        }
        counts.blocks = UInt64(shape.blocks)
        // This process may have slept, and been taken for dead, for as long as it likes.
        try lease?.demand()
        try index.demandUnchangedMarks()
        try progress.demandWanted()
        let record = RestorePoint.Record(
            series: request.series, time: request.time, finished: finished(), size: source.size,
            root: (shared.tree.root ?? .zero).description, parent: request.parent?.id.description,
            policy: request.policy, labels: request.labels, document: request.document, commit: request.commit,
            counts: counts, program: request.program)
        let point = try RestorePoint.write(record, store: repository.store, sealing: repository.sealing)
        do throws(RepositoryError) {
            try lease?.demand()
        } catch {
            // A process that took the lease away did not see this point, and may have destroyed packs that it needs.
            var reason = error
            do throws(RepositoryError) {
                try RestorePoint.remove(point.id, store: repository.store)
            } catch {
                reason.sentence +=
                    "; restore point \(point.id) could not be taken back (\(error)) and may lack something"
            }
            throw reason
        }
        // The point is listed, whether this succeeds or not: a later backup tries again.
        try? index.merge()
        return point
    }

    private func storeLeaves(of shared: SharedWork) throws(RepositoryError) {
        var request = request
        if lacksPacks { request.parent = nil }
        let reader = try LeafReader(
            shape: shape, source: source, request: request, repository: repository, index: index, shared: shared,
            progress: progress)
        do throws(RepositoryError) {
            while let leaf = shared.leaves.next() {
                try progress.demand()
                try reader.store(leaf)
                try lease?.keep()
            }
        } catch {
            // The blocks in open packs spare the next backup's work too.
            if error.code == .interrupted { try reader.finish() }
            throw error
        }
        try reader.finish()
    }
}

/// Threads that do blocking work side by side.
package protocol Threads: Sendable {
    /// Runs `body` on each thread and returns when all have ended; throws the first failure.
    func perform(_ body: @escaping @Sendable () throws(RepositoryError) -> Void) throws(RepositoryError)
}

/// Progress of a job, written by its threads and read by the view that shows it; and the request to end it.
package final class JobProgress: Sendable {
    private let bytes = Atomic<UInt64>(0)
    private let steps = Atomic<UInt64>(0)
    private let isCancelled = Atomic<Bool>(false)
    private let isWanted: @Sendable () -> Bool

    /// - Parameter isWanted: whether somebody still waits for the work. It is asked when a lease was waited for and
    ///   right before a restore point is listed, and looks for itself: `cancel` may come later than that.
    package init(isWanted: @escaping @Sendable () -> Bool = { true }) { self.isWanted = isWanted }

    /// Bytes of the volume that are done.
    package var done: UInt64 { bytes.load(ordering: .relaxed) }

    /// Grows as long as work under a lease goes on, also where it counts no bytes.
    package var signs: UInt64 { steps.load(ordering: .relaxed) }

    func sign() { steps.add(1, ordering: .relaxed) }

    package func add(_ count: UInt64) { bytes.add(count, ordering: .relaxed) }

    /// Has the job end with `interrupted` as soon as it looks.
    package func cancel() { isCancelled.store(true, ordering: .relaxed) }

    package func demand() throws(RepositoryError) {
        guard isCancelled.load(ordering: .relaxed) else { return }
        throw RepositoryError(.interrupted, "interrupted")
    }

    /// Demands that somebody waits for the work. Who killed the command takes its source for free, and may have changed
    /// it since: a point of what was read partly after that would be of no moment at all.
    func demandWanted() throws(RepositoryError) {
        try demand()
        guard isWanted() else { throw RepositoryError(.interrupted, "whoever asked for it is gone") }
    }
}

/// Hands the leaves of a volume out to threads, in order.
final class LeafQueue: Sendable {
    private let count: Int
    private let following = Atomic<Int>(0)
    private let isStopped = Atomic<Bool>(false)

    init(_ shape: TreeShape) { count = shape.leaves }

    func next() -> Int? {
        guard !isStopped.load(ordering: .relaxed) else { return nil }
        let leaf = following.add(1, ordering: .relaxed).oldValue
        return leaf < count ? leaf : nil
    }

    /// Hands out nothing before this leaf any more.
    func skip(to leaf: Int) { following.max(leaf, ordering: .relaxed) }

    /// Stops the others, since a thread failed.
    func stop() { isStopped.store(true, ordering: .relaxed) }
}

/// The state that the threads of a backup share.
final class SharedWork: Sendable {
    let leaves: LeafQueue
    let tree: TreeBuilder
    private let total = Mutex(RestorePoint.Counts())
    private let zeroBefore = Mutex<UInt64>(0)

    init(_ shape: TreeShape) {
        leaves = LeafQueue(shape)
        tree = TreeBuilder(shape)
    }

    /// - Parameter unzeroed: blocks among them that were zero in the point that a list of changes is relative to.
    func add(_ counts: RestorePoint.Counts, unzeroed: UInt64) {
        zeroBefore.withLock { $0 += unzeroed }
        total.withLock {
            $0.zero += counts.zero
            $0.new += counts.new
            $0.read += counts.read
            $0.stored += counts.stored
        }
    }

    var unzeroed: UInt64 { zeroBefore.withLock { $0 } }
    var counts: RestorePoint.Counts { total.withLock { $0 } }
}

/// The packs of one kind that one thread writes: one is open, and is placed when it is full.
final class Packs {
    private let kind: Format.Kind
    let repository: Repository
    let index: RepositoryIndex
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
            pack = try PackWriter(kind, store: repository.store, sealing: repository.sealing)
            open = pack
        }
        try pack.append(stored, name: name, length: length, coding: coding)
        if pack.isFull { try finish() }
    }

    /// Stores a node that the repository does not have; its name, nil if all beneath it is zero.
    func store(_ node: TreeNode) throws(RepositoryError) -> ContentName? {
        guard !node.isZero else { return nil }
        let bytes = node.bytes
        let name = repository.sealing.name(ofNode: bytes)
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
