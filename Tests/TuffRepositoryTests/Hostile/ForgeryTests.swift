import FoundationEssentials
import Testing
import TuffTestSupport

@testable import TuffRepository

/// Files that prove themselves and say what is not so, as only a broken program or somebody with the key writes them.
@Suite("What proves itself and is wrong all the same is found, named, and as far as possible healed")
struct ForgeryTests {
    private let store = MemoryStore()
    private static let block = UInt64(Format.block)

    private func volume(_ seed: UInt64, blocks: Int = 12, more: Int = 0) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<blocks).flatMap { _ in Scene.noise(&random) } + [UInt8](repeating: 7, count: more)
    }

    private func check(_ repository: Repository, share: Int = 0) throws -> Check.Report {
        try Check(of: repository).run(readShare: share, seed: 0, progress: JobProgress())
    }

    private func index(_ repository: Repository) throws -> RepositoryIndex {
        try RepositoryIndex(store: store, sealing: repository.sealing)
    }

    /// Where the first block of a point is.
    private func firstBlock(_ point: RestorePoint, _ repository: Repository) throws -> Location {
        let index = try index(repository)
        let reader = try PointTreeReader(point, repository: repository, index: index)
        let name = try #require(try reader.leaf(0)?.first ?? nil)
        return try #require(try index.find(name, node: false).first)
    }

    /// Writes the index anew with other entries.
    private func forge(
        _ repository: Repository, _ change: (Location) -> [Location]
    ) throws {
        let old = try index(repository).files
        var merge = try IndexMerge(old)
        var entries: [Location] = []
        while let location = try merge.next() { entries += change(location) }
        for file in old { try store.remove(IndexFile.path(file.id)) }
        let writer = try IndexWriter(store: store, sealing: repository.sealing, lease: nil)
        for location in entries.sorted(by: { $0.entry.name < $1.entry.name }) { try writer.append(location) }
        _ = try writer.finish()
    }

    /// Writes a restore point anew that says something else.
    private func forge(
        _ point: RestorePoint, in repository: Repository, change: (inout RestorePoint.Record) -> Void
    ) throws -> RestorePoint {
        var record = point.record
        change(&record)
        try store.remove(RestorePoint.path(point.id))
        return try RestorePoint.write(record, store: store, sealing: repository.sealing)
    }

    enum Lie: String, CaseIterable {
        case length, coding, offset, stored, pack
    }

    @Test("An index entry that the pack's table contradicts hurts the point until a repair", arguments: Lie.allCases)
    func lyingIndex(_ lie: Lie) throws {
        let repository = try Scene.repository(store)
        let bytes = volume(1)
        let point = try Scene.backUp(bytes, to: repository)
        try Scene.backUp(volume(2), to: repository, name: "other")
        let truth = try firstBlock(point, repository)
        let packs = try index(repository).files.flatMap(\.packs)
        try forge(repository) { location in
            guard location == truth else { return [location] }
            let entry = location.entry
            let forged = PackEntry(
                name: entry.name, offset: lie == .offset ? entry.offset + 1 : entry.offset,
                stored: lie == .stored ? entry.stored - 1 : entry.stored,
                length: lie == .length ? entry.length - 1 : entry.length,
                coding: lie == .coding ? .compressedBlock : entry.coding)
            let pack = packs.first { $0 != location.pack }
            return [Location(pack: lie == .pack ? pack ?? location.pack : location.pack, entry: forged)]
        }
        #expect(throws: RepositoryError.self) { try Scene.restore(point, of: repository) }
        for share in [0, 100] {
            let report = try check(repository, share: share)
            #expect(report.hurt.map(\.point.id) == [point.id] && report.hurt.map(\.ranges) == [[0..<Self.block]])
            let sentence = try #require(report.damage.first)
            #expect(report.damage.count == 1 && sentence.contains("of 1 records the index says"), "\(report.damage)")
            #expect(sentence.contains("\(truth.entry.name)") && sentence.contains("check --repair"), "\(sentence)")
        }
        try IndexRepair(repository, lease: nil).run(after: try check(repository, share: 100))
        #expect(try check(repository, share: 100).isWhole)
        #expect(try Scene.restore(point, of: repository) == bytes)
    }

    @Test(
        "Prune destroys no pack that has what the index says is elsewhere, where it is not", arguments: [false, true])
    func pruneTrustsPacks(isMarked: Bool) throws {
        let repository = try Scene.repository(store)
        let bytes = volume(1)
        let point = try Scene.backUp(bytes, to: repository)
        let other = try Scene.backUp(volume(2), to: repository, name: "other")
        let pack = try firstBlock(point, repository).pack, elsewhere = try firstBlock(other, repository).pack
        // Marked by somebody who believed the index.
        if isMarked { _ = try PackMark.write([pack], to: store, sealing: repository.sealing) }
        try forge(repository) { location in
            [location.pack == pack ? Location(pack: elsewhere, entry: location.entry) : location]
        }
        let files = store.files
        do throws(RepositoryError) {
            _ = try Prune(repository, lease: nil, atOnce: true).run(removing: [other])
            Issue.record("pruned")
        } catch {
            #expect(error.code == .damaged && error.sentence.contains("check --repair"), "\(error)")
        }
        #expect(store.files.keys.contains(Pack.path(pack)))
        if !isMarked { #expect(store.files == files, "nor anything else") }
        try IndexRepair(repository, lease: nil).run(after: try check(repository, share: 100))
        let points = try repository.points().points
        _ = try Prune(repository, lease: nil, atOnce: true).run(removing: points.filter { $0.id == other.id })
        #expect(try check(repository, share: 100).isWhole && Scene.restore(point, of: repository) == bytes)
    }

    @Test("A lie beside the truth, in the same file or another, is told and hurts nobody", arguments: [false, true])
    func lieBesideTheTruth(isElsewhere: Bool) throws {
        let repository = try Scene.repository(store)
        let point = try Scene.backUp(volume(1), to: repository)
        let truth = try firstBlock(point, repository)
        let entry = truth.entry
        let name = try #require(ContentName(String(repeating: "ab", count: 32)))
        let lie = Location(
            pack: truth.pack,
            entry: PackEntry(
                name: name, offset: entry.offset, stored: entry.stored, length: entry.length, coding: .block))
        if isElsewhere {
            let writer = try IndexWriter(store: store, sealing: repository.sealing, lease: nil)
            try writer.append(lie)
            _ = try writer.finish()
        } else {
            try forge(repository) { $0 == truth ? [$0, lie] : [$0] }
        }
        let report = try check(repository)
        #expect(report.damage.count == 1 && report.damage[0].contains("\(name)"), "\(report.damage)")
        #expect(report.hurt.isEmpty && !report.isWhole)
        try IndexRepair(repository, lease: nil).run(after: try check(repository, share: 100))
        #expect(try check(repository, share: 100).isWhole)
    }

    @Test("What a repair left out of the index is no lie of the index")
    func leftOut() throws {
        let repository = try Scene.repository(store)
        let point = try Scene.backUp(volume(1), to: repository)
        let truth = try firstBlock(point, repository)
        try forge(repository) { $0 == truth ? [] : [$0] }
        let report = try check(repository)
        #expect(report.damage.isEmpty && report.hurt.map(\.ranges) == [[0..<Self.block]], "\(report)")
    }

    @Test("A size that the last block does not fit names the point and the block", arguments: [1, -1])
    func size(by difference: Int) throws {
        let repository = try Scene.repository(store)
        // Another point shares all nodes, and is whole.
        let bytes = volume(1, blocks: 40, more: 100)
        try Scene.backUp(bytes, to: repository, name: "good")
        let point = try forge(try Scene.backUp(bytes, to: repository), in: repository) {
            $0.size = UInt64(Int($0.size) + difference)
        }
        #expect(throws: RepositoryError.self) { try Scene.restore(point, of: repository) }
        let report = try check(repository)
        let begin = 40 * Self.block
        #expect(report.hurt.map(\.point) == [point], "\(report)")
        #expect(report.hurt.map(\.ranges) == [[begin..<(begin + UInt64(100 + difference))]], "\(report)")
        let sentence = try #require(report.damage.first)
        #expect(sentence.contains("\(point.id)") && sentence.contains("a block of 100 bytes"), "\(sentence)")
        #expect(sentence.contains("--keep-going") && sentence.contains("at byte \(begin)"), "\(sentence)")
        #expect(throws: RepositoryError.self) { try Prune(repository, lease: nil, atOnce: true).run(removing: []) }
        try IndexRepair(repository, lease: nil).run(after: try check(repository, share: 100))
        _ = try Prune(repository, lease: nil, atOnce: true).run(removing: [])
    }

    @Test("A full volume whose size is a little less shares its nodes with one that is whole")
    func sharedLeaf() throws {
        let repository = try Scene.repository(store)
        let bytes = volume(1, blocks: 64)
        try Scene.backUp(bytes, to: repository, name: "good")
        let point = try forge(try Scene.backUp(bytes, to: repository), in: repository) { $0.size -= 5 }
        let end = 64 * Self.block - 5
        let report = try check(repository)
        #expect(report.hurt.map(\.point) == [point])
        #expect(report.hurt.map(\.ranges) == [[(63 * Self.block)..<end]], "\(report)")
        #expect(throws: RepositoryError.self) { try Scene.restore(point, of: repository) }
    }

    @Test("A root of another level is lost as a whole, though another point needs it where it belongs")
    func root() throws {
        let repository = try Scene.repository(store)
        let good = try Scene.backUp(volume(1, blocks: 64), to: repository, name: "good")
        let point = try forge(try Scene.backUp(volume(2, blocks: 32), to: repository), in: repository) {
            $0.root = good.record.root
        }
        let report = try check(repository)
        #expect(report.hurt.map(\.point) == [point])
        #expect(report.hurt.map(\.ranges) == [[0..<(32 * Self.block)]], "\(report)")
    }

    @Test("A short block in the middle names its place")
    func shortBlock() throws {
        let repository = try Scene.repository(store)
        let bytes = volume(1, blocks: 34)
        let point = try Scene.backUp(bytes, to: repository)
        let short = try Scene.backUp(volume(3, blocks: 0, more: 10), to: repository, name: "short")
        let index = try index(repository)
        let tree = try PointTreeReader(point, repository: repository, index: index)
        var leaf = TreeNode(level: 0, children: try #require(try tree.leaf(0)))
        leaf.children[5] = try #require(
            try PointTreeReader(short, repository: repository, index: index).leaf(0)?.first)
        let nodes = Packs(.nodePack, repository: repository, index: index)
        let children = [try nodes.store(leaf), try tree.nameOfLeaf(1)]
        let root = try #require(try nodes.store(TreeNode(level: 1, children: children)))
        try nodes.finish()
        try index.flush()
        let forged = try forge(point, in: repository) { $0.root = "\(root)" }
        for share in [0, 100] {
            let report = try check(repository, share: share)
            #expect(report.hurt.map(\.point) == [forged])
            #expect(report.hurt.map(\.ranges) == [[(5 * Self.block)..<(6 * Self.block)]], "\(report)")
            #expect(report.damage.count == 1 && report.damage[0].contains("a block of 10 bytes"), "\(report.damage)")
        }
        #expect(throws: RepositoryError.self) { try Scene.restore(forged, of: repository) }
    }

    /// Writes a record of one pack into a new pack of the other kind, and has the index know it there.
    private func misplace(_ location: Location, _ repository: Repository) throws -> FileID {
        let checker = RecordChecker(repository)
        let stored = try #require(try checker.stored(location))
        let kind: Format.Kind = location.isNode ? .blockPack : .nodePack
        let writer = try PackWriter(kind, store: store, sealing: repository.sealing)
        try writer.append(
            stored, name: location.entry.name, length: location.entry.length, coding: location.entry.coding)
        try writer.finish()
        try forge(repository) { old in
            old == location ? writer.entries.map { Location(pack: writer.id, entry: $0) } : [old]
        }
        return writer.id
    }

    @Test(
        "A block in a pack of nodes, and a node in a pack of blocks, are told and, where they prove themselves, saved",
        arguments: [(false, false), (false, true), (true, false), (true, true)])
    func otherKind(isNode: Bool, isEncrypted: Bool) throws {
        let repository = isEncrypted ? try Scene.encrypted(store) : try Scene.repository(store)
        let bytes = volume(1)
        let point = try Scene.backUp(bytes, to: repository)
        var location = try firstBlock(point, repository)
        if isNode {
            let root = try #require(ContentName(point.record.root))
            location = try #require(try index(repository).find(root, node: true).first)
        }
        let pack = try misplace(location, repository)
        let report = try check(repository)
        let sentence = try #require(report.damage.first)
        #expect(sentence.contains(Pack.path(pack)) && sentence.contains(isNode ? "a node" : "a block"), "\(sentence)")
        #expect(sentence.contains("check --repair") && !report.isWhole, "\(sentence)")
        // The key of a record depends on its pack's kind: what was sealed by the other does not open.
        let lost: [Range<UInt64>] = isNode ? [0..<UInt64(bytes.count)] : [0..<Self.block]
        #expect(report.hurt.map(\.ranges) == (isEncrypted ? [lost] : []), "\(report)")
        #expect((try? Scene.restore(point, of: repository)) == (isEncrypted ? nil : bytes))
        try IndexRepair(repository, lease: nil).run(after: try check(repository, share: 100))
        #expect(try Scene.restore(point, of: repository) == bytes, "the record of old is there yet")
    }

    @Test(
        "Times of another form are refused, so that latest is the latest",
        arguments: [
            "2026-11-22T09:30:00.5Z", "2026-11-22T09:30:00+00:00", "2026-11-22 09:30:00Z", "2026-11-22t09:30:00z", "",
            "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z", "20260-1-01T00:00:00Z", "٢026-01-01T00:00:0Z",
        ])
    func times(_ time: String) throws {
        let repository = try Scene.repository(store)
        let point = try Scene.backUp(volume(1), to: repository)
        #expect(throws: RepositoryError.self) { _ = try forge(point, in: repository) { $0.time = time } }
        for isFinished in [false, true] {
            var record = point.record
            if isFinished { record.finished = time } else { record.time = time }
            let id = try placeRaw(record, repository)
            let found = try repository.points()
            #expect(found.points.isEmpty && found.damaged.map(\.id) == [id])
            #expect(found.damaged.allSatisfy { $0.description.contains("YYYY-MM-DDTHH:MM:SSZ") }, "\(found.damaged)")
            try store.remove(RestorePoint.path(id))
        }
    }

    /// A restore point as `RestorePoint.write` refuses to write it.
    private func placeRaw(_ record: RestorePoint.Record, _ repository: Repository) throws -> FileID {
        let id = FileID()
        let piece = repository.sealing.seal(.point, id).close(try JSONEncoder().encode(record).map { $0 }, at: 0)
        try store.place(FileHeader(kind: .point, id: id).bytes + piece, at: RestorePoint.path(id))
        return id
    }

    @Test("A compressed block is one frame and nothing else")
    func frames() throws {
        let block = [UInt8](repeating: 7, count: Format.block), half = block.count / 2
        let compressor = Compressor(level: 1)
        func frame(_ bytes: ArraySlice<UInt8>) throws -> [UInt8] {
            try Array(#require(bytes.withUnsafeBytes { compressor.compress($0).map { Array($0) } }))
        }
        let whole = try frame(block[...]), nothing: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]
        let wrong = [
            try frame(block[..<half]) + frame(block[half...]), whole + [0], whole + nothing, nothing + whole,
            whole + whole, whole.dropLast(), try frame(block[..<half]), [],
        ]
        let decompressor = Decompressor()
        func decompress(_ frame: [UInt8]) -> Bool {
            var room = [UInt8](repeating: 0, count: block.count)
            return frame.withUnsafeBytes { frame in
                room.withUnsafeMutableBytes { decompressor.decompress(frame, into: $0) }
            } && room == block
        }
        #expect(decompress(whole))
        for frame in wrong { #expect(!decompress(frame)) }
    }
}
