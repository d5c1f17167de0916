import Testing
import TuffTestSupport

@testable import TuffRepository

@Suite("Filters of names")
struct NameFilterTests {
    private func names(_ count: Int, _ random: inout SeededGenerator) -> [ContentName] {
        (0..<count).map { _ in
            var bytes = (0..<4).map { _ in random.next() }
            return bytes.withUnsafeMutableBytes { ContentName(UnsafeRawBufferPointer($0)) }
        }
    }

    @Test("What is in it is always found, and hardly anything else", arguments: [1, 100, 20_000])
    func members(count: Int) throws {
        var random = SeededGenerator(seed: UInt64(count))
        var filter = try #require(NameFilter(names: count))
        let inside = names(count, &random), outside = names(20_000, &random)
        for name in inside { filter.insert(name) }
        #expect(inside.allSatisfy(filter.mayHold))
        // A hundredth by the arithmetic; with one name hardly a bit is set.
        #expect(outside.count(where: filter.mayHold) < 300)
    }

    @Test("There is none of what would take too much memory")
    func bound() {
        #expect(NameFilter(names: 1 << 24) != nil)
        #expect(NameFilter(names: 1 << 24 + 1) == nil)
    }
}

@Suite("The index of a backup that takes long")
struct LongBackupTests {
    /// Appends a block that no other number has.
    private func append(_ number: Int, to pack: PackWriter, _ repository: Repository) throws -> ContentName {
        let bytes = [UInt8](repeating: UInt8(number), count: Format.block)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: bytes)
        let name = repository.sealing.name(ofBlock: UnsafeRawBufferPointer(buffer))
        try pack.append(UnsafeRawBufferPointer(buffer), name: name, length: bytes.count, coding: .block)
        return name
    }

    @Test("Has few files at any time, and forgets nothing")
    func few() throws {
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let index = try RepositoryIndex(store: store, sealing: repository.sealing)
        var names: [ContentName] = []
        for number in 0..<100 {
            let pack = try PackWriter(.blockPack, store: store, sealing: repository.sealing)
            names.append(try append(number + 1, to: pack, repository))
            #expect(try index.claim(names[number], node: false))
            try pack.finish()
            try index.add(pack)
            try index.flush()
            #expect(index.files.count <= 16 && store.files.keys.count { $0.hasPrefix("index/") } <= 16)
        }
        for name in names { #expect(try !index.claim(name, node: false)) }
        try index.finish()
        #expect(index.files.count == 1)
        let reopened = try RepositoryIndex(store: store, sealing: repository.sealing)
        for name in names { #expect(try reopened.find(name, node: false).count == 1) }
    }

    @Test("A merge that fails in the middle leaves what was to be merged, and the backup ends well")
    func mergeFails() throws {
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        // The first page of entries of each index file cannot be read: it is not needed before it is merged.
        store.watch { path, _ in if path.hasPrefix("index/") { store.spoil(path, Format.page..<(Format.page + 1)) } }
        var random = SeededGenerator(seed: 1)
        let bytes = (0..<700).flatMap { _ in Scene.noise(&random) }
        var request = Backup.Request(series: Series(name: "v"), time: Scene.time, program: "test")
        request.checkpoint = .zero
        let point = try Backup(of: MemoryVolume(bytes), to: repository, request, lease: nil, progress: JobProgress())
            .run(threads: SystemThreads(count: 1), finished: { Scene.time })
        let index = store.files.keys.filter { $0.hasPrefix("index/") }
        #expect(index.count > 1)
        for path in index { store.spoil(path, nil) }
        #expect(try Scene.restore(point, of: repository) == bytes)
        #expect(try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress()).isWhole)
    }
}
