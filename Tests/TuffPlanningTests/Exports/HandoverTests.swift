import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// The time that two initiators have had a volume that is handed over.
@Suite struct HandoverTests {
    let both = SharingPlanTests.export([Sample.initiator, SharingPlanTests.web2])
    let desired = SharingPlanTests.desired(.handover, [Sample.initiator, SharingPlanTests.web2])

    func observed(_ targets: TargetInventory, _ ledger: Ledger = Ledger()) -> ObservedState {
        var observed = Sample.observed([Sample.volume(active: true)], targets: targets)
        observed.ledger = ledger
        return observed
    }

    func context(after seconds: Int64) -> PlanContext {
        var context = Sample.context()
        context.now = Instant(secondsSince1970: context.now.secondsSince1970 + seconds)
        return context
    }

    func since(_ ledger: Ledger) -> Instant? { ledger.entry(ResourceID(.volume, "db"), stack: "default")?.sharedSince }

    func notes(_ plan: Plan) -> [String] { plan.changes.filter { $0.resource.kind == .attachment }.flatMap(\.notes) }

    @Test func theFirstPassThatSeesTwoIsRememberedUntilOneIsGone() {
        let begun = Ledger().after(observed(both), desired: desired, context: context(after: 0))
        #expect(since(begun) == Sample.context().now)
        var later = begun.after(observed(both), desired: desired, context: context(after: 600))
        #expect(since(later) == Sample.context().now)
        // An order by hand knows no documents, and targets that hang are not gone.
        later = later.after(observed(both), desired: DesiredState(), context: context(after: 700))
        var hung = observed(both)
        hung.targets = .unknown(HostError(.timeout, "hangs"))
        later = later.after(hung, desired: desired, context: context(after: 800))
        #expect(since(later) == Sample.context().now)
        let one = SharingPlanTests.export([SharingPlanTests.web2])
        #expect(since(later.after(observed(one), desired: desired, context: context(after: 900))) == nil)
        let shared = SharingPlanTests.desired(.writers, [Sample.initiator, SharingPlanTests.web2])
        #expect(since(later.after(observed(both), desired: shared, context: context(after: 900))) == nil)
        #expect(since(Ledger().after(observed(both), desired: shared, context: context(after: 0))) == nil)
    }

    @Test(arguments: [(3600, false), (3601, true)]) func afterAnHourThePlanSaysSo(_ seconds: Int64, _ isLong: Bool) {
        let ledger = Ledger().after(observed(both), desired: desired, context: context(after: 0))
        let plan = Planner.plan(
            desired: desired, observed: observed(both, ledger), context: context(after: seconds))
        #expect(plan.isEmpty)
        #expect(notes(plan).contains { $0.contains(SharingPlanTests.web2) } == isLong)
    }

    @Test func aClockThatWasAheadIsForgotten() {
        var ledger = Ledger().after(observed(both), desired: desired, context: context(after: 9000))
        ledger.forgetTimes(after: Sample.context().now)
        #expect(since(ledger) == Sample.context().now)
    }
}
