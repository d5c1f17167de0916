import Testing
import TuffTestSupport

@testable import TuffRepository

@Suite("What damage, other hosts and people leave in a repository costs no more than it must")
struct DamageTests {
    private let store = MemoryStore()

    private func volume(_ seed: UInt64, blocks: Int = 12) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<blocks).flatMap { _ in Scene.noise(&random) }
    }

    private func check(_ repository: Repository) throws -> Check.Report {
        try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
    }

    private func path(_ prefix: String, in store: MemoryStore? = nil) throws -> String {
        let files = (store ?? self.store).files
        return try #require(
            files.keys.filter { $0.hasPrefix(prefix) }.max { (files[$0]?.count ?? 0) < (files[$1]?.count ?? 0) })
    }

    private func flip(_ path: String, at: Int, in store: MemoryStore? = nil) throws {
        let store = store ?? self.store
        var bytes = try #require(store.files[path])
        bytes[at < 0 ? bytes.count + at : at] ^= 1
        store.replace(path, with: bytes)
    }

    @Test(
        "A damaged page or footer of the index is told, hides nothing that is whole, and is made anew",
        arguments: [4_200, -70])
    func brokenIndex(at: Int) throws {
        let repository = try Scene.repository(store)
        let bytes = volume(1)
        let point = try Scene.backUp(bytes, to: repository)
        try flip(path("index/"), at: at)
        #expect(throws: RepositoryError.self) { try Scene.restore(point, of: repository) }
        do throws(RepositoryError) {
            _ = try Restore(point, of: repository, progress: JobProgress(), keepingGoing: true)
                .run(to: MemoryVolume(bytes), threads: SystemThreads(count: 1))
            Issue.record("zeros in the place of what the packs have")
        } catch {
            #expect(error.code == .brokenIndex && error.sentence.contains("'tuff backup check --repair'"), "\(error)")
        }
        let report = try check(repository)
        #expect(report.isIndexBroken && report.damage.count == 1 && report.hurt.isEmpty && !report.isWhole)
        let left = try IndexRepair(repository, lease: nil).run(after: report)
        #expect(left.hurt.isEmpty)
        #expect(try repository.hurtPoints().isEmpty)
        #expect(try Scene.restore(point, of: repository) == bytes)
        #expect(try check(repository).isWhole)
    }

    @Test("A repair of a broken index forgets neither damaged records nor what they hurt")
    func brokenIndexAfterDamage() throws {
        let repository = try Scene.repository(store)
        let point = try Scene.backUp(volume(1), to: repository)
        try flip(path("packs/"), at: 40)
        try IndexRepair(repository, lease: nil).run(after: try check(repository))
        #expect(try repository.hurtPoints() == [point.id])
        try flip(path("index/"), at: -70)
        let left = try IndexRepair(repository, lease: nil).run(after: try check(repository))
        #expect(left.hurt.map(\.point.id) == [point.id])
        #expect(try repository.hurtPoints() == [point.id])
        try Scene.backUp(volume(1), to: repository)
        #expect(try Scene.restore(point, of: repository) == volume(1))
    }

    @Test("An index in disorder, which proves itself, is refused and never a trap")
    func disorder() throws {
        let repository = try Scene.repository(store)
        let point = try Scene.backUp(volume(1), to: repository)
        let path = try path("index/")
        let id = try #require(FileID(path.dropFirst("index/".count)))
        var bytes = try #require(store.files[path])
        let width = IndexLayout.entry
        var content = Array(bytes[Format.page..<(Format.page + IndexLayout.content)])
        let first = Array(content[..<width])
        content.replaceSubrange(..<width, with: content[width..<(2 * width)])
        content.replaceSubrange(width..<(2 * width), with: first)
        bytes.replaceSubrange(
            Format.page..<(2 * Format.page), with: repository.sealing.seal(.index, id).close(content, at: 1))
        store.replace(path, with: bytes)
        do throws(RepositoryError) {
            _ = try Prune(repository, lease: nil, atOnce: true).run(removing: [])
            Issue.record("pruned by an index in disorder")
        } catch { #expect(error.code == .brokenIndex, "\(error)") }
        let report = try check(repository)
        #expect(report.isIndexBroken)
        try IndexRepair(repository, lease: nil).run(after: report)
        #expect(try Scene.restore(point, of: repository) == volume(1))
    }

    @Test("Of a block that is stored twice prune keeps a copy that proves itself", arguments: 1...6)
    func storedTwice(_ seed: UInt64) throws {
        _ = try Scene.repository(store)
        let empty = store.files
        // Two backups that did not know of each other.
        let stores = [MemoryStore(empty), MemoryStore(empty)]
        let points = try stores.map { try Scene.backUp(volume(seed), to: Repository.open($0)) }
        for (number, damaged) in stores.enumerated() {
            let pack = try path("packs/", in: damaged)
            for isGone in [false, true] {
                let both = MemoryStore(stores[0].files.merging(stores[1].files) { first, _ in first })
                if isGone { try both.remove(pack) } else { try flip(pack, at: 40, in: both) }
                let repository = try Repository.open(both)
                _ = try Prune(repository, lease: nil, atOnce: true).run(removing: [])
                for point in points {
                    #expect(
                        try Scene.restore(point, of: repository) == volume(seed), "copy \(number), gone: \(isGone)")
                }
            }
        }
    }

    @Test("Bytes that the medium does not give back cost the blocks they are in, and no others")
    func badSector() throws {
        let repository = try Scene.repository(store)
        let bytes = volume(1)
        let point = try Scene.backUp(bytes, to: repository)
        let pack = try path("packs/")
        store.spoil(pack, 100..<101)
        let report = try check(repository)
        #expect(report.bad.count == 1 && report.hurt.map(\.ranges) == [[0..<UInt64(Format.block)]], "\(report)")
        let target = MemoryVolume(bytes, isBlank: false)
        let outcome = try Restore(point, of: repository, progress: JobProgress(), keepingGoing: true)
            .run(
                to: MemoryVolume([UInt8](repeating: 0, count: bytes.count), isBlank: true),
                threads: SystemThreads(count: 1))
        #expect(outcome.lost == [0..<UInt64(Format.block)])
        #expect(target.bytes == bytes)
        try IndexRepair(repository, lease: nil).run(after: report)
        try Scene.backUp(bytes, to: repository)
        #expect(try Scene.restore(point, of: repository) == bytes, "stored anew elsewhere")
    }

    @Test("A repair leaves out of the index no pack that was whole when the check saw it")
    func unreadableAfterTheCheck() throws {
        let repository = try Scene.repository(store)
        let point = try Scene.backUp(volume(1), to: repository)
        let report = try check(repository)
        let pack = try path("packs/")
        store.spoil(pack, 0..<1)
        #expect(throws: RepositoryError.self) { try IndexRepair(repository, lease: nil).run(after: report) }
        store.spoil(pack, nil)
        _ = try Prune(repository, lease: nil, atOnce: true).run(removing: [])
        #expect(try Scene.restore(point, of: repository) == volume(1))
        #expect(try check(repository).isWhole)
    }

    @Test("What packs hold that are gone is stored anew")
    func packsThatAreGone() throws {
        let repository = try Scene.repository(store)
        let first = try Scene.backUp(volume(1), to: repository)
        for pack in store.files.keys where pack.hasPrefix("packs/") { try store.remove(pack) }
        let again = try Scene.backUp(volume(1), to: repository, name: "other")
        #expect(try Scene.restore(again, of: repository) == volume(1))
        #expect(try Scene.restore(first, of: repository) == volume(1))
    }

    @Test("Prune removes no point before it knows what is alive, and goes on where a repair took note of what is lost")
    func pruneWithLosses() throws {
        let repository = try Scene.repository(store)
        let good = try Scene.backUp(volume(1), to: repository)
        let hurt = try Scene.backUp(volume(2), to: repository)
        let gone = try Scene.backUp(volume(3), to: repository)
        try store.remove(try pack(of: hurt, repository))
        #expect(throws: RepositoryError.self) {
            try Prune(repository, lease: nil, atOnce: true).run(removing: [gone])
        }
        #expect(try repository.points().points.count == 3, "nothing was removed")
        try IndexRepair(repository, lease: nil).run(after: try check(repository))
        let report = try Prune(repository, lease: nil, atOnce: true).run(removing: [gone])
        #expect(report.removedPoints == [gone] && report.destroyed > 0)
        #expect(try Scene.restore(good, of: repository) == volume(1))
        let healed = try Scene.backUp(volume(2), to: repository)
        for point in [hurt, healed] { #expect(try Scene.restore(point, of: repository) == volume(2)) }
    }

    /// The pack that has the first block of a point.
    private func pack(of point: RestorePoint, _ repository: Repository) throws -> String {
        let index = try RepositoryIndex(store: store, sealing: repository.sealing)
        let reader = try PointTreeReader(point, repository: repository, index: index)
        let name = try #require(try reader.leaf(0)?.first ?? nil)
        return Pack.path(try #require(try index.find(name, node: false).first).pack)
    }

    @Test("A backup that is interrupted keeps what it has stored, and the next stores the rest")
    func interrupted() throws {
        let repository = try Scene.repository(store)
        let bytes = volume(1, blocks: 100)
        let progress = JobProgress()
        let request = Backup.Request(series: Series(name: "v"), time: Scene.time, program: "test")
        let source = Cancelling(MemoryVolume(bytes), after: 2, progress)
        do throws(RepositoryError) {
            _ = try Backup(of: source, to: repository, request, lease: nil, progress: progress)
                .run(threads: SystemThreads(count: 1), finished: { Scene.time })
            Issue.record("it went on")
        } catch { #expect(error.code == .interrupted) }
        #expect(try repository.points().points.isEmpty)
        let point = try Scene.backUp(bytes, to: repository)
        #expect(point.record.counts.new == 100 - 64)
        #expect(try Scene.restore(point, of: repository) == bytes)
    }

    /// A source that asks for the end after so many reads.
    private final class Cancelling: BlockSource {
        func demandSameSize() {}
        private let source: MemoryVolume
        private let progress: JobProgress
        private let last: UInt64

        init(_ source: MemoryVolume, after reads: Int, _ progress: JobProgress) {
            (self.source, self.progress, last) = (source, progress, UInt64((reads - 1) * Format.leaf))
        }

        var size: UInt64 { source.size }
        func isHole(at offset: UInt64, count: Int) -> Bool { false }

        func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
            try source.read(at: offset, into: buffer)
            if offset >= last { progress.cancel() }
        }
    }
}
