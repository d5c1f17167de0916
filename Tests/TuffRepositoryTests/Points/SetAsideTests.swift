import Glibc
import Testing
import TuffTestSupport

@testable import TuffRepository

@Suite("A point of a time that has not come is told, and passed over on a person's word")
struct SetAsideTests {
    private static let future = "2199-01-19T03:14:07Z"

    /// A repository whose newest point of `v` but one was made while the clock said 2199.
    private struct Place {
        let folder: Folder
        let repository: Repository
        let bogus: RestorePoint

        init() throws {
            folder = try Folder()
            let store = try DirectoryStore("\(folder.path)/r s", making: true)
            repository = try Scene.repository(store)
            try Scene.backUp([1], to: repository)
            var request = Backup.Request(series: Series(name: "v"), time: SetAsideTests.future, program: "test")
            request.parent = try repository.points().points.last
            bogus = try Backup(of: MemoryVolume([2]), to: repository, request, lease: nil, progress: JobProgress())
                .run(threads: SystemThreads(count: 1), finished: { SetAsideTests.future })
            try folder.write([3], to: "disk")
            #expect(try run("run", "--source", "\(folder.path)/disk", "--name", "v").code == 0)
        }

        func run(_ command: String, _ more: String...) throws -> Ended {
            try Processes.run(
                [Processes.program, "backup", command, "--repository", "\(folder.path)/r s"] + more, in: folder)
        }

        func latest() throws -> (text: String, bytes: [UInt8]) {
            let out = "\(folder.path)/out"
            unlink(out)
            let ended = try run("restore", "--name", "v", "--to", out)
            #expect(ended.code == 0, "\(ended.text)")
            return (ended.text, folder.bytes("out"))
        }

        /// Types what a message says to type.
        func type(_ text: String) throws -> Ended {
            let line = try #require(text.split(separator: "\n").first { $0.contains("tuff backup prune") })
            let from = try #require(line.firstRange(of: "tuff backup prune")).lowerBound
            // Up to the end of the ID.
            let id = try #require(line.firstRange(of: "--set-aside ")).upperBound
            let command = line[from..<line.index(id, offsetBy: 32)]
            let words = ["sh", "-c", "\(Processes.program) \(command.dropFirst("tuff ".count))"]
            return try Processes.run(words, in: folder)
        }
    }

    @Test("latest warns, prune fails with a command, and that command, typed, has both go on")
    func prune() throws {
        let place = try Place()
        let before = try place.latest()
        #expect(before.bytes == [2] && before.text.contains("later than this clock's"), "\(before.text)")
        let keep = ["--keep-last", "1"]
        let failed = try place.run("prune", keep[0], keep[1])
        #expect(failed.code == 1 && failed.text.contains("If the clock is wrong, set it"), "\(failed.text)")
        let typed = try place.type(failed.text)
        #expect(typed.code == 0 && typed.text.contains("is set aside"), "\(typed.text)")
        let after = try place.latest()
        #expect(after.bytes == [3] && !after.text.contains("warning"), "\(after.text)")
        let list = try place.run("ls")
        #expect(list.code == 0 && list.text.contains("\(Self.future) (set aside)"), "\(list.text)")
        #expect(!list.text.contains("warning"))
        let pruned = try place.run("prune", keep[0], keep[1], "--at-once")
        #expect(pruned.code == 0 && pruned.text.contains("1 restore point taken away."), "\(pruned.text)")
        // It stays, and its ID restores it.
        let byID = try place.run("restore", "--at", "\(place.bogus.id)", "--to", "\(place.folder.path)/by-id")
        #expect(byID.code == 0 && place.folder.bytes("by-id") == [2], "\(byID.text)")
        #expect(try place.run("check", "--read-data").code == 0)
    }

    @Test("The command in the warning of ls and restore works as well")
    func warning() throws {
        let place = try Place()
        for text in [try place.latest().text, try place.run("ls").text] {
            #expect(try place.type(text).code == 0)
            #expect(try place.latest().bytes == [3])
            unlink("\(place.folder.path)/r s/aside/\(place.bogus.id)")
        }
        // A point of the past is not doubted, and a dry run writes nothing.
        let past = try #require(try place.repository.points().points.first)
        let refused = try place.run("prune", "--set-aside", "\(past.id)")
        #expect(refused.code == 1 && refused.text.contains("only one of the future"), "\(refused.text)")
        #expect(try place.run("prune", "--keep-last", "1", "-n", "--set-aside", "\(place.bogus.id)").code == 0)
        #expect(try place.repository.setAside().points.isEmpty)
    }

    @Test("Changes are not taken to be relative to what was there before a point of doubt, and to what was made since")
    func changes() throws {
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let old = try Scene.backUp([1], to: repository)
        var request = Backup.Request(series: Series(name: "v"), time: Self.future, program: "test")
        let bogus = try Backup(of: MemoryVolume([2]), to: repository, request, lease: nil, progress: JobProgress())
            .run(threads: SystemThreads(count: 1), finished: { Self.future })
        let now = "2026-11-22T10:00:00Z"
        func base(_ now: String) throws(RepositoryError) -> RestorePoint {
            try RestorePoint.baseOfChanges(
                Series(name: "v"), among: repository.points().points, damaged: [], hurt: [],
                aside: repository.setAside().points, now: now)
        }
        #expect(throws: RepositoryError.self) { try base(now) }
        try repository.setAside(bogus, now: now)
        #expect(try repository.setAside().points == [bogus.id: now])
        #expect(throws: RepositoryError.self, "the older one may not be the last") { try base(now) }
        request.time = "2026-11-22T11:00:00Z"
        let new = try Backup(of: MemoryVolume([3]), to: repository, request, lease: nil, progress: JobProgress())
            .run(threads: SystemThreads(count: 1), finished: { now })
        #expect(try base("2026-11-22T12:00:00Z") == new && old != new)
        // A receipt that does not prove itself counts for nothing, and a check tells of it.
        store.replace("aside/\(bogus.id)", with: [1])
        #expect(try repository.setAside().points.isEmpty)
        #expect(try Check(of: repository).run(readShare: 0, seed: 0, progress: JobProgress()).damage.count == 1)
        try repository.setAside(bogus, now: now)
        #expect(try repository.setAside().points == [bogus.id: now])
        _ = try Prune(repository, lease: nil).run(removing: [bogus])
        #expect(try repository.setAside().points.isEmpty)
    }
}
