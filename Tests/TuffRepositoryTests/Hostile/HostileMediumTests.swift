import Glibc
import Synchronization
import Testing
import TuffTestSupport

@testable import TuffRepository

/// Files of whoever owns the medium of a repository that is not encrypted, written to keep a reader busy: work and
/// memory are bounded by what the medium holds.
@Suite("A medium that means harm costs no more than what it holds")
struct HostileMediumTests {
    private let store = MemoryStore()

    private func index(_ repository: Repository) throws -> RepositoryIndex {
        try RepositoryIndex(store: store, sealing: repository.sealing)
    }

    private func check(_ repository: Repository) throws -> Check.Report {
        try Check(of: repository).run(readShare: 0, seed: 0, progress: JobProgress())
    }

    private func code(_ body: () throws -> Void) -> RepositoryError.Code? {
        do { try body() } catch let error as RepositoryError { return error.code } catch { return nil }
        return nil
    }

    // MARK: Trees

    /// A volume of 2^61 bytes of nine nodes, each with 32 equal children; a leaf has these.
    private func giant(_ leaf: [ContentName?], _ repository: Repository) throws -> RestorePoint {
        let index = try index(repository)
        let nodes = Packs(.nodePack, repository: repository, index: index)
        var name = try nodes.store(TreeNode(level: 0, children: leaf))
        for level in 1...8 {
            name = try nodes.store(TreeNode(level: level, children: Array(repeating: name, count: Format.fanOut)))
        }
        try nodes.finish()
        try index.flush()
        let root = try #require(name)
        let record = RestorePoint.Record(
            series: Series(name: "giant"), time: Scene.time, finished: Scene.time, size: 1 << 61,
            root: root.description, counts: RestorePoint.Counts(), program: "test")
        return try RestorePoint.write(record, store: store, sealing: repository.sealing)
    }

    private let gone = ContentName(String(repeating: "ab", count: 32))

    @Test(
        "Nine nodes make 2^61 bytes, all of them lost: told at once, and prune goes on after a repair",
        .timeLimit(.minutes(5)))
    func allIsLost() throws {
        let repository = try Scene.repository(store)
        let point = try giant(Array(repeating: gone, count: 32), repository)
        let report = try check(repository)
        #expect(report.hurt.map(\.point) == [point])
        #expect(report.hurt.map(\.ranges) == [[0..<(1 << 61)]] && report.hurt.map(\.lost.bytes) == [1 << 61])
        #expect(code { _ = try Prune(repository, lease: nil).run(removing: []) } == .damaged)
        let whole = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
        try IndexRepair(repository, lease: nil).run(after: whole)
        _ = try Prune(repository, lease: nil, atOnce: true).run(removing: [])
        #expect(store.files.keys.contains(RestorePoint.path(point.id)))
    }

    @Test("Stretches beyond any number are counted, and the first of them told", .timeLimit(.minutes(5)))
    func someIsLost() throws {
        let repository = try Scene.repository(store)
        var leaf: [ContentName?] = Array(repeating: nil, count: 32)
        (leaf[3], leaf[4]) = (gone, gone)
        let point = try giant(leaf, repository)
        let hurt = try #require(try check(repository).hurt.first)
        let leaves: UInt64 = 1 << 40, block = UInt64(Format.block), width = UInt64(Format.leaf)
        #expect(hurt.lost.bytes == 2 * leaves * block)
        let first = (0..<UInt64(LostRanges.most)).map { ($0 * width + 3 * block)..<($0 * width + 5 * block) }
        #expect(hurt.ranges.elementsEqual(first), "the first: \(hurt.ranges.prefix(3))")
        // Each stretch costs a way down the tree, so that of many points together no more are told than of five.
        for _ in 0..<7 { _ = try RestorePoint.write(point.record, store: store, sealing: repository.sealing) }
        let report = try check(repository)
        #expect(report.hurt.count == 8 && report.hurt.allSatisfy { $0.lost.bytes == 2 * leaves * block })
        #expect(report.hurt.reduce(0) { $0 + $1.ranges.count } == 5 * LostRanges.most)
    }

