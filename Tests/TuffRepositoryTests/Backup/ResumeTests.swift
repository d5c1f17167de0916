import Glibc
import Synchronization
import Testing
import TuffRepository
import TuffTestSupport

/// A source that fails once so many bytes of it have been read, as a kill would end the backup there.
private final class FailingSource: BlockSource {
    func demandSameSize() {}
    private let volume: MemoryVolume
    private let left: Atomic<Int>

    init(_ volume: MemoryVolume, after bytes: Int) {
        self.volume = volume
        left = Atomic(bytes)
    }

    var size: UInt64 { volume.size }
    func isHole(at offset: UInt64, count: Int) -> Bool { false }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        guard left.subtract(buffer.count, ordering: .relaxed).newValue >= 0 else {
            throw RepositoryError(.failed, "the power went off")
        }
        try volume.read(at: offset, into: buffer)
    }
}

@Suite("A backup that was cut off is not begun from nothing")
struct ResumeTests {
    /// A file from which half is cut off while it is read: the rest looks like a hole.
    private final class Shrinking: BlockSource {
        let file: DeviceSource
        let path: String

        init(_ path: String) throws {
            self.path = path
            file = try DeviceSource(path)
        }

        var size: UInt64 { file.size }
        func isHole(at offset: UInt64, count: Int) -> Bool { file.isHole(at: offset, count: count) }
        func demandSameSize() throws(RepositoryError) { try file.demandSameSize() }
        func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
            try file.read(at: offset, into: buffer)
            Glibc.truncate(path, off_t(size / 2))
        }
    }

    @Test("A file that becomes shorter while it is read has no restore point")
    func shrinking() throws {
        var template = Array("/tmp/tuff-shrink-XXXXXX".utf8CString)
        let descriptor = template.withUnsafeMutableBufferPointer { mkstemp($0.baseAddress!) }
        try #require(descriptor >= 0)
        let path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        defer { unlink(path) }
        let half = [UInt8](repeating: 7, count: Format.leaf)
        for _ in 0..<2 { #expect(write(descriptor, half, half.count) == half.count) }
        close(descriptor)
        let repository = try Scene.repository(MemoryStore())
        let backup = try Backup(
            of: try Shrinking(path), to: repository, request(checkpoint: .seconds(60)), lease: nil,
            progress: JobProgress())
        let error = #expect(throws: RepositoryError.self) {
            try backup.run(threads: SystemThreads(count: 1), finished: { Scene.time })
        }
        #expect(error?.sentence.contains("bytes when its backup began") == true)
        #expect(try repository.points().points.isEmpty)
    }

    private func request(checkpoint: Duration) -> Backup.Request {
        var request = Backup.Request(series: Series(name: "v"), time: Scene.time, program: "test")
        request.checkpoint = checkpoint
        return request
    }

    /// Four packs' worth of random blocks.
    private func volume(_ seed: UInt64) -> MemoryVolume {
        var random = SeededGenerator(seed: seed)
        var bytes: [UInt8] = []
        for _ in 0..<1_040 { bytes += Scene.noise(&random) }
        return MemoryVolume(bytes)
    }

    @Test("After a failed read all that was stored before is used again: two runs store a volume once")
    func failure() throws {
        let volume = volume(1)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let empty = store.bytes
        #expect(throws: RepositoryError.self) {
            try Backup(
                of: FailingSource(volume, after: 50 << 20), to: repository, request(checkpoint: .seconds(60)),
                lease: nil,
                progress: JobProgress()
            ).run(threads: SystemThreads(count: 2), finished: { Scene.time })
        }
        let before = store.bytes - empty
        let point = try Scene.backUp(volume.bytes, to: repository)
        // What the thread that failed had in its open pack is lost.
        #expect(point.record.counts.stored + UInt64(before) < UInt64(volume.bytes.count) + (17 << 20))
        #expect(point.record.counts.stored < UInt64(volume.bytes.count) - (30 << 20))
        #expect(try Scene.restore(point, of: repository) == volume.bytes)
    }

    @Test("A kill loses what was stored since the last index file, which is written every minute, and no more")
    func kill() throws {
        let volume = volume(2)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        // What a kill leaves when an index file has just got its place.
        let states = Mutex<[[String: [UInt8]]]>([])
        store.watch { path, files in
            if path.hasPrefix("index/") { states.withLock { $0.append(files) } }
        }
        let point = try Backup(
            of: volume, to: repository, request(checkpoint: .zero), lease: nil, progress: JobProgress()
        ).run(threads: SystemThreads(count: 1), finished: { Scene.time })
        let seen = states.withLock { $0 }
        #expect(seen.count >= 4, "an index file with each pack, and one of all in the end")
        #expect(store.files.keys.filter { $0.hasPrefix("index/") }.count == 1)
        #expect(try Scene.restore(point, of: repository) == volume.bytes)
        for (number, files) in seen.dropLast().enumerated() {
            let killed = MemoryStore(files)
            let again = try Scene.backUp(volume.bytes, to: Repository.open(killed))
            let missing = max(0, volume.bytes.count - (number + 1) * (16 << 20))
            #expect(again.record.counts.stored < UInt64(missing) + (1 << 20), "after \(number + 1) packs")
            #expect(try Scene.restore(again, of: Repository.open(killed)) == volume.bytes)
        }
    }

    @Test("A backup whose lease was taken away leaves no index of packs that may be destroyed")
    func leaseLost() throws {
        let volume = volume(3)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let holder = Lease.Holder(
            kind: .shared, host: "one", boot: "b", pid: 1, started: 1, command: "tuff backup run", since: Scene.time)
        let lease = try Lease.take(holder, in: store)
        for path in store.files.keys where path.hasPrefix("leases/") { try store.remove(path) }
        #expect { () throws in
            try Backup(
                of: volume, to: repository, request(checkpoint: .zero), lease: lease, progress: JobProgress()
            ).run(threads: SystemThreads(count: 2), finished: { Scene.time })
        } throws: { ($0 as? RepositoryError)?.code == .locked }
        #expect(store.files.keys.allSatisfy { !$0.hasPrefix("index/") && !$0.hasPrefix("points/") })
    }

    @Test("An index that names a pack that is gone is found by check, and repair heals it")
    func packGone() throws {
        let volume = volume(4)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let point = try Scene.backUp(volume.bytes, to: repository)
        try store.remove("points/\(point.id)")
        let pack = try #require(store.files.keys.first { $0.hasPrefix("packs/") })
        try store.remove(pack)
        let check = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
        #expect(check.damage.count == 1 && check.damage[0].contains(pack), "\(check.damage)")
        try IndexRepair(repository, lease: nil).run(after: check)
        #expect(try Check(of: repository).run(readShare: 0, seed: 0, progress: JobProgress()).isWhole)
        let again = try Scene.backUp(volume.bytes, to: repository)
        #expect(try Scene.restore(again, of: repository) == volume.bytes)
    }
}
