import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct PlacementTests {
    static let ssd = LabelSelector(matchLabels: ["tier": "ssd"])

    /// `fast` of 90 GiB and `wide` of 200 GiB, both for ssd, and `slow` of 400 GiB, which is not.
    func desired(_ volumes: [(String, Int64)]) -> DesiredState {
        var desired = DesiredState()
        for (name, tier) in [("fast", "ssd"), ("wide", "ssd"), ("slow", "hdd")] {
            let spec = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg-\(name)", thinPool: "tp0")))
            desired.pools[name] = Sample.declared(name, spec, labels: ["tier": tier])
        }
        for (name, size) in volumes {
            desired.volumes[name] = Sample.declared(
                name, VolumeSpec(size: Sample.gibi(size), placement: .selector(Self.ssd)))
        }
        return desired
    }

    func group(_ name: String, _ size: Int64, used: Double = 0, _ volumes: [LogicalVolume] = []) -> VolumeGroup {
        let pool = LogicalVolume(
            name: "tp0", uuid: "pool-\(name)", size: Sample.gibi(size), layout: .thinPool, active: true,
            dataPercent: used, metadataPercent: 1)
        return VolumeGroup(
            name: "vg-\(name)", uuid: "vg-\(name)", size: Sample.gibi(size + 10), free: Sample.gibi(10),
            logicalVolumes: [pool] + volumes)
    }

    func observed(_ groups: VolumeGroup...) -> ObservedState {
        var all = ["fast": group("fast", 90), "wide": group("wide", 200), "slow": group("slow", 400)]
        for group in groups { all[String(group.name.dropFirst(3))] = group }
        var observed = Sample.observed()
        observed.volumeGroups = ObservationMap(
            Dictionary(uniqueKeysWithValues: all.values.map { ($0.name, .known($0)) }))
        return observed
    }

    func plan(_ desired: DesiredState, _ observed: ObservedState, _ context: PlanContext = Sample.context()) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: context)
    }

    func place(_ plan: Plan, _ name: String) -> String? {
        plan.steps.lazy.compactMap { planned -> String? in
            guard case .volume(let step) = planned.step, step.location.objectName == "v-\(name)" else { return nil }
            return String(step.location.description.dropLast("/v-\(name)".count))
        }.first
    }

    func change(_ plan: Plan, _ name: String) -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(.volume, name) }
    }

    @Test func theMatchingPoolWithTheMostRoomIsTaken() {
        let plan = plan(desired([("db", 10)]), observed())
        #expect(place(plan, "db") == "vg-wide")
        let note = change(plan, "db")?.notes.first ?? ""
        #expect(note.contains("'wide' has the most room, 180 GiB") && note.contains("'fast' has 81 GiB"), "\(note)")
        #expect(note.contains("'slow' is out: its label tier is 'hdd', not 'ssd'"), "\(note)")
    }

    @Test func promisesOfTheSamePlanCountAndVolumesSpread() {
        let plan = plan(desired([("a", 110), ("b", 40), ("c", 60), ("d", 80)]), observed())
        #expect(["a", "b", "c", "d"].map { place(plan, $0) } == ["vg-wide", "vg-fast", "vg-wide", nil])
        #expect(change(plan, "d")?.reason == .insufficientCapacity)
        let sentence = change(plan, "d")?.summary ?? ""
        #expect(sentence.contains("'fast' is out: needs 80 GiB and only 41 GiB may still be promised"), "\(sentence)")
        #expect(change(plan, "d")?.location == plan.changes.first { $0.resource.name == "d" }?.location)
    }

    @Test func realSpaceCountsThoughPromisesWouldFit() {
        // Promises: 160 GiB are left in wide, and hardly a block of it is.
        let nearlyFull = plan(desired([("db", 10)]), observed(group("wide", 200, used: 85)))
        #expect(place(nearlyFull, "db") == "vg-fast")
        let full = plan(desired([("db", 85)]), observed(group("wide", 200, used: 95)))
        #expect(full.isEmpty)
        #expect(change(full, "db")?.summary.contains("% full") == true)
    }

    @Test func onceplacedAVolumeStays() {
        let stored = Sample.volume()
        let inFast = observed(group("fast", 90, [stored]))
        let plan = plan(desired([("db", 10)]), inFast)
        #expect(plan.isEmpty)
        #expect(change(plan, "db")?.action == .unchanged)
        var relabelled = desired([("db", 10)])
        relabelled.pools["fast"]!.metadata.labels = ["tier": "hdd"]
        #expect(self.plan(relabelled, inFast).isEmpty)
        let trashed = Sample.volume { $0.until = Sample.context().now.advanced(by: TimeSpan(seconds: 600)) }
        let back = self.plan(desired([("db", 10)]), observed(group("fast", 90, [trashed])))
        #expect(change(back, "db")?.action == .untrash)
    }

    @Test func aCopyIsPlacedWhereItsSourceIs() {
        var desired = desired([("copy", 10)])
        desired.volumes["db"] = Sample.declared("db", VolumeSpec(size: Sample.gibi(10), placement: .pool("fast")))
        desired.volumes["copy"]!.spec.source = .volume("db")
        let plan = plan(desired, observed(group("fast", 90, [Sample.volume()])))
        #expect(place(plan, "copy") == "vg-fast")
    }

    @Test func poolsThatAreNotWellAreLeftOutWithTheReason() {
        var broken = group("wide", 200)
        broken.missingDevices = 1
        let plan = plan(desired([("db", 10)]), observed(broken))
        #expect(place(plan, "db") == "vg-fast")
        #expect(change(plan, "db")?.notes.first?.contains("'wide' is out: volume group vg-wide misses 1") == true)
    }

    @Test func anotherNodesPoolsAreNotOurBusiness() {
        var desired = desired([("db", 10)])
        for name in ["fast", "wide"] { desired.pools[name]!.spec.node = "storage2" }
        let plan = plan(desired, observed())
        #expect(plan.isEmpty)
        #expect(change(plan, "db") == nil)
    }

    @Test func aCopyGoesElsewhereWhereItsSourcesPoolIsNotWanted() {
        var desired = desired([("copy", 10)])
        desired.volumes["db"] = Sample.declared("db", VolumeSpec(size: Sample.gibi(10), placement: .pool("slow")))
        desired.volumes["copy"]!.spec.source = .volume("db")
        let plan = plan(desired, observed(group("slow", 400, [Sample.volume()])))
        #expect(place(plan, "copy") == "vg-wide")
        #expect(plan.steps.contains { if case .volume(.fill) = $0.step { true } else { false } }, "byte by byte")
    }

    @Test func volumesSpreadOverOverprovisionedPoolsToo() {
        var desired = DesiredState()
        for name in ["fast", "wide"] {
            desired.pools[name] = Sample.declared(
                name,
                PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg-\(name)", thinPool: "tp0"))),
                labels: ["tier": "ssd"])
            desired.pools[name]!.spec.overprovision = 10
        }
        for number in 0..<50 {
            desired.volumes["v\(number)"] = Sample.declared(
                "v\(number)", VolumeSpec(size: Sample.gibi(10), placement: .selector(Self.ssd)))
        }
        let plan = plan(desired, observed(group("fast", 100), group("wide", 100)))
        let places = (0..<50).compactMap { place(plan, "v\($0)") }
        #expect(places.filter { $0 == "vg-fast" }.count == 25 && places.count == 50)
    }

    @Test func noMoreIsPromisedThanWhatIsReallyFreeAllows() {
        // Hardly anything is promised of it, and snapshots have filled it.
        let filled = observed(group("wide", 200, used: 88, [Sample.volume()]))
        #expect(change(plan(desired([("new", 90)]), filled), "new")?.reason == .insufficientCapacity)
        #expect(place(plan(desired([("new", 4)]), filled), "new") == "vg-fast")
        var explicit = desired([("new", 90)])
        explicit.volumes["new"]!.spec.placement = .pool("wide")
        let sentence = change(plan(explicit, filled), "new")?.summary ?? ""
        #expect(sentence.contains("only 4 GiB may still be promised (what is really free"), "\(sentence)")
    }

    @Test func laterPlansKeepSpreadingOverPoolsThatAreHalfFull() {
        var stored: [String: [LogicalVolume]] = ["fast": [], "wide": []]
        for number in 0..<10 {
            var desired = desired([("v\(number)", 10)])
            for name in ["fast", "wide"] { desired.pools[name]!.spec.overprovision = 10 }
            // Snapshots fill both, so that what is really free bounds what may be promised.
            let groups = stored.keys.sorted().map { group($0, 100, used: 70, stored[$0] ?? []) }
            let plan = plan(desired, observed(groups[0], groups[1]))
            let home = place(plan, "v\(number)").map { String($0.dropFirst(3)) } ?? ""
            stored[home]?.append(Sample.volume("v\(number)", uid: Sample.uid(UInt8(number + 1))))
        }
        #expect(stored.mapValues(\.count) == ["fast": 5, "wide": 5])
    }

    @Test func aCopyIsPlacedWhereItsBytesFit() {
        var desired = desired([("copy", 10)])
        for name in ["fast", "wide"] { desired.pools[name]!.spec.overprovision = 100 }
        desired.volumes["db"] = Sample.declared("db", VolumeSpec(size: Sample.gibi(10), placement: .pool("slow")))
        desired.volumes["copy"]!.spec.source = .volume("db")
        var db = Sample.volume(active: true)
        db.dataPercent = 80
        // Promises favour wide by far, and it has 4 GiB.
        let wide = group("wide", 200, used: 88), slow = group("slow", 400, [db])
        #expect(place(plan(desired, observed(wide, slow)), "copy") == "vg-fast")
    }

    @Test func aThickGroupIsNotPreferredForItsCopies() {
        var desired = desired([("copy", 10)])
        desired.pools["fast"]!.spec.backend = .lvm(LVMPoolSpec(volumeGroup: "vg-fast"))
        desired.volumes["db"] = Sample.declared("db", VolumeSpec(size: Sample.gibi(10), placement: .pool("fast")))
        desired.volumes["copy"]!.spec.source = .volume("db")
        var thick = group("fast", 90)
        thick.logicalVolumes = [
            LogicalVolume(
                name: "v-db", uuid: "uuid-db", size: Sample.gibi(10), tags: Sample.marks().tags, layout: .linear)
        ]
        thick.free = Sample.gibi(80)
        #expect(place(plan(desired, observed(thick)), "copy") == "vg-wide")
    }

    @Test func whyNoPoolFitsIsToldApart() {
        func reason(_ change: (inout DesiredState, inout ObservedState) -> Void) -> Reason? {
            var desired = desired([("db", 10)]), observed = observed(group("wide", 200, used: 95))
            change(&desired, &observed)
            return self.change(plan(desired, observed), "db")?.reason
        }
        #expect(
            reason { $1.volumeGroups.entries["vg-fast"] = .known(group("fast", 90, used: 95)) } == .insufficientCapacity
        )
        #expect(reason { $1.volumeGroups.entries["vg-fast"] = .unknown(HostError(.timeout, "hangs")) } == .unknown)
        #expect(reason { $1.volumeGroups.entries["vg-fast"] = nil } == .poolMissing)
        #expect(
            reason { desired, _ in
                for name in ["fast", "wide"] { desired.pools[name]!.metadata.labels = ["tier": "tape"] }
            } == .notSelected)
        let lost = Ledger.Entry(
            stack: "default", resource: ResourceID(.pool, "fast"), uuid: "vg-fast/pool-fast", place: "vg-fast/tp0",
            seen: Sample.context().now)
        #expect(
            reason { _, observed in
                observed.volumeGroups.entries["vg-fast"] = nil
                observed.ledger.entries = [lost]
            } == .lost)
    }

    @Test func thatAVolumeIsLostIsNotHiddenByFullPools() {
        var observed = observed(group("wide", 200, used: 95), group("fast", 90, used: 95))
        observed.ledger.entries = [
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, "db"), uid: Sample.uid(3), place: "vg-fast/v-db",
                seen: Sample.context().now)
        ]
        #expect(change(plan(desired([("db", 10)]), observed), "db")?.reason == .lost)
    }

    @Test func theChoiceIsExplainedForVolumesThatAreThere() throws {
        let observed = observed(group("fast", 90, [Sample.volume()]))
        var desired = desired([("db", 10)])
        func placement() throws -> Placement {
            try #require(
                Planner.placement(of: "db", desired: desired, observed: observed, context: Sample.context()))
        }
        let settled = try placement()
        #expect(settled.chosen == "fast" && settled.isSettled)
        #expect(settled.verdicts.map(\.pool) == ["fast", "wide", "slow"])
        #expect(settled.verdicts.map(\.score) == [71, 180, 360].map(Sample.gibi))
        #expect(settled.verdicts.map { $0.obstacle?.reason } == [nil, nil, .notSelected])
        desired.pools["fast"]!.metadata.labels = ["tier": "hdd"]
        #expect(try placement().explanation.contains("once placed, a volume stays"))
        let notes = change(plan(desired, observed), "db")?.notes ?? []
        #expect(notes.contains { $0.contains("once placed, a volume stays") }, "\(notes)")
        desired.volumes["db"]!.spec.placement = .pool("fast")
        #expect(Planner.placement(of: "db", desired: desired, observed: observed, context: Sample.context()) == nil)
    }
}
