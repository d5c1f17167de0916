/// The entries of the index that restore points need: one of each name, a bit for each entry.
struct Alive {
    private var files: [IndexFile]
    private var bits: [[UInt64]]
    /// The packs that are there, with their bytes.
    private(set) var packs: [FileID: UInt64]
    /// Bytes of records that are needed, of each pack.
    private(set) var bytes: [FileID: UInt64] = [:]
    /// Bytes of all records, of each pack.
    private(set) var all: [FileID: UInt64] = [:]
    var toCopy: Set<FileID> = []
    private var checker: RecordChecker
    private var repository: Repository
    /// The table read last: the blocks of one pack are copied to one other.
    private var kept: (pack: FileID, entries: Set<PackEntry>)?

    /// - Throws: `damaged` if a point lacks a block, unless a repair has noted that: it is known then, and a lost block
    ///   needs no pack.
    init(
        _ points: [RestorePoint], of repository: Repository, index: RepositoryIndex, lease: Lease?
    ) throws(RepositoryError) {
        self.repository = repository
        files = index.files
        bits = files.map { Array(repeating: 0, count: ($0.layout.entries + 63) / 64) }
        packs = Dictionary(
            try repository.packFiles().map { ($0.id, $0.size) }, uniquingKeysWith: { first, _ in first })
        checker = RecordChecker(repository)
        for file in files {
            // A pack's entries stand in one file together, and in several where merging them was cut off.
            for (pack, bytes) in try file.bytesOfPacks() { all[pack] = max(all[pack] ?? 0, bytes) }
        }
        let noted = try repository.hurtPoints()
        var visitor = Visitor(index: index, lease: lease, alive: self)
        for outcome in try TreeWalk.walk(points, of: repository, index: index, progress: nil, visitor: &visitor) {
            if let failure = outcome.failure { throw failure }
            if noted.contains(outcome.point.id) { continue }
            throw RepositoryError(
                .damaged,
                "nothing was pruned: restore point \(outcome.point.id) lacks something; 'tuff backup check --repair' "
                    + "tells what, and takes note of it")
        }
        self = visitor.alive
    }

    /// Every needed entry of these packs.
    func locations(in packs: Set<FileID>) throws(RepositoryError) -> [Location] {
        var result: [Location] = []
        for (number, file) in files.enumerated() {
            for page in 0..<file.layout.entryPages {
                for (slot, item) in try file.entries(ofPage: page).enumerated() {
                    let entry = page * IndexLayout.entriesPerPage + slot
                    let pack = file.packs[item.pack]
                    guard packs.contains(pack), bits[number][entry / 64] & (1 << UInt64(entry % 64)) != 0 else {
                        continue
                    }
                    result.append(Location(pack: pack, entry: item.entry))
                }
            }
        }
        return result
    }

    /// Throws `damaged` if a pack that is to go holds a needed record of which the index has no other place. The pack's
    /// own table decides what it holds, since the index may be wrong about packs.
    mutating func demandSpare(_ pack: FileID) throws(RepositoryError) {
        let table: [PackEntry]
        do throws(RepositoryError) {
            table = try entries(of: pack)
        } catch  where error.isDamage || error.code == .notFound {
            // Without a readable table the index alone decides, and by it nothing needs the pack's records.
            return
        }
        var kept: [Location] = []
        for entry in table {
            for (number, file) in files.enumerated() {
                for (slot, location) in try file.findNumbered(entry.name, node: entry.coding == .node)
                where bits[number][slot / 64] & (1 << UInt64(slot % 64)) != 0 && location.pack != pack {
                    kept.append(location)
                }
            }
        }
        for location in kept.sorted(by: { $0.pack < $1.pack }) where try !isThere(location) {
            throw RepositoryError(
                .damaged,
                "nothing was destroyed: \(Pack.path(pack)) holds \(location.entry.name), and the index says that it "
                    + "is in "
                    + "\(Pack.path(location.pack)), where it is not; 'tuff backup check --repair' makes the index anew")
        }
    }

    /// Whether a record is where the index says, by the pack's own table or by itself.
    private mutating func isThere(_ location: Location) throws(RepositoryError) -> Bool {
        do throws(RepositoryError) {
            if kept?.pack != location.pack { kept = (location.pack, Set(try entries(of: location.pack))) }
            if let kept, kept.entries.contains(location.entry) { return true }
            return try checker.isSound(location)
        } catch  where error.isLoss || error.isDamage { return false }
    }

    private func entries(of pack: FileID) throws(RepositoryError) -> [PackEntry] {
        try PackReader(pack, store: repository.store, sealing: repository.sealing).table().1
    }

    /// Notes the one copy that is kept; false if there is none.
    private mutating func note(
        _ name: ContentName, length: Int?, _ index: RepositoryIndex
    ) throws(RepositoryError) -> Bool {
        var copies: [(file: Int, entry: Int, location: Location)] = []
        for (number, file) in files.enumerated() {
            for (entry, location) in try file.findNumbered(name, node: length == nil) where packs[location.pack] != nil
            {
                copies.append((number, entry, location))
            }
        }
        let leaving = copies.filter { index.doomed.contains($0.location.pack) }
        let staying = leaving.isEmpty ? copies : copies.filter { !index.doomed.contains($0.location.pack) }
        guard let best = try best(of: (staying + leaving).map(\.location)),
            best.entry.length == length ?? best.entry.length,
            let kept = copies.first(where: { $0.location == best })
        else { return false }
        let (word, bit) = (kept.entry / 64, UInt64(1) << UInt64(kept.entry % 64))
        if bits[kept.file][word] & bit == 0 {
            bits[kept.file][word] |= bit
            bytes[best.pack, default: 0] += UInt64(best.entry.stored)
        }
        return true
    }

    /// One of several copies, which proves itself: the others may be destroyed. Equal entries of two index files are
    /// one copy.
    private func best(of there: [Location]) throws(RepositoryError) -> Location? {
        guard let first = there.first, there.contains(where: { $0 != first }) else { return there.first }
        for location in there {
            do throws(RepositoryError) {
                if try checker.isSound(location) { return location }
            } catch  where error.isLoss { continue }
        }
        return nil
    }

    private struct Visitor: TreeWalk.Visitor {
        let index: RepositoryIndex
        let lease: Lease?
        var alive: Alive

        mutating func visit(_ name: ContentName, length: Int?) throws(RepositoryError) -> Bool {
            try lease?.goOn()
            return try alive.note(name, length: length, index)
        }

        func lost(_ range: Range<UInt64>, of point: RestorePoint) {}
    }
}
