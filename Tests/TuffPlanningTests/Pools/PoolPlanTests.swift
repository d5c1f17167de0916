import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Pools that are not there: made of blank devices, with consent, and never a second time.
@Suite struct PoolPlanTests {
    static let paths = ["/dev/disk/by-id/wwn-1", "/dev/disk/by-id/wwn-2"]
    static let gibi = ByteCount.gibi

    /// Pool `new` with thin pool vg1/tp1, made of two devices, and volume `db` in it.
    static func desired(thinPool: String? = "tp1", _ change: (inout PoolCreation) -> Void = { _ in }) -> DesiredState {
        var create = PoolCreation(devices: paths)
        change(&create)
        var lvm = LVMPoolSpec(volumeGroup: "vg1", thinPool: thinPool)
        lvm.create = create
        var state = DesiredState()
        state.pools["new"] = Sample.declared("new", PoolSpec(backend: .lvm(lvm)))
        state.volumes["db"] = Sample.declared(
            "db", VolumeSpec(size: Sample.gibi(10), placement: .pool("new")))
        return state
    }

    static func blank(_ index: Int, _ change: (inout CandidateDevice) -> Void = { _ in }) -> CandidateDevice {
        var device = CandidateDevice(
            path: paths[index], node: "/dev/sd\(["b", "c"][index])",
            number: DeviceNumber(major: 8, minor: 16 * (index + 1)), size: ByteCount(100 * gibi))
        change(&device)
        return device
    }

    static func observed(
        _ devices: [CandidateDevice] = [blank(0), blank(1)], groups: [VolumeGroup] = []
    ) -> ObservedState {
        var state = ObservedState(
            takenAt: Sample.context().now,
            volumeGroups: ObservationMap(
                Dictionary(uniqueKeysWithValues: groups.map { ($0.name, .known($0)) })))
        state.devices = ObservationMap(Dictionary(uniqueKeysWithValues: devices.map { ($0.path, .known($0)) }))
        return state
    }

    static let consenting = Sample.context { $0.allowPoolCreate = true }

