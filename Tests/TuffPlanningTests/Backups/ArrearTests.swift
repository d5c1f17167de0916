import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Backups that are late, and since when; what the ledger remembers of those that fail.
@Suite struct ArrearTests {
    static let now = Sample.context().now
    static let work = Ledger.Arrear.Work(
        .failing, of: ResourceID(.backupPolicy, "nightly"), in: "default", uid: Sample.uid)

    /// The points' ages in seconds, of a policy that runs at half past two.
    static func observed(_ ages: [Int64], _ change: (inout ObservedPoint) -> Void = { _ in }) -> ObservedState {
        let points = ages.map { age in
            SourcePlanTests.point("p\(age)", PrunePlanTests.now - age, uid: Sample.uid) {
                $0.policy = "nightly"
                change(&$0)
            }
        }
        return SourcePlanTests.observed(points, [Sample.volume()])
    }

    func overdue(
        _ observed: ObservedState, at now: Instant = ArrearTests.now, _ ledger: Ledger = Ledger()
    ) -> [Instant] {
        var context = Sample.context()
        context.now = now
        return BackupArrears(BackupPlanTests.nightly(), seen: observed, context).overdue(by: ledger).map(\.since)
    }

    /// The half past two that was last.
    static var lastRun: Instant {
        let day = now.secondsSince1970 - now.secondsSince1970 % 86400 + 9000
        return Instant(secondsSince1970: day <= now.secondsSince1970 ? day : day - 86400)
    }

    @Test func aBackupIsOverdueAnHourAfterItWasToBegin() {
        let run = Self.lastRun
        let before = Self.observed([Self.now.secondsSince1970 - run.secondsSince1970 + 60])
        #expect(overdue(before, at: run.advanced(by: TimeSpan(seconds: 3600))) == [])
        #expect(overdue(before, at: run.advanced(by: TimeSpan(seconds: 3601))) == [run])
        // Since the first that is missing, not since the last.
        #expect(overdue(before, at: run.advanced(by: TimeSpan(seconds: 5 * 86400))) == [run])
        let done = Self.observed([Self.now.secondsSince1970 - run.secondsSince1970 - 60])
        #expect(overdue(done, at: run.advanced(by: TimeSpan(seconds: 7200))) == [])
    }

    @Test func whatCannotBeReadIsUnknownAndNeverOverdue() {
        var observed = Self.observed([10 * 86400])
        #expect(overdue(observed).count == 1)
        observed.repositories = ObservationMap(["nas": .unknown(HostError(.timeout, "silent"))])
        #expect(overdue(observed) == [])
        observed.repositories = ObservationMap()
        #expect(overdue(observed) == [])
        #expect(overdue(SourcePlanTests.observed([], damaged: 1, [Sample.volume()])) == [])
    }

    @Test func othersPointsDoNotCount() {
        #expect(
            overdue(Self.observed([60, 10 * 86400]) { $0.policy = $0.id == "p60" ? "other" : "nightly" }).count == 1)
        #expect(overdue(Self.observed([60, 10 * 86400]) { $0.isSetAside = $0.id == "p60" }).count == 1)
    }

    @Test func withoutAnyPointTheLedgerTellsSinceWhen() throws {
        let observed = Self.observed([]), desired = BackupPlanTests.nightly()
        let context = Sample.context()
        let first = Ledger().after(observed, desired: desired, context: context)
        #expect(first.arrears?.map(\.since) == [Self.now] && first.arrears?[0].work.sort == .unprotected)
        let later = Self.now.advanced(by: TimeSpan(seconds: 7200))
        var next = context
        next.now = later
        let second = first.after(observed, desired: desired, context: next)
        #expect(second.arrears == first.arrears)
        #expect(overdue(observed, at: later, second) == [Self.now] && overdue(observed, at: later) == [])
        // A point ends it, and so does the policy's removal.
        #expect(second.after(Self.observed([60]), desired: desired, context: next).arrears == nil)
        #expect(second.after(observed, desired: SourcePlanTests.desired(nil), context: next).arrears == nil)
        #expect(second.after(observed, desired: DesiredState(), context: next).arrears == first.arrears)
    }

    @Test func aFailureIsRememberedWithItsBeginUntilItIsOver() throws {
        let resource = Self.work.resource
        let change = PlannedChange(resource, action: .create, summary: "back up", uid: Sample.uid)
        let plan = Plan(context: Sample.context(), changes: [change], steps: [])
        var ledger = Ledger()
        ledger.note(failures: [0: "no room"], done: [], of: plan, at: Self.now)
        let later = Self.now.advanced(by: TimeSpan(seconds: 86400))
        ledger.note(failures: [0: "no route"], done: [], of: plan, at: later)
        let failure = try #require(ledger.failures(of: resource, in: "default").first)
        #expect(failure.since == Self.now && failure.error == "no route")
        // Neither done nor tried.
        ledger.note(failures: [:], done: [], of: plan, at: later)
        #expect(ledger.arrears?.count == 1)
        var succeeded = ledger
        succeeded.note(failures: [:], done: [0], of: plan, at: later)
        #expect(succeeded.arrears == nil)
        // Nor does an older point end it, and a newer one does.
        let context = Sample.context()
        let old = ledger.after(Self.observed([60]), desired: BackupPlanTests.nightly(), context: context)
        #expect(old.failures(of: resource, in: "default").count == 1)
        var observed = Self.observed([-7200])
        observed.takenAt = later
        var next = context
        next.now = later
        #expect(ledger.after(observed, desired: BackupPlanTests.nightly(), context: next).arrears == nil)
    }

}
