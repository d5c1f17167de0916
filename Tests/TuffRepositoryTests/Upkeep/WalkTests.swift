import Testing
import TuffTestSupport

@testable import TuffRepository

@Suite("A check names what each restore point lacks, and exactly that, however much of it points share")
struct WalkTests {
    /// Points of two series that change, grow and shrink, and share a beginning.
    private func history(_ random: inout SeededGenerator, _ repository: Repository) throws {
        var bytes = Scene.volume(&random, blocks: 80)
        for round in 0..<12 {
            for _ in 0..<(random.next() % 6) {
                let begin = Int(random.next() % UInt64(bytes.count / Format.block)) * Format.block
                let block = random.next() % 4 == 0 ? [UInt8](repeating: 0, count: Format.block) : Scene.noise(&random)
                bytes.replaceSubrange(begin..<(begin + Format.block), with: block)
            }
            switch random.next() % 5 {
            case 0: bytes += Scene.noise(&random) + [UInt8](repeating: 9, count: Int(random.next() % 1_000))
            case 1: bytes.removeLast(Int(random.next() % UInt64(bytes.count / 2)))
            default: break
            }
            try Scene.backUp(bytes, to: repository, name: round % 3 == 0 ? "w" : "v", threads: 1)
        }
    }

    /// The ranges that a restore that keeps going loses of it.
    private func lost(_ point: RestorePoint, _ repository: Repository) throws -> [Range<UInt64>] {
        let target = MemoryVolume([UInt8](repeating: 0, count: Int(point.record.size)), isBlank: true)
        return try Restore(point, of: repository, progress: JobProgress(), keepingGoing: true)
            .run(to: target, threads: SystemThreads(count: 1)).lost
    }

    @Test("What a check calls lost is what a restore loses, point by point", arguments: 1...12)
    func sameAsRestores(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        try history(&random, repository)
        let paths = store.files.keys.filter { $0.hasPrefix("packs/") }.sorted()
        for path in paths where random.next() % 4 == 0 {
            let size = store.files[path]?.count ?? 0
            switch random.next() % 3 {
            case 0: try store.remove(path)
            default:
                let begin = 32 + Int(random.next() % UInt64(size / 2))
                store.spoil(path, begin..<(begin + 1 + size / 8))
            }
        }
        let points = try repository.points().points
        let report = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
        let hurt = Dictionary(uniqueKeysWithValues: report.hurt.map { ($0.point.id, $0.ranges) })
        for point in points {
            let lost = try lost(point, repository)
            #expect(hurt[point.id] ?? [] == lost, "seed \(seed)")
        }
        #expect(points.filter { hurt[$0.id] != nil }.map(\.id) == report.hurt.map(\.point.id), "in their order")
    }

    @Test("Points that share nearly everything cost look-ups for what differs, and no more")
    func costsWhatDiffers() throws {
        var random = SeededGenerator(seed: 1)
        let repository = try Scene.repository(MemoryStore())
        var bytes = (0..<64).flatMap { _ in Scene.noise(&random) }
        for round in 0..<20 {
            bytes.replaceSubrange(0..<Format.block, with: Scene.noise(&random))
            try Scene.backUp(bytes, to: repository, name: "v")
            if round == 0 { try Scene.backUp(bytes, to: repository, name: "another") }
        }
        struct Counter: TreeWalk.Visitor {
            var blocks = 0
            mutating func visit(_ name: ContentName, length: Int?) throws(RepositoryError) -> Bool {
                if length != nil { blocks += 1 }
                return true
            }
            func lost(_ range: Range<UInt64>, of point: RestorePoint) {}
        }
        var counter = Counter()
        let index = try RepositoryIndex(store: repository.store, sealing: repository.sealing)
        let outcomes = try TreeWalk.walk(
            try repository.points().points, of: repository, index: index, progress: nil, visitor: &counter)
        #expect(outcomes.isEmpty)
        // Whichever of the two volumes is walked first, the other has the same first point.
        #expect((64 + 19...64 + 19 + 32).contains(counter.blocks), "\(counter.blocks)")
    }
}
