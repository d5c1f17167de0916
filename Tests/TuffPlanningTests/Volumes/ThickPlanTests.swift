import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct ThickPlanTests {
    let location = VolumeLocation.logicalVolume(group: "vg0", name: "v-db")

    func desired(_ size: ByteCount = Sample.gibi(10), wipe: LVMPoolSpec.Wipe = .zero) -> DesiredState {
        var desired = Sample.desired()
        var lvm = LVMPoolSpec(volumeGroup: "vg0")
        lvm.wipe = wipe
        desired.pools["fast"] = Sample.declared("fast", PoolSpec(backend: .lvm(lvm)))
        desired.volumes["db"]!.spec.size = size
        return desired
    }

    /// The group with these volumes beside its thin pool, and so much room.
    func observed(_ volumes: [LogicalVolume] = [], free: ByteCount = Sample.gibi(80)) throws -> ObservedState {
        var observed = Sample.observed(volumes)
        var group = try #require(observed.volumeGroups["vg0"].value ?? nil)
        group.free = free
        observed.volumeGroups.entries["vg0"] = .known(group)
        return observed
    }

    func thick(_ size: ByteCount = Sample.gibi(10), operation: String? = nil) -> LogicalVolume {
        var marks = Sample.marks()
        marks.operation = operation
        return LogicalVolume(name: "v-db", uuid: "uuid-db", size: size, tags: marks.tags, layout: .linear)
    }

    func plan(_ desired: DesiredState, _ observed: ObservedState, _ consent: Consent = Consent()) -> Plan {
        var context = Sample.context()
        context.consent = consent
        return Planner.plan(desired: desired, observed: observed, context: context)
    }

    @Test func aNewVolumeIsMarkedUnfinishedUntilItIsWiped() throws {
        let plan = plan(desired(), try observed())
        let steps = plan.storageSteps
        try #require(steps.count == 4)
        guard case .volume(.create(.thick("vg0"), location, Sample.gibi(10), let marks)) = steps[0],
            case .lvm(.activate(VolumeRef(location, uid: marks.uid))) = steps[1],
            case .lvm(.wipe(VolumeRef(location, uid: marks.uid), .zero)) = steps[2],
            case .lvm(.complete(AnyUUID(location, marks.uid), Sample.gibi(10), "wipe")) = steps[3]
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(marks.operation == Marks.wiping)
        #expect(plan.steps[2].keys == [.data("/dev/vg0/v-db")])
        #expect(plan.steps[3].after == [plan.steps[2].id])
    }

    @Test func itIsAttachedAfterItIsWipedOnly() throws {
        var attached = desired()
        attached.attachments = Sample.desired(attached: ["db"]).attachments
        let plan = plan(attached, try observed())
        let complete = try #require(plan.steps.first { if case .lvm(.complete) = $0.step { true } else { false } })
        let next = try #require(plan.steps.first { $0.after.contains(complete.id) })
        guard case .lvm(.activate(location)) = next.step else {
            Issue.record("\(next)")
            return
        }
    }

    /// Whatever its own line is blocked for: what it shows is of earlier volumes, and what its initiator wrote would be
    /// wiped when the line is mended.
    @Test(arguments: [Marks.wiping, Marks.copying], ["smaller", "other pool", "no room"])
    func whatIsNotCompleteIsNotHandedOut(operation: String, obstacle: String) throws {
        var attached = desired()
        attached.attachments = Sample.desired(attached: ["db"]).attachments
        switch obstacle {
        case "smaller": attached.volumes["db"]?.spec.size = Sample.gibi(5)
        case "no room": attached.volumes["db"]?.spec.size = Sample.gibi(500)
        default:
            attached.pools["other"] = Sample.declared(
                "other", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp0"))))
            attached.volumes["db"]?.spec.placement = .pool("other")
        }
        let plan = plan(attached, try observed([thick(operation: operation)]))
        #expect(
            !plan.steps.contains {
                switch $0.step {
                case .export, .lvm(.activate): true
                default: false
                }
            }, "\(plan.steps)")
        let attachment = try #require(plan.changes.first { $0.resource.kind == .attachment })
        #expect(attachment.action == .blocked)
    }

    @Test func aPoolThatWipesNothingMakesVolumesAtOnce() throws {
        let plan = plan(desired(wipe: .none), try observed())
        guard plan.steps.count == 1, case .volume(.create(_, _, _, let marks)) = plan.steps[0].step else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(marks.operation == nil)
    }

    @Test func anInterruptedWipeBeginsAnew() throws {
        let plan = plan(desired(), try observed([thick(operation: "wipe")]))
        #expect(
            plan.steps.map(\.step) == [
                .lvm(.activate(VolumeRef(location, uid: Sample.uid, uuid: "uuid-db"))),
                .lvm(.wipe(VolumeRef(location, uid: Sample.uid, uuid: "uuid-db"), wipe: .zero)),
                .lvm(
                    .complete(
                        VolumeRef(location, uid: Sample.uid, uuid: "uuid-db"), size: Sample.gibi(10), operation: "wipe")
                ),
            ])
        #expect(plan.changes.first { $0.resource.name == "db" }?.summary.contains("wipe") == true)
    }

    @Test func theTrashRemembersThatAVolumeIsNotWiped() throws {
        var empty = desired()
        empty.volumes = [:]
        var consent = Consent()
        consent.prune = true
        let plan = plan(empty, try observed([thick(operation: "wipe")]), consent)
        guard case .volume(.relabel(let change))? = plan.steps.first?.step else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(change.after.until != nil && change.after.operation == Marks.wiping)
    }

    private let holder = VolumeLocation.logicalVolume(group: "vg0", name: "x-\(Sample.uid)")

    @Test func itGrowsByExtentsThatAreWipedFirst() throws {
        let plan = plan(desired(Sample.gibi(12), wipe: .discard), try observed([thick()]))
        #expect(
            plan.steps.map(\.step) == [
                .lvm(
                    .takeExtents(
                        VolumeRef(location, uid: Sample.uid, uuid: "uuid-db"), from: Sample.gibi(10),
                        to: Sample.gibi(12))),
                .lvm(.wipeExtents(holder: VolumeRef(holder, uid: Sample.uid), wipe: .discard)),
                .lvm(
                    .joinExtents(
                        VolumeRef(location, uid: Sample.uid, uuid: "uuid-db"), from: Sample.gibi(10),
                        to: Sample.gibi(12))),
            ])
        // Wiping takes hours, and keeps nobody from the group.
        #expect(plan.steps.map(\.keys) == [[.volumeGroup("vg0")], [.data(holder.path)], [.volumeGroup("vg0")]])
        #expect(plan.steps.map(\.after) == [[], [0], [1]])
        // What its document says is shown is joined as it is.
        let careless = self.plan(desired(Sample.gibi(12), wipe: .none), try observed([thick()]))
        #expect(
            careless.steps.map(\.step) == [
                .volume(
                    .extend(
                        VolumeRef(location, uid: Sample.uid, uuid: "uuid-db"), from: Sample.gibi(10),
                        to: Sample.gibi(12)))
            ])
    }

    /// The reserve is a tenth of the group, whatever is promised elsewhere.
    @Test func onlyExtentsThatAreThereArePromised() throws {
        let size = try #require(try observed().volumeGroups["vg0"].value??.size)
        let reserve = ByteCount(size.bytes / 10)
        #expect(plan(desired(), try observed(free: reserve + Sample.gibi(10))).steps.count == 4)
        let tight = plan(desired(), try observed(free: reserve + Sample.gibi(9)))
        #expect(tight.steps.isEmpty)
        #expect(tight.changes.first { $0.resource.name == "db" }?.reason == .insufficientCapacity)
    }

    @Test func extentsThatAnInterruptedGrowthTookAreGivenBack() throws {
        let left = LogicalVolume(
            name: "x-\(Sample.uid)", uuid: "uuid-x", size: Sample.gibi(1), tags: ["tuff-growth"], layout: .linear)
        let whole = plan(desired(), try observed([thick(), left]))
        #expect(
            whole.steps.map(\.step) == [
                .lvm(.dropGrowth(location: .logicalVolume(group: "vg0", name: "x-\(Sample.uid)")))
            ])
        // A growth takes them up itself.
        let growing = plan(desired(Sample.gibi(12)), try observed([thick(), left]))
        #expect(growing.steps.count == 3)
        // Somebody else's volume of such a name is not ours to remove.
        var theirs = left
        theirs.tags = []
        #expect(plan(desired(), try observed([thick(), theirs])).isEmpty)
    }
}
