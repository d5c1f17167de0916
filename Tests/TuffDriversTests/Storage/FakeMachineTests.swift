import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// The fake is only worth something if it keeps LVM's rules; those the drivers rely on are proven here.
struct FakeMachineTests {
    private let driver = LVMDriver()
    private let place = VolumeLocation.logicalVolume(group: "vg0", name: "v-db")
    private var create: Step {
        .volume(
            .create(
                backend: .thinPool(group: "vg0", pool: "tp0"), location: place, size: ByteCount(10_000_000),
                marks: Sample.marks()))
    }

    private func carryOut(_ steps: [Step], on machine: FakeMachine) async throws(HostError) {
        for batch in driver.lower(steps) { try await machine.perform(batch.actions) }
    }

    @Test func aNewVolumeIsRoundedToExtentsAndInactive() async throws {
        let machine = FakeMachine()
        try await carryOut([create], on: machine)
        let volume = try #require(machine.world.lvm["vg0", "v-db"])
        #expect(volume.size == ByteCount(12 << 20))
        #expect(!volume.active)
        #expect(volume.tags.sorted() == Sample.marks().tags)
    }

    @Test func aCrashStopsEveryCallUntilTheControllerIsStartedAgain() async throws {
        let machine = FakeMachine(faults: FaultPlan(actions: [0: .crashAfter]))
        await #expect(throws: HostError.self) { try await carryOut([create], on: machine) }
        #expect(machine.isCrashed)
        await #expect(throws: HostError.self) { try await machine.read(LVMDriver.list) }
        machine.restartController()
        #expect(await driver.observe(machine)["vg0"].value??.logicalVolumes.count == 2)
    }

    @Test func lateWorkIsSeenLater() async throws {
        let machine = FakeMachine(faults: FaultPlan(actions: [0: .late(calls: 2)]))
        await #expect(throws: HostError.self) { try await carryOut([create], on: machine) }
        #expect(await driver.observe(machine)["vg0"].value??.logicalVolumes.count == 1)
        #expect(await driver.observe(machine)["vg0"].value??.logicalVolumes.count == 2)
    }

    @Test func aStaleReadShowsTheWorldBeforeTheLastChange() async throws {
        let machine = FakeMachine(faults: FaultPlan(reads: [FaultPlan.Read(.lvm, 0): .stale]))
        try await carryOut([create], on: machine)
        #expect(await driver.observe(machine)["vg0"].value??.logicalVolumes.count == 1)
        #expect(await driver.observe(machine)["vg0"].value??.logicalVolumes.count == 2)
    }

    @Test func aRebootEmptiesTheTargetsAndDeactivatesVolumes() async throws {
        let machine = FakeMachine()
        try await machine.perform([.makeDirectory(.target("iscsi"))])
        let empty = FakeMachine().world.targets
        #expect(machine.world.targets != empty)
        machine.reboot()
        #expect(machine.world.targets == empty)
        #expect(machine.world.lvm["vg0", "tp0"]?.active == true)
    }

    @Test func remadeDataIsToldFromTheOriginal() throws {
        let machine = FakeMachine()
        machine.meddle { world in try? world.lvm.create("a", in: "vg0", pool: "tp0", size: ByteCount(4 << 20)) }
        let before = try #require(machine.world.lvm["vg0", "a"])
        machine.meddle { world in
            try? world.lvm.remove("a", in: "vg0")
            try? world.lvm.create("a", in: "vg0", pool: "tp0", size: ByteCount(4 << 20))
        }
        let after = try #require(machine.world.lvm["vg0", "a"])
        #expect(before.uuid != after.uuid)
        #expect(before.content != after.content)
    }
}
