import Glibc
import Testing
import TuffTestSupport

@testable import TuffRepository

@Suite("Which restore point is meant, and which bytes changed since: never a guess")
struct ChoiceTests {
    @Test(
        "Lists of changes are read whichever way their lines end",
        arguments: [
            "# offset length\r\n65536 8\r\n", "0 8 # head\r\n65536 8", "65536 8\n", "  65536\t8  \n\n#\n", "65536 8\r",
        ])
    func changes(_ text: String) throws {
        let ranges = try ChangedRanges.parse(Array(text.utf8), size: 1 << 20)
        #expect(ranges.last == 65_536..<65_544)
    }

    @Test(
        "What is not understood in a list of changes is refused, and never left out",
        arguments: [
            "65536 8\r65600 8\n", "\u{FEFF}65536 8\n", "65536\n", "65536 8 9\n", "-1 8\n", "0x10 8\n",
            "1 18446744073709551615\n", "a\0 1\n", "1048576 1\n",
        ])
    func nonsense(_ text: String) {
        #expect(throws: RepositoryError.self) { try ChangedRanges.parse(Array(("0 1\n" + text).utf8), size: 1 << 20) }
    }

    private func point(_ time: String, parent: RestorePoint? = nil, name: String = "v") throws -> RestorePoint {
        let repository = try Scene.repository(MemoryStore())
        var request = Backup.Request(series: Series(name: name), time: time, program: "test")
        request.parent = parent
        return try Backup(of: MemoryVolume([1]), to: repository, request, lease: nil, progress: JobProgress())
            .run(threads: SystemThreads(count: 1), finished: { time })
    }

    private func base(
        _ points: [RestorePoint], damaged: [DamagedPoint] = [], hurt: Set<FileID> = [],
        now: String = "2026-11-25T00:00:00Z"
    ) -> RestorePoint? {
        try? RestorePoint.baseOfChanges(Series(name: "v"), among: points, damaged: damaged, hurt: hurt, now: now)
    }

    private static let lost = DamagedPoint(
        id: FileID(), error: RepositoryError(.damaged, "restore point x does not prove itself"))

    @Test("Changes are relative to the point that was made last, or to none")
    func bases() throws {
        let first = try point("2026-11-22T00:00:00Z"), second = try point("2026-11-23T00:00:00Z", parent: first)
        let other = try point("2026-11-24T00:00:00Z", name: "w")
        #expect(base([first, second, other]) == second)
        #expect(base([]) == nil)
        #expect(base([first, second], damaged: [Self.lost]) == nil, "it may be the last one")
        #expect(base([first, second], hurt: [second.id]) == nil)
        #expect(base([first, second], now: "2026-11-22T12:00:00Z") == nil, "the clock was put back")
        let earlier = try point("2026-11-22T06:00:00Z", parent: second)
        #expect(base([first, earlier, second]) == nil, "made after the newest, by a clock that was put back")
    }

