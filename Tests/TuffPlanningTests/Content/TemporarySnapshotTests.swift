import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Copies of a thick volume that somebody uses, from a snapshot that is there for that long.
@Suite struct TemporarySnapshotTests {
    static let copyUID = Sample.uid(5), temporaryUID = Sample.uid(6)
    static let source = VolumeLocation.logicalVolume(group: "vg0", name: "v-db")
    static let copy = VolumeLocation.logicalVolume(group: "vg0", name: "v-copy")
    static let temporary = VolumeLocation.logicalVolume(group: "vg0", name: "c-\(copyUID)")

    func desired(reserve: Int? = 20, attached: Bool = true, copies: [String] = ["copy"]) -> DesiredState {
        var desired = attached ? Sample.desired(attached: ["db"]) : Sample.desired()
        var groups = LVMPoolSpec(volumeGroup: "vg0")
        groups.tempSnapshotReserve = reserve.map { Percentage($0) }
        desired.pools["fast"] = Sample.declared("fast", PoolSpec(backend: .lvm(groups)))
        for name in copies {
            var spec = VolumeSpec(size: Sample.gibi(12), placement: .pool("fast"))
            spec.source = .volume("db")
            desired.volumes[name] = Sample.declared(name, spec)
        }
        return desired
    }

    func thick(open: Bool = true, active: Bool = true) -> LogicalVolume {
        LogicalVolume(
            name: "v-db", uuid: "uuid-db", size: Sample.gibi(10), tags: Sample.marks().tags, layout: .linear,
            active: active, open: open)
    }

    /// A copy that was begun.
    func begun(_ operation: String? = Marks.copying, _ change: (inout Marks) -> Void = { _ in }) -> LogicalVolume {
        var marks = Sample.marks("copy", uid: Self.copyUID)
        marks.operation = operation
        marks.origin = Sample.uid
        change(&marks)
        return LogicalVolume(
            name: "v-copy", uuid: "uuid-copy", size: Sample.gibi(12), tags: marks.tags, layout: .linear)
    }

    func taken(
        full: Double? = 10, for purpose: UID = copyUID, stack: String = "default", open: Bool = false,
        origin: String? = "v-db"
    ) -> LogicalVolume {
        let marks = Marks(uid: Self.temporaryUID, role: .temporary(purpose), stack: stack, origin: Sample.uid)
        return LogicalVolume(
            name: "c-\(purpose)", uuid: "uuid-temp", size: Sample.gibi(2), tags: marks.tags, layout: .linear,
            active: full != nil, open: open, origin: origin, dataPercent: full)
    }

    func observed(_ volumes: [LogicalVolume], free: ByteCount = Sample.gibi(80)) throws -> ObservedState {
        var observed = Sample.observed(volumes)
        var group = try #require(observed.volumeGroups["vg0"].value ?? nil)
        group.free = free
        observed.volumeGroups.entries["vg0"] = .known(group)
        return observed
    }

