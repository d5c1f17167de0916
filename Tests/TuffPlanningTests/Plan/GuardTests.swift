import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct GuardTests {
    static func volumes(_ count: Int) -> [LogicalVolume] {
        (0..<count).map { Sample.volume("v\($0)", uid: Sample.uid(UInt8($0 + 1))) }
    }

    /// The plan of a stack of `all` volumes of which the first `removed` are no longer declared.
    func plan(all: Int, removed: Int, earlier: Int = 0, _ consent: (inout Consent) -> Void = { _ in }) -> Plan {
        let context = Sample.context {
            $0.prune = true
            consent(&$0)
        }
        var observed = Sample.observed(Self.volumes(all))
        for number in 0..<earlier {
            observed.ledger.removals.append(
                Ledger.Removal(
                    stack: "default", resource: ResourceID(.volume, "gone\(number)"),
                    at: context.now.advanced(by: TimeSpan(seconds: -3600))))
        }
        let desired = Sample.desired(volumes: (removed..<all).map { "v\($0)" })
        return Planner.plan(desired: desired, observed: observed, context: context)
    }

    /// 20 % rounded up, at least 1 and at most 3, never all of two or more.
    @Test(arguments: [
        (1, 1, true), (2, 1, true), (2, 2, false), (5, 1, true), (5, 2, false), (6, 2, true), (10, 2, true),
        (10, 3, false), (11, 3, true), (40, 3, true), (40, 4, false),
    ])
    func letsASlipPassAndNoMore(all: Int, removed: Int, passes: Bool) {
        #expect((plan(all: all, removed: removed).refusal == nil) == passes, "\(removed) of \(all)")
    }

    @Test func consentIsTheExactNumber() {
        #expect(plan(all: 10, removed: 5).refusal?.reason == .tooManyRemovals)
        #expect(plan(all: 10, removed: 5).refusal?.help.contains("--allow-removals 5") == true)
        #expect(plan(all: 10, removed: 5) { $0.allowRemovals = 5 }.refusal == nil)
        #expect(plan(all: 10, removed: 5) { $0.allowRemovals = 6 }.refusal?.reason == .consentMismatch)
        #expect(plan(all: 10, removed: 1) { $0.allowRemovals = 2 }.refusal?.reason == .consentMismatch)
        #expect(plan(all: 10, removed: 0) { $0.allowRemovals = 1 }.refusal?.reason == .consentMismatch)
    }

    @Test func removalsOfTheLastDayCount() {
        #expect(plan(all: 9, removed: 1, earlier: 1).refusal == nil)
        #expect(plan(all: 8, removed: 1, earlier: 2).refusal?.reason == .tooManyRemovals)
        // Nothing is refused that removes nothing, whatever was removed before.
        #expect(plan(all: 8, removed: 0, earlier: 9).refusal == nil)
    }

    @Test func whatWasBroughtBackDoesNotCount() {
        let context = Sample.context { $0.prune = true }
        var observed = Sample.observed(Self.volumes(10))
        for name in ["v5", "v6"] {
            observed.ledger.removals.append(
                Ledger.Removal(stack: "default", resource: ResourceID(.volume, name), at: context.now))
        }
        let desired = Sample.desired(volumes: (1..<10).map { "v\($0)" })
        #expect(Planner.plan(desired: desired, observed: observed, context: context).refusal == nil)
    }

    @Test func aRemovalThatIsCarriedOnDoesNotCountTwice() {
        let context = Sample.context { $0.prune = true }
        var observed = Sample.observed(Self.volumes(5))
        observed.ledger.removals.append(
            Ledger.Removal(stack: "default", resource: ResourceID(.volume, "v0"), at: context.now))
        let desired = Sample.desired(volumes: (1..<5).map { "v\($0)" })
        #expect(Planner.plan(desired: desired, observed: observed, context: context).refusal == nil)
    }
}
