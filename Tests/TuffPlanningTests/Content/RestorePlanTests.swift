import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct RestorePlanTests {
    static let volume = VolumeLocation.logicalVolume(group: "vg0", name: "v-db")
    static let source = VolumeLocation.logicalVolume(group: "vg0", name: "s-before")
    static let key = RestoreKey.of("undo", Sample.uid)

    /// Volume `db` of 10 GiB with its Snapshot `before`, and these Restores to it.
    func desired(_ restores: String..., uid: UID = Sample.uid, attached: [String] = []) -> DesiredState {
        var desired = Sample.desired(attached: attached)
        desired.snapshots["before"] = Sample.declared("before", SnapshotSpec(volume: "db"))
        for name in restores {
            desired.restores[name] = Sample.declared(
                name, RestoreSpec(volume: "db", volumeUID: uid, from: .snapshot("before")))
        }
        return desired
    }

    func snapshot(_ size: ByteCount = Sample.gibi(10), operation: String? = nil) -> LogicalVolume {
        let marks = Marks(
            uid: Sample.uid(2), role: .snapshot("before"), stack: "default", origin: Sample.uid, operation: operation)
        return LogicalVolume(
            name: "s-before", uuid: "uuid-before", size: size, tags: marks.tags, layout: .thin, pool: "tp0")
    }

    func observed(
        active: Bool = false, snapshot: LogicalVolume? = nil, targets: TargetInventory = TargetInventory(),
        _ change: (inout Marks) -> Void = { _ in }
    ) -> ObservedState {
        Sample.observed(
            [Sample.volume(active: active, change), snapshot ?? self.snapshot()], targets: targets)
    }

    func plan(_ desired: DesiredState, _ observed: ObservedState, _ consent: (inout Consent) -> Void = { _ in }) -> Plan
    {
        Planner.plan(desired: desired, observed: observed, context: Sample.context("00", consent))
    }

    func steps(_ plan: Plan) -> [Step] { plan.storageSteps }

    func line(_ plan: Plan, _ name: String = "undo") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(.restore, name) }
    }

    @Test func whatIsWrittenOverIsKeptAndTheVolumeIsMarkedFirst() throws {
        let plan = plan(desired("undo"), observed())
        let steps = steps(plan)
        try #require(steps.count == 7)
        let taken = VolumeRef(Self.volume, uid: Sample.uid, uuid: "uuid-db")
        guard case .volume(.copy(taken, let kept, let marks)) = steps[0] else {
            Issue.record("\(steps[0])")
            return
        }
        #expect(marks.role == .snapshot("before-undo") && marks.origin == Sample.uid && marks.safety == Self.key)
        #expect(marks.until == Sample.context().now.advanced(by: RemovalPolicy.defaultKeeping))
        #expect(kept.objectName == "t-\(marks.uid)")
        let operation = "restore/\(Self.key)"
        #expect(
            Array(steps[1...]) == [
                .lvm(
                    .begin(
                        VolumeRef(Self.volume, uid: Sample.uid, uuid: "uuid-db"), operation: operation,
                        kept: VolumeRef(kept, uid: marks.uid))),
                .lvm(.activate(VolumeRef(Self.volume, uid: Sample.uid, uuid: "uuid-db"))),
                .lvm(.activate(VolumeRef(Self.source, uid: Sample.uid(2), uuid: "uuid-before"))),
                .volume(
                    .fill(
                        VolumeRef(Self.volume, uid: Sample.uid, uuid: "uuid-db"),
                        source: VolumeRef(Self.source, uid: Sample.uid(2), uuid: "uuid-before"), operation: operation)),
                .lvm(
                    .complete(
                        VolumeRef(Self.volume, uid: Sample.uid, uuid: "uuid-db"), size: Sample.gibi(10),
                        operation: operation)),
                .lvm(.deactivate(VolumeRef(Self.source, uid: Sample.uid(2), uuid: "uuid-before"))),
            ])
        #expect(plan.steps[4].keys == [.data("/dev/vg0/v-db")])
        let line = try #require(self.line(plan))
        #expect(line.action == .update && line.risk == .online && line.summary.contains("Snapshot/before"))
        #expect(line.notes.contains { $0.contains("Snapshot/before-undo") && $0.contains("in the trash until") })
    }

    /// The tag that remembers it comes with the command that takes the other away; no plan runs it again.
    @Test func whatWasCarriedOutIsNeverAgain() {
        let plan = plan(desired("undo"), observed { $0.executed = [Self.key] })
        #expect(plan.isEmpty)
        #expect(line(plan)?.action == .unchanged && line(plan)?.reason == .executed)
        #expect(!self.plan(desired("other"), observed { $0.executed = [Self.key] }).isEmpty)
    }

    @Test func forAnotherDiskOfThatNameItIsObsolete() {
        let plan = plan(desired("undo", uid: Sample.uid(7)), observed())
        #expect(plan.isEmpty && plan.counts.blocked == 0)
        #expect(line(plan)?.reason == .obsolete)
        // What has notes is in every plan that people see.
        #expect(line(plan)?.notes.first?.contains("volumeUID is mistyped") == true)
        #expect(line(plan)?.summary.contains("\(Sample.uid(7))") == true)
        // A volume that this plan makes has an identity that no document knows.
        var blank = desired("undo")
        blank.snapshots = [:]
        let made = self.plan(blank, Sample.observed())
        #expect(line(made)?.reason == .obsolete && steps(made).count == 1)
    }

    @Test func twoThatWaitBlockEachOther() {
        let plan = plan(desired("undo", "undo2"), observed())
        #expect(plan.isEmpty)
        #expect(line(plan)?.reason == .conflict && line(plan, "undo2")?.reason == .conflict)
        let second = self.plan(desired("undo", "undo2"), observed { $0.executed = [Self.key] })
        #expect(line(second, "undo2")?.action == .update)
    }

    @Test func itWaitsWhileDocumentsAttachTheVolume() {
        let plan = plan(desired("undo", attached: ["db"]), observed(active: true, targets: Sample.export()))
        #expect(plan.isEmpty)
        #expect(line(plan)?.reason == .attached)
        #expect(line(plan)?.summary.contains("Attachment/db-on-web1") == true)
    }

    @Test func itWaitsForASessionThatNobodyCuts() {
        let targets = Sample.export { target, _ in
            target.acls[0].sessions = [ObservedSession(state: "LOGGED_IN", addresses: ["192.0.2.9"])]
        }
        let plan = plan(desired("undo"), observed(active: true, targets: targets)) { $0.prune = true }
        #expect(plan.isEmpty)
        #expect(line(plan)?.reason == .attached)
        // Without --prune nothing is withdrawn, and it waits as well.
        let idle = self.plan(desired("undo"), observed(active: true, targets: Sample.export()))
        #expect(idle.isEmpty && line(idle)?.reason == .attached)
    }

    @Test func itComesAfterTheWithdrawalThatSamePlanMakes() throws {
        let plan = plan(desired("undo"), observed(active: true, targets: Sample.export())) { $0.prune = true }
        let first = try #require(plan.steps.first { if case .volume(.copy) = $0.step { true } else { false } })
        let last = try #require(
            plan.steps.last { if case .export(.removeBackstore) = $0.step { true } else { false } })
        #expect(first.after == [last.id])
    }

    @Test func aProtectedVolumeIsNotRolledBack() {
        let plan = plan(desired("undo"), observed { $0.protect = true })
        #expect(plan.isEmpty && line(plan)?.reason == .protected)
        var declared = desired("undo")
        declared.volumes["db"]!.spec.protect = true
        declared.volumes["db"]!.fields["spec.protect"] = declared.volumes["db"]!.location
        #expect(line(self.plan(declared, observed()))?.reason == .protected)
        let begun = observed {
            $0.protect = true
            $0.operation = Marks.restoring(Self.key)
        }
        #expect(self.plan(desired("undo"), begun).isEmpty)
    }

    @Test func whatWasInterruptedIsFinishedByTheSameDocumentOnly() throws {
        let begun = observed { $0.operation = Marks.restoring(Self.key) }
        let finished = steps(plan(desired("undo"), begun))
        try #require(finished.count == 5)
        guard case .lvm(.activate) = finished[0], case .volume(.fill) = finished[2], case .lvm(.complete) = finished[3]
        else {
            Issue.record("\(finished)")
            return
        }
        #expect(plan(desired("other"), begun).isEmpty)
    }

    @Test func withoutItsDocumentTheVolumeStallsAndNamesWhatWasKept() throws {
        var state = observed { $0.operation = Marks.restoring(Self.key) }
        let kept = Marks(
            uid: Sample.uid(3), role: .snapshot("before-undo"), stack: "default",
            until: Instant(secondsSince1970: 1_700_000_000), origin: Sample.uid, safety: Self.key)
        var group = try #require(state.volumeGroups["vg0"].value ?? nil)
        group.logicalVolumes.append(
            LogicalVolume(
                name: "t-\(kept.uid)", uuid: "uuid-kept", size: Sample.gibi(10), tags: kept.tags, layout: .thin,
                pool: "tp0"))
        state.volumeGroups.entries["vg0"] = .known(group)
        let plan = plan(desired(attached: ["db"]), state) { $0.prune = true }
        #expect(plan.isEmpty, "\(plan.steps)")
        let volume = try #require(plan.changes.first { $0.resource == ResourceID(.volume, "db") })
        #expect(volume.reason == .unfinished && volume.summary.contains("Snapshot/before-undo"))
        #expect(plan.changes.first { $0.resource.kind == .attachment }?.action == .blocked)
        // All there is of the former content outlives its deadline.
        let safety = try #require(plan.changes.first { $0.resource == ResourceID(.snapshot, "before-undo") })
        #expect(safety.action == .blocked && safety.reason == .unfinished)
    }

    @Test func whoIsDeclaredMeanwhileGetsItWhenItIsWhole() throws {
        let begun = observed { $0.operation = Marks.restoring(Self.key) }
        let plan = plan(desired("undo", attached: ["db"]), begun)
        let end = try #require(plan.steps.first { if case .lvm(.deactivate) = $0.step { true } else { false } })
        let export = try #require(
            plan.steps.first { $0.after.contains(end.id) && $0.change != end.change })
        guard case .lvm(.activate(Self.volume)) = export.step else {
            Issue.record("\(export)")
            return
        }
        // Blocked, it is shown to nobody.
        let halted = self.plan(
            desired("undo", attached: ["db"]),
            observed(snapshot: snapshot(operation: "other/work")) { $0.operation = Marks.restoring(Self.key) })
        #expect(halted.isEmpty)
    }

    @Test func bytesBeyondTheSnapshotBecomeZerosAndThePlanSaysSo() {
        let plan = plan(desired("undo"), observed(snapshot: snapshot(Sample.gibi(8))))
        #expect(line(plan)?.notes.contains { $0.contains("the last 2 GiB") && $0.contains("zeros") } == true)
    }

    /// 90 GiB with a tenth kept free.
    @Test func theWorstCaseMustFitTheRealRoom() throws {
        func state(used: Double, mapped: Double? = nil) throws -> ObservedState {
            var state = observed(active: true)
            var group = try #require(state.volumeGroups["vg0"].value ?? nil)
            group.logicalVolumes[0].dataPercent = used
            for index in 1...2 { group.logicalVolumes[index].dataPercent = mapped }
            state.volumeGroups.entries["vg0"] = .known(group)
            return state
        }
        #expect(!plan(desired("undo"), try state(used: 78)).isEmpty)
        let tight = plan(desired("undo"), try state(used: 80))
        #expect(tight.isEmpty && line(tight)?.reason == .insufficientCapacity)
        // Blocks that neither of them has are equal.
        #expect(!plan(desired("undo"), try state(used: 80, mapped: 30)).isEmpty)
        #expect(plan(desired("undo"), try state(used: 80, mapped: 60)).isEmpty)
        var begun = observed(active: true) { $0.operation = Marks.restoring(Self.key) }
        var group = try #require(begun.volumeGroups["vg0"].value ?? nil)
        group.logicalVolumes[0].dataPercent = 97
        begun.volumeGroups.entries["vg0"] = .known(group)
        let finishing = plan(desired("undo"), begun)
        #expect(finishing.refusal == nil && !finishing.isEmpty, "what was begun is not given up")
    }

    @Test func copiesOfTheVolumeAreTakenBeforeIt() throws {
        var both = desired("undo")
        both.snapshots["later"] = Sample.declared("later", SnapshotSpec(volume: "db"))
        let plan = plan(both, observed())
        let restore = try #require(plan.changes.firstIndex { $0.resource.kind == .restore })
        let taken = try #require(plan.steps.first { plan.changes[$0.change].resource.name == "later" })
        #expect(plan.steps.first { $0.change == restore }?.after == [taken.id])
    }
}