    func plan(_ desired: DesiredState, _ observed: ObservedState) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context("00"))
    }

    /// Steps on volumes, without what an attachment needs.
    func steps(_ plan: Plan, of name: String = "copy") -> [Step] {
        plan.steps.filter { plan.changes[$0.change].resource == ResourceID(.volume, name) }.map(\.step).filter {
            $0.location != nil
        }
    }

    func change(_ plan: Plan, _ resource: ResourceID = ResourceID(.volume, "copy")) -> PlannedChange? {
        plan.changes.first { $0.resource == resource && $0.action != .unchanged }
    }

    func poolSteps(_ plan: Plan) -> [Step] {
        plan.steps.filter { plan.changes[$0.change].resource.kind == .pool }.map(\.step).filter {
            $0.location != nil
        }
    }

    @Test func aVolumeInUseIsCopiedFromASnapshotThatGoesWhenThatIsDone() throws {
        let plan = plan(desired(), try observed([thick()]))
        let steps = steps(plan)
        try #require(steps.count == 8, "\(plan.changes)")
        guard case .volume(.create(.thick("vg0"), Self.copy, Sample.gibi(12), let marks)) = steps[0],
            case .volume(.confirmMade(AnyUUID(Self.copy, marks.uid))) = steps[1],
            case .lvm(
                .snapshotThick(
                    VolumeRef(Self.source, uid: Sample.uid, uuid: "uuid-db"), let place, Sample.gibi(2), let own)) =
                steps[2],
            case .lvm(.activate(VolumeRef(Self.copy, uid: marks.uid))) = steps[3],
            case .volume(.fill(AnyUUID(Self.copy, marks.uid), VolumeRef(place, uid: own.uid), "copy")) = steps[4],
            case .lvm(.confirmWhole(VolumeRef(place, uid: own.uid))) = steps[5],
            case .lvm(.complete(AnyUUID(Self.copy, marks.uid), Sample.gibi(12), "copy")) = steps[6],
            case .lvm(.dropTemporary(let confirmed)) = steps[7]
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(place == .logicalVolume(group: "vg0", name: "c-\(marks.uid)"))
        #expect(own.role == .temporary(marks.uid) && own.origin == Sample.uid && own.uid != marks.uid)
        #expect(confirmed.originUUID == "uuid-db" && confirmed.uid == own.uid && confirmed.purpose == marks.uid)
        #expect(Marks.read(own.tags) == .ours(own))
        #expect(change(plan)?.notes.contains { $0.contains("2 GiB of room") && $0.contains("c-\(marks.uid)") } == true)
    }

    @Test func whatIsBlockedLeavesItsRoomToOthers() throws {
        var both = desired()
        both.volumes["late"] = Sample.declared(
            "late", VolumeSpec(size: Sample.gibi(8), placement: .pool("fast")))
        // Beside the reserve of 10 the copy's own 12 GiB would fit, and not the 2 GiB of the snapshot that it is read
        // from.
        let plan = plan(both, try observed([thick()], free: Sample.gibi(23)))
        #expect(change(plan)?.reason == .insufficientCapacity)
        #expect(change(plan, ResourceID(.volume, "late"))?.action == .create)
    }

    @Test func oneThatNobodyUsesIsReadItself() throws {
        let plan = plan(desired(attached: false), try observed([thick(open: false)]))
        #expect(steps(plan).contains { if case .volume(.fill(_, Self.source, _)) = $0 { true } else { false } })
        #expect(!steps(plan).contains { if case .lvm(.snapshotThick) = $0 { true } else { false } })
    }

    /// One that a document attaches may be written to at any time.
    @Test(arguments: [(true, false), (false, true), (true, true)])
    func inUseIsWhatIsOpenOrAttached(_ open: Bool, _ attached: Bool) throws {
        let plan = plan(desired(attached: attached), try observed([thick(open: open)]))
        #expect(steps(plan).contains { if case .lvm(.snapshotThick) = $0 { true } else { false } })
    }

    @Test func withoutAReserveItWaitsAndSaysWhatWouldHelp() throws {
        let plan = plan(desired(reserve: nil), try observed([thick()]))
        #expect(steps(plan).isEmpty && change(plan)?.reason == .inUse)
        #expect(change(plan)?.summary.contains("tempSnapshotReserve") == true)
    }

    /// Extents have 4 MiB, the volume 2560 of them; the whole of it takes the table of what was kept as well.
    @Test(arguments: zip([1, 20, 100], [26, 512, 2586])) func itsRoomIsAShareOfTheVolumeInExtents(
        _ percent: Int, _ extents: Int
    ) throws {
        let steps = steps(plan(desired(reserve: percent), try observed([thick()])))
        guard case .lvm(.snapshotThick(_, _, let room, _))? = steps.dropFirst(2).first else {
            Issue.record("\(steps)")
            return
        }
        #expect(room == ByteCount(Int64(extents) << 22))
    }

    /// A tenth of the group is kept free.
    @Test func itsRoomIsCounted() throws {
        let kept = ByteCount(Sample.gibi(100).bytes / 10)
        let fits = try observed([thick()], free: kept + Sample.gibi(14))
        #expect(plan(desired(), fits).refusal == nil && !steps(plan(desired(), fits)).isEmpty)
        let tight = try observed([thick()], free: kept + Sample.gibi(13))
        #expect(plan(desired(), tight).steps.allSatisfy { if case .volume(.create) = $0.step { false } else { true } })
        #expect(change(plan(desired(), tight))?.reason == .insufficientCapacity)
    }

    @Test func oneSourceHasOneOfThemAtATime() throws {
        let plan = plan(desired(copies: ["one", "two"]), try observed([thick()]))
        let takes = plan.steps.filter { if case .lvm(.snapshotThick) = $0.step { true } else { false } }
        let drops = plan.steps.filter { if case .lvm(.dropTemporary) = $0.step { true } else { false } }
        try #require(takes.count == 2 && drops.count == 2)
        func waits(_ step: PlannedStep, for id: Int) -> Bool {
            step.id == id || (step.after + step.behind).contains { waits(plan.steps[$0], for: id) }
        }
        #expect(waits(takes[1], for: drops[0].id))
    }

    // MARK: Interrupted

    @Test func anInterruptedCopyGoesOnFromTheSameSnapshot() throws {
        let plan = plan(desired(), try observed([thick(), begun(), taken()]))
        let steps = steps(plan)
        guard steps.count == 5, case .lvm(.activate(Self.copy)) = steps[0],
            case .volume(
                .fill(
                    AnyUUID(Self.copy, Self.copyUID),
                    VolumeRef(Self.temporary, uid: Self.temporaryUID, uuid: "uuid-temp"), "copy")) = steps[1],
            case .lvm(.confirmWhole(VolumeRef(Self.temporary, uid: Self.temporaryUID, uuid: "uuid-temp"))) = steps[2],
            case .lvm(.complete) = steps[3],
            case .lvm(.dropTemporary(let snapshot)) = steps[4]
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(snapshot.uuid == "uuid-temp" && snapshot.originUUID == "uuid-db" && snapshot.origin == "v-db")
    }

    @Test func oneThatHasNoneYetTakesOne() throws {
        let plan = plan(desired(), try observed([thick(), begun()]))
        guard case .lvm(.snapshotThick(Self.source, Self.temporary, Sample.gibi(2), _))? = steps(plan).first else {
            Issue.record("\(steps(plan))")
            return
        }
    }

    @Test func whenNobodyUsesTheVolumeAnyMoreItIsReadItselfAndTheSnapshotGoes() throws {
        let plan = plan(desired(attached: false), try observed([thick(open: false), begun(), taken()]))
        #expect(steps(plan).contains { if case .volume(.fill(_, Self.source, _)) = $0 { true } else { false } })
        guard case .lvm(.dropTemporary)? = poolSteps(plan).first else {
            Issue.record("\(plan.changes)")
            return
        }
    }

    // MARK: Overflow

    @Test func oneThatOverflowedIsRemovedAndHowMuchWasTooLittleIsKept() throws {
        let plan = plan(desired(), try observed([thick(), begun(), taken(full: 100)]))
        let steps = steps(plan)
        guard steps.count == 2, case .volume(.relabel(let relabelling)) = steps[0], case .lvm(.dropTemporary) = steps[1]
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(relabelling.after.operation == "copy/\(Sample.gibi(2).bytes)" && relabelling.from == relabelling.to)
        #expect(relabelling.after.overflowedRoom == Sample.gibi(2) && relabelling.after.isCopying)
        #expect(change(plan)?.reason == .overflowed && change(plan)?.summary.contains("tempSnapshotReserve") == true)
    }

    @Test func asMuchRoomIsNotTriedAgain() throws {
        let plan = plan(desired(), try observed([thick(), begun("copy/\(Sample.gibi(2).bytes)")]))
        #expect(steps(plan).isEmpty)
        #expect(change(plan)?.action == .blocked && change(plan)?.reason == .overflowed)
    }

    @Test func moreRoomIs() throws {
        let note = "copy/\(Sample.gibi(2).bytes)"
        let steps = steps(plan(desired(reserve: 40), try observed([thick(), begun(note)])))
        guard steps.count == 6, case .lvm(.snapshotThick(_, _, Sample.gibi(4), _)) = steps[0],
            case .volume(.fill(_, _, note)) = steps[2], case .lvm(.complete(_, _, note)) = steps[4]
        else {
            Issue.record("\(steps)")
            return
        }
    }

    @Test func withMoreRoomTheOverflowedOneMakesPlaceAtOnce() throws {
        let steps = steps(plan(desired(reserve: 40), try observed([thick(), begun(), taken(full: 100)])))
        guard steps.count == 7, case .lvm(.dropTemporary(let old)) = steps[0],
            case .lvm(.snapshotThick(_, Self.temporary, Sample.gibi(4), let marks)) = steps[1]
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(old.uid == Self.temporaryUID && marks.uid != Self.temporaryUID)
    }

    @Test func nobodyAsksForRoomOnceTheVolumeIsOutOfUse() throws {
        let note = "copy/\(Sample.gibi(2).bytes)"
        let plan = plan(desired(attached: false), try observed([thick(open: false), begun(note)]))
        #expect(steps(plan).contains { if case .volume(.fill(_, Self.source, note)) = $0 { true } else { false } })
    }

    // MARK: Leftovers

    enum Leftover: CaseIterable { case done, gone, undeclared, trashed, otherSource }

    @Test(arguments: Leftover.allCases) func whatServesNoCopyGoesWithoutConsent(_ leftover: Leftover) throws {
        var desired = desired(), volumes = [thick(), taken()]
        switch leftover {
        case .done: volumes.append(begun(nil))
        case .gone: desired.volumes["copy"] = nil
        case .undeclared:
            desired.volumes["copy"] = nil
            volumes.append(begun())
        case .trashed:
            desired.volumes["copy"] = nil
            volumes.append(begun { $0.until = Instant(secondsSince1970: 4_000_000_000) })
        case .otherSource:
            desired.volumes["copy"]?.spec.source = .volume("other")
            volumes.append(begun())
        }
        let plan = plan(desired, try observed(volumes))
        guard case .lvm(.dropTemporary(let snapshot))? = poolSteps(plan).first else {
            Issue.record("\(plan.changes)")
            return
        }
        #expect(snapshot.uid == Self.temporaryUID && snapshot.originUUID == "uuid-db" && plan.refusal == nil)
        let line = plan.changes.first { $0.resource.kind == .pool && $0.action == .update }
        #expect(line?.risk == .online && line?.summary.contains("c-\(Self.copyUID)") == true)
    }

    @Test func whatIsInUseOrNoSnapshotStays() throws {
        for volumes in [
            [thick(), taken(open: true)], [thick(), taken(origin: nil)], [thick(), taken(stack: "other")],
        ] {
            var desired = desired()
            desired.volumes["copy"] = nil
            #expect(poolSteps(plan(desired, try observed(volumes))).isEmpty)
        }
    }

    /// The copy may be in a group that nobody can look at now.
    @Test func itStaysWhileItsCopyMayBeThereUnseen() throws {
        var desired = desired(copies: [])
        desired.pools["far"] = Sample.declared("far", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg1"))))
        var observed = try observed([thick(), taken()])
        observed.volumeGroups.entries["vg1"] = .unknown(HostError(.timeout, "no answer"))
        #expect(poolSteps(plan(desired, observed)).isEmpty)
    }

    @Test func itIsNoSnapshotOfAnybodys() throws {
        let observed = try observed([thick(), begun(), taken()])
        let ledger = Ledger().after(observed, desired: desired(), context: Sample.context("00"))
        #expect(!ledger.entries.contains { $0.uid == Self.temporaryUID })
        let plan = plan(desired(), observed)
        #expect(!plan.changes.contains { $0.resource.kind == .snapshot })
    }

    @Test func theVolumeGrowsWhenTheCopyIsDone() throws {
        var desired = desired()
        desired.volumes["db"]?.spec.size = Sample.gibi(11)
        let plan = plan(desired, try observed([thick(), begun(), taken()]))
        let line = plan.changes.first { $0.resource == ResourceID(.volume, "db") }
        #expect(line?.reason == .inUse && line?.summary.contains("is being copied") == true)
    }

    @Test func marksOfAnotherFormAreDamaged() {
        let own = taken().tags
        for tags in [own.map { $0.hasPrefix("tuff:temp=") ? "tuff:temp=x" : $0 }, own + ["tuff:snap=a"]] {
            guard case .damaged = Marks.read(tags) else {
                Issue.record("\(tags)")
                continue
            }
        }
    }
}
