import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// A thin device that its pool does not have any more looks like one that nobody has activated. That it could not be is
/// kept.
@Suite struct LostDeviceTests {
    private func apply(
        _ desired: DesiredState, on machine: FakeMachine, _ ledger: MemoryLedger, _ seed: String
    ) async throws -> ApplyReport {
        let context = Sample.context(seed)
        let reconciler = Reconciler(
            machine: machine, config: Sample.config, volumeGroups: LVMDriver(), directories: DirectoryPoolDriver(),
            exports: LIODriver(), ledger: ledger)
        let observed = try await reconciler.observe(desired, context: context)
        return try await reconciler.apply(
            Planner.plan(desired: desired, observed: observed, context: context), desired: desired, observed: observed)
    }

    @Test func thatAVolumeCouldNotBeActivatedIsRememberedUntilItCan() async throws {
        let machine = FakeMachine(FakeWorld())
        let ledger = MemoryLedger()
        #expect(try await apply(Sample.desired(), on: machine, ledger, "1").outcome == .converged)
        machine.meddle { $0.lvm["vg0", "v-db"]?.isLost = true }
        let desired = Sample.desired(volumes: ["db", "web"], attached: ["db", "web"])
        let report = try await apply(desired, on: machine, ledger, "2")
        #expect(report.outcome == .partly, "\(report.changes)")
        func fault(_ name: String) -> String? {
            ledger.load().entry(ResourceID(.volume, name), stack: "default")?.activationFault
        }
        #expect(fault("db")?.contains("No data available") == true)
        #expect(fault("web") == nil)
        // It is tried again, and fails again, and what was said stays.
        #expect(try await apply(desired, on: machine, ledger, "3").outcome != .converged)
        #expect(fault("db") != nil)
        machine.meddle { $0.lvm["vg0", "v-db"]?.isLost = false }
        #expect(try await apply(desired, on: machine, ledger, "4").outcome == .converged)
        #expect(fault("db") == nil)
    }
}
