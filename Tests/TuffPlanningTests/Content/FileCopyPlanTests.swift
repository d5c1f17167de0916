import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Snapshots, clones and rollbacks of what a directory pool holds.
@Suite struct FileCopyPlanTests {
    static let path = "/srv/p"
    static let file = VolumeLocation.file(directory: path, name: "v-db")
    static let snapshot = VolumeLocation.file(directory: path, name: "s-before")

    /// `db` of 10 GiB in a directory.
    func desired(attached: Bool = false) -> DesiredState {
        var desired = Sample.desired(volumes: [], attached: attached ? ["db"] : [])
        desired.pools["dir"] = Sample.declared(
            "dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: Self.path))))
        desired.volumes["db"] = Sample.declared("db", VolumeSpec(size: Sample.gibi(10), placement: .pool("dir")))
        return desired
    }

    func withSnapshot(attached: Bool = false) -> DesiredState {
        var desired = desired(attached: attached)
        desired.snapshots["before"] = Sample.declared("before", SnapshotSpec(volume: "db"))
        return desired
    }

    func withClone(_ pool: String = "dir", _ source: VolumeSource = .volume("db"), size: ByteCount = Sample.gibi(12))
        -> DesiredState
    {
        var desired = desired()
        if case .snapshot = source { desired = withSnapshot() }
        var spec = VolumeSpec(size: size, placement: .pool(pool))
        spec.source = source
        desired.volumes["copy"] = Sample.declared("copy", spec)
        return desired
    }

    func entry(_ marks: Marks, size: ByteCount? = Sample.gibi(10), name: String? = nil) -> DirectoryFile {
        DirectoryFile(
            name: name ?? marks.objectName, tags: marks.tags, size: size,
            allocated: size == nil ? .zero : Sample.gibi(4))
    }

    func snapshotMarks(_ operation: String? = nil) -> Marks {
        Marks(
            uid: Sample.uid(2), role: .snapshot("before"), stack: "default", origin: Sample.uid, operation: operation)
    }

    func observed(
        sharing: Bool?, free: ByteCount = Sample.gibi(90), loggedIn: Bool = false, _ more: [DirectoryFile] = [],
        _ change: (inout Marks) -> Void = { _ in }
    ) -> ObservedState {
        var marks = Sample.marks()
        change(&marks)
        var observed = Sample.observed()
        observed.directories = ObservationMap([
            Self.path: .known(
                DirectoryPool(
                    path: Self.path, size: Sample.gibi(100), free: free, files: [entry(marks)] + more,
                    sharesBlocks: sharing))
        ])
        guard loggedIn else { return observed }
        let session = ObservedSession(state: "LOGGED_IN", addresses: ["192.0.2.7"])
        let target = ObservedTarget(
            iqn: "\(Sample.iqnBase):db", enabled: true,
            luns: [ObservedLUN(number: 0, backstore: Sample.uid.backstoreName, path: Self.file.path)],
            acls: [ObservedACL(initiator: Sample.initiator, sessions: [session])])
        observed.targets = .known(TargetInventory(targets: [target]))
        return observed
    }

    func plan(_ desired: DesiredState, _ observed: ObservedState) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context("00"))
    }

    func steps(_ plan: Plan) -> [Step] { plan.storageSteps }

    func line(_ plan: Plan, _ kind: Kind, _ name: String) -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    // MARK: Snapshots

    @Test func whereBlocksAreSharedASnapshotIsOneStepWhoeverIsLoggedIn() throws {
        let plan = plan(withSnapshot(attached: true), observed(sharing: true, loggedIn: true))
        guard case .volume(.copy(VolumeRef(Self.file, uid: Sample.uid), Self.snapshot, let marks))? = steps(plan).first
        else {
            Issue.record("\(plan.changes)")
            return
        }
        #expect(marks.origin == Sample.uid && marks.operation == nil && marks.role == .snapshot("before"))
        #expect(steps(plan).count == 1 && plan.steps.first?.keys == [.directory(Self.path)])
    }

    @Test(arguments: [false, nil]) func elsewhereItIsCopiedAndWholeOnlyAfterThat(_ sharing: Bool?) throws {
        let plan = plan(withSnapshot(), observed(sharing: sharing))
        let steps = steps(plan)
        try #require(steps.count == 3, "\(plan.changes)")
        guard case .volume(.create(.directory(Self.path), Self.snapshot, Sample.gibi(10), let marks)) = steps[0],
            case .volume(.fill(AnyUUID(Self.snapshot, marks.uid), VolumeRef(Self.file, uid: Sample.uid), "copy")) =
                steps[1],
            case .volume(.relabel(let done)) = steps[2]
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(marks.operation == Marks.copying && marks.origin == Sample.uid)
        #expect(done.before == marks && done.after.operation == nil)
        #expect(plan.steps[1].keys == [.data(Self.snapshot.path)])
    }

    @Test func copyingWaitsForWhoeverIsLoggedIn() {
        let waiting = plan(withSnapshot(attached: true), observed(sharing: false, loggedIn: true))
        #expect(line(waiting, .snapshot, "before")?.reason == .inUse)
        #expect(line(waiting, .snapshot, "before")?.summary.contains(Sample.initiator) == true)
        #expect(steps(waiting).isEmpty)
        var unknown = observed(sharing: false)
        unknown.targets = .unknown(HostError(.timeout, "no answer"))
        #expect(line(plan(withSnapshot(), unknown), .snapshot, "before")?.reason == .unknown)
        // Attached, and nobody there: it may be copied.
        #expect(
            line(plan(withSnapshot(attached: true), observed(sharing: false)), .snapshot, "before")?.action == .create)
    }

    @Test func aFullCopyNeedsItsRoom() {
        let full = plan(withSnapshot(), observed(sharing: false, free: Sample.gibi(13)))
        #expect(line(full, .snapshot, "before")?.reason == .insufficientCapacity)
        let shared = plan(withSnapshot(), observed(sharing: true, free: Sample.gibi(13)))
        #expect(line(shared, .snapshot, "before")?.action == .create && shared.refusal == nil)
    }

    @Test(arguments: [nil, ByteCount(0), Sample.gibi(10)])
    func oneThatWasCutShortIsNeverTakenForWhole(_ size: ByteCount?) throws {
        let left = [entry(snapshotMarks(Marks.copying), size: size)]
        let again = plan(withSnapshot(), observed(sharing: true, left))
        guard case .volume(.copy(_, Self.snapshot, let marks))? = steps(again).first else {
            Issue.record("\(again.changes)")
            return
        }
        // Begun anew under its identity.
        #expect(marks.uid == Sample.uid(2) && marks.operation == Marks.copying)
        let filled = plan(withSnapshot(), observed(sharing: false, left))
        let creates = steps(filled).contains { if case .volume(.create) = $0 { true } else { false } }
        #expect(creates == ((size ?? .zero) == .zero), "\(steps(filled))")
        guard case .volume(.relabel(let done))? = steps(filled).last else {
            Issue.record("\(filled.changes)")
            return
        }
        #expect(done.after.operation == nil && done.after.uid == Sample.uid(2))
    }

    @Test func nothingIsMadeFromWhatIsNotWhole() {
        let left = [entry(snapshotMarks(Marks.copying))]
        let plan = plan(withClone("dir", .snapshot("before")), observed(sharing: false, loggedIn: true, left))
        #expect(line(plan, .snapshot, "before")?.reason == .inUse)
        #expect(line(plan, .volume, "copy")?.action == .blocked)
    }

    @Test func whatComesBackFromTheTrashUnfinishedIsFinishedFirst() {
        var marks = snapshotMarks(Marks.copying)
        marks.until = Instant(secondsSince1970: 1_800_000_000)
        let plan = plan(
            withClone("dir", .snapshot("before")),
            observed(sharing: true, [entry(marks, name: "t-\(Sample.uid(2))")]))
        #expect(line(plan, .snapshot, "before")?.action == .untrash)
        #expect(line(plan, .volume, "copy")?.action == .blocked)
        guard case .volume(.relabel(let change))? = steps(plan).first else {
            Issue.record("\(steps(plan))")
            return
        }
        #expect(change.after.operation == Marks.copying && change.after.until == nil)
    }

    // MARK: Clones

    @Test func aLargerCloneGrowsAfterwards() throws {
        let steps = steps(plan(withClone(), observed(sharing: true)))
        guard steps.count == 3,
            case .volume(.copy(VolumeRef(Self.file, uid: Sample.uid), let made, let marks)) = steps[0],
            case .volume(.extend(VolumeRef(made, uid: marks.uid), Sample.gibi(10), Sample.gibi(12))) = steps[1],
            case .volume(.relabel(let grown)) = steps[2]
        else {
            Issue.record("\(steps)")
            return
        }
        // What its marks say of its size is never more than there is.
        #expect(marks.size == Sample.gibi(10) && grown.before == marks && grown.after.size == Sample.gibi(12))
        #expect(made == .file(directory: Self.path, name: "v-copy") && marks.iqn == "\(Sample.iqnBase):copy")
    }

    @Test func fromAndToOtherPoolsBytesAreCopied() throws {
        let out = steps(plan(withClone("fast"), observed(sharing: true)))
        let device = VolumeLocation.logicalVolume(group: "vg0", name: "v-copy")
        guard out.count == 4, case .volume(.create(.thinPool, device, Sample.gibi(12), let marks)) = out[0],
            case .lvm(.activate(VolumeRef(device, uid: marks.uid))) = out[1],
            case .volume(.fill(AnyUUID(device, marks.uid), VolumeRef(Self.file, uid: Sample.uid), "copy")) = out[2],
            case .lvm(.complete) = out[3]
        else {
            Issue.record("\(out)")
            return
        }
        var desired = desired()
        desired.volumes["db"]!.spec.placement = .pool("fast")
        var spec = VolumeSpec(size: Sample.gibi(10), placement: .pool("dir"))
        spec.source = .volume("db")
        desired.volumes["copy"] = Sample.declared("copy", spec)
        var observed = Sample.observed([Sample.volume()])
        observed.directories = ObservationMap([
            Self.path: .known(DirectoryPool(path: Self.path, size: Sample.gibi(100), free: Sample.gibi(90)))
        ])
        let into = steps(plan(desired, observed))
        let file = VolumeLocation.file(directory: Self.path, name: "v-copy")
        guard into.count == 5, case .volume(.create(_, file, Sample.gibi(10), let copied)) = into[0],
            case .lvm(.activate(let source)) = into[1],
            case .volume(.fill(AnyUUID(file, copied.uid), source, "copy")) = into[2],
            case .volume(.relabel(let done)) = into[3], case .lvm(.deactivate(source)) = into[4],
            source.uid == Sample.uid, source.uuid == "uuid-db"
        else {
            Issue.record("\(into)")
            return
        }
        #expect(done.before == copied && done.after.operation == nil)
    }

    @Test func aProofCountsWhatAFullCopyTakes() {
        // Each fits alone, and both do not.
        var desired = withSnapshot()
        var spec = VolumeSpec(size: Sample.gibi(10), placement: .pool("dir"))
        spec.source = .volume("db")
        desired.volumes["copy"] = Sample.declared("copy", spec)
        let both = plan(desired, observed(sharing: false, free: Sample.gibi(16)))
        #expect(both.changes.contains { $0.reason == .insufficientCapacity }, "\(both.changes)")
        #expect(both.refusal == nil)
    }

    // MARK: Rolling back

    func rollingBack() -> DesiredState {
        var desired = withSnapshot()
        desired.restores["undo"] = Sample.declared(
            "undo", RestoreSpec(volume: "db", volumeUID: Sample.uid, from: .snapshot("before")))
        return desired
    }

    @Test func aFileIsRolledBackAfterWhatItHeldIsKept() throws {
        let steps = steps(plan(rollingBack(), observed(sharing: true, [entry(snapshotMarks())])))
        try #require(steps.count == 4, "\(steps)")
        let key = RestoreKey.of("undo", Sample.uid)
        guard case .volume(.copy(VolumeRef(Self.file, uid: Sample.uid), let kept, let safety)) = steps[0],
            case .volume(.relabel(let begin)) = steps[1],
            case .volume(
                .fill(AnyUUID(Self.file, Sample.uid), VolumeRef(Self.snapshot, uid: Sample.uid(2)), "restore/\(key)")) =
                steps[2],
            case .volume(.relabel(let done)) = steps[3]
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(safety.safety == key && safety.until != nil && kept.objectName == "t-\(safety.uid)")
        #expect(begin.before.operation == nil && begin.after.restoration == key)
        #expect(done.before == begin.after && done.after.executed == [key] && done.after.operation == nil)
    }

    @Test func withoutSharedBlocksWhatItHeldIsCopied() {
        let steps = steps(plan(rollingBack(), observed(sharing: false, [entry(snapshotMarks())])))
        #expect(steps.count == 6)
        guard case .volume(.create(_, _, Sample.gibi(10), let safety))? = steps.first else {
            Issue.record("\(steps)")
            return
        }
        #expect(safety.operation == Marks.copying && safety.until != nil)
    }

    /// Each attempt would leave as much in the trash as the volume holds.
    @Test(arguments: [nil, Sample.gibi(4), Sample.gibi(10)])
    func aSafetyCopyThatWasCutShortIsGoneOnWith(size: ByteCount?) throws {
        let key = RestoreKey.of("undo", Sample.uid)
        let left = Marks(
            uid: Sample.uid(7), role: .snapshot("before-undo"), stack: "default",
            until: Sample.context().now.advanced(by: TimeSpan(seconds: 60)), origin: Sample.uid,
            operation: Marks.copying, safety: key)
        let observed = observed(sharing: false, [entry(snapshotMarks()), entry(left, size: size)])
        let steps = steps(plan(rollingBack(), observed))
        let place = VolumeLocation.file(directory: Self.path, name: left.objectName)
        switch (size, steps.first) {
        case (nil, .volume(.create(_, place, Sample.gibi(10), left))),
            (Sample.gibi(4), .volume(.extend(VolumeRef(place, uid: left.uid), _, _))):
            break
        case (
            Sample.gibi(10),
            .volume(.fill(AnyUUID(place, left.uid), VolumeRef(Self.file, uid: Sample.uid), Marks.copying))
        ): break
        default: Issue.record("\(steps)")
        }
        let finished = try #require(
            steps.compactMap { step -> Relabelling? in
                if case .volume(.relabel(let change)) = step, change.from == place { change } else { nil }
            }.first)
        #expect(finished.before == left && finished.after.operation == nil && finished.after.uid == left.uid)
        #expect((finished.after.until ?? Sample.context().now) > left.until ?? Sample.context().now)
    }

    @Test func anInterruptedRollbackIsFinishedAndKeepsNothingMore() {
        let key = RestoreKey.of("undo", Sample.uid)
        let left = observed(sharing: true, [entry(snapshotMarks())]) { $0.operation = Marks.restoring(key) }
        let steps = steps(plan(rollingBack(), left))
        #expect(steps.count == 2)
        guard case .volume(.fill)? = steps.first, case .volume(.relabel(let done))? = steps.last else {
            Issue.record("\(steps)")
            return
        }
        #expect(done.after.executed == [key] && done.before.restoration == key)
    }

    @Test func aRollbackWaitsWhileTheFileIsHandedOut() {
        let waiting = plan(rollingBack(), observed(sharing: true, loggedIn: true, [entry(snapshotMarks())]))
        #expect(line(waiting, .restore, "undo")?.reason == .attached)
    }

    // MARK: Policies

    func scheduled() -> DesiredState {
        var desired = desired()
        desired.snapshotPolicies["daily"] = Sample.declared(
            "daily", SnapshotPolicySpec(volumes: .names(["db"]), schedule: Schedule(cron: "0 0 * * *")))
        return desired
    }

    private func due(_ desired: DesiredState, _ observed: ObservedState) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context("00") { $0.runDue = true })
    }

    @Test func policiesTakeFilesOnlyWhereThatTakesNoRoom() throws {
        let taken = due(scheduled(), observed(sharing: true))
        guard case .volume(.copy(VolumeRef(Self.file, uid: Sample.uid), let place, let marks))? = steps(taken).first
        else {
            Issue.record("\(taken.changes)")
            return
        }
        #expect(place.objectName == "p-\(marks.name)" && marks.occasion?.policy == "daily")
        let refused = due(scheduled(), observed(sharing: false))
        #expect(refused.changes.contains { $0.resource.kind == .snapshotPolicy && $0.action == .unsupported })

        // Cut short: made to its end while it is that time's, and not another beside it.
        var begun = marks
        begun.operation = Marks.copying
        let again = due(scheduled(), observed(sharing: true, [entry(begun, size: nil)]))
        guard case .volume(.copy(_, place, let resumed))? = steps(again).first else {
            Issue.record("\(again.changes)")
            return
        }
        #expect(resumed == begun && steps(again).count == 1)
    }
}
