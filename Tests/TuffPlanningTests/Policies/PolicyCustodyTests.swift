import Testing
import TuffConfig
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Who answers for the snapshots that policies took. Sample's clock shows 2026-11-22T09:30:00Z.
@Suite struct PolicyCustodyTests {
    private func policy(_ volumes: VolumeSelection = .names(["db"]), keep last: Int? = nil) -> SnapshotPolicySpec {
        var spec = SnapshotPolicySpec(volumes: volumes, schedule: Schedule(cron: "0 * * * *"))
        if let last {
            spec.keep = KeepRule()
            spec.keep?.last = last
        }
        return spec
    }

    private func desired(_ volumes: [String] = ["db"], keep last: Int? = nil) -> DesiredState {
        var desired = Sample.desired(volumes: volumes)
        desired.snapshotPolicies["hourly"] = Sample.declared("hourly", policy(keep: last))
        return desired
    }

    private func taken(
        _ hour: UInt8, of origin: UID = Sample.uid, _ change: (inout Marks) -> Void = { _ in }
    ) -> LogicalVolume {
        var marks = Marks(
            uid: Sample.uid(hour), role: .snapshot("hourly-db-20261122-0\(hour)00"), stack: "default", origin: origin,
            occasion: Marks.Occasion(policy: "hourly", time: Instant(text: "2026-11-22T0\(hour):00:00Z")!))
        change(&marks)
        return LogicalVolume(
            name: marks.until == nil ? marks.objectName : "t-\(marks.uid)", uuid: "uuid-\(hour)", size: Sample.gibi(10),
            tags: marks.tags, pool: "tp0", origin: "v-db")
    }

    private func plan(
        _ desired: DesiredState, _ volumes: [LogicalVolume], ledger: Ledger = Ledger(),
        at time: String = "2026-11-22T09:30:00Z", _ consent: (inout Consent) -> Void = { $0.runDue = true }
    ) -> Plan {
        var context = Sample.context("00112233445566778899aabbccddeeff", consent)
        context.now = Instant(text: time)!
        var observed = Sample.observed(volumes)
        observed.ledger = ledger
        return Planner.plan(desired: desired, observed: observed, context: context)
    }

    private func snapshots(_ plan: Plan, _ action: Action) -> [PlannedChange] {
        plan.changes.filter { $0.resource.kind == .snapshot && $0.action == action }
    }

    private static func prune(_ consent: inout Consent) {
        consent.runDue = true
        consent.prune = true
    }

    // MARK: What nobody keeps any more

    @Test func whatAVolumeLeavesBehindIsListedAndGoesToTheTrashWithIt() throws {
        var gone = desired(["other"])
        gone.volumes["other"]!.metadata.labels = ["keeps": "the pool in use"]
        let volumes = [Sample.volume("other", uid: Sample.uid(40)), Sample.volume()] + (3...9).map { taken($0) }
        #expect(snapshots(plan(gone, volumes), .orphan).count == 7)
        let pruned = plan(gone, volumes, Self.prune)
        #expect(snapshots(pruned, .trash).count == 7)
        #expect(snapshots(pruned, .trash).allSatisfy { $0.reason == .volumeNotDeclared })
        // One of two volumes is what the guard lets pass.
        #expect(pruned.refusal == nil, "\(String(describing: pruned.refusal))")
        #expect(Ledger().before(pruned).removals.map(\.resource) == [ResourceID(.volume, "db")])
    }

    @Test func whatAPolicyLeavesBehindIsTheGuardsBusiness() {
        var gone = desired()
        gone.snapshotPolicies = [:]
        let volumes = [Sample.volume()] + (3...9).map { taken($0) }
        let orphans = snapshots(plan(gone, volumes), .orphan)
        #expect(orphans.count == 7 && orphans[0].summary.contains("SnapshotPolicy/hourly, which no document declares"))
        #expect(plan(gone, volumes, Self.prune).refusal?.reason == .tooManyRemovals)
        // A policy of another name is another one.
        gone.snapshotPolicies["each-hour"] = Sample.declared("each-hour", policy(keep: 1))
        let renamed = plan(gone, volumes)
        #expect(snapshots(renamed, .orphan).count == 7)
        #expect(snapshots(renamed, .create).map(\.resource.name) == ["each-hour-db-20261122-0900"])
    }

