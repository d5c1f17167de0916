import Glibc
import Testing
import TuffRepository
import TuffTestSupport

/// Tools that several suites need: volumes made of a seed, and one line for a backup and a restore.
enum Scene {
    static let time = "2026-11-22T09:30:00Z"

    static func repository(_ store: any Store) throws -> Repository { try Repository.create(in: store, now: time) }

    /// An encrypted one; deriving its key takes a while.
    static func encrypted(_ store: any Store) throws -> Repository {
        try Repository.create(in: store, secret: secret, now: time)
    }

    static let secret: RepositorySecret? = try? RepositorySecret(Array("correct horse\n".utf8))

    @discardableResult
    static func backUp(
        _ bytes: [UInt8], to repository: Repository, name: String = "v", changed: [Range<UInt64>]? = nil,
        threads: Int = 2
    ) throws -> RestorePoint {
        var request = Backup.Request(series: Series(name: name), time: time, program: "test")
        let hurt = try repository.hurtPoints()
        request.parent = try repository.points().points.last {
            $0.record.series.name == name && !hurt.contains($0.id)
        }
        request.changed = changed
        return try Backup(of: MemoryVolume(bytes), to: repository, request, lease: nil, progress: JobProgress())
            .run(threads: SystemThreads(count: threads), finished: { time })
    }

    static func restore(_ point: RestorePoint, of repository: Repository, over old: [UInt8]? = nil) throws -> [UInt8] {
        try restoring(point, of: repository, over: old)
    }

    static func restoring(
        _ point: RestorePoint, of repository: Repository, over old: [UInt8]? = nil
    ) throws(RepositoryError) -> [UInt8] {
        let size = Int(point.record.size)
        let target = MemoryVolume(old ?? [UInt8](repeating: 0, count: size), isBlank: old == nil)
        _ = try Restore(point, of: repository, progress: JobProgress())
            .run(to: target, threads: SystemThreads(count: 2))
        return target.bytes
    }

    /// Blocks that are zero, random, compressible or the same as another, and now and then a short last one.
    static func volume(_ random: inout SeededGenerator, blocks: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<blocks {
            switch random.next() % 4 {
            case 0: bytes += [UInt8](repeating: 0, count: Format.block)
            case 1:
                let word = random.next()
                bytes += [UInt8](repeating: UInt8(truncatingIfNeeded: word | 1), count: Format.block)
            case 2:
                bytes += noise(&random)
            default:
                guard bytes.count >= Format.block else { continue }
                // A copy of the block rather than a slice, for which all of the array would be copied.
                bytes += Array(bytes[..<Format.block])
            }
        }
        if random.next() % 2 == 0 { bytes += [1, 2, 3] }
        return bytes
    }

    /// A block that is like no other and cannot be compressed.
    static func noise(_ random: inout SeededGenerator) -> [UInt8] {
        let begin = Int(random.next() % UInt64(noise.count - Format.block))
        var block = Array(noise[begin..<(begin + Format.block)])
        block.withUnsafeMutableBytes { $0.storeBytes(of: random.next(), as: UInt64.self) }
        return block
    }

    /// Random bytes to cut from: making them anew for each block is what most of a test's time would go to.
    private static let noise: [UInt8] = {
        var random = SeededGenerator(seed: 1_515)
        return (0..<(4 * Format.block)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }()
}

/// Volumes are compared often, and without optimisation the library's comparison takes a second for every 20 MB.
func == (one: [UInt8], other: [UInt8]) -> Bool {
    guard one.count == other.count else { return false }
    return one.withUnsafeBytes { one in
        other.withUnsafeBytes { other in one.isEmpty || memcmp(one.baseAddress!, other.baseAddress!, one.count) == 0 }
    }
}
