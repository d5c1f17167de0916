import Synchronization
import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// A machine on which somebody does something right before the first action on the target stack.
final class InterferedMachine: Machine {
    let machine: FakeMachine
    private let interference: Mutex<(@Sendable (inout FakeWorld) -> Void)?>

    init(_ machine: FakeMachine, _ interference: @escaping @Sendable (inout FakeWorld) -> Void) {
        self.machine = machine
        self.interference = Mutex(interference)
    }

    func clock() -> ClockReading { machine.clock() }
    func read(_ command: Command) async throws(HostError) -> CommandOutput { try await machine.read(command) }
    func readTree(
        _ root: HostPath.Root, _ queries: [TreeQuery], key: FingerprintKey
    ) async throws(HostError) -> [TreeEntry] { try await machine.readTree(root, queries, key: key) }
    func space(of directory: String) async throws(HostError) -> FileSystemSpace {
        try await machine.space(of: directory)
    }
    func fingerprint(
        _ secret: SecretReference, key: FingerprintKey
    ) async throws(HostError) -> SecretFingerprint { try await machine.fingerprint(secret, key: key) }

    func image(_ source: ImageSource) async throws(HostError) -> ObservedImage {
        try await machine.image(source)
    }

    func perform(_ actions: [HostAction]) async throws(HostError) {
        let concernsTargets = actions.contains { "\($0)".contains("config/target") }
        if concernsTargets, let once = interference.withLock({ $0.take() }) { machine.meddle(once) }
        try await machine.perform(actions)
    }
}

/// Names of devices may change at any moment; what is handed out is the volume that was meant.
@Suite struct DeviceTests {
    private func reconciler(_ machine: any Machine) -> Reconciler {
        Reconciler(
            machine: machine, config: Sample.config, volumeGroups: LVMDriver(), directories: DirectoryPoolDriver(),
            exports: LIODriver())
    }

    private func apply(_ desired: DesiredState, on machine: any Machine, _ seed: String) async throws -> ApplyReport {
        let context = Sample.context(seed)
        let reconciler = reconciler(machine)
        let observed = try await reconciler.observe(desired, context: context)
        return try await reconciler.apply(
            Planner.plan(desired: desired, observed: observed, context: context), desired: desired, observed: observed)
    }

    /// Another volume is under the name of `v-db`.
    private static let rename: @Sendable (inout FakeWorld) -> Void = { world in
        try? world.lvm.rename("v-db", to: "v-elsewhere", in: "vg0")
        try? world.lvm.rename("other", to: "v-db", in: "vg0")
    }

    private func world() -> FakeWorld {
        var world = FakeWorld()
        try? world.lvm.create("other", in: "vg0", pool: "tp0", size: Sample.gibi(10))
        return world
    }

    @Test(arguments: [true, false]) func aVolumeUnderTheNameOfAnotherIsNotHandedOut(existsBefore: Bool) async throws {
        let machine = FakeMachine(world())
        if existsBefore { #expect(try await apply(Sample.desired(), on: machine, "1").outcome == .converged) }
        let desired = Sample.desired(attached: ["db"])
        let report = try await apply(desired, on: InterferedMachine(machine, Self.rename), "2")
        let change = try #require(report.changes.first { $0.resource.kind == .attachment })
        #expect(change.verdict == .failed && change.error?.code == .preconditionFailed, "\(change)")
        #expect(machine.world.exportedVolumes().isEmpty)
        #expect(try await apply(desired, on: machine, "3").outcome == .converged)
        #expect(machine.world.exportedVolumes() == ["/dev/vg0/v-elsewhere"])
    }

    /// Nothing that the kernel opened is known as a disk, by its serial number, before it is proven to be the volume.
    @Test func aDeviceIsProvenWhenTheKernelOpensItAndNamedAfterThat() async throws {
        let spec = BackstoreSpec(
            uid: Sample.uid, location: .logicalVolume(group: "vg0", name: "v-db"), deviceUUID: "LVM-x",
            size: Sample.gibi(1), identity: DiskIdentity(serial: Sample.uid.serial), discard: false)
        for step in [ExportStep.createBackstore(spec), .repairBackstore(spec, enable: true)] {
            let actions = LIODriver().lower([step]).flatMap(\.actions)
            let condition = HostAction.require(.device(group: "vg0", name: "v-db", uid: Sample.uid, uuid: "LVM-x"))
            let opening = HostAction.enableBackstore(
                .target(LIOPath.backstore(spec)),
                opening: .device(DevicePlace(group: "vg0", name: "v-db", uid: Sample.uid, uuid: "LVM-x")))
            let serial = HostAction.writeAttribute(
                .target("\(LIOPath.backstore(spec))/wwn/vpd_unit_serial"), Sample.uid.serial, verify: false)
            let order = [condition, opening, serial].map { actions.firstIndex(of: $0) ?? -1 }
            #expect(order == order.sorted() && order[0] >= 0, "\(actions)")
            #expect(actions.last == serial)
        }
    }
}