    @Test func whatAPolicyDoesNotSelectAnyMoreIsListedAndGuarded() {
        var labelled = desired()
        labelled.snapshotPolicies["hourly"]!.spec = policy(.labels(LabelSelector(matchLabels: ["tier": "db"])))
        labelled.volumes["db"]!.metadata.labels = ["tier": "db"]
        let volumes = [Sample.volume()] + (3...9).map { taken($0) }
        #expect(plan(labelled, volumes, Self.prune).isEmpty)
        labelled.volumes["db"]!.metadata.labels = ["tier": "web"]
        #expect(snapshots(plan(labelled, volumes), .orphan).count == 7)
        #expect(plan(labelled, volumes, Self.prune).refusal?.reason == .tooManyRemovals)
    }

    @Test func manySnapshotsDoNotMakeTheGuardMilder() {
        let volumes =
            [Sample.volume(), Sample.volume("other", uid: Sample.uid(40))] + (3...9).map { taken($0) }
        // All of two volumes, whatever a policy has taken of them.
        var nothing = desired([])
        nothing.snapshotPolicies = desired().snapshotPolicies
        #expect(plan(nothing, volumes, Self.prune).refusal?.reason == .tooManyRemovals)
    }

    /// The ledger's memory of the volume of `taken`, under a name.
    private func remembered(_ name: String = "db", _ standing: Ledger.Entry.Standing = .live) -> Ledger {
        var ledger = Ledger()
        ledger.record(
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, name), standing: standing, uid: Sample.uid,
                place: "vg0/v-\(name)", seen: Sample.context().now))
        return ledger
    }

    private func staysAsItIs(_ plan: Plan, _ count: Int = 7) -> Bool {
        let listed = snapshots(plan, .orphan)
        return snapshots(plan, .trash).isEmpty && snapshots(plan, .purge).isEmpty && listed.count == count
            && listed.allSatisfy { $0.reason == .volumeUnseen && $0.summary.contains("cannot be seen now") }
    }

    @Test func aVolumeThatVanishedLeavesItsSnapshotsWhereTheyAre() {
        let left = (3...9).map { taken($0) }
        for ledger in [remembered(), Ledger()] {
            #expect(staysAsItIs(plan(desired(keep: 1), left, ledger: ledger, Self.prune)))
        }
        // Renamed by the documents before anything saw it.
        var renamed = desired(["database"])
        renamed.volumes["database"]!.metadata.annotations = ["tuff.dev/renamed-from": "db"]
        #expect(staysAsItIs(plan(renamed, left, ledger: remembered(), Self.prune)))
    }

    @Test func aVolumeWhoseMarksAreDamagedKeepsItsSnapshots() {
        var damaged = Sample.volume()
        damaged.tags.append("tuff:vol=other")
        let volumes = [damaged] + (3...9).map { taken($0) }
        for ledger in [remembered(), Ledger()] {
            #expect(staysAsItIs(plan(desired(keep: 1), volumes, ledger: ledger, Self.prune)))
        }
    }

    @Test func aVolumeThatIsThereTwiceKeepsItsSnapshots() {
        var copy = Sample.volume()
        copy.name = "copy"
        let volumes = [Sample.volume(), copy] + (3...9).map { taken($0) }
        #expect(staysAsItIs(plan(desired(keep: 1), volumes, ledger: remembered(), Self.prune)))
        #expect(staysAsItIs(plan(desired([], keep: 1), volumes, ledger: remembered(), Self.prune)))
    }

    @Test func whatPeopleLetGoOfLeavesNothingThatIsKept() {
        let left = (3...9).map { taken($0) }
        // No document names the volume any more, and it went by itself.
        #expect(snapshots(plan(desired([]), left, ledger: remembered(), Self.prune), .trash).count == 7)
        // It was purged, and a new one has its name.
        let new = Sample.volume(uid: Sample.uid(40))
        let purged = plan(desired(), [new] + left, ledger: remembered("db", .purged), Self.prune)
        #expect(snapshots(purged, .trash).count == 7)
    }

    @Test func aVolumeThatIsRenamedKeepsItsSnapshotsAndItsSchedule() throws {
        var renamed = desired(["database"], keep: 2)
        renamed.volumes["database"]!.metadata.annotations = ["tuff.dev/renamed-from": "db"]
        renamed.snapshotPolicies["hourly"]!.spec.volumes = .names(["database"])
        let plan = plan(renamed, [Sample.volume(), taken(7), taken(8)], Self.prune)
        #expect(snapshots(plan, .create).map(\.resource.name) == ["hourly-database-20261122-0900"])
        #expect(snapshots(plan, .purge).compactMap(\.uid) == [Sample.uid(7)])
        #expect(snapshots(plan, .trash).isEmpty && snapshots(plan, .orphan).isEmpty)
    }

    // MARK: What is destroyed

    @Test func anExpiryThatWasCutShortIsFinishedWithTheSameConsent() {
        let half = taken(7) {
            $0.until = Instant(text: "2026-11-22T09:20:00Z")
            $0.policy = RemovalPolicy(.trash, keepFor: TimeSpan(seconds: 0))
        }
        let volumes = [Sample.volume(), half, taken(9)]
        #expect(snapshots(plan(desired(keep: 1), volumes), .purge).compactMap(\.uid) == [Sample.uid(7)])
        #expect(plan(desired(keep: 1), volumes, { _ in }).isEmpty)
    }

    @Test func whatPruneTrashedIsNotDestroyedByAScheduleAlone() throws {
        let trashed = taken(7) { $0.until = Instant(text: "2026-11-22T09:20:00Z") }
        let volumes = [Sample.volume(), trashed, taken(9)]
        let run = plan(desired(keep: 1), volumes)
        #expect(run.isEmpty)
        #expect(snapshots(run, .orphan).first?.summary.contains("--prune destroys it") == true)
        #expect(snapshots(plan(desired(keep: 1), volumes, Self.prune), .purge).count == 1)
    }

    @Test func anExpiryLeavesWhatTellsItFromTheTrash() throws {
        let first = plan(desired(keep: 1), [Sample.volume(), taken(7), taken(9)])
        guard case .volume(.relabel(let change))? = first.steps.first?.step else {
            Issue.record("\(first.steps)")
            return
        }
        // The controller dies here.
        let half = taken(7) { $0 = change.after }
        let second = plan(desired(keep: 1), [Sample.volume(), half, taken(9)])
        #expect(snapshots(second, .purge).compactMap(\.uid) == [Sample.uid(7)])
        // Brought back by a person or by a document, it has its week in the trash again.
        let order = try Planner.plan(
            .restore(change.after.name), observed: Sample.observed([Sample.volume(), half]), context: Sample.context())
        var named = desired()
        named.snapshots[change.after.name] = Sample.declared(change.after.name, SnapshotSpec(volume: "db"))
        for plan in [order, plan(named, [Sample.volume(), half, taken(9)])] {
            guard case .volume(.relabel(let back))? = plan.steps.first?.step else {
                Issue.record("\(plan.changes)")
                continue
            }
            #expect(back.after.until == nil && back.after.policy == RemovalPolicy())
        }
    }

    @Test func whatExpiredIsNotRemembered() {
        var ledger = Ledger()
        for hour in [UInt8(7), 9] {
            ledger.record(
                Ledger.Entry(
                    stack: "default", resource: ResourceID(.snapshot, "hourly-db-20261122-0\(hour)00"),
                    uid: Sample.uid(hour), place: "vg0/p", seen: Sample.context().now))
        }
        let plan = plan(desired(keep: 1), [Sample.volume(), taken(7), taken(9)], ledger: ledger)
        let next = ledger.before(plan)
        #expect(next.entries.map(\.uid) == [Sample.uid(9)] && next.removals.isEmpty)
    }

    @Test func whatVanishedIsNotTakenAgainUnderItsName() {
        var ledger = Ledger()
        ledger.record(
            Ledger.Entry(
                stack: "default", resource: ResourceID(.snapshot, "hourly-db-20261122-0900"), uid: Sample.uid(9),
                place: "vg0/p-hourly-db-20261122-0900", seen: Sample.context().now))
        let plan = plan(desired(), [Sample.volume(), taken(8)], ledger: ledger)
        #expect(plan.isEmpty)
        #expect(plan.changes.contains { $0.resource.kind == .snapshotPolicy && $0.reason == .lost })
    }

    @Test func aClockThatIsSetBackALittleIsWaitedForWithoutAWord() {
        let volumes = [Sample.volume(), taken(9)]
        let quiet = plan(desired(), volumes, at: "2026-11-22T08:59:00Z")
        #expect(quiet.isEmpty && quiet.counts.blocked == 0)
        #expect(plan(desired(), volumes, at: "2026-11-22T08:50:00Z").counts.blocked == 1)
    }

    // MARK: What documents say of them

    @Test func whatADocumentNamesIsKeptEvenAfterIt() throws {
        var pinned = desired(keep: 1)
        let name = "hourly-db-20261122-0700"
        pinned.snapshots[name] = Sample.declared(name, SnapshotSpec(volume: "db"))
        let first = plan(pinned, [Sample.volume(), taken(7), taken(9)])
        let update = try #require(snapshots(first, .update).first)
        #expect(update.resource.name == name && first.steps.count == 1)
        guard case .volume(.relabel(let change))? = first.steps.first?.step else {
            Issue.record("\(first.steps)")
            return
        }
        #expect(change.from == change.to && change.after.occasion?.isKept == true)
        #expect(Marks.read(change.after.tags) == .ours(change.after))
        let kept = taken(7) { $0.occasion?.isKept = true }
        #expect(plan(pinned, [Sample.volume(), kept, taken(9)], Self.prune).isEmpty)
        // The document goes: it is listed like any other, and its policy does not destroy it.
        let after = plan(desired(keep: 1), [Sample.volume(), kept, taken(9)])
        #expect(after.isEmpty && snapshots(after, .orphan).count == 1)
        // Its time is not run again, though it is the policy's no more.
        let newest = taken(9) { $0.occasion?.isKept = true }
        #expect(plan(desired(), [Sample.volume(), newest]).isEmpty)
    }

    @Test func aVolumeIsMadeFromOneWhichStaysUntilThen() throws {
        let name = "hourly-db-20261122-0700"
        var cloned = desired(keep: 1)
        var spec = VolumeSpec(size: Sample.gibi(10), placement: .pool("fast"))
        spec.source = .snapshot(name)
        cloned.volumes["copy"] = Sample.declared("copy", spec)
        let volumes = [Sample.volume(), taken(7), taken(9)]
        let first = plan(cloned, volumes)
        guard case .volume(.copy(let source, _, let marks))? = first.steps.first?.step else {
            Issue.record("\(first.changes)")
            return
        }
        #expect(first.steps.count == 1 && marks.origin == Sample.uid(7))
        #expect(source.description == "vg0/p-\(name)")
        let copy = Sample.volume("copy", uid: Sample.uid(41)) { $0.origin = Sample.uid(7) }
        #expect(snapshots(plan(cloned, volumes + [copy]), .purge).compactMap(\.uid) == [Sample.uid(7)])
        // One that is not there any more blocks the volume, in words.
        let late = plan(cloned, [Sample.volume(), taken(9)])
        #expect(late.changes.contains { $0.summary.contains("there is no Snapshot/\(name)") })
    }

    @Test func aVolumeIsRolledBackToOneWhichStaysUntilThen() {
        let name = "hourly-db-20261122-0700"
        var restored = desired(keep: 1)
        restored.restores["undo"] = Sample.declared(
            "undo", RestoreSpec(volume: "db", volumeUID: Sample.uid, from: .snapshot(name)))
        let plan = plan(restored, [Sample.volume(), taken(7), taken(9)])
        #expect(plan.changes.contains { $0.resource.kind == .restore && $0.action == .update }, "\(plan.changes)")
        #expect(snapshots(plan, .purge).isEmpty)
    }

    @Test func documentsMayNameWhatOnlyTheHostKnows() {
        func rules(_ name: String) -> [String] {
            let text = """
                apiVersion: tuff.dev/v1
                kind: Volume
                metadata: {name: copy}
                spec: {size: 1Gi, pool: fast, source: {snapshot: \(name)}}
                """
            return ConfigLoader.load([ConfigSource(path: "a.yaml", text: Array(text.utf8))]).diagnostics.map(\.rule)
        }
        #expect(rules("hourly-db-20261122-0700").count == 1)
        #expect(rules("hourly-db-20261122-07000").count == 2)
    }

    // MARK: Names

    @Test func twoPoliciesWhoseNamesCoincideTakeTwoSnapshots() throws {
        var desired = Sample.desired(volumes: ["b-c", "c"])
        desired.snapshotPolicies["a"] = Sample.declared("a", policy(.names(["b-c"])))
        desired.snapshotPolicies["a-b"] = Sample.declared("a-b", policy(.names(["c"])))
        let volumes = [Sample.volume("b-c", uid: Sample.uid(40)), Sample.volume("c", uid: Sample.uid(41))]
        let first = plan(desired, volumes)
        let names = snapshots(first, .create).map(\.resource.name)
        #expect(names.count == 2 && Set(names).count == 2 && names.contains("a-b-c-20261122-0900"))
        for name in names { #expect(PolicySnapshotName.isOne(name) && NameRule.isLabel(name)) }
    }

    @Test(arguments: ["vg0", String(repeating: "g", count: 60), String(repeating: "g-", count: 30) + "g"])
    func namesFitIntoTheKernels(_ group: String) throws {
        let name = "a-volume-with-quite-a-long-name-for-a-snapshot-of-it"
        var desired = desired([])
        var pool = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: group, thinPool: "tp0")))
        pool.overprovision = 4
        desired.pools["fast"] = Sample.declared("fast", pool)
        desired.volumes[name] = Sample.declared(name, VolumeSpec(size: Sample.gibi(10), placement: .pool("fast")))
        desired.snapshotPolicies["hourly"]!.spec.volumes = .names([name])
        var found = Sample.group([Sample.volume(name)])
        found.name = group
        var observed = Sample.observed()
        observed.volumeGroups = ObservationMap([group: .known(found)])
        let plan = Planner.plan(
            desired: desired, observed: observed, context: Sample.context { $0.runDue = true })
        let taken = try #require(snapshots(plan, .create).first?.resource.name, "\(plan.changes)")
        let mapped = group.replacing("-", with: "--") + "-p--" + taken.replacing("-", with: "--")
        #expect(taken.utf8.count <= 63 && mapped.utf8.count <= 127 && PolicySnapshotName.isOne(taken))
    }

    @Test func volumesWhereNoSnapshotCanBeTakenAreNamed() {
        var desired = desired()
        desired.pools["slow"] = Sample.declared("slow", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))))
        desired.volumes["db"]!.spec.placement = .pool("slow")
        var thick = Sample.volume()
        thick.layout = .linear
        thick.pool = nil
        let plan = plan(desired, [thick])
        let line = plan.changes.first { $0.resource.kind == .snapshotPolicy && $0.action == .unsupported }
        #expect(line?.summary.contains("Volume/db") == true && plan.isEmpty)
    }
}
