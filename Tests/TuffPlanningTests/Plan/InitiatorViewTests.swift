import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Plans name things as they are seen from outside.
struct InitiatorViewTests {
    private func observed(
        _ backstores: [ObservedBackstore] = [], _ targets: [ObservedTarget] = []
    ) -> ObservedState {
        let volume = LogicalVolume(
            name: "v-db", uuid: "db-uuid", size: Sample.gibi(10), tags: Sample.marks().tags, active: true, pool: "tp0")
        return ObservedState(
            takenAt: Sample.context().now, volumeGroups: ObservationMap(["vg0": .known(Sample.group([volume]))]),
            targets: .known(TargetInventory(backstores: backstores, targets: targets)))
    }

    private func change(_ driver: TargetDriver, _ observed: ObservedState) throws -> PlannedChange {
        var context = Sample.context()
        context.config.targetDriver = driver
        let plan = Planner.plan(desired: Sample.desired(attached: ["db"]), observed: observed, context: context)
        return try #require(plan.changes.first { $0.resource.kind == .attachment })
    }

    @Test(arguments: [(TargetDriver.lio, "LUN 0 to"), (.tgt, "LUN 1 to")])
    func theLUNIsTheOneInitiatorsSee(_ driver: TargetDriver, _ words: String) throws {
        #expect(try change(driver, observed()).summary.contains(words))
    }

    @Test func aSizeThatIsToldInMegabytesIsNotShownAsExact() throws {
        let backstore = ObservedBackstore(
            name: Sample.uid.backstoreName, place: "tid 70000 lun 1", path: "/dev/vg0/v-db", enabled: true,
            identity: DiskIdentity(serial: Sample.uid.serial), size: ByteCount(84_000_000), sizeIsRounded: true)
        let mapped = ObservedMappedLUN(number: 0, lun: 0, readOnly: false)
        let target = ObservedTarget(
            iqn: "\(Sample.iqnBase):db", place: "70000", enabled: true, settings: [.authentication: false],
            portals: [Portal(address: "192.0.2.10")],
            luns: [ObservedLUN(number: 0, backstore: backstore.name)],
            acls: [ObservedACL(initiator: Sample.initiator, mappedLUNs: [mapped])])
        let differences = try change(.tgt, observed([backstore], [target])).differences
        #expect(differences == [FieldDifference("backstore.size", from: "about 84 MB", to: "10 GiB")])
    }

    @Test func manyStrayTargetsAreOneLine() {
        let targets = (1...40).map { ObservedTarget(iqn: "\(Sample.iqnBase):stray\($0)") }
        func strays(_ count: Int) -> [PlannedChange] {
            Planner.plan(
                desired: Sample.desired(volumes: []), observed: observed([], Array(targets.prefix(count))),
                context: Sample.context()
            ).changes.filter { $0.summary.contains("under our base") }
        }
        #expect(strays(2).count == 2)
        #expect(strays(40).count == 1)
        #expect(strays(40)[0].summary.contains("belongs to no volume of ours, like 39 more"))
    }
}