    private func plan(
        _ desired: DesiredState = desired(), _ observed: ObservedState = observed(),
        _ context: PlanContext = consenting
    ) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: context)
    }

    private func pool(_ plan: Plan) throws -> PlannedChange {
        try #require(plan.changes.first { $0.resource.kind == .pool })
    }

    private func poolSteps(_ plan: Plan) -> [PoolStep] {
        plan.steps.compactMap { if case .pool(let step) = $0.step { step } else { nil } }
    }

    @Test func poolAndVolumeAreMadeInOnePlanInThisOrder() throws {
        let plan = plan()
        #expect(try pool(plan).action == .create)
        let steps = poolSteps(plan)
        #expect(steps.count == 5 && steps.allSatisfy { $0.group == "vg1" })
        guard case .prepare(let device, _, let uuid) = steps[0],
            case .createGroup(_, let members, let marks) = steps[2],
            case .createThinPool(let pool) = steps[3], case .complete(_, "tp1", let completed) = steps[4]
        else { throw Unexpected(steps) }
        #expect(device.path == Self.paths[0] && members.map(\.path) == Self.paths && members[0].uuid == uuid)
        #expect(marks == PoolMarks(pool: "new", stack: "default", isBegun: true) && completed == marks)
        #expect(pool.chunkSize == ByteCount(64 << 10) && pool.failsWhenFull && pool.marks == marks)
        // 90 % of 2 × 25594 extents (100 GiB less 17 MiB and an extent), and 64 bytes for each of its chunks.
        #expect(pool.size == ByteCount(46069 * (4 << 20)))
        #expect(pool.metadataSize == ByteCount(180 << 20))
        let last = try #require(plan.steps.lastIndex { if case .pool = $0.step { true } else { false } })
        let volume = try #require(plan.steps.first { if case .volume = $0.step { true } else { false } })
        #expect(volume.after == [last])
    }

    struct Unexpected: Error {
        var steps: [PoolStep]
        init(_ steps: [PoolStep]) { self.steps = steps }
    }

    @Test func withoutConsentNothingIsMadeAndThePlanSaysHow() throws {
        let plan = plan(Self.desired(), Self.observed(), Sample.context())
        #expect(plan.isEmpty)
        #expect(try pool(plan).reason == .consentNeeded)
        #expect(try pool(plan).summary.contains("--allow-pool-create"))
        #expect(plan.changes.first { $0.resource.kind == .volume }?.reason == .consentNeeded)
    }

    static let notBlank: [(String, @Sendable (inout CandidateDevice) -> Void)] = [
        ("ext4", { $0.signatures = [DeviceSignature(type: "ext4", offset: 1080)] }),
        ("gpt", { $0.signatures = [DeviceSignature(type: "gpt", offset: 512)] }),
        (
            "LVM2_member",
            { $0.signatures = [DeviceSignature(type: "LVM2_member", offset: 536, uuid: "somebody-elses")] }
        ),
        ("data at byte 134217784", { $0.firstData = 134_217_784 }),
        ("in use", { $0.isInUse = true }),
        ("read-only", { $0.isReadOnly = true }),
        ("too little", { $0.size = ByteCount(16 << 20) }),
    ]

    @Test(arguments: notBlank.indices) func aDeviceThatIsNotBlankIsRefusedAndNamed(_ index: Int) throws {
        let (what, change) = Self.notBlank[index]
        let plan = plan(Self.desired(), Self.observed([Self.blank(0), Self.blank(1, change)]))
        #expect(plan.isEmpty)
        let found = try pool(plan)
        #expect(found.reason == .deviceNotBlank)
        #expect(found.summary.contains(what) && found.summary.contains(Self.paths[1]), "\(found.summary)")
    }

    @Test func aDeviceThatCannotBeSeenOrIsNotThereStopsThePlan() throws {
        var observed = Self.observed([Self.blank(0)])
        #expect(try pool(plan(Self.desired(), observed)).reason == .deviceMissing)
        observed.devices.entries[Self.paths[1]] = .unknown(HostError(.timeout, "the disk does not answer"))
        #expect(try pool(plan(Self.desired(), observed)).reason == .unknown)
        #expect(plan(Self.desired(), observed).isEmpty)
    }

    @Test func oneDeviceUnderTwoNamesIsFoundOut() throws {
        let twice = Self.observed([Self.blank(0), Self.blank(1) { $0.number = Self.blank(0).number }])
        #expect(try pool(plan(Self.desired(), twice)).reason == .nameTaken)
    }

    @Test func whatAnInterruptedCreationLeftIsFinished() throws {
        guard case .prepare(_, _, let uuid) = poolSteps(plan())[0] else { throw Unexpected([]) }
        let begun = Self.blank(0) {
            $0.signatures = [DeviceSignature(type: "LVM2_member", offset: 536, uuid: uuid)]
            $0.firstData = 512
        }
        let context = Sample.context("ffeeddccbbaa99887766554433221100") { $0.allowPoolCreate = true }
        let second = poolSteps(plan(Self.desired(), Self.observed([begun, Self.blank(1)]), context))
        guard case .prepare(let other, _, _) = second[0], case .createGroup(_, let members, _) = second[1] else {
            throw Unexpected(second)
        }
        #expect(other.path == Self.paths[1] && members[0].uuid == uuid && members[1].uuid != uuid)

        let marks = PoolMarks(pool: "new", stack: "default", isBegun: true)
        let group = VolumeGroup(
            name: "vg1", uuid: "vg1-uuid", size: Sample.gibi(200), free: Sample.gibi(200), tags: marks.tags)
        let third = poolSteps(plan(Self.desired(), Self.observed([], groups: [group]), context))
        guard third.count == 2, case .createThinPool(let pool) = third[0] else { throw Unexpected(third) }
        #expect(pool.groupUUID == "vg1-uuid" && pool.marks == marks)

        var whole = group
        whole.logicalVolumes = [Self.thinPool]
        let fourth = plan(Self.desired(), Self.observed([], groups: [whole]), Sample.context())
        #expect(
            poolSteps(fourth) == [.complete(group: "vg1", thinPool: "tp1", marks)], "needs no consent: nothing is made")
    }

    static let thinPool = LogicalVolume(
        name: "tp1", uuid: "tp1-uuid", size: Sample.gibi(180), layout: .thinPool, active: true, dataPercent: 0,
        metadataPercent: 1, metadataSize: ByteCount(180 << 20), chunkSize: ByteCount(64 << 10))

    @Test func aThinPoolThatVanishedIsLostEvenWithoutALedger() throws {
        let marks = PoolMarks(pool: "new", stack: "default", isBegun: false)
        let group = VolumeGroup(
            name: "vg1", uuid: "vg1-uuid", size: Sample.gibi(200), free: Sample.gibi(200), tags: marks.tags)
        let plan = plan(Self.desired(), Self.observed([], groups: [group]))
        #expect(plan.isEmpty)
        #expect(try pool(plan).reason == .lost)
    }

    @Test func aPoolThatTheLedgerKnowsIsLostAndNotMadeAgain() throws {
        var observed = Self.observed()
        observed.ledger.record(
            Ledger.Entry(
                stack: "default", resource: ResourceID(.pool, "new"), uuid: "a/b", place: "vg1/tp1",
                seen: Sample.context().now))
        #expect(plan(Self.desired(), observed).isEmpty)
        #expect(try pool(plan(Self.desired(), observed)).reason == .lost)
    }

    @Test func aGroupThatSomebodyMadeGetsAThinPoolOnlyIfItIsMadeOfTheseDevices() throws {
        var group = VolumeGroup(
            name: "vg1", uuid: "vg1-uuid", size: Sample.gibi(200), free: Sample.gibi(200),
            physicalVolumes: ["pv-1", "pv-2"])
        func member(_ index: Int, _ uuid: String) -> CandidateDevice {
            Self.blank(index) {
                $0.signatures = [DeviceSignature(type: "LVM2_member", offset: 536, uuid: uuid)]
                $0.isInUse = true
            }
        }
        let within = poolSteps(
            plan(Self.desired(), Self.observed([member(0, "pv-1"), member(1, "pv-2")], groups: [group])))
        guard within.count == 1, case .createThinPool(let pool) = within[0] else { throw Unexpected(within) }
        #expect(pool.marks == nil && pool.groupUUID == "vg1-uuid")
        let others = plan(Self.desired(), Self.observed([member(0, "pv-1"), Self.blank(1)], groups: [group]))
        #expect(try self.pool(others).reason == .deviceNotBlank)
        group.free = Sample.gibi(180)
        let full = plan(Self.desired(), Self.observed([member(0, "pv-1"), member(1, "pv-2")], groups: [group]))
        #expect(try self.pool(full).reason == .insufficientCapacity)
    }

    @Test func aThickPoolIsAGroupAndNothingMore() throws {
        let steps = poolSteps(plan(Self.desired(thinPool: nil)))
        guard steps.count == 3, case .createGroup(_, _, let marks) = steps[2] else { throw Unexpected(steps) }
        #expect(!marks.isBegun)
    }

    @Test func metadataIsSizedByChunksWithinLVMsBounds() throws {
        func sizes(_ total: Int64, _ chunk: Int64, _ share: Int = 90) throws -> ThinPoolSizes {
            try #require(
                ThinPoolSizes(
                    share: Percentage(share), of: ByteCount(total), free: ByteCount(total), chunk: ByteCount(chunk),
                    extent: ByteCount(4 << 20)))
        }
        #expect(try sizes(Self.gibi, 64 << 10).metadata == ByteCount(16 << 20))
        #expect(try sizes(1000 * Self.gibi, 64 << 10).metadata == ByteCount(900 << 20))
        #expect(try sizes(100_000 * Self.gibi, 64 << 10).metadata.bytes <= (255 << 26) - (128 << 20) + (4 << 20))
        let whole = try sizes(100 * Self.gibi, 64 << 10, 100)
        #expect(whole.data + whole.metadata + whole.metadata == ByteCount(100 * Self.gibi))
    }
}
