import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct VolumePlanTests {
    func plan(_ desired: DesiredState, _ observed: ObservedState) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context())
    }

    func change(_ plan: Plan, _ kind: Kind = .volume, _ name: String = "db") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    @Test func aMissingVolumeIsCreatedWithAllItsMarksAtOnce() throws {
        let plan = plan(Sample.desired(), Sample.observed())
        let step = try #require(plan.steps.first)
        #expect(plan.steps.count == 1)
        guard case .volume(.create(let backend, let location, let size, let marks)) = step.step else {
            Issue.record("\(step)")
            return
        }
        #expect(backend == .thinPool(group: "vg0", pool: "tp0"))
        #expect(location == .logicalVolume(group: "vg0", name: "v-db"))
        #expect(size == Sample.gibi(10))
        #expect(marks.role == .volume("db"))
        #expect(marks.iqn == "\(Sample.iqnBase):db")
        #expect(marks.operation == nil)
        #expect(step.keys == [.volumeGroup("vg0")])
    }

    @Test func uidsFollowFromTheContextAndNothingElse() {
        let first = plan(Sample.desired(), Sample.observed())
        let again = plan(Sample.desired(), Sample.observed())
        let later = Planner.plan(
            desired: Sample.desired(), observed: Sample.observed(), context: Sample.context("ff"))
        #expect(first == again)
        #expect(change(first)?.uid != change(later)?.uid)
    }

    @Test func anEqualVolumeIsLeftAlone() {
        let plan = plan(Sample.desired(), Sample.observed([Sample.volume()]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.action == .unchanged)
    }

    @Test func aSizeIsRoundedUpToExtentsBeforeItIsCompared() {
        var desired = Sample.desired()
        desired.volumes["db"]!.spec.size = ByteCount(10 * ByteCount.gibi - 512)
        #expect(plan(desired, Sample.observed([Sample.volume()])).isEmpty)
    }

    @Test func aLargerSizeExtendsWithWhatWasSeenAsPrecondition() {
        var desired = Sample.desired()
        desired.volumes["db"]!.spec.size = Sample.gibi(20)
        let plan = plan(desired, Sample.observed([Sample.volume()]))
        #expect(
            plan.steps.map(\.step) == [
                .volume(
                    .extend(
                        VolumeRef(.logicalVolume(group: "vg0", name: "v-db"), uid: Sample.uid, uuid: "uuid-db"),
                        from: Sample.gibi(10), to: Sample.gibi(20)))
            ])
        #expect(change(plan)?.risk == .online)
    }

    @Test func aSmallerSizeIsBlockedAndTheRestGoesOn() {
        var desired = Sample.desired(attached: ["db"])
        desired.volumes["db"]!.spec.size = Sample.gibi(5)
        let plan = plan(desired, Sample.observed([Sample.volume(active: true)]))
        #expect(change(plan)?.reason == .wouldShrink)
        #expect(change(plan, .attachment, "db-on-web1")?.action == .create)
    }

    @Test func aChangedPoolIsNeverARecreation() {
        var desired = Sample.desired()
        desired.pools["slow"] = Sample.declared(
            "slow", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp1"))))
        desired.volumes["db"]!.spec.placement = .pool("slow")
        var group = Sample.group([Sample.volume()])
        group.logicalVolumes.append(
            LogicalVolume(name: "tp1", uuid: "other", size: Sample.gibi(5), layout: .thinPool))
        var observed = Sample.observed()
        observed.volumeGroups = ObservationMap(["vg0": .known(group)])
        let plan = plan(desired, observed)
        #expect(change(plan)?.reason == .moveNotSupported)
        #expect(plan.isEmpty)
    }

    @Test func aNameTakenByAnybodyElseBlocks() {
        let foreign = LogicalVolume(name: "v-db", uuid: "x", size: Sample.gibi(1), layout: .linear)
        let otherStack = Sample.volume(stack: "other")
        for volume in [foreign, otherStack] {
            let plan = plan(Sample.desired(), Sample.observed([volume]))
            #expect(change(plan)?.reason == .nameTaken)
            #expect(plan.isEmpty)
        }
    }

    @Test func twoObjectsThatClaimOneNameBlock() {
        var twin = Sample.volume(uid: Sample.uid(40))
        twin.name = "twin"
        let plan = plan(Sample.desired(), Sample.observed([Sample.volume(), twin]))
        #expect(change(plan)?.reason == .nameTaken)
        #expect(plan.isEmpty)
    }

    @Test func damagedMarksAreReportedAndNotTouched() {
        var damaged = Sample.volume()
        damaged.tags.removeAll { $0.hasPrefix("tuff:uid=") }
        let plan = plan(Sample.desired(), Sample.observed([damaged]))
        #expect(plan.isEmpty)
        #expect(plan.changes.contains { $0.reason == .marksDamaged })
    }

    @Test func undeclaredVolumesAreOrphansAndStay() {
        let plan = plan(Sample.desired(volumes: []), Sample.observed([Sample.volume()]))
        #expect(change(plan)?.action == .orphan)
        #expect(plan.isEmpty)
        #expect(plan.counts.remove == 0)
    }

    @Test func whatDoesNotFitIsRefusedBeforeTheFirstCommand() {
        var desired = Sample.desired(volumes: ["a", "b"])
        // 90 GiB less 10 % reserve, times 4, is 324 GiB: one of two volumes of 200 GiB fits.
        for name in ["a", "b"] { desired.volumes[name]!.spec.size = Sample.gibi(200) }
        let plan = plan(desired, Sample.observed())
        #expect(change(plan, .volume, "a")?.action == .create)
        #expect(change(plan, .volume, "b")?.reason == .insufficientCapacity)
    }

    @Test func aPoolThatIsReallyFullTakesNothingMore() {
        var group = Sample.group()
        group.logicalVolumes[0].dataPercent = 91
        var observed = Sample.observed()
        observed.volumeGroups = ObservationMap(["vg0": .known(group)])
        #expect(change(plan(Sample.desired(), observed))?.reason == .insufficientCapacity)
    }

    @Test func unhealthyPoolsStallWhatNeedsThem() {
        let breakages: [(inout VolumeGroup) -> Void] = [
            { $0.missingDevices = 1 }, { $0.lockType = "sanlock" }, { $0.exported = true },
            { $0.logicalVolumes[0].health = "failed" },
        ]
        for breakage in breakages {
            var group = Sample.group()
            breakage(&group)
            var observed = Sample.observed()
            observed.volumeGroups = ObservationMap(["vg0": .known(group)])
            let plan = plan(Sample.desired(), observed)
            #expect(plan.isEmpty)
            #expect(change(plan, .pool, "fast")?.reason == .poolUnhealthy)
            #expect(change(plan)?.reason == .poolUnhealthy)
        }
    }

    @Test func aMissingPoolIsToldAsSuch() {
        var observed = Sample.observed()
        observed.volumeGroups = ObservationMap()
        let plan = plan(Sample.desired(), observed)
        #expect(change(plan, .pool, "fast")?.reason == .poolMissing)
        #expect(plan.isEmpty)
    }

    @Test func otherNodesResourcesAreNotOurBusiness() {
        var desired = Sample.desired(attached: ["db"])
        desired.pools["fast"]!.spec.node = "storage2"
        let plan = plan(desired, Sample.observed())
        #expect(plan.changes.isEmpty)
    }

    @Test func whatHasNoSourceIsSaidAndTheRestGoesOn() {
        var desired = Sample.desired(volumes: ["a", "b"])
        desired.volumes["a"]!.spec.source = .cinderBackup(repository: "nas", backup: "8f3c1a52")
        let plan = plan(desired, Sample.observed())
        #expect(change(plan, .volume, "a")?.action == .blocked)
        #expect(change(plan, .volume, "b")?.action == .create)
    }

    /// The plan of a volume of a size whose creation was interrupted in a directory pool with 90 GiB free.
    private func finishing(_ size: ByteCount) -> Plan {
        var desired = DesiredState()
        desired.pools["dir"] = Sample.declared("dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/p"))))
        desired.volumes["db"] = Sample.declared("db", VolumeSpec(size: size, placement: .pool("dir")))
        var marks = Sample.marks()
        marks.operation = "create"
        var observed = Sample.observed()
        observed.directories = ObservationMap([
            "/srv/p": .known(
                DirectoryPool(
                    path: "/srv/p", size: Sample.gibi(100), free: Sample.gibi(90),
                    files: [DirectoryFile(name: "v-db", tags: marks.tags, size: nil)]))
        ])
        return plan(desired, observed)
    }

    @Test func anInterruptedCreationIsFinishedUnderTheSameUID() throws {
        let plan = finishing(Sample.gibi(1))
        let step = try #require(plan.steps.first).step
        guard case .volume(.create(_, let location, let size, let made)) = step else {
            Issue.record("\(step)")
            return
        }
        #expect(location == .file(directory: "/srv/p", name: "v-db"))
        #expect(size == Sample.gibi(1))
        #expect(made.uid == Sample.uid)
    }

    @Test func marksWhoseDataIsGoneAreNotRecreated() {
        var desired = DesiredState()
        desired.pools["dir"] = Sample.declared("dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/p"))))
        desired.volumes["db"] = Sample.declared("db", VolumeSpec(size: Sample.gibi(1), placement: .pool("dir")))
        var observed = Sample.observed()
        observed.directories = ObservationMap([
            "/srv/p": .known(
                DirectoryPool(
                    path: "/srv/p", size: Sample.gibi(100), free: Sample.gibi(90),
                    files: [DirectoryFile(name: "v-db", tags: Sample.marks().tags, size: nil)]))
        ])
        let plan = plan(desired, observed)
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .dataMissing)
    }

    @Test(arguments: ["data", "metadata"]) func aPoolOfUnknownFillGetsNothingNew(_ what: String) {
        var observed = Sample.observed([Sample.volume("old", uid: UID("eeeeffffgggghhhh")!)])
        guard case .known(var group)? = observed.volumeGroups.entries["vg0"] else { return }
        if what == "data" { group.logicalVolumes[0].dataPercent = nil }
        if what == "metadata" { group.logicalVolumes[0].metadataPercent = nil }
        observed.volumeGroups.entries["vg0"] = .known(group)
        var desired = Sample.desired(volumes: ["new", "old"], attached: ["old"])
        let first = plan(desired, observed)
        #expect(change(first, .volume, "new")?.reason == .unknown)
        // What is there already is served as before, and does not grow.
        #expect(change(first, .attachment, "old-on-web1")?.action == .create)
        desired.volumes["old"]?.spec.size = Sample.gibi(11)
        #expect(change(plan(desired, observed), .volume, "old")?.reason == .unknown)
    }

    /// An attachment's volume and a new one in a directory pool; what of it others may write.
    private func directoryPlan(_ pool: String?, _ file: String?) -> Plan {
        var desired = DesiredState()
        desired.pools["dir"] = Sample.declared("dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/p"))))
        for name in ["db", "new"] {
            desired.volumes[name] = Sample.declared(
                name, VolumeSpec(size: Sample.gibi(1), placement: .pool("dir")))
        }
        desired.attachments["db-web"] = Sample.declared(
            "db-web", AttachmentSpec(volume: "db", initiator: Sample.initiator))
        var observed = Sample.observed()
        let found = DirectoryFile(name: "v-db", tags: Sample.marks().tags, size: Sample.gibi(1), exposure: file)
        observed.directories = ObservationMap([
            "/srv/p": .known(
                DirectoryPool(
                    path: "/srv/p", size: Sample.gibi(100), free: Sample.gibi(90), files: [found], exposure: pool))
        ])
        return plan(desired, observed)
    }

    @Test func aDirectoryThatOthersMayWriteIsNotUsedAtAll() {
        #expect(!directoryPlan(nil, nil).isEmpty)
        let plan = directoryPlan("directory /srv/p belongs to user 1000", nil)
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .exposed && change(plan, .volume, "new")?.reason == .exposed)
        #expect(change(plan, .pool, "dir")?.summary.contains("belongs to user 1000") == true)
        #expect(change(plan, .attachment, "db-web")?.reason == .dependencyBlocked)
    }

    @Test func aFileThatOthersMayWriteHoldsUpItsOwnVolumeOnly() {
        let plan = directoryPlan(nil, "/srv/p/v-db may be written by others")
        #expect(change(plan)?.reason == .exposed)
        #expect(change(plan, .attachment, "db-web")?.reason == .dependencyBlocked)
        #expect(change(plan, .volume, "new")?.action == .create)
    }

    @Test func anythingUnseenMayHoldWhatLooksNew() {
        // The group is in no document any more: it may be the old home of a volume whose document names another pool.
        var observed = Sample.observed()
        observed.volumeGroups.entries["old"] = .unknown(HostError(.timeout, "hangs"))
        let plan = plan(Sample.desired(), observed)
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .unknown)
    }

    @Test func unfinishedObjectsOfAnotherVersionAreNotHandedOut() {
        var volume = Sample.volume(active: true)
        volume.tags.append("tuff:op=restore")
        let plan = plan(Sample.desired(attached: ["db"]), Sample.observed([volume]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .unfinished)
        #expect(change(plan, .attachment, "db-on-web1")?.reason == .dependencyBlocked)
    }

    @Test func aDeadlineThatTuffDidNotWriteIsNoDeadline() {
        for until in ["1795339800", "2026-11-22T09:30:00+01:00", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z"] {
            var volume = Sample.volume(active: true)
            volume.tags.append("tuff:until=\(until)")
            let plan = plan(Sample.desired(), Sample.observed([volume]))
            #expect(plan.isEmpty, "\(until)")
            #expect(change(plan, .volume, "v-db")?.reason == .marksDamaged)
        }
    }

    @Test func finishingACreationIsHeldToTheSameProofs() {
        let plan = finishing(Sample.gibi(1000))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .insufficientCapacity)
    }

    @Test func aTargetNameThatSomebodyUsesIsNotWrittenOnANewVolume() {
        let stranger = Sample.export { target, _ in target.luns[0].backstore = "somebody-elses" }
        let plan = plan(Sample.desired(), Sample.observed([], targets: stranger))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .nameTaken)
    }

    @Test func strayTargetsUnderOurBaseAreReportedAndStay() {
        let targets = TargetInventory(targets: [ObservedTarget(iqn: "\(Sample.iqnBase):stray")])
        let plan = plan(Sample.desired(), Sample.observed([Sample.volume()], targets: targets))
        #expect(plan.isEmpty)
        #expect(change(plan, .attachment, "stray")?.action == .orphan)
    }

    @Test func absurdNumbersArePlannedAroundAndNeverTrap() {
        for extreme: Int64 in [0, 1, .max / 2, .max] {
            for percent in [-1e300, 0, 99.9, 1e300, .infinity] {
                var group = Sample.group([
                    Sample.volume(size: ByteCount(extreme)), Sample.volume("x", uid: UID("bbbbbbbbccccdddd")!),
                ])
                group.logicalVolumes[0].size = ByteCount(extreme)
                group.logicalVolumes[0].dataPercent = percent
                group.metadataAreaFree = ByteCount(extreme)
                group.extentSize = ByteCount(extreme)
                var observed = Sample.observed()
                observed.volumeGroups = ObservationMap(["vg0": .known(group)])
                var desired = Sample.desired(volumes: ["db", "new", "x"])
                desired.volumes["db"]!.spec.size = ByteCount(.max)
                for overprovision in [1, 1e300, .infinity, .nan] {
                    desired.pools["fast"]!.spec.overprovision = overprovision
                    let plan = plan(desired, observed)
                    #expect(!plan.changes.map(\.summary).joined().isEmpty)
                }
            }
        }
    }
}
