import Testing
import TuffRepository
import TuffTestSupport

@Suite("Prune takes away what nothing needs, and nothing else")
struct PruneTests {
    /// Three points of a volume that changes, and what it was each time.
    private func scene(_ seed: UInt64, _ store: MemoryStore) throws -> [(point: RestorePoint, bytes: [UInt8])] {
        var random = SeededGenerator(seed: seed)
        let repository = try Scene.repository(store)
        var result: [(RestorePoint, [UInt8])] = []
        var bytes = Scene.volume(&random, blocks: 70)
        for _ in 0..<3 {
            for _ in 0..<20 {
                let block = Int(random.next() % 60) * Format.block
                guard block + Format.block <= bytes.count else { continue }
                for index in block..<(block + 64) { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
            }
            result.append((try Scene.backUp(bytes, to: repository), bytes))
        }
        return result
    }

    @Test(
        "What is kept comes back, what was removed is gone a day later, and a second run finds nothing to do",
        arguments: 1...2)
    func prunes(seed: UInt64) throws {
        let store = MemoryStore()
        let scene = try scene(seed, store)
        let repository = try Repository.open(store)
        let before = store.bytes
        let marked = try Prune(repository, lease: nil).run(removing: [scene[0].point, scene[1].point])
        #expect(marked.marked > 0 && marked.destroyed == 0, "nothing goes on the day it is marked")
        #expect(try Scene.restore(scene[2].point, of: repository) == scene[2].bytes)
        store.passTime(Int64(25) * 3600 * 1_000_000_000)
        let destroyed = try Prune(repository, lease: nil).run(removing: [])
        #expect(destroyed.destroyed == marked.marked && destroyed.marked == 0)
        #expect(store.bytes < before)
        #expect(try Scene.restore(scene[2].point, of: repository) == scene[2].bytes, "seed \(seed)")
        let check = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
        #expect(check.isWhole && check.strays.isEmpty && check.points == 1, "\(check)")
        #expect(try Prune(repository, lease: nil).run(removing: []) == Prune.Report())
    }

    @Test("What was marked and is backed up again is stored again, so that destroying it hurts nobody")
    func backedUpAgain() throws {
        let store = MemoryStore()
        let scene = try scene(9, store)
        let repository = try Repository.open(store)
        _ = try Prune(repository, lease: nil).run(removing: scene.map(\.point))
        let again = try Scene.backUp(scene[1].bytes, to: repository)
        #expect(again.record.counts.new > 0)
        store.passTime(Int64(25) * 3600 * 1_000_000_000)
        _ = try Prune(repository, lease: nil).run(removing: [])
        #expect(try Scene.restore(again, of: repository) == scene[1].bytes)
    }

    @Test(
        "A prune that is cut off at any write leaves what is kept whole, and the next one finishes it",
        arguments: [false, true])
    func cutOff(forEver: Bool) throws {
        let store = MemoryStore()
        let scene = try scene(5, store)
        store.passTime(1)
        let files = store.files
        var failures = 0
        for number in 1... {
            let broken = MemoryStore(files, fault: forEver ? .forEver(from: number) : .once(number))
            do {
                _ = try Prune(Repository.open(broken), lease: nil, atOnce: true).run(removing: [scene[0].point])
                // Where there was no room for copies it did without.
                if broken.calls < number { break }
            } catch {
                #expect(error.code == .full)
                failures += 1
            }
            let healed = MemoryStore(broken.files)
            let repository = try Repository.open(healed)
            for (point, bytes) in scene[1...] {
                #expect(try Scene.restore(point, of: repository) == bytes, "call \(number)")
            }
            _ = try Prune(repository, lease: nil, atOnce: true).run(removing: [])
            for (point, bytes) in scene[1...] {
                #expect(try Scene.restore(point, of: repository) == bytes, "call \(number)")
            }
            let check = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
            #expect(check.isWhole && check.strays.isEmpty, "call \(number): \(check)")
        }
        #expect(failures > 10)
    }

    @Test("Of points of one second the newest stays the newest, wherever a prune is cut off", arguments: 1...8)
    func oneSecond(_ seed: UInt64) throws {
        let store = MemoryStore()
        let scene = try scene(seed, store)
        for last in 1...3 {
            let broken = MemoryStore(store.files, fault: .once(last))
            _ = try? Prune(Repository.open(broken), lease: nil).run(removing: [scene[1].point, scene[0].point])
            let left = try Repository.open(MemoryStore(broken.files)).points().points
            #expect(left.last?.id == scene[2].point.id, "\(last) calls")
        }
    }

    @Test("A second repair does not take back what the first left out")
    func repairedTwice() throws {
        let store = MemoryStore()
        let scene = try scene(2, store)
        let pack = try #require(
            store.files.keys.filter { $0.hasPrefix("packs/") }.max {
                (store.files[$0]?.count ?? 0) < (store.files[$1]?.count ?? 0)
            })
        var files = store.files
        files[pack]?[40] ^= 1
        let repository = try Repository.open(MemoryStore(files))
        for _ in 1...2 {
            let check = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
            #expect(!check.hurt.isEmpty)
            try IndexRepair(repository, lease: nil).run(after: check)
        }
        let shallow = try Check(of: repository).run(readShare: 0, seed: 0, progress: JobProgress())
        #expect(!shallow.hurt.isEmpty, "what is lost is still known to be")
        #expect(throws: RepositoryError.self, "a check that did not read all knows too little for a repair") {
            try IndexRepair(repository, lease: nil).run(after: shallow)
        }
        for (_, bytes) in scene { try Scene.backUp(bytes, to: repository) }
        for (point, bytes) in scene { #expect(try Scene.restore(point, of: repository) == bytes) }
    }

