import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct RemovalPlanTests {
    static let prune = Sample.context { $0.prune = true }
    static let live = VolumeLocation.logicalVolume(group: "vg0", name: "v-db")
    static let trash = VolumeLocation.logicalVolume(group: "vg0", name: "t-\(Sample.uid)")
    static let week: Int64 = 7 * 86400

    func plan(
        _ desired: DesiredState, _ observed: ObservedState, _ context: PlanContext = Self.prune
    ) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: context)
    }

    func change(_ plan: Plan, _ kind: Kind = .volume, _ name: String = "db") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    func relabelling(_ plan: Plan) -> Relabelling? {
        plan.steps.lazy.compactMap { if case .volume(.relabel(let change)) = $0.step { change } else { nil } }.first
    }

    // MARK: Into the trash

    @Test func withoutPruneAnUndeclaredVolumeIsListedAndNothingMore() {
        let plan = plan(Sample.desired(volumes: []), Sample.observed([Sample.volume()]), Sample.context())
        #expect(plan.isEmpty)
        #expect(change(plan)?.action == .orphan)
        #expect(plan.counts.remove == 0)
    }

    @Test func anUndeclaredVolumeGoesToTheTrashWithItsDeadline() throws {
        let plan = plan(Sample.desired(volumes: []), Sample.observed([Sample.volume()]))
        let step = try #require(relabelling(plan))
        #expect(plan.steps.count == 1)
        #expect(step.from == Self.live && step.to == Self.trash)
        #expect(step.after.until == Self.prune.now.advanced(by: TimeSpan(seconds: Self.week)))
        #expect(step.after.uid == step.before.uid && step.after.iqn == step.before.iqn)
        #expect(step.goesOutOfService)
        #expect(change(plan)?.action == .trash)
        #expect(plan.counts.remove == 1)
    }

    @Test func thePolicyOnTheObjectCountsAndNotTheDefault() {
        let kept = Sample.volume { $0.policy = RemovalPolicy(.retain) }
        let released = plan(Sample.desired(volumes: []), Sample.observed([kept]))
        #expect(change(released)?.action == .release)
        #expect(relabelling(released)?.after.released == true)
        #expect(relabelling(released)?.to == Self.live)
        let long = Sample.volume { $0.policy = RemovalPolicy(.trash, keepFor: TimeSpan(seconds: 30 * 86400)) }
        let trashed = plan(Sample.desired(volumes: []), Sample.observed([long]))
        #expect(
            relabelling(trashed)?.after.until == Self.prune.now.advanced(by: TimeSpan(seconds: 30 * 86400)))
    }

    @Test func protectionOutlivesTheDocument() {
        let plan = plan(Sample.desired(volumes: []), Sample.observed([Sample.volume { $0.protect = true }]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .protected)
    }

    @Test func anotherStacksVolumeIsNotEvenListed() {
        let plan = plan(Sample.desired(volumes: []), Sample.observed([Sample.volume(stack: "other")]))
        #expect(plan.isEmpty)
        #expect(change(plan) == nil)
    }

    @Test func aVolumeMountedOnTheHostItselfStays() {
        var volume = Sample.volume(active: true)
        volume.open = true
        let plan = plan(Sample.desired(volumes: []), Sample.observed([volume]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .inUse)
    }

    @Test func nothingIsRemovedWhileTargetsAreUnknown() {
        var observed = Sample.observed([Sample.volume()])
        observed.targets = .unknown(HostError(.timeout, "configfs hangs"))
        let plan = plan(Sample.desired(volumes: []), observed)
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .unknown)
    }

    @Test func marksWithoutDataGoToTheTrashWhereTheyAreAndEndThere() throws {
        var desired = DesiredState()
        desired.pools["dir"] = Sample.declared("dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/p"))))
        var marks = Sample.marks()
        marks.operation = Marks.creating
        func observed(_ marks: Marks) -> ObservedState {
            var observed = Sample.observed()
            observed.directories = ObservationMap([
                "/srv/p": .known(
                    DirectoryPool(
                        path: "/srv/p", size: Sample.gibi(10), free: Sample.gibi(9),
                        files: [DirectoryFile(name: "v-db", tags: marks.tags, size: nil)]))
            ])
            return observed
        }
        let step = try #require(relabelling(plan(desired, observed(marks))))
        #expect(step.from == step.to && step.after.until != nil && step.after.operation == nil)
        var over = step.after
        over.until = Self.prune.now.advanced(by: TimeSpan(seconds: -1))
        #expect(change(plan(desired, observed(over)))?.action == .purge)
    }

    @Test func noTimeInTheTrashNeedsConsentToDestroyAtOnce() {
        let volume = Sample.volume { $0.policy = RemovalPolicy(.trash, keepFor: TimeSpan(seconds: 0)) }
        let careful = plan(Sample.desired(volumes: []), Sample.observed([volume]))
        #expect(careful.steps.count == 1)
        #expect(change(careful)?.risk == .online)
        let destroying = Sample.context {
            $0.prune = true
            $0.allowDestroy = true
        }
        let plan = plan(Sample.desired(volumes: []), Sample.observed([volume]), destroying)
        #expect(change(plan)?.risk == .destroysData)
        #expect(
            plan.steps.last?.step
                == .volume(.purge(VolumeRef(Self.trash, uid: Sample.uid, uuid: "uuid-db"), until: destroying.now)))
        #expect(plan.steps.last?.after == [0])
    }

    // MARK: Out of the trash

    func trashed(_ until: Int64 = week, _ change: (inout Marks) -> Void = { _ in }) -> LogicalVolume {
        Sample.volume {
            $0.until = Self.prune.now.advanced(by: TimeSpan(seconds: until))
            change(&$0)
        }
    }

    @Test func aDocumentBringsItsVolumeBackWithDataNameAndIdentity() throws {
        let plan = plan(Sample.desired(attached: ["db"]), Sample.observed([trashed()]), Sample.context())
        let step = try #require(relabelling(plan))
        #expect(change(plan)?.action == .untrash)
        #expect(step.from == Self.trash && step.to == Self.live && step.after.until == nil)
        #expect(step.after.uid == Sample.uid && step.after.iqn == "\(Sample.iqnBase):db")
        #expect(step.comesIntoService)
        #expect(!plan.steps.contains { if case .volume(.create) = $0.step { true } else { false } })
        #expect(change(plan, .attachment, "db-on-web1")?.action == .create)
    }

    @Test func ofTwoNamesakesTheLastToBeTrashedComesBack() {
        var older = trashed(100)
        older.uuid = "uuid-older"
        older.tags = older.tags.map { $0 == "tuff:uid=\(Sample.uid)" ? "tuff:uid=\(Sample.uid(7))" : $0 }
        older.name = "t-\(Sample.uid(7))"
        let plan = plan(Sample.desired(), Sample.observed([older, trashed(200)]))
        #expect(relabelling(plan)?.uid == Sample.uid)
        #expect(plan.steps.count == 1)
    }

    @Test func aSmallerSizeBlocksTheWayBack() {
        var desired = Sample.desired()
        desired.volumes["db"]!.spec.size = Sample.gibi(1)
        let plan = plan(desired, Sample.observed([trashed()]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .wouldShrink)
    }

    @Test func aForeignVolumeOfItsOldNameBlocksTheWayBack() {
        var foreign = Sample.volume("db")
        foreign.tags = []
        foreign.uuid = "foreign"
        let plan = plan(Sample.desired(), Sample.observed([trashed(), foreign]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .nameTaken)
    }

    @Test func aReleasedVolumeIsAdoptedAgainAndOtherwiseLeftAlone() {
        let released = Sample.volume { $0.released = true }
        let without = plan(Sample.desired(volumes: []), Sample.observed([released]))
        #expect(without.isEmpty)
        #expect(change(without) == nil)
        let with = plan(Sample.desired(), Sample.observed([released]))
        #expect(change(with)?.action == .adopt)
        #expect(relabelling(with)?.after.released == false)
    }

    // MARK: The end of the trash

    @Test func beforeItsTimeNothingHappensToIt() {
        #expect(plan(Sample.desired(volumes: []), Sample.observed([trashed()])).changes.count == 1)
        #expect(plan(Sample.desired(volumes: []), Sample.observed([trashed()])).isEmpty)
    }

    @Test func afterItsTimePruneDestroysItAndNothingElseDoes() {
        let observed = Sample.observed([trashed(-1)])
        let listed = plan(Sample.desired(volumes: []), observed, Sample.context())
        #expect(listed.isEmpty)
        #expect(change(listed)?.action == .orphan)
        let purged = plan(Sample.desired(volumes: []), observed)
        #expect(change(purged)?.action == .purge)
        #expect(change(purged)?.risk == .destroysData)
        #expect(purged.refusal == nil)
    }

    @Test func protectedTrashAndTrashInUseIsNeverPurged() {
        let protected = plan(Sample.desired(volumes: []), Sample.observed([trashed(-1) { $0.protect = true }]))
        #expect(protected.isEmpty)
        #expect(change(protected)?.reason == .protected)
        var open = trashed(-1)
        open.open = true
        let used = plan(Sample.desired(volumes: []), Sample.observed([open]))
        #expect(used.isEmpty)
        #expect(change(used)?.reason == .inUse)
    }

    @Test func aClockThatRunsBackwardsRemovesNothing() {
        var observed = Sample.observed([trashed(-1), Sample.volume("web", uid: Sample.uid(3))])
        observed.ledger.lastPass = Self.prune.now.advanced(by: TimeSpan(seconds: 3600))
        let plan = plan(Sample.desired(volumes: []), observed)
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .clockBehind)
        #expect(change(plan, .volume, "web")?.reason == .clockBehind)
    }

    @Test func aClockThatJumpedAheadRemovesNothing() {
        var observed = Sample.observed([trashed(-1), Sample.volume("web", uid: Sample.uid(3))])
        let now = Self.prune.now
        observed.ledger.clock = ClockReading(
            boot: "one", uptime: 500, civil: now.advanced(by: TimeSpan(seconds: -30 * 86400)))
        for (boot, sentence) in [("one", "was set ahead by"), ("two", "started a short while ago")] {
            observed.clock = ClockReading(boot: boot, uptime: 560, civil: now)
            let plan = plan(Sample.desired(volumes: []), observed)
            #expect(plan.isEmpty)
            #expect(change(plan)?.reason == .clockAhead && change(plan)?.summary.contains(sentence) == true)
            #expect(change(plan, .volume, "web")?.reason == .clockAhead)
        }
        observed.clock = ClockReading(boot: "one", uptime: 500 + 30 * 86400, civil: now)
        #expect(!plan(Sample.desired(volumes: []), observed).isEmpty)
    }

    @Test func anInterruptedRemovalIsFinishedByAnyPass() throws {
        var half = trashed()
        half.name = "v-db"
        let plan = plan(Sample.desired(volumes: []), Sample.observed([half]), Sample.context())
        let step = try #require(relabelling(plan))
        #expect(step.from == Self.live && step.to == Self.trash)
        #expect(step.before == step.after)
    }

    @Test func aHostWithoutPoolsRemovesNothingThatItOnceHeld() {
        var observed = Sample.observed([Sample.volume()])
        observed.ledger.record(
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, "db"), uid: Sample.uid, place: "vg0/v-db",
                seen: Self.prune.now))
        let plan = plan(DesiredState(), observed)
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .noPools)
        // Nor what no ledger remembers, but for what is there.
        observed.ledger = Ledger()
        #expect(self.plan(DesiredState(), observed).isEmpty)
    }

    // MARK: What forbids a removal

    @Test func aFileThatBelongsToSomebodyElseIsNotPutInTheTrash() {
        var desired = DesiredState()
        desired.pools["dir"] = Sample.declared("dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/p"))))
        var file = DirectoryFile(name: "v-db", tags: Sample.marks().tags, size: Sample.gibi(1))
        file.exposure = "/srv/p/v-db belongs to user 1000"
        var observed = Sample.observed()
        observed.directories = ObservationMap([
            "/srv/p": .known(DirectoryPool(path: "/srv/p", size: Sample.gibi(10), free: Sample.gibi(9), files: [file]))
        ])
        let plan = plan(desired, observed)
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .exposed)
    }

    @Test(arguments: [true, false]) func aGroupThatMissesDisksIsLeftAsItIs(_ isDue: Bool) {
        var group = Sample.group([isDue ? trashed(-1) : Sample.volume()])
        group.missingDevices = 1
        var observed = Sample.observed()
        observed.volumeGroups = ObservationMap(["vg0": .known(group)])
        let plan = plan(Sample.desired(volumes: []), observed)
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .poolUnhealthy)
    }

    @Test func aSnapshotWhichLVMWouldRemoveTooKeepsItsOrigin() {
        let snapshot = LogicalVolume(
            name: "before-upgrade", uuid: "snap", size: Sample.gibi(1), layout: .other, origin: "t-\(Sample.uid)")
        let plan = plan(Sample.desired(volumes: []), Sample.observed([trashed(-1), snapshot]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .inUse)
        #expect(change(plan)?.summary.contains("before-upgrade") == true)
        var thin = snapshot
        thin.layout = .thin
        #expect(change(self.plan(Sample.desired(volumes: []), Sample.observed([trashed(-1), thin])))?.action == .purge)
    }

    @Test func whileGroupsCannotBeListedNothingIsCreated() {
        var observed = Sample.observed()
        observed.volumeGroups.unlisted = HostError(.timeout, "hangs")
        var desired = Sample.desired(volumes: [])
        desired.pools["dir"] = Sample.declared("dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/p"))))
        desired.volumes["new"] = Sample.declared("new", VolumeSpec(size: Sample.gibi(1), placement: .pool("dir")))
        observed.directories = ObservationMap([
            "/srv/p": .known(DirectoryPool(path: "/srv/p", size: Sample.gibi(10), free: Sample.gibi(9), files: []))
        ])
        let plan = plan(desired, observed)
        #expect(plan.isEmpty)
        #expect(change(plan, .volume, "new")?.reason == .unknown)
    }

    @Test func volumesInAnotherNodesPoolAreNotThisNodesToRemove() {
        var desired = Sample.desired(volumes: [])
        desired.pools["fast"]!.spec.node = "storage2"
        desired.pools["own"] = Sample.declared("own", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/p"))))
        var observed = Sample.observed([Sample.volume(), trashed(-1)])
        observed.directories = ObservationMap([
            "/srv/p": .known(DirectoryPool(path: "/srv/p", size: Sample.gibi(10), free: Sample.gibi(9), files: []))
        ])
        let plan = plan(desired, observed)
        #expect(plan.isEmpty)
        #expect(change(plan) == nil)
    }

    @Test func aTrashedVolumeThatSomebodyActivatedIsDeactivated() throws {
        var active = trashed()
        active.active = true
        let plan = plan(Sample.desired(volumes: []), Sample.observed([active]), Sample.context())
        let step = try #require(relabelling(plan))
        #expect(step.from == step.to && step.before == step.after && step.goesOutOfService)
        active.open = true
        let used = self.plan(Sample.desired(volumes: []), Sample.observed([active]), Sample.context())
        #expect(used.isEmpty)
        #expect(change(used)?.reason == .inUse)
    }

    // MARK: Marks

    @Test func policyAndProtectionAreWrittenOnTheVolume() throws {
        var desired = Sample.desired()
        desired.volumes["db"]!.spec.protect = true
        desired.volumes["db"]!.spec.trashFor = TimeSpan(seconds: 86400)
        desired.volumes["db"]!.fields["spec.protect"] = SourceLocation(file: "main.yaml", line: 9, column: 3)
        let plan = plan(desired, Sample.observed([Sample.volume(active: true)]))
        let step = try #require(relabelling(plan))
        #expect(step.addedTags == ["tuff:policy=Trash/86400", "tuff:protect"])
        #expect(step.removedTags == [])
        #expect(step.from == step.to)
        #expect(change(plan)?.differences.map(\.field) == ["protect", "trashFor"])
    }

    @Test func aMissingLineDoesNotEndProtectionAndAWrittenOneDoes() {
        let observed = Sample.observed([Sample.volume { $0.protect = true }])
        var desired = Sample.desired()
        #expect(plan(desired, observed).isEmpty)
        #expect(change(plan(desired, observed))?.notes.count == 1)
        desired.volumes["db"]!.fields["spec.protect"] = SourceLocation(file: "main.yaml", line: 9, column: 3)
        #expect(relabelling(plan(desired, observed))?.removedTags == ["tuff:protect"])
    }

    @Test func aRenameKeepsIdentityAndEverythingAttached() throws {
        var desired = Sample.desired(volumes: ["data"], attached: ["data"])
        desired.volumes["data"]!.metadata.annotations["tuff.dev/renamed-from"] = "db"
        let plan = plan(desired, Sample.observed([Sample.volume(active: true)], targets: Sample.export()))
        let step = try #require(relabelling(plan))
        #expect(step.to == .logicalVolume(group: "vg0", name: "v-data"))
        #expect(step.after.iqn == "\(Sample.iqnBase):db" && step.after.uid == Sample.uid)
        #expect(change(plan, .volume, "db") == nil)
        #expect(!plan.changes.contains { $0.action == .trash || $0.action == .withdraw })
    }

    @Test func aRenamedDocumentBringsBackWhatTheTrashHoldsUnderTheFormerName() throws {
        var desired = Sample.desired(volumes: ["data"])
        desired.volumes["data"]!.metadata.annotations["tuff.dev/renamed-from"] = "db"
        let plan = plan(desired, Sample.observed([trashed()]), Sample.context())
        #expect(change(plan, .volume, "data")?.action == .untrash)
        #expect(relabelling(plan)?.to == .logicalVolume(group: "vg0", name: "v-data"))
    }
}
