import Testing
import TuffRepository
import TuffTestSupport

@Suite("What is backed up comes back")
struct RoundTripTests {
    @Test(
        "Volumes of every kind of block and any size come back bit for bit, from one thread or several",
        arguments: 1...4)
    func comesBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let bytes = Scene.volume(&random, blocks: Int(random.next() % 90))
        let repository = try Scene.repository(MemoryStore())
        let point = try Scene.backUp(bytes, to: repository, threads: 1 + Int(seed % 3))
        #expect(try Scene.restore(point, of: repository) == bytes, "seed \(seed)")
        let other = Scene.volume(&random, blocks: 100)
        let old = Array((other + [UInt8](repeating: 7, count: bytes.count)).prefix(bytes.count))
        #expect(try Scene.restore(point, of: repository, over: old) == bytes, "over something else, seed \(seed)")
    }

    @Test("A second backup adds what changed, and says the same with a list of changes as without", arguments: 1...4)
    func changes(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var bytes = Scene.volume(&random, blocks: 200)
        let repository = try Scene.repository(MemoryStore())
        let first = try Scene.backUp(bytes, to: repository)
        let before = bytes
        var changed: [Range<UInt64>] = []
        for _ in 0..<5 {
            let offset = Int(random.next() % UInt64(bytes.count - 9))
            let value = UInt8(truncatingIfNeeded: random.next())
            for index in offset..<(offset + 9) { bytes[index] = value }
            changed.append(UInt64(offset)..<UInt64(offset + 9))
        }
        changed.sort { $0.lowerBound < $1.lowerBound }
        let listed = try Scene.backUp(bytes, to: repository, changed: changed)
        let read = try Scene.backUp(bytes, to: repository)
        #expect(listed.record.root == read.record.root, "seed \(seed)")
        #expect(listed.record.counts.read <= 10 * UInt64(Format.block))
        #expect(read.record.counts.new == 0 && read.record.counts.stored == 0)
        #expect(try Scene.restore(listed, of: repository) == bytes)
        #expect(try Scene.restore(first, of: repository) == before)
    }

    @Test("A volume that is all zero stores nothing but its restore point")
    func zeros() throws {
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let bytes = [UInt8](repeating: 0, count: 5 << 20)
        let point = try Scene.backUp(bytes, to: repository)
        #expect(store.files.keys.filter { $0.hasPrefix("packs/") || $0.hasPrefix("index/") }.isEmpty)
        #expect(try Scene.restore(point, of: repository, over: [UInt8](repeating: 9, count: 5 << 20)) == bytes)
    }

    @Test("A volume that grew keeps what it had, and its tree may have one more level")
    func grows() throws {
        var random = SeededGenerator(seed: 3)
        let small = Scene.volume(&random, blocks: 30)
        let repository = try Scene.repository(MemoryStore())
        try Scene.backUp(small, to: repository)
        let large = small + Scene.volume(&random, blocks: 1_100)
        let point = try Scene.backUp(large, to: repository)
        #expect(try Scene.restore(point, of: repository) == large)
    }

    @Test("Of backups of one second the last one is the latest")
    func oneSecond() throws {
        let repository = try Scene.repository(MemoryStore())
        var made: [FileID] = []
        for byte in 1...12 {
            made.append(try Scene.backUp([UInt8](repeating: UInt8(byte), count: 9), to: repository).id)
        }
        #expect(try repository.points().points.map(\.id) == made)
        let latest = try PointChoice.latest.choose(among: repository.points().points, damaged: [], series: "v")
        #expect(latest.id == made.last)
    }
}
