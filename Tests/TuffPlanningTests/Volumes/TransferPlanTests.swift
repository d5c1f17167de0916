import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Copies between a thin pool and a thick one.
@Suite struct TransferPlanTests {
    let copyUID = Sample.uid(5)

    func plan(_ desired: DesiredState, _ observed: ObservedState) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context())
    }

    func steps(_ plan: Plan) -> [Step] { plan.storageSteps }

    func change(_ plan: Plan, _ name: String = "copy") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(.volume, name) }
    }

    /// `db` in a thin pool, its snapshot `before`, and copies of either in a thick pool.
    func desired(_ source: VolumeSource, copies: [String] = ["copy"], _ size: ByteCount = Sample.gibi(12))
        -> DesiredState
    {
        var desired = Sample.desired()
        desired.pools["slow"] = Sample.declared("slow", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))))
        desired.snapshots["before"] = Sample.declared("before", SnapshotSpec(volume: "db"))
        for name in copies {
            var spec = VolumeSpec(size: size, placement: .pool("slow"))
            spec.source = source
            desired.volumes[name] = Sample.declared(name, spec)
        }
        return desired
    }

    func observed(_ more: [LogicalVolume] = [], _ change: (inout LogicalVolume) -> Void = { _ in }) throws
        -> ObservedState
    {
        var origin = Sample.volume()
        change(&origin)
        let marks = Marks(uid: Sample.uid(9), role: .snapshot("before"), stack: "default", origin: Sample.uid)
        let snapshot = LogicalVolume(
            name: "s-before", uuid: "uuid-snap", size: Sample.gibi(10), tags: marks.tags, pool: "tp0", origin: "v-db")
        var observed = Sample.observed([origin, snapshot] + more)
        var group = try #require(observed.volumeGroups["vg0"].value ?? nil)
        group.free = Sample.gibi(80)
        observed.volumeGroups.entries["vg0"] = .known(group)
        return observed
    }

    func interrupted(from origin: UID) -> LogicalVolume {
        var marks = Sample.marks("copy", uid: copyUID)
        marks.operation = Marks.copying
        marks.origin = origin
        return LogicalVolume(
            name: "v-copy", uuid: "uuid-copy", size: Sample.gibi(12), tags: marks.tags, layout: .linear)
    }

    @Test func aCopyIsMarkedUnfinishedUntilItIsFilled() throws {
        let plan = plan(desired(.snapshot("before")), try observed())
        let steps = steps(plan)
        try #require(steps.count == 6)
        guard case .volume(.create(.thick("vg0"), let made, Sample.gibi(12), let marks)) = steps[0],
            case .lvm(.activate(let source)) = steps[1],
            case .lvm(.activate(VolumeRef(made, uid: marks.uid))) = steps[2],
            case .volume(.fill(AnyUUID(made, marks.uid), source, "copy")) = steps[3],
            case .lvm(.complete(AnyUUID(made, marks.uid), Sample.gibi(12), "copy")) = steps[4],
            case .lvm(.deactivate(source)) = steps[5],
            source.uid == Sample.uid(9), source.uuid == "uuid-snap"
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(marks.operation == Marks.copying && marks.origin == Sample.uid(9))
    }

    @Test func itIsAttachedAfterItIsComplete() throws {
        var desired = desired(.snapshot("before"))
        desired.attachments = Sample.desired(volumes: ["copy"], attached: ["copy"]).attachments
        let plan = plan(desired, try observed())
        let complete = try #require(
            plan.steps.firstIndex { if case .lvm(.complete) = $0.step { true } else { false } })
        let firstExport = try #require(plan.steps.firstIndex { if case .export = $0.step { true } else { false } })
        #expect(complete < firstExport)
        #expect(plan.steps[firstExport].after.allSatisfy { $0 > complete })
    }

    @Test func whatMayChangeMeanwhileIsNotCopied() throws {
        var attached = desired(.volume("db"))
        attached.attachments = Sample.desired(attached: ["db"]).attachments
        #expect(change(plan(attached, try observed()))?.reason == .inUse)
        let open = plan(desired(.volume("db")), try observed { $0.open = true })
        #expect(change(open)?.reason == .inUse)
        #expect(change(open)?.summary.contains("take a Snapshot") == true)
        #expect(!steps(plan(desired(.volume("db")), try observed())).isEmpty)
    }

    @Test func whatIsNotCompleteIsNoSource() throws {
        let plan = plan(desired(.volume("copy"), copies: ["second"]), try observed([interrupted(from: Sample.uid(9))]))
        #expect(change(plan, "second")?.action == .blocked)
        #expect(!steps(plan).contains { if case .volume(.fill) = $0 { true } else { false } })
    }

    @Test func anInterruptedCopyIsResumedFromTheSameSource() throws {
        let steps = steps(plan(desired(.snapshot("before")), try observed([interrupted(from: Sample.uid(9))])))
        guard steps.count == 5, case .volume(.fill(copyUID, Sample.uid(9), _)) = steps[2] else {
            Issue.record("\(steps)")
            return
        }
    }

    @Test func anInterruptedCopyIsNotGoneOnWithFromAnotherSource() throws {
        let plan = plan(desired(.snapshot("before")), try observed([interrupted(from: Sample.uid(3))]))
        #expect(steps(plan).isEmpty)
        #expect(change(plan)?.reason == .unfinished)
        #expect(change(plan)?.summary.contains("\(Sample.uid(3))") == true)
    }

    @Test func oneSourceIsReadByOneCopyAtATime() throws {
        let plan = plan(desired(.snapshot("before"), copies: ["one", "two"]), try observed())
        let created = plan.steps.filter { if case .volume(.create) = $0.step { true } else { false } }
        let freed = plan.steps.filter { if case .lvm(.deactivate) = $0.step { true } else { false } }
        try #require(created.count == 2 && freed.count == 2)
        // The second begins when the first has given the source back: else it would lose it in the middle. It needs
        // nothing of the first, though, which may fail in every pass.
        #expect(created[1].behind == [freed[0].id] && created[1].after.isEmpty)
    }

    /// The source has grown since, or the document asks for more; nothing else would end that.
    @Test func anInterruptedCopyGrowsBeforeItIsGoneOnWith() throws {
        let begun = try observed([interrupted(from: Sample.uid(9))])
        let steps = steps(plan(desired(.snapshot("before"), Sample.gibi(14)), begun))
        let place = VolumeLocation.logicalVolume(group: "vg0", name: "v-copy")
        #expect(
            steps.first
                == .volume(
                    .extend(
                        VolumeRef(place, uid: copyUID, uuid: "uuid-copy"), from: Sample.gibi(12), to: Sample.gibi(14))))
        #expect(
            steps.contains(
                .lvm(
                    .complete(
                        VolumeRef(place, uid: copyUID, uuid: "uuid-copy"), size: Sample.gibi(14), operation: "copy"))))
        let huge = plan(desired(.snapshot("before"), Sample.gibi(200)), begun)
        #expect(change(huge)?.reason == .insufficientCapacity && self.steps(huge).isEmpty)
    }

    @Test func anInterruptedCopySmallerThanItsSourceSaysWhatToWrite() throws {
        var begun = interrupted(from: Sample.uid)
        begun.size = Sample.gibi(8)
        let plan = plan(desired(.volume("db"), Sample.gibi(8)), try observed([begun]))
        #expect(change(plan)?.reason == .wouldShrink && change(plan)?.summary.contains("write 10Gi") == true)
        #expect(steps(plan).isEmpty)
    }

    @Test func aSourceThatAnInterruptedCopyLeftActiveIsGivenBack() throws {
        var observed = try observed([interrupted(from: Sample.uid(9))])
        var group = try #require(observed.volumeGroups["vg0"].value ?? nil)
        let index = try #require(group.logicalVolumes.firstIndex { $0.name == "s-before" })
        group.logicalVolumes[index].active = true
        observed.volumeGroups.entries["vg0"] = .known(group)
        let source = VolumeLocation.logicalVolume(group: "vg0", name: "s-before")
        let steps = steps(plan(desired(.snapshot("before")), observed))
        #expect(steps.last == .lvm(.deactivate(VolumeRef(source, uid: Sample.uid(9), uuid: "uuid-snap"))))
        // What the first of two gave back is brought again for the second.
        let both = self.steps(plan(desired(.snapshot("before"), copies: ["copy", "other"]), observed))
        #expect(both.count { $0 == .lvm(.activate(VolumeRef(source, uid: Sample.uid(9), uuid: "uuid-snap"))) } == 2)
    }

    @Test func aVolumeThatIsInUseAgainStaysActive() throws {
        let steps = steps(plan(desired(.volume("db")), try observed { $0.active = true }))
        #expect(!steps.contains { if case .lvm(.deactivate) = $0 { true } else { false } })
    }

    @Test func aCopyLargerThanTheRoomIsRefusedBeforeAnythingIsMade() throws {
        let plan = plan(desired(.snapshot("before"), Sample.gibi(200)), try observed())
        #expect(steps(plan).isEmpty)
        #expect(change(plan)?.reason == .insufficientCapacity)
    }
}
