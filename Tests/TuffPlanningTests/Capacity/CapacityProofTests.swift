import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Plans of which every change fits alone, and not all of them together.
@Suite struct CapacityProofTests {
    private func plan(_ desired: DesiredState, _ observed: ObservedState) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context())
    }

    private func observed(
        _ volumes: [LogicalVolume] = [], _ change: (inout VolumeGroup, inout LogicalVolume) -> Void
    ) throws -> ObservedState {
        var observed = Sample.observed(volumes)
        var group = try #require(observed.volumeGroups["vg0"].value ?? nil)
        let index = try #require(group.logicalVolumes.firstIndex { $0.name == "tp0" })
        var pool = group.logicalVolumes[index]
        change(&group, &pool)
        group.logicalVolumes[index] = pool
        observed.volumeGroups.entries["vg0"] = .known(group)
        return observed
    }

    /// A thick volume of 10 GiB, and copies of it in a thin pool.
    private func copies(_ number: Int) -> (DesiredState, LogicalVolume) {
        var desired = Sample.desired()
        desired.pools["slow"] = Sample.declared("slow", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))))
        desired.volumes["db"]!.spec.placement = .pool("slow")
        for index in 0..<number {
            var spec = VolumeSpec(size: Sample.gibi(10), placement: .pool("fast"))
            spec.source = .volume("db")
            desired.volumes["copy-\(index)"] = Sample.declared("copy-\(index)", spec)
        }
        let db = LogicalVolume(
            name: "v-db", uuid: "uuid-db", size: Sample.gibi(10), tags: Sample.marks().tags, layout: .linear)
        return (desired, db)
    }

    @Test func copiesThatFitOneByOneAndNotTogetherAreRefusedByTheirWorstMoment() throws {
        func refusal(_ number: Int) throws -> Refusal? {
            let (desired, db) = copies(number)
            let observed = try observed([db]) { group, pool in
                pool.size = Sample.gibi(40)
                pool.dataPercent = 25
                pool.chunkSize = ByteCount(64 << 10)
                group.free = Sample.gibi(100)
            }
            return plan(desired, observed).refusal
        }
        // 40 GiB of which 10 are taken and 4 are reserve: room for two copies of 10.
        #expect(try refusal(2) == nil)
        let third = try #require(try refusal(3))
        #expect(third.reason == .insufficientCapacity)
        #expect(third.sentence.contains("Volume/copy-2") && third.sentence.contains("data of thin pool vg0/tp0"))
        #expect(third.sentence.contains("30 GiB") && third.sentence.contains("26 GiB"))
    }

    @Test(arguments: [0, 1, Int64.max])
    func impossibleChunksOfAReportAreNoCrash(chunk: Int64) throws {
        let (desired, db) = copies(1)
        let plan = plan(
            desired,
            try observed([db]) { group, pool in
                (pool.size, group.free, group.size) = (ByteCount(.max), ByteCount(.max), ByteCount(.max))
                (pool.chunkSize, group.extentSize) = (ByteCount(chunk), ByteCount(chunk))
            })
        #expect(!plan.changes.isEmpty)
    }

    @Test func theMetadataOfAThinPoolRunsOutToo() throws {
        let (desired, db) = copies(1)
        let observed = try observed([db]) { group, pool in
            pool.size = Sample.gibi(100)
            pool.dataPercent = 0
            pool.chunkSize = ByteCount(64 << 10)
            // 10 GiB in chunks of 64 KiB want 10 MiB.
            pool.metadataSize = ByteCount(8 << 20)
            pool.metadataPercent = 10
            group.free = Sample.gibi(100)
        }
        let refusal = try #require(plan(desired, observed).refusal)
        #expect(refusal.sentence.contains("metadata of thin pool vg0/tp0"))
    }

    @Test func theMetadataAreaOfAGroupTakesSoManyVolumes() throws {
        var desired = Sample.desired(volumes: (0..<600).map { "volume-\($0)" })
        for name in desired.volumes.keys { desired.volumes[name]!.spec.size = ByteCount(16 << 20) }
        func refusal(_ size: Int64) throws -> Refusal? {
            plan(
                desired,
                try observed { group, _ in
                    group.metadataAreaSize = ByteCount(size)
                    group.metadataAreaFree = ByteCount(size)
                }
            ).refusal
        }
        #expect(try refusal(508 << 10)?.sentence.contains("metadata area of volume group vg0") == true)
        #expect(try refusal(16 << 20) == nil)
    }

    @Test func anImageInADirectoryTakesItsBytes() throws {
        var desired = DesiredState()
        desired.pools["dir"] = Sample.declared(
            "dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/tuff"))))
        desired.pools["dir"]!.spec.overprovision = 2
        let image = ImageSource(path: "/srv/images/a.raw", format: .raw)
        for name in ["a", "b"] {
            var spec = VolumeSpec(size: Sample.gibi(10), placement: .pool("dir"))
            spec.source = .image(image)
            desired.volumes[name] = Sample.declared(name, spec)
        }
        var observed = Sample.observed()
        observed.images.entries[image.key] = .known(.usable(size: Sample.gibi(8)))
        observed.directories.entries["/srv/tuff"] = .known(
            DirectoryPool(path: "/srv/tuff", size: Sample.gibi(100), free: Sample.gibi(20)))
        let refusal = try #require(plan(desired, observed).refusal)
        #expect(refusal.sentence.contains("Volume/b") && refusal.sentence.contains("/srv/tuff"))
        observed.directories.entries["/srv/tuff"] = .known(
            DirectoryPool(path: "/srv/tuff", size: Sample.gibi(100), free: Sample.gibi(40)))
        #expect(plan(desired, observed).refusal == nil)
    }

    /// So many declared copies, the first of which has 6 of its 10 GiB; the pool has 40 GiB, of which 4 are reserved.
    /// - Parameter used: the used part of the pool, in percent.
    private func copying(_ number: Int, used: Double) throws -> (DesiredState, ObservedState) {
        let (desired, db) = copies(number)
        var copy = Sample.volume("copy-0", uid: Sample.uid(9), active: true) {
            $0.operation = Marks.copying
            $0.origin = Sample.uid
        }
        copy.dataPercent = 60
        let observed = try observed([db, copy]) { group, pool in
            pool.size = Sample.gibi(40)
            pool.dataPercent = used
            pool.chunkSize = ByteCount(64 << 10)
            group.free = Sample.gibi(100)
        }
        return (desired, observed)
    }

    @Test func whatWasBegunTakesOnlyWhatIsLeftOfItAndRefusesNothing() throws {
        func plan(_ number: Int, used: Double) throws -> Plan {
            let (desired, observed) = try copying(number, used: used)
            return self.plan(desired, observed)
        }
        func goesOn(_ plan: Plan) -> Bool {
            plan.steps.contains { planned in
                guard case .volume(.fill(Sample.uid(9), _, _)) = planned.step else { return false }
                return true
            }
        }
        let tight = try plan(1, used: 85)
        #expect(tight.refusal == nil && goesOn(tight), "2 GiB are free, and what was begun is not given up")
        // 18 GiB are free: 4 for the rest of the first, and room for a second one.
        let two = try plan(2, used: 45)
        #expect(two.refusal == nil && goesOn(two))
        // 12 GiB are free: the second would fit alone, and waits for the first, which the plan goes on with.
        let waiting = try plan(2, used: 60)
        #expect(waiting.refusal == nil && goesOn(waiting))
        let second = try #require(waiting.changes.first { $0.resource.name == "copy-1" })
        #expect(second.action == .blocked && second.reason == .insufficientCapacity)
        #expect(second.summary.contains("waits until Volume/copy-0 is finished"), "\(second.summary)")
        #expect(waiting.steps.allSatisfy { $0.change != waiting.changes.firstIndex(of: second) })
        #expect(waiting.steps.map(\.id) == Array(waiting.steps.indices))
    }

    /// A job writes it meanwhile, and the plan has no step for it: its room is not given away all the same.
    @Test func whatAJobGoesOnWithKeepsItsRoom() throws {
        var (desired, observed) = try copying(2, used: 60)
        let job = RunningJob(
            id: "a", kind: "copy", summary: "copying", objects: [Sample.uid(9)], pid: 4711, since: Sample.context().now)
        observed.jobs = ObservationMap(["a": .known(job)])
        // 12 GiB are free, 4 of them for the rest of the first.
        let plan = plan(desired, observed)
        #expect(plan.refusal == nil && plan.isEmpty)
        let changes = Dictionary(uniqueKeysWithValues: plan.changes.map { ($0.resource.name, $0) })
        #expect(changes["copy-0"]?.reason == .jobRunning)
        #expect(changes["copy-1"]?.reason == .insufficientCapacity)
        #expect(changes["copy-1"]?.summary.contains("waits until Volume/copy-0 is finished") == true)
    }

    @Test func aSourceThatIsNotActiveHasNoMoreBlocksThanItsPool() throws {
        var desired = Sample.desired()
        desired.pools["fast"]!.spec.overprovision = 20
        desired.pools["other"] = Sample.declared(
            "other", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp1"))))
        desired.pools["other"]!.spec.overprovision = 20
        desired.volumes["db"]!.spec.size = Sample.gibi(1_000)
        var spec = VolumeSpec(size: Sample.gibi(1_000), placement: .pool("other"))
        spec.source = .volume("db")
        desired.volumes["copy"] = Sample.declared("copy", spec)
        var observed = try observed([Sample.volume(size: Sample.gibi(1_000))]) { group, pool in
            pool.size = Sample.gibi(100)
            pool.dataPercent = 10
            pool.chunkSize = ByteCount(64 << 10)
            pool.metadataSize = Sample.gibi(1)
            group.logicalVolumes.append(pool)
            group.logicalVolumes[group.logicalVolumes.count - 1].name = "tp1"
            group.logicalVolumes[group.logicalVolumes.count - 1].uuid = "uuid-tp1"
        }
        #expect(plan(desired, observed).refusal == nil)
        #expect(!plan(desired, observed).isEmpty)
        var group = try #require(observed.volumeGroups["vg0"].value ?? nil)
        group.logicalVolumes[group.logicalVolumes.firstIndex { $0.name == "tp0" } ?? 0].dataPercent = 95
        observed.volumeGroups.entries["vg0"] = .known(group)
        let copy = plan(desired, observed).changes.first { $0.resource.name == "copy" }
        #expect(copy?.reason == .insufficientCapacity, "95 GiB may be its, and 80 are free: \(copy?.summary ?? "")")
    }

    @Test func whatComesAfterSomethingThatWaitsWaitsToo() throws {
        var (desired, db) = copies(2)
        desired.attachments["copy-on-web"] = Sample.declared(
            "copy-on-web", AttachmentSpec(volume: "copy-1", initiator: Sample.initiator))
        var copy = Sample.volume("copy-0", uid: Sample.uid(9)) {
            $0.operation = Marks.copying
            $0.origin = Sample.uid
        }
        // Nobody knows what an inactive volume has, so all 10 GiB may still come.
        copy.dataPercent = nil
        let plan = plan(
            desired,
            try observed([db, copy]) { group, pool in
                pool.size = Sample.gibi(40)
                pool.dataPercent = 60
                pool.chunkSize = ByteCount(64 << 10)
                group.free = Sample.gibi(100)
            })
        #expect(plan.refusal == nil)
        let attachment = try #require(plan.changes.first { $0.resource.kind == .attachment })
        #expect(attachment.action == .blocked && attachment.reason == .dependencyBlocked)
        #expect(Set(plan.steps.map { plan.changes[$0.change].resource.name }) == ["copy-0"])
        db.active = true
    }

    /// The copy that goes on had its turn behind the one that waits.
    @Test func whatGoesOnWaitsForNothingThatWasTakenOut() throws {
        let (desired, db) = copies(2)
        var copy = Sample.volume("copy-1", uid: Sample.uid(9), active: true) {
            $0.operation = Marks.copying
            $0.origin = Sample.uid
        }
        copy.dataPercent = 60
        let plan = plan(
            desired,
            try observed([db, copy]) { group, pool in
                pool.size = Sample.gibi(40)
                pool.dataPercent = 60
                pool.chunkSize = ByteCount(64 << 10)
                group.free = Sample.gibi(100)
            })
        #expect(plan.refusal == nil && !plan.isEmpty)
        #expect(Set(plan.steps.map { plan.changes[$0.change].resource.name }) == ["copy-1"])
        #expect(plan.steps.allSatisfy { $0.behind == [] })
    }

    @Test func aPoolMadeInTheSamePlanHasRoomOfItsOwnToRunOutOf() throws {
        func plan(_ images: Int) -> Plan {
            var desired = PoolPlanTests.desired()
            desired.pools["new"]!.spec.overprovision = 10
            desired.volumes["db"] = nil
            var observed = PoolPlanTests.observed()
            let image = ImageSource(path: "/srv/images/a.raw", format: .raw)
            observed.images.entries[image.key] = .known(.usable(size: Sample.gibi(60)))
            for index in 0..<images {
                var spec = VolumeSpec(size: Sample.gibi(60), placement: .pool("new"))
                spec.source = .image(image)
                desired.volumes["from-\(index)"] = Sample.declared("from-\(index)", spec)
            }
            return Planner.plan(desired: desired, observed: observed, context: PoolPlanTests.consenting)
        }
        // 180 GiB of two disks of 100, less a tenth.
        #expect(plan(2).refusal == nil && !plan(2).isEmpty)
        #expect(plan(3).refusal?.sentence.contains("data of thin pool vg1/tp1") == true)
    }

    @Test func aThinPoolAndThickVolumesOfOnePlanShareTheGroup() throws {
        func plan(_ size: Int64, pools: [String] = ["new"]) -> Plan {
            var desired = DesiredState()
            for name in pools {
                var lvm = LVMPoolSpec(volumeGroup: "vg1", thinPool: "tp-\(name)")
                lvm.create = PoolCreation(devices: PoolPlanTests.paths)
                lvm.create?.thinPoolSize = Percentage(60)
                desired.pools[name] = Sample.declared(name, PoolSpec(backend: .lvm(lvm)))
            }
            var thick = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg1")))
            thick.reserve = Percentage(0)
            desired.pools["slow"] = Sample.declared("slow", thick)
            desired.volumes["db"] = Sample.declared(
                "db", VolumeSpec(size: Sample.gibi(size), placement: .pool("slow")))
            var group = VolumeGroup(name: "vg1", uuid: "vg1", size: Sample.gibi(200), free: Sample.gibi(200))
            group.physicalVolumes = ["pv-0", "pv-1"]
            let devices = (0...1).map { index in
                PoolPlanTests.blank(index) {
                    $0.signatures = [DeviceSignature(type: "LVM2_member", offset: 536, uuid: "pv-\(index)")]
                }
            }
            return Planner.plan(
                desired: desired, observed: PoolPlanTests.observed(devices, groups: [group]),
                context: PoolPlanTests.consenting)
        }
        func reason(_ plan: Plan, _ name: String) -> Reason? { plan.changes.first { $0.resource.name == name }?.reason }
        // 120 GiB of the 200 go to the thin pool, and 120 MiB twice to its metadata.
        #expect(reason(plan(79), "db") == nil && plan(79).refusal == nil)
        #expect(reason(plan(80), "db") == .insufficientCapacity)
        let two = plan(1, pools: ["new", "other"])
        #expect(reason(two, "new") == nil && reason(two, "other") == .insufficientCapacity)
    }

    @Test func ofAnImageOnlyWhatItHoldsIsCharged() throws {
        var desired = Sample.desired()
        desired.pools["fast"]!.spec.overprovision = 10
        let image = ImageSource(path: "/srv/images/a.qcow2", format: .qcow2)
        var spec = VolumeSpec(size: Sample.gibi(200), placement: .pool("fast"))
        spec.source = .image(image)
        desired.volumes["db"] = Sample.declared("db", spec)
        var observed = try observed { _, pool in
            pool.size = Sample.gibi(100)
            pool.dataPercent = 10
            pool.metadataSize = Sample.gibi(1)
        }
        observed.images.entries[image.key] = .known(.usable(size: Sample.gibi(200), content: Sample.gibi(3)))
        #expect(!plan(desired, observed).isEmpty && plan(desired, observed).refusal == nil)
        observed.images.entries[image.key] = .known(.usable(size: Sample.gibi(200)))
        let change = plan(desired, observed).changes.first { $0.resource.kind == .volume }
        #expect(change?.reason == .insufficientCapacity, "\(change?.summary ?? "")")
    }
}
