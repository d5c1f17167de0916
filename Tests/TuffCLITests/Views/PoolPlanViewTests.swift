import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

@testable import TuffCLI

/// Views of a pool that is to be made, before and after a person agrees to it.
@Suite struct PoolPlanViewTests {
    private static let paths = ["/dev/disk/by-id/nvme-EXAMPLE_0001", "/dev/disk/by-id/nvme-EXAMPLE_0002"]

    private func plan(_ change: (inout Consent, inout CandidateDevice) -> Void) -> Plan {
        var create = PoolCreation(devices: Self.paths)
        create.thinPoolSize = Percentage(80)
        var lvm = LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp0")
        lvm.create = create
        var pool = PoolSpec(backend: .lvm(lvm))
        pool.autoExtend = AutoExtendSpec(threshold: Percentage(80), by: Percentage(20))
        var desired = DesiredState()
        desired.pools["fast"] = Sample.declared("fast", pool)
        desired.volumes["db"] = Sample.declared("db", VolumeSpec(size: Sample.gibi(20), placement: .pool("fast")))
        var second = device(1), consent = Consent()
        change(&consent, &second)
        var observed = ObservedState(takenAt: Examples.context.now)
        observed.devices = ObservationMap([Self.paths[0]: .known(device(0)), Self.paths[1]: .known(second)])
        var context = Examples.context
        context.consent = consent
        return Planner.plan(desired: desired, observed: observed, context: context)
    }

    private func device(_ index: Int) -> CandidateDevice {
        CandidateDevice(
            path: Self.paths[index], node: "/dev/nvme\(index)n1", number: DeviceNumber(major: 259, minor: index),
            size: ByteCount(1_000_204_886_016))
    }

    @Test func aPoolThatMayBeMadeAndTheCommandsThatMakeIt() {
        let plan = plan { consent, _ in consent.allowPoolCreate = true }
        #expect(plan.refusal == nil && plan.changes.allSatisfy { $0.action == .create })
        let commands = plan.steps.compactMap { planned -> (change: Int, actions: [HostAction])? in
            guard case .pool(let step) = planned.step else { return nil }
            return (planned.change, LVMDriver().lower([step]).flatMap(\.actions))
        }
        expectGolden(PlanView(plan, commands: commands).text(Style()), "Golden/plan-pool.txt")
    }

    @Test func withoutConsentItIsBlockedAndTheLineSaysWhatItWouldDo() {
        let plan = plan { _, _ in }
        #expect(plan.isEmpty && plan.changes.contains { $0.reason == .consentNeeded })
        expectGolden(PlanView(plan).text(Style()), "Golden/plan-pool-consent.txt")
    }

    @Test func aDeviceThatHoldsSomethingIsNamed() {
        let plan = plan { consent, device in
            consent.allowPoolCreate = true
            device.signatures = [DeviceSignature(type: "xfs", offset: 0)]
        }
        #expect(plan.isEmpty && plan.changes.contains { $0.reason == .deviceNotBlank })
        expectGolden(PlanView(plan).text(Style()), "Golden/plan-pool-refused.txt")
    }
}
