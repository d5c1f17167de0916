import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// The controller's portals change between every address of a port and one of them, which the kernel lets nobody listen
/// on beside each other, whatever the target.
@Suite struct PortalMoveTests {
    private static let everywhere = Portal(address: "0.0.0.0"), one = Portal(address: "10.0.0.1")
    private static let names = ["a", "b", "c"]

    /// A host with three targets, and what is applied to it.
    private final class Host {
        let machine = FakeMachine(FakeWorld())
        private let ledger = MemoryLedger()
        private var passes = 0

        func apply(
            _ portal: Portal, _ volumes: [String] = names, _ faults: FaultPlan = FaultPlan()
        ) async throws -> ApplyReport {
            passes += 1
            var config = Sample.config
            config.portals = [portal]
            let desired = Sample.desired(volumes: volumes, attached: volumes)
            let context = PlanContext(now: machine.now(), seed: "pass \(passes)", config: config)
            let reconciler = Reconciler(
                machine: machine, config: config, volumeGroups: LVMDriver(), directories: DirectoryPoolDriver(),
                exports: LIODriver(), ledger: ledger)
            let observed = try await reconciler.observe(desired, context: context)
            let plan = Planner.plan(desired: desired, observed: observed, context: context)
            machine.setFaults(faults)
            machine.clearLog()
            let report = try await reconciler.apply(plan, desired: desired, observed: observed)
            machine.setFaults(FaultPlan())
            return report
        }

        /// `a 10.0.0.1:3260` for each portal of ours, sorted.
        func portals() throws -> [String] {
            let entries = try machine.world.targets.read(
                [TreeQuery("iscsi/*/tpgt_1/np/*", .presence)], key: FingerprintKey(bytes: []))
            return entries.map { entry in
                let parts = entry.path.split(separator: "/")
                return "\(parts[1].dropFirst(Sample.iqnBase.count + 1)) \(parts[4])"
            }.sorted()
        }

        var refusals: [HostError] { machine.log.compactMap(\.error) }
    }

    private static func portals(_ portal: Portal, _ names: [String] = names) -> [String] {
        names.map { "\($0) \(portal)" }
    }

    private static func iqn(_ name: String) -> String { "\(Sample.iqnBase):\(name)" }

    private func expectSettled(_ host: Host, _ report: ApplyReport, on portal: Portal, _ note: String = "") throws {
        #expect(report.outcome == .converged, "\(note) \(report.changes)")
        #expect(report.remaining.isEmpty, "\(note) \(report.remaining.steps)")
        #expect(try host.portals() == Self.portals(portal), "\(note)")
        #expect(host.refusals == [], "\(note)")
    }

    @Test func threeTargetsMoveThereAndBackInOneApplyEach() async throws {
        let host = Host()
        for portal in [Self.everywhere, Self.one, Self.everywhere] {
            try await expectSettled(host, host.apply(portal), on: portal)
            let again = try await host.apply(portal)
            #expect(again.plan.isEmpty && again.outcome == .converged)
        }
    }

    @Test func aNewTargetComesWithTheMove() async throws {
        let host = Host()
        _ = try await host.apply(Self.everywhere, ["b", "c"])
        try await expectSettled(host, host.apply(Self.one), on: Self.one)
        #expect(host.machine.world.targets.exists("iscsi/\(Self.iqn("a"))/tpgt_1/np/10.0.0.1:3260"))
    }

    @Test func aSessionHoldsUpTheMoveUntilItEnds() async throws {
        let host = Host()
        _ = try await host.apply(Self.everywhere)
        host.machine.meddle { world in
            let isIn = world.targets.login(initiator: Sample.initiator, to: Self.iqn("b"))
            #expect(isIn)
        }
        for _ in 0..<2 {
            let held = try await host.apply(Self.one)
            #expect(held.outcome == .partly && held.plan.isEmpty && host.refusals == [])
            #expect(try host.portals() == Self.portals(Self.everywhere))
            let blocked = held.changes.filter { $0.verdict == .blocked }
            #expect(blocked.count == 3)
            for change in blocked {
                #expect(
                    change.summary.contains(
                        "0.0.0.0:3260 of target \(Self.iqn("b")), to which \(Sample.initiator) is logged in"),
                    "\(change.summary)")
            }
        }
        host.machine.meddle { $0.targets.logout(initiator: Sample.initiator, from: Self.iqn("b")) }
        try await expectSettled(host, host.apply(Self.one), on: Self.one)
    }

    /// Three portals go and three come. Killed at each of these actions, before and after it, the next apply ends it.
    @Test(arguments: 0..<6, [FaultPlan.ActionFault.crashBefore, .crashAfter])
    func aRunThatIsKilledInBetweenIsGoneOnWith(at action: Int, fault: FaultPlan.ActionFault) async throws {
        let host = Host()
        let note = "\(fault) at \(action)"
        _ = try await host.apply(Self.everywhere)
        _ = try await host.apply(Self.one, Self.names, FaultPlan(actions: [action: fault]))
        #expect(host.machine.isCrashed, "\(note)")
        host.machine.restartController()
        let left = try host.portals()
        if action + (fault == .crashAfter ? 1 : 0) == 3 { #expect(left == [], "\(note)") }
        try await expectSettled(host, host.apply(Self.one), on: Self.one, note)
        #expect(try await host.apply(Self.one).plan.isEmpty, "\(note)")
    }

    /// Where one of the old portals cannot be removed, no new one is tried, since the kernel would refuse it.
    @Test func aPortalThatDoesNotGoAwayIsWaitedFor() async throws {
        let host = Host()
        _ = try await host.apply(Self.everywhere)
        let report = try await host.apply(Self.one, Self.names, FaultPlan(actions: [1: .failBefore]))
        #expect(report.outcome == .failed)
        #expect(host.refusals.count == 1)
        #expect(try host.portals().filter { $0.hasSuffix("10.0.0.1:3260") } == [])
        try await expectSettled(host, host.apply(Self.one), on: Self.one)
    }
}
