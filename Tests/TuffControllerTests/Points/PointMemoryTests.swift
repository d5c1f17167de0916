import FoundationEssentials
import Glibc
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffRepository
import TuffTestSupport

/// Listings of restore points with a memory of those that were seen: the same as without it, whatever happened between.
@Suite struct PointMemoryTests {
    let folder: RepositoryFolder

    init() throws {
        folder = try RepositoryFolder()
        mkdir("\(folder.path)/run", 0o700)
    }

    private func list(_ name: String = "r", remembering: Bool = true) async throws -> ObservedRepository {
        let request = RepositoryListing(of: "nas", RepositoryAccess(.directory("\(folder.path)/\(name)")))
        let control = JobControl(
            roots: HostRoots(target: "/nonexistent", reach: Reach(everythingBeneath: [folder.path])),
            summary: request.summary, jobs: remembering ? "\(folder.path)/run/jobs" : nil, isOver: { false },
            telling: { _ in })
        return try #require(try await Beside { _ in JobHandlers.ours.result(of: request, control) }.value.get())
    }

    /// The only file of memories.
    private var memory: String {
        get throws { try "run/points/\(#require(try memories().first))" }
    }

    private func memories() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/run/points")
    }

    /// Has the memory call the volume otherwise than the repository does.
    private func bendMemory() throws {
        let path = URL(filePath: "\(folder.path)/\(try memory)")
        var bytes = try Data(contentsOf: path)
        let name = try #require(bytes.firstRange(of: Data([2, 0, 0, 0, 0, 0, 0, 0]) + Data("db".utf8)))
        bytes.replaceSubrange(bytes.index(before: name.upperBound)..<name.upperBound, with: Data("x".utf8))
        try bytes.write(to: path)
        chmod(path.path(), 0o600)
    }

    private func path(of point: RestorePoint) -> String { "\(folder.directory)/points/\(point.id)" }

    /// Puts other bytes into the file, which stays the same file.
    private func overwrite(_ path: String) throws {
        chmod(path, 0o600)
        let file = open(path, O_WRONLY | O_TRUNC)
        try #require(file >= 0)
        defer { close(file) }
        try #require(write(file, "x", 1) == 1)
    }

    @Test func aPointThatWasSeenIsNotReadAgain() async throws {
        let point = try folder.point(at: "2026-01-01T00:00:00Z")
        _ = try await list()
        try bendMemory()
        #expect(try await list().points.map(\.volume) == ["dx"])
        #expect(try await list(remembering: false).points.map(\.volume) == ["db"])
        let later = try folder.point(at: "2026-01-02T00:00:00Z"), earlier = try folder.point(at: "2026-01-01T00:00:00Z")
        try #require(earlier.id != point.id)
        unlink(path(of: earlier))
        let found = try await list().points
        #expect(found.map(\.id) == ["\(point.id)", "\(later.id)"] && found.map(\.volume) == ["dx", "db"])
    }

    @Test func aFileThatIsWrittenToIsReadAgain() async throws {
        let point = try folder.point(at: "2026-01-01T00:00:00Z")
        _ = try await list()
        try overwrite(path(of: point))
        let found = try await list()
        #expect(found.damaged == 1 && found.points.isEmpty)
    }

    @Test func aFileInThePlaceOfOneThatWasSeenIsRead() async throws {
        let point = try folder.point(at: "2026-01-01T00:00:00Z")
        try folder.point(at: "2026-01-02T00:00:00Z")
        _ = try await list()
        try folder.write("other", "{}")
        try #require(rename("\(folder.path)/other", path(of: point)) == 0)
        let found = try await list()
        #expect(found.damaged == 1 && found.points.count == 1)
    }

    @Test func whatIsSaidOfPointsIsLookedAtEveryTime() async throws {
        let hurt = try folder.point(at: "2026-01-01T00:00:00Z")
        let aside = try folder.point(at: "2099-01-02T00:00:00Z")
        #expect(try await list().points.allSatisfy { $0.isHurt == nil && !$0.isSetAside })
        try folder.hurt(hurt)
        try folder.repository().setAside(aside, now: "2026-01-01T00:00:00Z")
        let points = try await list().points
        #expect(points.map(\.isHurt) == [true, nil] && points.map(\.isSetAside) == [false, true])
        #expect(try await list() == list(remembering: false))
    }

    @Test func aMemoryThatCannotBeUnderstoodIsNone() async throws {
        for day in 1...3 { try folder.point(at: "2026-01-0\(day)T00:00:00Z") }
        let whole = try await list()
        let path = URL(filePath: "\(folder.path)/\(try memory)"), bytes = try Data(contentsOf: path)
        #expect(bytes.firstRange(of: Data(TuffVersion.current.utf8)) != nil, "another version reads everything")
        for cut in stride(from: 0, to: bytes.count, by: 41) {
            try bytes.prefix(cut).write(to: path)
            #expect(try await list() == whole, "cut at byte \(cut)")
        }
        try (bytes + Data("x".utf8)).write(to: path)
        #expect(try await list() == whole)
    }

    /// A medium says which id it has, and its owner chooses names and numbers of files.
    @Test func whatWasSeenAtOnePlaceIsNotBelievedOfAnother() async throws {
        let point = try folder.point(at: "2026-01-01T00:00:00Z")
        _ = try await list()
        try bendMemory()
        try #require(rename(folder.directory, "\(folder.path)/other") == 0)
        #expect(try await list("other").points.map(\.volume) == ["db"])
        #expect(try memories().count == 2 && "\(point.id)".count == 32)
    }

    /// The owner of a medium would fill the file system in memory by a new id for each pass.
    @Test func aPlaceHasOneMemoryWhateverItCallsItself() async throws {
        try folder.point(at: "2026-01-01T00:00:00Z")
        _ = try await list()
        try #require(rename(folder.directory, "\(folder.path)/former") == 0)
        try folder.place.make(listener: Witness())
        let other = try folder.point(at: "2026-01-02T00:00:00Z")
        #expect(try await list().points.map(\.id) == ["\(other.id)"])
        #expect(try memories().count == 1)
    }

    /// Their order is that of their texts, which is not that of a time.
    @Test func daysThatNoCalendarHasAreListedAsWithoutAMemory() async throws {
        try folder.point(at: "2026-09-31T00:00:00Z")
        _ = try await list()
        try folder.point(at: "2026-09-01T00:00:00Z")
        #expect(try await list() == list(remembering: false))
    }

    @Test func aMemoryThatOthersMayWriteIsNotRead() async throws {
        let point = try folder.point(at: "2026-01-01T00:00:00Z")
        _ = try await list()
        try bendMemory()
        chmod("\(folder.path)/\(try memory)", 0o666)
        #expect(try await list().points.map(\.id) == ["\(point.id)"])
        #expect(try await list().points.map(\.volume) == ["db"])
    }

    @Test(arguments: [11, 12, 13, 14] as [UInt64]) func listingsAreTheSameWithAMemory(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var points: [RestorePoint] = []
        for round in 0..<25 {
            // Few seconds for many points, so that several share one and their order is that of all of them.
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                let second = Int.random(in: 0...4, using: &random)
                let name = ["db", "web"].randomElement(using: &random)!
                let parent = Bool.random(using: &random) ? points.randomElement(using: &random) : nil
                points.append(try folder.point(name, at: "2026-01-01T00:00:0\(second + round / 5)Z", after: parent))
            }
            if !points.isEmpty, Int.random(in: 0..<3, using: &random) == 0 {
                unlink(path(of: points.remove(at: Int.random(in: points.indices, using: &random))))
            }
            let found = try await list()
            #expect(try await found == list(remembering: false), "seed \(seed), round \(round)")
            #expect(found.points.count == points.count, "seed \(seed), round \(round)")
        }
    }
}
