import Testing
import TuffRepository
import TuffTestSupport

@Suite("Many index files become few, and nothing is lost")
struct IndexMergeTests {
    @Test("After many backups there are few index files, and each restore point comes back")
    func few() throws {
        var random = SeededGenerator(seed: 31)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        var bytes = Scene.volume(&random, blocks: 40)
        var points: [(RestorePoint, [UInt8])] = []
        for _ in 0..<60 {
            for index in 0..<100 {
                bytes[index + Int(random.next() % 10) * Format.block] = UInt8(truncatingIfNeeded: random.next())
            }
            points.append((try Scene.backUp(bytes, to: repository), bytes))
            #expect(store.files.keys.count { $0.hasPrefix("index/") } <= 17)
        }
        for (point, bytes) in points { #expect(try Scene.restore(point, of: repository) == bytes) }
        let check = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
        #expect(check.isWhole && check.strays.isEmpty)
    }

    @Test("A merge that fails anywhere costs no restore point and no backup")
    func fails() throws {
        var random = SeededGenerator(seed: 32)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        var bytes = Scene.volume(&random, blocks: 20)
        for round in 0..<16 {
            bytes[0] = UInt8(round + 1)
            try Scene.backUp(bytes, to: repository)
        }
        bytes[0] = 99
        let files = store.files
        var calls = 0
        // Calls that change something: the last of them are the merge's.
        do {
            let whole = MemoryStore(files)
            try Scene.backUp(bytes, to: Repository.open(whole), threads: 1)
            calls = whole.calls
            #expect(whole.files.keys.count { $0.hasPrefix("index/") } < 16)
        }
        var made = 0
        for number in 1...calls {
            let broken = MemoryStore(files, fault: .forEver(from: number))
            let point = try? Scene.backUp(bytes, to: Repository.open(broken), threads: 1)
            let healed = try Repository.open(MemoryStore(broken.files))
            #expect(try healed.points().points.count == (point == nil ? 16 : 17))
            if let point {
                made += 1
                #expect(try Scene.restore(point, of: healed) == bytes, "call \(number)")
            }
        }
        #expect(made > 5)
    }
}