    @Test("Check names the point and the bytes that a damaged record hurts, and nothing where all is well")
    func namesTheHurt() throws {
        let store = MemoryStore()
        let scene = try scene(2, store)
        var files = store.files
        let pack = try #require(
            files.keys.filter { $0.hasPrefix("packs/") }.max { (files[$0]?.count ?? 0) < (files[$1]?.count ?? 0) })
        files[pack]?[40] ^= 1
        let repository = try Repository.open(MemoryStore(files))
        let shallow = try Check(of: repository).run(readShare: 0, seed: 0, progress: JobProgress())
        #expect(shallow.isWhole, "without reading data nobody can know")
        let deep = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
        #expect(deep.damage.count == 1 && deep.damage[0].contains(pack) && !deep.hurt.isEmpty)
        for hurt in deep.hurt {
            let bytes = try #require(scene.first { $0.point.id == hurt.point.id }?.bytes)
            #expect(throws: RepositoryError.self) { try Scene.restore(hurt.point, of: repository) }
            #expect(
                hurt.ranges.allSatisfy {
                    $0.upperBound <= UInt64(bytes.count) && $0.lowerBound % UInt64(Format.block) == 0
                })
        }
        // Made anew without what is damaged, the index lets the next backup heal every point.
        try IndexRepair(repository, lease: nil).run(after: deep)
        try Scene.backUp(scene[0].bytes, to: repository)
        try Scene.backUp(scene[1].bytes, to: repository)
        try Scene.backUp(scene[2].bytes, to: repository)
        for (point, bytes) in scene { #expect(try Scene.restore(point, of: repository) == bytes) }
        // The damaged record is there yet, and nobody reads it.
        let healed = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
        #expect(healed.isWhole, "\(healed)")
        files[pack] = nil
        let gone = try Check(of: Repository.open(MemoryStore(files))).run(
            readShare: 0, seed: 0, progress: JobProgress())
        #expect(!gone.hurt.isEmpty, "a pack that is gone is noticed by its absence")
    }
}
