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

    @Test func whatWasBegunTakesOnlyWhatIsLeftOfItAndRefusesNothing() throws {
        // 40 GiB, of which 4 are reserved. An unfinished copy has 6 of its 10 GiB.
        func plan(_ number: Int, used: Double) throws -> Plan {
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
            return self.plan(desired, observed)
        }
        func goesOn(_ plan: Plan) -> Bool {
            plan.steps.contains { planned in
                guard case .volume(.fill(_, Sample.uid(9), _, _, _, _)) = planned.step else { return false }
                return true
            }
        }
        let tight = try plan(1, used: 85)
        #expect(tight.refusal == nil && goesOn(tight), "2 GiB are free, and what was begun is not given up")
        // 18 GiB are free: 4 for the rest of the first, and room for a second one.
        let two = try plan(2, used: 45)
        #expect(two.refusal == nil && goesOn(two))
        let refusal = try #require(try plan(2, used: 60).refusal)
        #expect(refusal.sentence.contains("Volume/copy-1"), "the new one is what does not fit: \(refusal)")
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
        #expect(plan(desired, observed).refusal != nil, "95 GiB may be its, and 80 are free")
    }
}
