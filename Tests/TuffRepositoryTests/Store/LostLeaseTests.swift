import Synchronization
import Testing
import TuffRepository
import TuffTestSupport

@Suite("A backup whose lease somebody took away lists nothing, and what it indexed is gone")
struct LostLeaseTests {
    private static let halfHour: Int64 = 31 * 60 * 1_000_000_000

    /// A source at whose read of a number something happens.
    private final class Interrupted: BlockSource {
        private let volume: MemoryVolume
        private let left: Atomic<Int>
        private let event: @Sendable () -> Void

        init(_ volume: MemoryVolume, at read: Int, _ event: @escaping @Sendable () -> Void) {
            self.volume = volume
            self.event = event
            left = Atomic(read)
        }

        var size: UInt64 { volume.size }
        func demandSameSize() {}
        func isHole(at offset: UInt64, count: Int) -> Bool { false }

        func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
            if left.subtract(1, ordering: .relaxed).newValue == 0 { event() }
            try volume.read(at: offset, into: buffer)
        }
    }

    private func holder(_ kind: Lease.Kind, host: String) -> Lease.Holder {
        Lease.Holder(kind: kind, host: host, boot: "b", pid: 1, started: 1, command: "tuff", since: Scene.time)
    }

    /// Does as a host that waited until the silent one counts as dead. Its index is all that may be left.
    private func prune(_ store: MemoryStore) throws -> [String: [UInt8]] {
        store.passTime(Self.halfHour)
        let lease = try Lease.take(holder(.exclusive, host: "other"), in: store)
        _ = try Prune(try Repository.open(store), lease: lease, atOnce: true).run(removing: [])
        lease.giveBack()
        return store.files.filter { $0.key.hasPrefix("index/") }
    }

    /// Reads of a volume of 33 leaves; 0: when all is read, stored and indexed, and the point is to be written.
    @Test("Another host prunes at once while the backup stands still", arguments: [1, 12, 33, 0])
    func pruned(at read: Int) throws {
        var random = SeededGenerator(seed: 8)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let kept = Scene.volume(&random, blocks: 10)
        let point = try Scene.backUp(kept, to: repository, name: "kept")
        // Four packs' worth, so that some are indexed when it happens.
        let volume = MemoryVolume((0..<1_040).flatMap { _ in Scene.noise(&random) })
        let left = Mutex<[String: [UInt8]]?>(nil)
        let event: @Sendable () -> Void = { left.withLock { $0 = try? prune(store) } }
        var request = Backup.Request(series: Series(name: "v"), time: Scene.time, program: "test")
        request.checkpoint = .zero
        let lease = try Lease.take(holder(.shared, host: "one"), in: store)
        let source = Interrupted(volume, at: read, event)
        #expect { () throws in
            try Backup(of: source, to: repository, request, lease: lease, progress: JobProgress())
                .run(threads: SystemThreads(count: 1)) {
                    if read == 0 { event() }
                    return Scene.time
                }
        } throws: { ($0 as? RepositoryError)?.code == .locked }
        lease.giveBack()
        let index = try #require(left.withLock { $0 }, "the other host got its lease, and pruned")
        #expect(store.files.filter { $0.key.hasPrefix("index/") } == index)
        #expect(try repository.points().points.map(\.id) == [point.id])
        let report = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
        #expect(report.isWhole, "\(report.damage)")
        #expect(try Scene.restore(point, of: repository) == kept)
        let again = try Scene.backUp(volume.bytes, to: repository)
        #expect(try Scene.restore(again, of: repository) == volume.bytes)
    }
}
