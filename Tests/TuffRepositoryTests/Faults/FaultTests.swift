import Testing
import TuffRepository
import TuffTestSupport

@Suite("What is listed can be restored, whatever happened")
struct FaultTests {
    @Test(
        "A write that fails, once or for ever, leaves every listed restore point whole, and the next backup works",
        arguments: [false, true])
    func writesFail(forEver: Bool) throws {
        var random = SeededGenerator(seed: 11)
        let before = Scene.volume(&random, blocks: 70)
        let after = Scene.volume(&random, blocks: 80)
        let store = MemoryStore()
        let first = try Scene.backUp(before, to: Scene.repository(store), threads: 1)
        let files = store.files
        var failures = 0
        for number in 1... {
            let broken = MemoryStore(files, fault: forEver ? .forEver(from: number) : .once(number))
            let repository = try Repository.open(broken)
            do {
                try Scene.backUp(after, to: repository, threads: 1)
                break
            } catch let error as RepositoryError {
                #expect(error.code == .full)
                failures += 1
            }
            let healed = try Repository.open(MemoryStore(broken.files))
            let points = try healed.points()
            #expect(points.damaged.isEmpty && points.points.map(\.id) == [first.id], "call \(number)")
            #expect(try Scene.restore(first, of: healed) == before)
            let second = try Scene.backUp(after, to: healed)
            #expect(try Scene.restore(second, of: healed) == after, "call \(number)")
        }
        #expect(failures > 10)
    }

    @Test(
        "A repository file that was flipped, cut, swapped or removed is never restored from in silence",
        arguments: 1...2)
    func damage(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let bytes = Scene.volume(&random, blocks: 60)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        try Scene.backUp(bytes, to: repository)
        try Scene.backUp(bytes.reversed(), to: repository, name: "w")
        let files = store.files
        let paths = files.keys.sorted()
        var refused = 0
        for round in 0..<50 {
            var damaged = files
            let path = paths[Int(random.next() % UInt64(paths.count))]
            var content = files[path] ?? []
            let at = Int(random.next() % UInt64(content.count))
            switch random.next() % 5 {
            case 0: content[at] ^= UInt8(1) << UInt8(random.next() % 8)
            case 1: content = Array(content[..<at])
            case 2: content = files[paths[Int(random.next() % UInt64(paths.count))]] ?? []
            case 3:
                content.replaceSubrange(
                    at..<min(content.count, at + 64), with: [UInt8](repeating: 0, count: min(64, content.count - at)))
            default: content += [0]
            }
            damaged[path] = content
            do {
                let repository = try Repository.open(MemoryStore(damaged))
                let points = try repository.points()
                if !points.damaged.isEmpty { refused += 1 }
                for point in points.points {
                    let expected = point.record.series.name == "v" ? bytes : bytes.reversed()
                    #expect(
                        try Scene.restore(point, of: repository) == expected, "seed \(seed), round \(round), \(path)")
                }
            } catch let error as RepositoryError {
                #expect([.damaged, .newer, .notFound, .wrongKey, .brokenIndex].contains(error.code), "\(error)")
                refused += 1
            }
        }
        #expect(refused > 18)
    }
}