    @Test("The same volume with nothing lost is whole, and prune keeps it", .timeLimit(.minutes(5)))
    func nothingIsLost() throws {
        let repository = try Scene.repository(store)
        var random = SeededGenerator(seed: 1)
        let other = try Scene.backUp(Scene.noise(&random), to: repository)
        let tree = try PointTreeReader(other, repository: repository, index: try index(repository))
        let point = try giant(Array(repeating: try #require(try tree.leaf(0))[0], count: 32), repository)
        #expect(try check(repository).isWhole)
        let report = try Prune(repository, lease: nil, atOnce: true).run(removing: [other])
        #expect(report.removedPoints == [other] && report.destroyed > 0)
        #expect(try repository.points().points == [point] && check(repository).isWhole)
    }

    /// A new file of any size, of which only what is written takes room.
    private final class Sparse: BlockTarget {
        let isBlank = true
        let written = Mutex<[UInt64: Int]>([:])
        func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {}
        func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(RepositoryError) {
            written.withLock { $0[offset] = bytes.count }
        }
        func finish(size: UInt64) throws(RepositoryError) {}
    }

    @Test("A restore of 2^61 bytes of which one block is not zero writes that block", .timeLimit(.minutes(5)))
    func restoreOfZeros() throws {
        let repository = try Scene.repository(store)
        var random = SeededGenerator(seed: 1)
        let other = try Scene.backUp(Scene.noise(&random), to: repository)
        let index = try index(repository)
        let nodes = Packs(.nodePack, repository: repository, index: index)
        var name = try PointTreeReader(other, repository: repository, index: index).leaf(0)?[0]
        for level in 0...8 {
            var children: [ContentName?] = Array(repeating: nil, count: Format.fanOut)
            children[level == 0 ? 3 : 1] = name
            name = try nodes.store(TreeNode(level: level, children: children))
        }
        try nodes.finish()
        try index.flush()
        var record = other.record
        (record.size, record.root) = (1 << 61, try #require(name).description)
        let point = try RestorePoint.write(record, store: store, sealing: repository.sealing)
        let target = Sparse()
        let outcome = try Restore(point, of: repository, progress: JobProgress())
            .run(to: target, threads: SystemThreads(count: 2))
        let leaf = (1...8).reduce(0) { leaf, _ in leaf * 32 + 1 }
        let offset = UInt64(leaf) * UInt64(Format.leaf) + 3 * UInt64(Format.block)
        #expect(target.written.withLock { $0 } == [offset: Format.block] && outcome.written == UInt64(Format.block))
    }

    @Test("A restore that keeps going tells the first of very many losses, and counts all")
    func restoreLosses() {
        var one = LostRanges(), other = LostRanges()
        for number in 0..<UInt64(5_000) {
            let begin = number * 100
            if number % 2 == 0 { one.add(begin..<(begin + 10)) } else { other.add(begin..<(begin + 10)) }
        }
        one.add(other)
        #expect(one.bytes == 50_000 && one.ranges.count == LostRanges.most && one.ranges[1] == 100..<110)
    }

    // MARK: Points

    private func point(_ id: FileID, parent: FileID?, time: String = Scene.time) -> RestorePoint {
        RestorePoint(
            id: id,
            record: RestorePoint.Record(
                series: Series(name: "v"), time: time, finished: time, size: 0, root: ContentName.zero.description,
                parent: parent?.description, counts: RestorePoint.Counts(), program: "test"))
    }

    @Test("Points of one second in one chain are put in its order, each link followed once", .timeLimit(.minutes(5)))
    func chain() {
        let ids = (0..<30_000).map { _ in FileID() }
        let points = ids.enumerated().map { number, id in point(id, parent: number > 0 ? ids[number - 1] : nil) }
        #expect(points.shuffled().ordered().map(\.id) == ids)
        // Of another second, and in a circle: behind the rest, by ID.
        let circle = (0..<1_000).map { _ in FileID() }.sorted()
        let round = circle.enumerated().map { number, id in point(id, parent: circle[(number + 1) % circle.count]) }
        let early = point(FileID(), parent: circle[0], time: "2026-11-22T09:29:59Z")
        let all = (round + points.prefix(10) + [early]).shuffled().ordered()
        #expect(all.map(\.id) == [early.id] + ids.prefix(10) + circle)
    }

    @Test("More bytes of points or marks than memory should hold are refused by a sentence, holes or not")
    func largePointsAndMarks() throws {
        let folder = try Folder()
        let store = try DirectoryStore("\(folder.path)/r", making: true)
        let repository = try Scene.repository(store)
        for _ in 0..<70 { try hole(16 << 20, "\(folder.path)/r/points/\(FileID())") }
        #expect(code { _ = try repository.points() } == .refused)
        for _ in 0..<8 { try hole(16 << 20, "\(folder.path)/r/marks/\(FileID())") }
        let damaged = try PackMark.listReadable(store, repository.sealing).damaged
        #expect(damaged.count == 8 && damaged.count { $0.error.sentence.contains("64 MiB of marks") } == 4)
    }

    private func hole(_ size: off_t, _ path: String, end: [UInt8] = [], begin: [UInt8] = []) throws {
        let file = creat(path, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        try #require(ftruncate(file, size) == 0)
        try #require(pwrite(file, begin, begin.count, 0) == begin.count)
        try #require(pwrite(file, end, end.count, size - off_t(end.count)) == end.count)
    }

    // MARK: The index

    @Test(
        "An index file that is a hole of terabytes behind a footer that proves itself is damage and takes no memory",
        arguments: [(UInt64(0), UInt32.max), (1 << 31, 1 << 31), (1 << 31, 1)])
    func hollowIndex(entries: UInt64, packs: UInt32) throws {
        // On a file system that has such lengths.
        let folder = try Folder(in: "/dev/shm")
        let store = try DirectoryStore("\(folder.path)/r", making: true)
        let repository = try Scene.repository(store)
        let id = FileID()
        let content = littleEndian(entries) + littleEndian(packs) + [UInt8](repeating: 0, count: 36)
        let footer = repository.sealing.seal(.index, id).close(content, at: Format.lastPosition)
        let size = IndexLayout(entries: Int(entries), packs: Int(packs)).size
        try hole(
            off_t(size), "\(folder.path)/r/index/\(id)", end: footer, begin: FileHeader(kind: .index, id: id).bytes)
        #expect(code { _ = try RepositoryIndex(store: store, sealing: repository.sealing) } == .brokenIndex)
        let report = try Check(of: repository).run(readShare: 0, seed: 0, progress: JobProgress())
        #expect(report.isIndexBroken && report.damage.count == 1, "\(report.damage)")
    }

    @Test("Of a name that fills an index file some entries are looked at")
    func oneName() throws {
        let repository = try Scene.repository(store)
        let name = try #require(gone)
        let writer = try IndexWriter(store: store, sealing: repository.sealing, lease: nil)
        let pack = FileID()
        for number in 0..<UInt32(20_000) {
            let entry = PackEntry(name: name, offset: 32 + number, stored: 10, length: 10, coding: .block)
            try writer.append(Location(pack: pack, entry: entry))
        }
        _ = try writer.finish()
        let index = try index(repository)
        #expect((1...400).contains(try index.find(name, node: false).count))
        #expect(try index.find(name, node: true).isEmpty)
    }

    @Test("More index files than are worth asking are told with the remedy, which works")
    func manyIndexFiles() throws {
        let repository = try Scene.repository(store)
        var random = SeededGenerator(seed: 1)
        let bytes = Scene.volume(&random, blocks: 10)
        let point = try Scene.backUp(bytes, to: repository)
        for _ in 0..<600 {
            _ = try IndexWriter(store: store, sealing: repository.sealing, lease: nil).finish()
        }
        #expect(code { _ = try index(repository) } == .brokenIndex)
        let report = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
        #expect(report.isIndexBroken && report.damage.contains { $0.contains("check --repair") })
        try IndexRepair(repository, lease: nil).run(after: report)
        #expect(try check(repository).isWhole && Scene.restore(point, of: repository) == bytes)
    }

    @Test("What an index says of packs is looked for in passes that are as many as it has millions of entries")
    func passes() throws {
        let repository = try Scene.repository(store)
        var random = SeededGenerator(seed: 1)
        for number in 0..<30 { try Scene.backUp(Scene.noise(&random), to: repository, name: "v\(number)") }
        let packs = try repository.packs()
        for pack in packs {
            let size = store.files[Pack.path(pack)]?.count ?? 0
            store.spoil(Pack.path(pack), (size - 30)..<size)
        }
        let index = try RepositoryIndex(store: store, sealing: repository.sealing, .sorting)
        #expect(index.portions(of: packs) == [packs])
        let report = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
        #expect(report.torn == Set(packs) && report.salvaged.count == 60 && report.hurt.isEmpty)
    }

    // MARK: Keys

    /// Slots that open nothing.
    private func forgeSlots(_ count: Int, n: Int) throws {
        for _ in 0..<count {
            let record = KeySlot.Record(
                created: Scene.time, label: "", n: n, proof: "", salt: String(repeating: "ab", count: 32),
                wrapped: String(repeating: "cd", count: 60))
            try store.place(ProvenLine.file(record), at: "keys/\(FileID())")
        }
    }

    @Test("Slots that cost much are tried last or not at all")
    func dearSlots() throws {
        let own = try #require(try Scene.encrypted(store).keySlots().first)
        try forgeSlots(20, n: 1 << 20)
        try forgeSlots(20, n: 1 << 18)
        let tried = KeySlot.affordable(try KeySlot.list(store).slots)
        #expect(tried.first?.id == own.id && tried.count { $0.record.n == 1 << 18 } == 7)
        // One that asks for a GiB of memory is damage before anything is derived.
        let dear = try #require(try KeySlot.list(store).slots.first { $0.record.n == 1 << 20 })
        let secret = try #require(Scene.secret)
        #expect(code { _ = try dear.open(secret, description: []) } == .damaged)
        _ = try Repository.open(store, secret: Scene.secret)
    }

    @Test("Any number of slots costs no more than 64 of Tuff's own, and who is kept out by them is told what to do")
    func manySlots() throws {
        let repository = try Scene.encrypted(store)
        try forgeSlots(300, n: 1 << 14)
        let tried = KeySlot.affordable(try KeySlot.list(store).slots)
        #expect(tried.count == 128 && tried.allSatisfy { $0.record.n == 1 << 14 })
        do throws(RepositoryError) {
            _ = try Repository.open(store, secret: Scene.secret)
            Issue.record("the slot is behind 300 others")
        } catch {
            #expect(error.code == .wrongKey && error.sentence.contains("128 cheapest of 301 key slots"), "\(error)")
        }
        let own = Set(try repository.keySlots().map { "keys/\($0.id)" })
        for path in store.files.keys where path.hasPrefix("keys/") && !own.contains(path) { try store.remove(path) }
        _ = try Repository.open(store, secret: Scene.secret)
    }

    @Test("A short key makes no slot and is no reason not to open one")
    func shortKeys() throws {
        let repository = try Scene.encrypted(store)
        for count in [1, 7] {
            let short = try RepositorySecret([UInt8](repeating: 0x41, count: count))
            #expect(code { _ = try repository.addKey(short, label: "", now: Scene.time) } == .refused)
            #expect(code { _ = try Repository.create(in: MemoryStore(), secret: short, now: Scene.time) } == .refused)
            #expect(code { _ = try Repository.open(store, secret: short) } == .wrongKey)
        }
        let enough = try RepositorySecret([UInt8](repeating: 0x41, count: 8))
        _ = try repository.addKey(enough, label: "", now: Scene.time)
        _ = try Repository.open(store, secret: enough)
    }

    // MARK: Times

    private static let minute: Int64 = 60 * 1_000_000_000
    private static let decade: Int64 = 10 * 365 * 24 * 60 * minute

    @Test("A lease of another host whose time is in the future is over in half an hour, and not before")
    func leaseOfTheFuture() throws {
        func take(_ host: String) throws {
            let holder = Lease.Holder(
                kind: .exclusive, host: host, boot: "b", pid: 1, started: 1, command: "c", since: Scene.time)
            _ = try Lease.take(holder, in: store)
        }
        try take("elsewhere")
        let path = try #require(store.files.keys.first { $0.hasPrefix("leases/") })
        store.date(path, store.clock + Self.decade)
        #expect(code { try take("here") } == .locked)
        store.passTime(29 * Self.minute)
        #expect(code { try take("here") } == .locked)
        store.passTime(2 * Self.minute)
        try take("here")
    }

    @Test("A mark whose time is in the future is of the time when it was seen")
    func markOfTheFuture() throws {
        let repository = try Scene.repository(store)
        var random = SeededGenerator(seed: 1)
        let point = try Scene.backUp(Scene.noise(&random), to: repository)
        #expect(try Prune(repository, lease: nil).run(removing: [point]).marked > 0)
        let path = try #require(store.files.keys.first { $0.hasPrefix("marks/") })
        store.date(path, store.clock + Self.decade)
        #expect(try Prune(repository, lease: nil).run(removing: []).destroyed == 0)
        #expect(try Prune(repository, lease: nil, atOnce: true).forecast(removing: []).destroyed > 0)
        store.passTime(25 * 60 * Self.minute)
        #expect(try Prune(repository, lease: nil).run(removing: []).destroyed > 0)
    }

    @Test(
        "Times that no number of nanoseconds holds are read as far away", arguments: [16_725_225_600, -9_000_000_000])
    func farTimes(seconds: Int) throws {
        let folder = try Folder()
        let store = try DirectoryStore("\(folder.path)/r", making: true)
        let path = "\(folder.path)/r/leases/\(FileID())"
        try hole(0, path)
        var times = [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
        #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
        let file = try #require(try store.list("leases").first)
        #expect(seconds > 0 ? file.modified > Int64.max / 4 : file.modified < 0, "\(file)")
        #expect(try store.now() - file.modified != 0)
        _ = try Scene.repository(store)
        let holder = Lease.Holder(
            kind: .shared, host: "here", boot: "b", pid: 1, started: 1, command: "c", since: Scene.time)
        #expect(code { _ = try Lease.take(holder, in: store) } == (seconds > 0 ? .locked : nil))
    }
}
