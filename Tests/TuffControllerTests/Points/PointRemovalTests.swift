import Glibc
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffRepository

/// Restore points that a person removes: the last that data can come from needs a word of its own.
@Suite struct PointRemovalTests {
    private let folder: RepositoryFolder

    init() throws { folder = try RepositoryFolder() }

    private func removal(
        _ points: [RestorePoint] = [], series: String? = nil, overrides: Bool = false
    ) throws -> PointRemoval {
        var request = PointRemoval.Request(in: folder.place, purpose: "a test's removal")
        request.points = points.map(\.id.description)
        request.series = series.map { [PointRemoval.SeriesName(text: $0)] } ?? []
        request.overrides = overrides
        return PointRemoval(request, in: try folder.repository())
    }

    private func refusal(_ removal: PointRemoval) -> String {
        do throws(BackupError) { _ = try removal.run() } catch { return error.sentence }
        return "nothing was refused"
    }

    private func point(_ series: Series, _ time: String) throws -> RestorePoint {
        let request = Backup.Request(series: series, time: time, program: "test")
        return try Backup(
            of: try DeviceSource(folder.disk), to: try folder.repository(), request, lease: nil,
            progress: JobProgress()
        ).run(threads: SystemThreads(count: 1), finished: { time })
    }

    private func left() throws -> [FileID] { try folder.known().points.map(\.id) }

    @Test func theLastPointThatWasSeenToGiveItsDataBackStays() throws {
        let points = try (1...3).map { try folder.point(at: "2026-11-0\($0)T00:00:00Z") }
        let repository = try folder.repository()
        for (index, fault) in [(0, nil), (1, "it differs")] {
            var receipt = Receipt(.drill, at: "2026-11-05T00:00:00Z", by: "n", of: "default", with: "test")
            receipt.point = points[index].id.description
            receipt.fault = fault
            try repository.leave(receipt)
        }
        #expect(refusal(try removal([points[0]])).contains("is the last proven restore point of 'db"))
        #expect(try removal([points[1]]).run().points.map(\.id) == [points[1].id])
        #expect(try left() == [points[0].id, points[2].id])
        #expect(try removal([points[0]], overrides: true).run().points.count == 1)
        #expect(try left() == [points[2].id] && folder.files("leases") == [])
    }

    @Test func aPointThatLacksSomethingIsNotTheLastOne() throws {
        let points = try (1...2).map { try folder.point(at: "2026-11-0\($0)T00:00:00Z") }
        try folder.write("r/hurt/\(points[1].id)", "")
        #expect(refusal(try removal([points[0]])).contains("is the last whole restore point of 'db"))
        #expect(try removal([points[1]]).run().points.map(\.id) == [points[1].id])
        #expect(try folder.files("hurt") == [])
    }

    /// A point that lacks something may give most of its data back, and a time that is not believed says nothing of the
    /// data.
    @Test(arguments: [true, false]) func theLastPointsOfASeriesStayWhateverSpeaksAgainstThem(areHurt: Bool) throws {
        let points = try (1...2).map { try folder.point(at: "2099-11-0\($0)T00:00:00Z") }
        for point in points {
            if areHurt {
                try folder.hurt(point)
            } else {
                try folder.repository().setAside(point, now: "2026-11-01T00:00:00Z")
            }
        }
        #expect(refusal(try removal(series: "db")).contains("is the last restore point of 'db"))
        #expect(try removal([points[0]]).run().points.map(\.id) == [points[0].id])
        #expect(refusal(try removal([points[1]])).contains("is the last restore point of 'db"))
        #expect(try removal([points[1]], overrides: true).run().points.count == 1)
    }

    /// The owner of a medium chooses the words, and people paste what they are told to type.
    @Test func whatIsToBeTypedIsQuoted() throws {
        for node in ["n", "x'; reboot; '"] {
            _ = try point(
                Series(name: "db", stack: "default", node: node, uid: "aaaabbbbccccdddd"), "2026-11-01T00:00:00Z")
        }
        let both = try removal(series: "db")
        var help = ""
        do throws(BackupError) { _ = try both.run() } catch { help = error.help ?? "" }
        #expect(help.contains("'db@x'\\''; reboot; '\\''/default/aaaabbbbccccdddd'"), "\(help)")
    }

    /// The owner of a medium can make such a directory, and the program says that this command gives it up.
    @Test func aDirectoryWithAPointsNameIsRemovedToo() throws {
        let point = try folder.point(at: "2026-11-01T00:00:00Z")
        let id = String(repeating: "a", count: 32)
        try #require(mkdir("\(folder.directory)/points/\(id)", 0o700) == 0)
        var request = PointRemoval.Request(in: folder.place, purpose: "a test's removal")
        request.points = [id, point.id.description]
        request.overrides = true
        let outcome = try PointRemoval(request, in: try folder.repository()).run()
        #expect(outcome.damaged.map(\.description) == [id] && outcome.points.map(\.id) == [point.id])
        #expect(try folder.files("points") == [])
    }

    @Test func aRemovalThatNobodyWaitsForRemovesNothing() throws {
        let points = try (1...2).map { try folder.point(at: "2026-11-0\($0)T00:00:00Z") }
        let removal = try removal([points[0]])
        #expect(throws: BackupError.self) { try removal.run(progress: JobProgress(isWanted: { false })) }
        #expect(try left() == points.map(\.id) && folder.files("leases") == [])
    }

    @Test func oneOfSeveralSeriesIsNamedInFull() throws {
        let series = ["aaaabbbbccccdddd", "eeeeffffgggghhhh"].map {
            Series(name: "db", stack: "default", node: "n", uid: $0)
        }
        for one in series { _ = try point(one, "2026-11-01T00:00:00Z") }
        let byHand = try point(Series(name: "a@b"), "2026-11-01T00:00:00Z")
        #expect(refusal(try removal(series: "db", overrides: true)).contains("2 series of the name 'db'"))
        #expect(refusal(try removal(series: "db@m/default/aaaabbbbccccdddd")).contains("there is no restore point"))
        let gone = try removal(series: "db@n/default/aaaabbbbccccdddd", overrides: true).run()
        #expect(gone.points.map(\.record.series) == [series[0]] && gone.warnings.count == 1)
        #expect(try removal(series: "a@b", overrides: true).run().points.map(\.id) == [byHand.id])
        #expect(try folder.known().points.map(\.record.series) == [series[1]])
    }

    @Test func whatIsNotThereAnyMoreHasNothingElseRemoved() throws {
        let points = try (1...3).map { try folder.point(at: "2026-11-0\($0)T00:00:00Z") }
        _ = try removal([points[0]]).run()
        #expect(refusal(try removal([points[0], points[1]])).contains("there is no restore point"))
        #expect(try left() == [points[1].id, points[2].id])
    }
}
