/// The work of a prune, decided from facts alone: nothing is read for the decision, and nothing is changed by it.
///
/// A prune gathers the facts, decides, and then either shows the plan (`--dry-run`) or carries it out. What it carries
/// out destroys less than the plan says where something turned out otherwise meanwhile, and never more.
struct PrunePlan: Hashable, Sendable {
    /// The fate of a pack, and its reason.
    enum Fate: Hashable, Sendable {
        /// Stays: at least half of the bytes of its records are needed.
        case needed
        /// Is marked: nothing needs any of it.
        case dead
        /// Is marked once what is needed of it is copied, so many bytes.
        case sparse(UInt64)
        /// Stays for now: it was marked less than a day ago, and a restore that began before may read it.
        case waiting
        /// Is destroyed: it was marked long enough ago, and nothing needs any of it.
        case due
        /// Stays and loses its mark: it was marked long enough ago, and something needs it all the same.
        case reprieved
    }

    /// A pack that is there, as the index and the list of packs know it.
    struct Pack: Hashable, Sendable {
        /// Size of its file, bytes.
        var size: UInt64
        /// Bytes of its records that restore points need, and of all its records.
        var needed: UInt64
        var records: UInt64
    }

    /// Everything that the decision depends on.
    struct Facts: Sendable {
        /// Every restore point, oldest first, and the ids of those that are to go.
        var points: [RestorePoint] = []
        var leaving: Set<FileID> = []
        var packs: [FileID: Pack] = [:]
        /// As they were found, those of earlier runs.
        var marks: [PackMark] = []
        /// Now, by the clock of the file system, in nanoseconds of the Unix epoch.
        var now: Int64 = 0
        /// Marked packs are destroyed without waiting.
        var isAtOnce = false
    }

    /// Nanoseconds between marking and destroying: a restore that began before has this long.
    static let patience: Int64 = 24 * 3600 * 1_000_000_000
    /// A pack of which less than this share of its records' bytes is needed is copied.
    static let copiedBelow = 0.5

    /// Restore points that go, oldest first, and those that stay.
    let removed: [RestorePoint]
    let kept: [RestorePoint]
    /// The fate of each pack that is there or is marked.
    let fates: [FileID: Fate]
    /// Marks whose time is over: they go when their packs are destroyed.
    let dueMarks: [FileID]
    /// Marks of the future, which would wait until then: their time is set to the present.
    let misdated: [FileID]
    /// True where packs that are marked now are destroyed now.
    let isAtOnce: Bool
    private let sizes: [FileID: UInt64]

    init(_ facts: Facts) {
        removed = facts.points.filter { facts.leaving.contains($0.id) }
        kept = facts.points.filter { !facts.leaving.contains($0.id) }
        isAtOnce = facts.isAtOnce
        let wait = facts.isAtOnce ? 0 : Self.patience
        let due = facts.marks.filter { facts.now - min(facts.now, $0.made) >= wait }
        dueMarks = due.map(\.id)
        misdated = facts.marks.filter { $0.made > facts.now }.map(\.id)
        let over = Set(due.flatMap(\.packs)), marked = Set(facts.marks.flatMap(\.packs))
        var fates: [FileID: Fate] = [:]
        for (id, pack) in facts.packs where !marked.contains(id) { fates[id] = Self.fate(ofUnmarked: pack) }
        for id in marked {
            let isNeeded = (facts.packs[id]?.needed ?? 0) > 0
            fates[id] = !over.contains(id) ? .waiting : isNeeded ? .reprieved : .due
        }
        self.fates = fates
        sizes = facts.packs.mapValues(\.size)
    }

    private static func fate(ofUnmarked pack: Pack) -> Fate {
        guard pack.needed > 0 else { return .dead }
        return Double(pack.needed) < copiedBelow * Double(pack.records) ? .sparse(pack.needed) : .needed
    }

    /// Packs that are marked as they are, in the order of their ids.
    var dead: [FileID] { packs { $0 == .dead } }

    /// Packs that are marked once what is needed of them is copied, in the order of their ids.
    var sparse: [FileID] {
        packs { if case .sparse = $0 { true } else { false } }
    }

    /// Packs that were marked long enough ago and are destroyed, in the order of their ids. The file of one may be
    /// gone.
    var due: [FileID] { packs { $0 == .due } }

    /// Bytes that are copied out of sparse packs.
    var copied: UInt64 {
        fates.values.reduce(0) { sum, fate in if case .sparse(let bytes) = fate { sum + bytes } else { sum } }
    }

    /// Bytes of the files of packs.
    func bytes(of packs: [FileID]) -> UInt64 { packs.reduce(0) { $0 + (sizes[$1] ?? 0) } }

    /// The result of carrying it out, if nothing comes between.
    var report: Prune.Report {
        var report = Prune.Report()
        report.removedPoints = removed
        report.copied = copied
        report.marked = dead.count + sparse.count
        report.markedBytes = bytes(of: dead + sparse)
        let destroyed = due.filter { sizes[$0] != nil } + (isAtOnce ? dead + sparse : [])
        report.destroyed = destroyed.count
        report.destroyedBytes = bytes(of: destroyed)
        return report
    }

    private func packs(where isMeant: (Fate) -> Bool) -> [FileID] {
        fates.filter { isMeant($0.value) }.keys.sorted()
    }
}
