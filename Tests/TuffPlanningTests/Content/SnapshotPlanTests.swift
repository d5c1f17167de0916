import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct SnapshotPlanTests {
    static let prune = Sample.context { $0.prune = true }
    static let taken = VolumeLocation.logicalVolume(group: "vg0", name: "s-before")
    let uid = Sample.uid(9)

    func plan(_ desired: DesiredState, _ observed: ObservedState, _ context: PlanContext = Sample.context()) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: context)
    }

    func change(_ plan: Plan, _ kind: Kind = .snapshot, _ name: String = "before") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    func steps(_ plan: Plan) -> [Step] { plan.storageSteps }

    func desired(_ volumes: [String] = ["db"], snapshotOf volume: String = "db") -> DesiredState {
        var desired = Sample.desired(volumes: volumes)
        desired.snapshots["before"] = Sample.declared("before", SnapshotSpec(volume: volume))
        return desired
    }

    func snapshot(of origin: UID = Sample.uid, _ change: (inout Marks) -> Void = { _ in }) -> LogicalVolume {
        var marks = Marks(uid: uid, role: .snapshot("before"), stack: "default", origin: origin)
        change(&marks)
        return LogicalVolume(
            name: marks.until == nil ? "s-before" : "t-\(uid)", uuid: "uuid-snap", size: Sample.gibi(10),
            tags: marks.tags, pool: "tp0", origin: "v-db")
    }

    // MARK: Taking

    @Test func aSnapshotIsTakenInOneActWithItsLineage() throws {
        let plan = plan(desired(), Sample.observed([Sample.volume(active: true)]))
        guard case .volume(.copy(let source, let location, let marks))? = steps(plan).first else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(plan.steps.count == 1)
        #expect(source.description == "vg0/v-db" && source.uid == Sample.uid && source.uuid == "uuid-db")
        #expect(location == Self.taken)
        #expect(marks.role == .snapshot("before") && marks.origin == Sample.uid && marks.iqn == nil)
        #expect(Marks.read(marks.tags) == .ours(marks))
        #expect(change(plan)?.action == .create)
    }

    @Test func aSnapshotOfAVolumeOfTheSamePlanWaitsForIt() throws {
        let plan = plan(desired(), Sample.observed())
        #expect(plan.steps.count == 2)
        #expect(plan.steps[1].after == [0])
    }

    @Test func aSnapshotThatIsThereStaysAsItIs() {
        let plan = plan(desired(), Sample.observed([Sample.volume(), snapshot()]), Self.prune)
        #expect(plan.isEmpty)
        #expect(change(plan)?.action == .unchanged)
    }

    @Test func aSnapshotOfAnotherVolumeIsNotTakenForThisOne() {
        let plan = plan(desired(), Sample.observed([Sample.volume(), snapshot(of: Sample.uid(3))]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .nameTaken)
    }

    @Test func snapshotsAreNotCountedAsPromisedRoom() {
        var desired = desired()
        desired.volumes["more"] = Sample.declared("more", VolumeSpec(size: Sample.gibi(300), placement: .pool("fast")))
        // 90 GiB less 10 %, times 4, is 324 GiB: room for 10 + 300 and not for another 10.
        let taken = plan(desired, Sample.observed([Sample.volume(), snapshot()]))
        #expect(change(taken, .volume, "more")?.action == .create)
        var full = Sample.group([Sample.volume()])
        full.logicalVolumes[0].dataPercent = 95
        var observed = Sample.observed()
        observed.volumeGroups = ObservationMap(["vg0": .known(full)])
        let refused = plan(self.desired(), observed)
        #expect(refused.isEmpty)
        #expect(change(refused)?.reason == .insufficientCapacity)
    }

    @Test func aSnapshotOfWhatIsNotThereIsBlocked() {
        var broken = Sample.volume { $0.operation = "elsewhere" }
        broken.name = "v-db"
        let plan = plan(desired(), Sample.observed([broken]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .dependencyBlocked)
    }

    @Test func aSuspendedVolumeIsNotWaitedFor() {
        var suspended = Sample.volume(active: true)
        suspended.suspended = true
        let plan = plan(desired(), Sample.observed([suspended]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .suspended)
    }

    @Test func aVanishedSnapshotIsLost() {
        var observed = Sample.observed([Sample.volume()])
        observed.ledger = observed.ledger.after(
            Sample.observed([Sample.volume(), snapshot()]), desired: desired(), context: Sample.context())
        let lost = plan(desired(), observed)
        #expect(lost.isEmpty)
        #expect(change(lost)?.reason == .lost)
    }

    // MARK: Removal and return

    @Test func anUndeclaredSnapshotGoesToTheTrashAndComesBack() throws {
        let observed = Sample.observed([Sample.volume(), snapshot()])
        let listed = plan(Sample.desired(), observed)
        #expect(listed.isEmpty)
        #expect(change(listed)?.action == .orphan)
        let removed = plan(Sample.desired(), observed, Self.prune)
        guard case .volume(.relabel(let trashing))? = steps(removed).first else {
            Issue.record("\(removed.steps)")
            return
        }
        #expect(trashing.to.objectName == "t-\(uid)" && trashing.after.origin == Sample.uid)
        let back = plan(desired(), Sample.observed([Sample.volume(), snapshot { $0.until = trashing.after.until }]))
        guard case .volume(.relabel(let returning))? = steps(back).first else {
            Issue.record("\(back.steps)")
            return
        }
        #expect(change(back)?.action == .untrash)
        #expect(returning.to == Self.taken && returning.after.until == nil)
    }

    @Test func snapshotsCountForTheGuard() {
        var snapshots = (0..<5).map { number in
            var one = snapshot { $0.uid = Sample.uid(UInt8(20 + number)) }
            one.name = "s-\(number)"
            one.uuid = "uuid-\(number)"
            one.tags =
                Marks(
                    uid: Sample.uid(UInt8(20 + number)), role: .snapshot("n\(number)"), stack: "default",
                    origin: Sample.uid
                ).tags
            return one
        }
        snapshots.append(Sample.volume())
        #expect(plan(Sample.desired(), Sample.observed(snapshots), Self.prune).refusal != nil)
    }

    @Test func aRenamedSnapshotIsNotTakenAnew() throws {
        var desired = Sample.desired()
        desired.snapshots["after"] = Sample.declared("after", SnapshotSpec(volume: "db"))
        desired.snapshots["after"]!.metadata.annotations["tuff.dev/renamed-from"] = "before"
        let plan = plan(desired, Sample.observed([Sample.volume(), snapshot()]), Self.prune)
        guard case .volume(.relabel(let change))? = steps(plan).first, plan.steps.count == 1 else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(change.to.objectName == "s-after" && change.after.role == .snapshot("after"))
    }

    @Test func aVolumeGoesWithoutItsThinSnapshots() {
        var desired = Sample.desired(volumes: [])
        desired.snapshots = [:]
        let plan = plan(desired, Sample.observed([Sample.volume(), snapshot()]), Self.prune)
        #expect(change(plan, .volume, "db")?.action == .trash)
    }

    // MARK: Clones

    @Test(arguments: [VolumeSource.volume("db"), .snapshot("before")])
    func aCloneIsACopyThatGrowsToItsOwnSize(_ source: VolumeSource) throws {
        var desired = desired()
        desired.volumes["a-clone"] = Sample.declared(
            "a-clone", VolumeSpec(size: Sample.gibi(12), placement: .pool("fast")))
        desired.volumes["a-clone"]!.spec.source = source
        let plan = plan(desired, Sample.observed([Sample.volume(), snapshot()]))
        let steps = steps(plan)
        guard case .volume(.copy(let from, let location, let marks))? = steps.first,
            case .volume(.extend(let made, Sample.gibi(10), Sample.gibi(12)))? = steps.last
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(steps.count == 2 && made.uid == marks.uid && made.uuid == nil)
        #expect(from.location.objectName == (source == .volume("db") ? "v-db" : "s-before"))
        #expect(location.objectName == "v-a-clone" && marks.iqn == "\(Sample.iqnBase):a-clone")
        #expect(marks.origin == (source == .volume("db") ? Sample.uid : self.uid))
    }

    @Test func aCloneOfASnapshotOfAVolumeOfTheSamePlanComesLast() {
        var desired = desired()
        desired.volumes["a-clone"] = Sample.declared(
            "a-clone", VolumeSpec(size: Sample.gibi(10), placement: .pool("fast")))
        desired.volumes["a-clone"]!.spec.source = .snapshot("before")
        let plan = plan(desired, Sample.observed())
        #expect(plan.steps.map(\.after) == [[], [0], [1]])
        #expect(plan.steps.map { plan.changes[$0.change].resource.name } == ["db", "before", "a-clone"])
    }

    @Test func aCloneIsNeverSmallerThanItsSource() {
        var desired = desired()
        desired.volumes["a-clone"] = Sample.declared(
            "a-clone", VolumeSpec(size: Sample.gibi(1), placement: .pool("fast")))
        desired.volumes["a-clone"]!.spec.source = .volume("db")
        let plan = plan(desired, Sample.observed([Sample.volume(), snapshot()]))
        #expect(plan.isEmpty)
        #expect(change(plan, .volume, "a-clone")?.reason == .wouldShrink)
    }

    @Test func theSourceIsReadOnlyWhenAVolumeIsCreated() {
        var desired = desired(["db", "clone"])
        desired.volumes["clone"]!.spec.source = .snapshot("before")
        let observed = Sample.observed([Sample.volume(), Sample.volume("clone", uid: Sample.uid(5)), snapshot()])
        #expect(plan(desired, observed).isEmpty)
    }

    @Test func documentsInACircleEndThePlanAndNotTheProgram() {
        var desired = Sample.desired(volumes: ["a", "b"])
        desired.volumes["a"]!.spec.source = .volume("b")
        desired.volumes["b"]!.spec.source = .volume("a")
        #expect(plan(desired, Sample.observed()).isEmpty)
    }
}
