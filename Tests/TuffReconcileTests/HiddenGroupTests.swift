import Testing
import TuffDrivers
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// Groups that LVM shows no more, though they are there: nothing in them is lost.
@Suite struct HiddenGroupTests {
    private func reconciler(_ machine: FakeMachine, _ ledger: MemoryLedger) -> Reconciler {
        Reconciler(
            machine: machine, config: Sample.config, volumeGroups: LVMDriver(), directories: DirectoryPoolDriver(),
            exports: LIODriver(), ledger: ledger)
    }

    private func plan(
        _ desired: DesiredState, _ machine: FakeMachine, _ ledger: MemoryLedger, _ seed: String
    ) async throws -> (Plan, ObservedState) {
        let context = Sample.context(seed) { $0.prune = true }
        let observed = try await reconciler(machine, ledger).observe(desired, context: context)
        return (Planner.plan(desired: desired, observed: observed, context: context), observed)
    }

    /// With a ledger that knows volume `db`.
    private func inWorld(_ body: (FakeMachine, MemoryLedger) async throws -> Void) async throws {
        let machine = FakeMachine(FakeWorld())
        let ledger = MemoryLedger()
        let (first, observed) = try await plan(Sample.desired(), machine, ledger, "1")
        let report = try await reconciler(machine, ledger).apply(first, desired: Sample.desired(), observed: observed)
        #expect(report.outcome == .converged)
        try await body(machine, ledger)
    }

    @Test func whatAFilterHidesIsUnknown() async throws {
        try await inWorld { machine, ledger in
            machine.meddle { $0.lvm["vg0"]?.isHidden = true }
            // Whether or not documents still name it.
            for desired in [Sample.desired(volumes: ["db", "web"]), Sample.desired(volumes: ["web"])] {
                let (plan, observed) = try await plan(desired, machine, ledger, "2")
                #expect(observed.volumeGroups["vg0"].isUnknown && plan.steps.isEmpty)
                #expect(plan.changes.contains { $0.reason == .unknown })
                #expect(!plan.changes.contains { $0.reason == .lost || $0.summary.contains("forget") })
            }
            machine.meddle { $0.lvm["vg0"]?.isHidden = false }
            let (plan, _) = try await plan(Sample.desired(), machine, ledger, "3")
            #expect(plan.steps.isEmpty && plan.changes.allSatisfy { $0.action == .unchanged })
        }
    }

    @Test func whatIsGoneIsLostAsBefore() async throws {
        try await inWorld { machine, ledger in
            machine.meddle { $0.lvm.groups = [] }
            let (plan, observed) = try await plan(Sample.desired(), machine, ledger, "2")
            #expect(observed.volumeGroups["vg0"] == .known(nil))
            #expect(plan.changes.contains { $0.reason == .lost })
        }
    }

    @Test func aGroupThatWasGivenToAnotherHostIsChangedByNobody() async throws {
        try await inWorld { machine, ledger in
            machine.meddle {
                $0.lvm.systemID = "renamed"
                $0.lvm["vg0"]?.systemID = "tufflab"
            }
            let desired = Sample.desired(volumes: ["db", "web"], attached: ["db"])
            let (plan, _) = try await plan(desired, machine, ledger, "2")
            #expect(plan.steps.isEmpty)
            #expect(plan.changes.contains { $0.reason == .foreignGroup && $0.resource.kind == .pool })
            #expect(!plan.changes.contains { $0.reason == .lost || $0.summary.contains("forget") })
            // Nor is anything pruned there.
            let (emptied, _) = try await self.plan(Sample.desired(volumes: []), machine, ledger, "3")
            #expect(emptied.steps.isEmpty)
        }
    }
}
