import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// A backstore is told by the device it holds, where that is known, and not by a path that a rename makes stale.
@Suite struct DeviceNumberTests {
    static let ours = DeviceNumber(major: 254, minor: 7)

    private func plan(path: String, held: DeviceNumber?, device: DeviceNumber?, session: Bool = false) -> Plan {
        var volume = Sample.volume(active: true)
        volume.device = device
        let targets = Sample.export { target, backstore in
            backstore.path = path
            backstore.device = held
            if session { target.acls[0].sessions = [ObservedSession(state: "LOGGED_IN")] }
        }
        return Planner.plan(
            desired: Sample.desired(attached: ["db"]), observed: Sample.observed([volume], targets: targets),
            context: Sample.context())
    }

    private func exports(_ plan: Plan) -> [ExportStep] {
        plan.steps.compactMap { if case .export(let step) = $0.step { step } else { nil } }
    }

    private func change(_ plan: Plan) -> PlannedChange? { plan.changes.first { $0.resource.kind == .attachment } }

    @Test(arguments: [false, true]) func aRenamedDeviceKeepsItsExportAndItsSessions(session: Bool) throws {
        let plan = plan(path: "/dev/vg0/v-former", held: Self.ours, device: Self.ours, session: session)
        let only = try #require(exports(plan).first)
        #expect(exports(plan).count == 1)
        guard case .relabelBackstore(let spec) = only else {
            Issue.record("\(only)")
            return
        }
        #expect(spec.location.path == "/dev/vg0/v-db" && spec.place == "iblock_7")
        #expect(change(plan)?.risk == .online)
        #expect(
            change(plan)?.differences == [
                FieldDifference("backstore.path", from: "/dev/vg0/v-former", to: "/dev/vg0/v-db")
            ])
    }

    @Test func anotherDeviceUnderTheRightNameIsNotOurs() {
        let plan = plan(path: "/dev/vg0/v-db", held: DeviceNumber(major: 254, minor: 8), device: Self.ours)
        #expect(change(plan)?.differences == [FieldDifference("backstore.device", from: "254:8", to: "254:7")])
        #expect(change(plan)?.risk == .interruptsIO)
        #expect(exports(plan).contains(.removeBackstore(uid: Sample.uid, place: "iblock_7")))
    }

    @Test func anotherDeviceIsNotTakenAwayFromASession() {
        let plan = plan(
            path: "/dev/vg0/v-db", held: DeviceNumber(major: 254, minor: 8), device: Self.ours, session: true)
        #expect(plan.isEmpty && change(plan)?.reason == .inUse)
    }

    @Test(arguments: [
        (DeviceNumber?.none, DeviceNumber?.some(ours)), (.some(ours), .none), (.none, .none),
        (.some(ours), .some(ours)),
    ])
    func theRightPathIsEnoughWhereANumberIsMissing(held: DeviceNumber?, device: DeviceNumber?) {
        #expect(plan(path: "/dev/vg0/v-db", held: held, device: device).isEmpty)
    }
}
