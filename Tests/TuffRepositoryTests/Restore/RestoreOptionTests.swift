import Glibc
import Synchronization
import Testing
import TuffRepository
import TuffTestSupport

@Suite("Ways to restore")
struct RestoreOptionTests {
    /// Notes what is written to a volume.
    private final class Watched: BlockTarget {
        let volume: MemoryVolume
        let writes = Mutex<[Range<UInt64>]>([])

        init(_ bytes: [UInt8]) { volume = MemoryVolume(bytes) }

        var isBlank: Bool { false }

        func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
            try volume.read(at: offset, into: buffer)
        }

        func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(RepositoryError) {
            writes.withLock { $0.append(offset..<(offset + UInt64(bytes.count))) }
            try volume.write(bytes, at: offset)
        }

        func finish(size: UInt64) throws(RepositoryError) {}
    }

    @Test("Over something that is there only blocks that differ are written, as after a kill in the middle")
    func onlyWhatDiffers() throws {
        var random = SeededGenerator(seed: 21)
        let bytes = Scene.volume(&random, blocks: 90)
        let repository = try Scene.repository(MemoryStore())
        let point = try Scene.backUp(bytes, to: repository)
        var old = bytes
        // In three blocks of two leaves something else is there.
        let wrong = [3, 4, 40].filter { ($0 + 1) * Format.block <= bytes.count }
        for block in wrong { old[block * Format.block + 7] ^= 1 }
        let target = Watched(old)
        let outcome = try Restore(point, of: repository, progress: JobProgress())
            .run(to: target, threads: SystemThreads(count: 2))
        #expect(target.volume.bytes == bytes)
        #expect(outcome.written == UInt64(wrong.count * Format.block) && outcome.lost.isEmpty)
        let written = target.writes.withLock { $0.sorted { $0.lowerBound < $1.lowerBound } }
        #expect(written.map(\.lowerBound) == [3, 40].map { UInt64($0 * Format.block) })
    }

    @Test(
        "Keeping going, what is damaged becomes zeros and is listed, and all the rest is what it was", arguments: 1...20
    )
    func keepsGoing(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let bytes = Scene.volume(&random, blocks: 100)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let point = try Scene.backUp(bytes, to: repository)
        let packs = store.files.keys.filter { $0.hasPrefix("packs/") }.sorted()
        let path = packs[Int(random.next() % UInt64(packs.count))]
        var content = try #require(store.files[path])
        // Somewhere in the records: what follows them is the table, which a restore does not read.
        for _ in 0..<3 {
            let at = 64 + Int(random.next() % UInt64(max(1, content.count / 2)))
            content[min(at, content.count - 1)] ^= 0x40
        }
        store.replace(path, with: content)
        let opened = try Repository.open(store)
        let target = MemoryVolume([UInt8](repeating: 0, count: bytes.count), isBlank: true)
        let outcome = try Restore(point, of: opened, progress: JobProgress(), keepingGoing: true)
            .run(to: target, threads: SystemThreads(count: 2))
        var expected = bytes
        for range in outcome.lost {
            for at in range { expected[Int(at)] = 0 }
            #expect(range.lowerBound % UInt64(Format.block) == 0)
        }
        #expect(target.bytes == expected, "seed \(seed)")
        if outcome.lost.isEmpty {
            #expect(try Scene.restore(point, of: opened) == bytes, "seed \(seed)")
        } else {
            #expect(throws: RepositoryError.self) { try Scene.restore(point, of: opened) }
        }
    }

    @Test("A lost tree is all zeros, and all of it is listed")
    func lostTree() throws {
        var random = SeededGenerator(seed: 5)
        let bytes = Scene.volume(&random, blocks: 80)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let point = try Scene.backUp(bytes, to: repository, threads: 1)
        for path in store.files.keys where path.hasPrefix("packs/") { try store.remove(path) }
        let target = MemoryVolume([UInt8](repeating: 9, count: bytes.count))
        let outcome = try Restore(point, of: repository, progress: JobProgress(), keepingGoing: true)
            .run(to: target, threads: SystemThreads(count: 2))
        #expect(outcome.lost == [0..<UInt64(bytes.count)])
        #expect(target.bytes == [UInt8](repeating: 0, count: bytes.count))
    }

    @Test("A stream gets every byte in order, zeros too", arguments: [0, 1, 3])
    func stream(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        // Ends in zeros, which nobody writes to a sparse file.
        let bytes = Scene.volume(&random, blocks: 40) + [UInt8](repeating: 0, count: 3 * Format.block + 5)
        let repository = try Scene.repository(MemoryStore())
        let point = try Scene.backUp(bytes, to: repository)
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (input, output) = (ends[0], ends[1])
        let received = Mutex<[UInt8]>([])
        let reader = OwnedReader(input) { part in received.withLock { $0 += part } }
        let target = StreamTarget(output)
        _ = try Restore(point, of: repository, progress: JobProgress()).run(
            to: target, threads: SystemThreads(count: 1))
        close(output)
        reader.join()
        #expect(received.withLock { $0 } == bytes)
    }

    @Test("A pipe that nobody reads ends the restore")
    func brokenPipe() throws {
        let repository = try Scene.repository(MemoryStore())
        let point = try Scene.backUp([UInt8](repeating: 7, count: 4 << 20), to: repository)
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        close(ends[0])
        defer { close(ends[1]) }
        signal(SIGPIPE, SIG_IGN)
        let target = StreamTarget(ends[1])
        #expect(throws: RepositoryError.self) {
            try Restore(point, of: repository, progress: JobProgress()).run(
                to: target, threads: SystemThreads(count: 1))
        }
    }
}

/// Reads a descriptor to its end in a thread of its own.
private final class OwnedReader: Sendable {
    private let thread: pthread_t

    init(_ descriptor: Int32, _ take: @escaping @Sendable ([UInt8]) -> Void) {
        var thread = pthread_t()
        let body = Unmanaged.passRetained(Body(descriptor, take))
        pthread_create(
            &thread, nil,
            { argument in
                // The argument is the body retained above; a thread always gets it.
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, body.toOpaque())
        self.thread = thread
    }

    func join() { pthread_join(thread, nil) }

    private final class Body: Sendable {
        private let descriptor: Int32
        private let take: @Sendable ([UInt8]) -> Void

        init(_ descriptor: Int32, _ take: @escaping @Sendable ([UInt8]) -> Void) {
            self.descriptor = descriptor
            self.take = take
        }

        func run() {
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                guard count > 0 else { break }
                take(Array(buffer[..<count]))
            }
            close(descriptor)
        }
    }
}
