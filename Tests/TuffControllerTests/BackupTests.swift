import FoundationEssentials
import Glibc
import Testing
import TuffController
import TuffModel
import TuffRepository

/// Backups as a plan's step drives them: no command, no terminal.
@Suite struct BackupTests {
    let folder: RepositoryFolder

    init() throws { folder = try RepositoryFolder() }

    private func error(_ body: () throws(BackupError) -> Void) -> BackupError? {
        do throws(BackupError) {
            try body()
            Issue.record("it succeeded")
            return nil
        } catch { return error }
    }

    private func begun(_ request: BackupRun.Request, _ progress: JobProgress = JobProgress()) throws(BackupError) {
        try BackupRun.begin(request, progress: progress, listener: Witness()).end()
    }

    // MARK: The base

    @Test func aBackupIsComparedWithTheLastPointThatNothingSpeaksAgainst() throws {
        #expect(try folder.known().base(of: Series(name: "db")) == nil)
        let first = try folder.point(at: "2020-01-01T00:00:00Z")
        let second = try folder.point(at: "2020-01-02T00:00:00Z")
        try folder.point("other", at: "2020-01-03T00:00:00Z")
        #expect(try folder.known().base(of: Series(name: "db")) == second)
        try folder.hurt(second)
        #expect(try folder.known().base(of: Series(name: "db")) == first)
        let future = try folder.point(at: "2098-01-01T00:00:00Z")
        #expect(try folder.known().base(of: Series(name: "db")) == future, "more to look up, and nothing is lost by it")
        try folder.repository().setAside(future, now: "2020-02-01T00:00:00Z")
        #expect(try folder.known().base(of: Series(name: "db")) == first)
        let outcome = try folder.backUp(folder.request())
        #expect(outcome.point.record.parent == first.id.description && outcome.point.record.counts.new == 0)
        #expect(outcome.point.record.counts.read == 100_000 && outcome.warnings.isEmpty)
    }

    @Test func changesAreRelativeToTheLastPointOrToTheOneThatIsNamed() throws {
        let first = try folder.point(at: "2020-01-01T00:00:00Z")
        let second = try folder.point(at: "2020-01-02T00:00:00Z")
        var request = folder.request()
        request.changes = BackupRun.Changes(.bytes([99_990..<200_000, 70_000..<70_001]))
        let relative = try folder.backUp(request).point
        // The second of two blocks, 64 KiB each.
        #expect(relative.record.parent == second.id.description && relative.record.counts.read == 100_000 - 65_536)
        request.changes?.since = String(first.id.description.prefix(8))
        #expect(try folder.backUp(request).point.record.parent == first.id.description)
        try folder.write("changes", "0 10\n")
        request.changes?.ranges = .file("\(folder.path)/changes")
        #expect(try folder.backUp(request).point.record.counts.read == 65_536)
    }

    @Test func changesThatMayBeRelativeToAnotherPointAreRefusedAndTheLeaseIsGivenBack() throws {
        var request = folder.request()
        request.changes = BackupRun.Changes(.bytes([0..<10]))
        let none = error { () throws(BackupError) in try begun(request) }
        #expect(none?.sentence.contains("there is no restore point of 'db' that changes could be relative to") == true)
        let last = try folder.point(at: "2020-01-01T00:00:00Z")
        request.changes?.ranges = .bytes([100_000..<100_010])
        let beyond = error { () throws(BackupError) in try begun(request) }
        #expect(beyond?.sentence.contains("begins at byte 100000, and the source has 100000 bytes") == true)
        request.changes?.ranges = .file("\(folder.path)/nowhere")
        let unread = error { () throws(BackupError) in try begun(request) }
        #expect(unread == BackupError("\(folder.path)/nowhere cannot be read: No such file or directory"))
        request.changes?.ranges = .bytes([0..<10])
        try folder.hurt(last)
        let hurt = error { () throws(BackupError) in try begun(request) }
        #expect(hurt?.sentence.contains("the last restore point of 'db' is damaged") == true)
        try folder.point(at: "2098-01-01T00:00:00Z")
        let future = error { () throws(BackupError) in try begun(request) }
        #expect(future?.sentence.contains("the clock was put back") == true)
        #expect(try folder.files("leases").isEmpty)
    }

    @Test func aPointHasASecondOfItsOwn() throws {
        let times = ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z"]
        for time in times.dropLast() { try folder.point(at: time) }
        let known = try folder.known()
        var clock = times[...], pauses = 0
        let now = { clock.count > 1 ? clock.removeFirst() : clock[clock.startIndex] }
        #expect(known.ownSecond(of: Series(name: "db"), now: now, pause: { pauses += 1 }) == times[2])
        #expect(pauses == 2)
        #expect(known.ownSecond(of: Series(name: "other"), now: { times[0] }, pause: { pauses += 1 }) == times[0])
        #expect(pauses == 2, "another series is no reason to wait")
        #expect(known.ownSecond(of: Series(name: "db"), now: { times[0] }, pause: { pauses += 1 }) == times[0])
        #expect(pauses == 42, "a clock that stands still is not waited for")
        let one = try folder.backUp(folder.request()).point, two = try folder.backUp(folder.request()).point
        #expect(one.record.time < two.record.time && two.record.parent == one.id.description)
    }

    @Test func aSourceThatWasWrittenToMeanwhileIsTold() throws {
        // Times of files are no finer than some milliseconds.
        #expect(utimes(folder.disk, [timeval(tv_sec: 1, tv_usec: 0), timeval(tv_sec: 1, tv_usec: 0)]) == 0)
        let run = try BackupRun.begin(folder.request(), progress: JobProgress(), listener: Witness())
        defer { run.end() }
        #expect(run.total == 100_000)
        let file = open(folder.disk, O_WRONLY | O_CLOEXEC)
        #expect(pwrite(file, "x", 1, 10) == 1)
        close(file)
        let outcome = try run.run()
        #expect(outcome.warnings.count == 1)
        #expect(outcome.warnings.first?.hasPrefix("\(folder.disk) was written to while it was read: ") == true)
    }