    @Test("The latest is not chosen while it may be one that cannot be read")
    func latest() throws {
        let point = try point("2026-11-22T00:00:00Z")
        func choose(_ choice: PointChoice, _ damaged: [DamagedPoint] = [Self.lost]) throws -> RestorePoint {
            try choice.choose(among: [point], damaged: damaged, series: "v")
        }
        #expect(throws: RepositoryError.self) { try choose(.latest) }
        #expect(throws: RepositoryError.self) { try choose(.notAfter("2026-11-23T00:00:00Z")) }
        #expect(try choose(.latest, []) == point)
        #expect(try choose(.id(point.id.description)) == point)
        for prefix in ["", "a", "latest-ish", String(point.id.description.prefix(3))] {
            #expect(throws: RepositoryError.self, "\(prefix)") { try choose(.id(prefix)) }
        }
        do throws(RepositoryError) {
            _ = try PointChoice.id(Self.lost.id.description).choose(among: [point], damaged: [Self.lost], series: "v")
        } catch { #expect(error.code == .damaged, "it is there, and damaged") }
    }

    @Test("A named point is what changes are relative to only if it is of the same series and size, and whole")
    func namedBase() throws {
        let points = [
            try point("2026-11-22T00:00:00Z"), try point("2026-11-23T00:00:00Z"),
            try point("2026-11-24T00:00:00Z", name: "w"),
        ]
        func base(
            _ id: String, size: UInt64? = nil, hurt: Set<FileID> = [], damaged: [DamagedPoint] = [],
            now: String = "2026-11-25T00:00:00Z"
        ) throws(RepositoryError) -> RestorePoint {
            try RestorePoint.baseOfChanges(
                id, of: Series(name: "v"), size: size ?? points[0].record.size, among: points, damaged: damaged,
                hurt: hurt, now: now)
        }
        #expect(try base(points[0].id.description) == points[0], "not the last")
        #expect(try base(String(points[1].id.description.prefix(12))) == points[1])
        #expect(try base(points[0].id.description, damaged: [Self.lost]) == points[0], "no doubt which is meant")
        func refusal(_ body: () throws(RepositoryError) -> RestorePoint) -> String {
            do throws(RepositoryError) { return try body().id.description } catch { return error.sentence }
        }
        let way = "name another one, or back up once without --changed-ranges"
        for sentence in [
            refusal { () throws(RepositoryError) in try base(points[2].id.description) },
            refusal { () throws(RepositoryError) in try base(points[0].id.description, size: 5) },
            refusal { () throws(RepositoryError) in try base(points[0].id.description, now: "2026-11-22T12:00:00Z") },
            refusal { () throws(RepositoryError) in try base(points[0].id.description, hurt: [points[0].id]) },
        ] { #expect(sentence.contains(way), "\(sentence)") }
        #expect(refusal { () throws(RepositoryError) in try base("latest") }.contains("is no ID of a restore point"))
        #expect(throws: RepositoryError.self) { try base(Self.lost.id.description, damaged: [Self.lost]) }
    }

    @Test("What a declared volume has to say is in its point, and comes back")
    func declared() throws {
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        var request = Backup.Request(series: Series(name: "v"), time: Scene.time, program: "test")
        (request.policy, request.labels) = ("nightly", ["tier": "gold"])
        (request.document, request.commit) = ("kind: Volume\n", "4ef43af")
        _ = try Backup(of: MemoryVolume([1]), to: repository, request, lease: nil, progress: JobProgress())
            .run(threads: SystemThreads(count: 1), finished: { Scene.time })
        let record = try #require(try repository.points().points.first).record
        #expect(record.policy == "nightly" && record.labels == ["tier": "gold"])
        #expect(record.document == "kind: Volume\n" && record.commit == "4ef43af")
    }

    @Test("A key that was left by somebody else opens nothing, and is not counted when one is taken away")
    func slots() throws {
        let store = MemoryStore()
        let repository = try Scene.encrypted(store)
        let own = try #require(try repository.keySlots().first)
        #expect(throws: RepositoryError.self) { try Scene.encrypted(store) }
        let other = MemoryStore()
        _ = try Scene.encrypted(other)
        for (path, bytes) in other.files where path.hasPrefix("keys/") { store.replace(path, with: bytes) }
        #expect(try repository.keySlots().map(\.id) == [own.id])
        #expect(throws: RepositoryError.self) { try repository.removeKey(own.id) }
    }

    @Test("A repository that says that it is not encrypted is not written to with a key")
    func downgrade() throws {
        let store = MemoryStore()
        _ = try Scene.repository(store)
        do throws(RepositoryError) {
            _ = try Repository.open(store, secret: Scene.secret)
            Issue.record("opened")
        } catch { #expect(error.code == .wrongKey) }
    }

    @Test("A directory of a repository that is gone is damage, and not the same as empty")
    func directories() throws {
        var template = Array("/tmp/tuff-choice-XXXXXX".utf8CString)
        let folder = try #require(
            template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!).map { String(cString: $0) } })
        defer { rmdir(folder) }
        let store = try DirectoryStore(folder + "/r", making: true)
        #expect(try store.list("points").isEmpty)
        #expect(try store.list("packs/aa").isEmpty)
        // What has the name of a restore point and is none is not as if it were not there: prune would destroy what it
        // needs.
        let name = "/r/points/" + FileID().description
        let repository = try Scene.repository(store)
        symlink("/dev/null", folder + name)
        #expect(try store.list("points").count == 1)
        #expect(try repository.points().damaged.count == 1)
        unlink(folder + name)
        for file in ["repository", "reserve"] { unlink(folder + "/r/" + file) }
        rmdir(folder + "/r/points")
        do throws(RepositoryError) {
            _ = try store.list("points")
            Issue.record("as if there were no points")
        } catch { #expect(error.code == .damaged) }
        for name in ["packs", "index", "marks", "leases", "keys", "hurt", "temporary"] { rmdir(folder + "/r/" + name) }
        rmdir(folder + "/r")
    }
}