    // MARK: Leases

    @Test func aLeaseNamesItsHolderAndKeepsOthersAway() throws {
        try folder.point(at: "2020-01-01T00:00:00Z")
        let run = try BackupRun.begin(folder.request(), progress: JobProgress(), listener: Witness())
        let another = try BackupRun.begin(folder.request("web"), progress: JobProgress(), listener: Witness())
        another.end()
        let prune = try PruneRun.begin(
            PruneRun.Request(of: folder.place, purpose: "a test's prune"), listener: Witness())
        let held = error { () throws(BackupError) in _ = try prune.run() }
        #expect(held?.sort == .locked)
        #expect(held?.sentence.contains("in use by a test's backup (process \(getpid()) on ") == true, "\(held as Any)")
        run.end()
        #expect(try prune.run().removedPoints.isEmpty)
        #expect(try folder.files("leases").isEmpty)
    }

    @Test func waitingForALeaseEndsWhenTheWorkIsToEnd() throws {
        let run = try BackupRun.begin(folder.request(), progress: JobProgress(), listener: Witness())
        defer { run.end() }
        var request = CheckRun.Request(of: folder.place, share: 100, purpose: "a test's repair")
        request.repairs = true
        request.patience = TimeSpan(seconds: 3_600)
        let progress = JobProgress(), wanted = request
        progress.cancel()
        let ended = error { () throws(BackupError) in
            try CheckRun.begin(wanted, progress: progress, listener: Witness()).end()
        }
        #expect(ended?.sort == .interrupted)
        #expect(try folder.files("leases").count == 1, "that of the backup alone")
    }

    @Test func workThatIsAskedToEndSaysHowToGoOn() throws {
        let progress = JobProgress()
        let run = try BackupRun.begin(folder.request(), progress: progress, listener: Witness())
        defer { run.end() }
        progress.cancel()
        let ended = error { () throws(BackupError) in _ = try run.run() }
        #expect(ended?.sort == .interrupted && ended?.help == "run it again: what is stored by now is not stored again")
        #expect(try folder.known().points.isEmpty)
    }

    // MARK: Retention

    /// Points of the first days of January 2020.
    private func days(_ count: Int, _ name: String = "db") throws -> [RestorePoint] {
        try (1...count).map { try folder.point(name, at: "2020-01-0\($0)T00:00:00Z") }
    }

    private let now = Instant(secondsSince1970: 1_580_600_000)

    private func keeping(last count: Int) -> KeepRule {
        var rule = KeepRule()
        rule.last = count
        return rule
    }

    @Test func aRuleHoldsForEachSeriesApart() throws {
        let db = try days(3), web = try days(2, "web")
        let known = try folder.known()
        #expect(try known.leaving(by: keeping(last: 2), name: nil, now: now) == [db[0]])
        #expect(Set(try known.leaving(by: keeping(last: 1), name: nil, now: now)) == [db[0], db[1], web[0]])
        #expect(try known.leaving(by: keeping(last: 1), name: "web", now: now) == [web[0]])
        #expect(try known.leaving(by: KeepRule(), name: nil, now: now).isEmpty)
        #expect(try known.leaving(by: keeping(last: 1), name: "web", passingOver: [web[1].id], now: now).isEmpty)
    }

    @Test func aPointThatLacksSomethingTakesNoOthersPlace() throws {
        let points = try days(4)
        try folder.hurt(points[3])
        #expect(try folder.known().leaving(by: keeping(last: 2), name: nil, now: now) == [points[0]])
        try folder.hurt(points[0])
        #expect(try folder.known().leaving(by: keeping(last: 2), name: nil, now: now) == [points[0]])
    }

    @Test func nothingIsJudgedBesideAPointOfTheFutureUntilItIsSetAside() throws {
        let points = try days(2)
        let future = try folder.point(at: "2098-01-01T00:00:00Z")
        var request = PruneRun.Request(of: folder.place, purpose: "a test's prune")
        request.rule = keeping(last: 1)
        let doubtful = try PruneRun.begin(request, listener: Witness())
        let refused = error { () throws(BackupError) in _ = try doubtful.run() }
        #expect(refused?.sentence.contains("of 'db' is from 2098-01-01T00:00:00Z, later than this clock's") == true)
        let command = "tuff backup prune --repository \(folder.path)/r --set-aside \(future.id)"
        #expect(refused?.help?.hasSuffix(command) == true, "\(refused as Any)")
        request.setAside = [String(future.id.description.prefix(8))]
        let run = try PruneRun.begin(request, listener: Witness())
        let forecast = try run.forecast()
        #expect(
            forecast.leaving == [points[0]] && forecast.points == 3 && forecast.report?.removedPoints == [points[0]])
        #expect(try folder.known().points.count == 3 && folder.known().aside.isEmpty, "a forecast changes nothing")
        let report = try run.run()
        #expect(report.removedPoints == [points[0]] && report.setAside == [future.id])
        #expect(try folder.known().points == [points[1], future])
    }

    @Test func aSeriesThatIsNotThereIsNotPruned() throws {
        var request = PruneRun.Request(of: folder.place, purpose: "a test's prune")
        request.name = "nobody"
        let wanted = request
        let missing = error { () throws(BackupError) in _ = try PruneRun.begin(wanted, listener: Witness()) }
        #expect(missing?.sort == .missing && missing?.help == "'tuff backup ls' lists those there are")
    }
}
