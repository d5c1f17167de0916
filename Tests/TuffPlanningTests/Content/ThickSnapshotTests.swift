import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct ThickSnapshotTests {
    static let volume = VolumeLocation.logicalVolume(group: "vg0", name: "v-db")
    static let taken = VolumeLocation.logicalVolume(group: "vg0", name: "s-before")

    func desired(reserve: ByteCount? = Sample.gibi(2)) -> DesiredState {
        var desired = Sample.desired()
        desired.pools["fast"] = Sample.declared("fast", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))))
        var spec = SnapshotSpec(volume: "db")
        spec.reserve = reserve
        desired.snapshots["before"] = Sample.declared("before", spec)
        return desired
    }

    func thick(active: Bool = true) -> LogicalVolume {
        LogicalVolume(
            name: "v-db", uuid: "uuid-db", size: Sample.gibi(10), tags: Sample.marks().tags, layout: .linear,
            active: active)
    }

    func snapshot(full: Double? = 10, _ change: (inout Marks) -> Void = { _ in }) -> LogicalVolume {
        var marks = Marks(uid: Sample.uid(2), role: .snapshot("before"), stack: "default", origin: Sample.uid)
        change(&marks)
        return LogicalVolume(
            name: marks.until == nil ? "s-before" : "t-\(marks.uid)", uuid: "uuid-before", size: Sample.gibi(2),
            tags: marks.tags, layout: .linear, active: full != nil, origin: "v-db", dataPercent: full)
    }

    func observed(_ volumes: [LogicalVolume], free: ByteCount = Sample.gibi(80)) throws -> ObservedState {
        var observed = Sample.observed(volumes)
        var group = try #require(observed.volumeGroups["vg0"].value ?? nil)
        group.free = free
        observed.volumeGroups.entries["vg0"] = .known(group)
        return observed
    }

    func plan(_ desired: DesiredState, _ observed: ObservedState, _ consent: (inout Consent) -> Void = { _ in }) -> Plan
    {
        Planner.plan(desired: desired, observed: observed, context: Sample.context("00", consent))
    }

    func change(_ plan: Plan, _ kind: Kind = .snapshot, _ name: String = "before") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    func steps(_ plan: Plan) -> [Step] { plan.storageSteps }

    @Test func itIsTakenOfAVolumeInUseWithTheRoomThatItsDocumentGives() throws {
        let plan = plan(desired(), try observed([thick()]))
        guard steps(plan).count == 1,
            case .lvm(
                .snapshotThick(
                    VolumeRef(Self.volume, uid: Sample.uid, uuid: "uuid-db"), Self.taken, Sample.gibi(2), let marks)) =
                steps(
                    plan)[0]
        else {
            Issue.record("\(plan.changes)")
            return
        }
        #expect(marks.role == .snapshot("before") && marks.origin == Sample.uid)
    }

    @Test func withoutRoomItIsRefused() throws {
        let plan = plan(desired(reserve: nil), try observed([thick()]))
        #expect(plan.isEmpty && change(plan)?.reason == .reserveMissing)
    }

    /// The reserve of the pool is a tenth of the group.
    @Test func itsRoomComesOutOfTheGroup() throws {
        let kept = ByteCount(Sample.gibi(100).bytes / 10)
        let fits = try observed([thick()], free: kept + Sample.gibi(2))
        #expect(!plan(desired(), fits).isEmpty)
        let tight = try observed([thick()], free: kept + Sample.gibi(1))
        #expect(plan(desired(), tight).isEmpty)
        #expect(change(plan(desired(), tight))?.reason == .insufficientCapacity)
        // Nor is what it took promised to a volume of the same plan.
        var both = desired()
        both.volumes["more"] = Sample.declared("more", VolumeSpec(size: Sample.gibi(1), placement: .pool("fast")))
        #expect(change(plan(both, fits), .volume, "more")?.action == .create)
        #expect(change(plan(both, fits))?.reason == .insufficientCapacity)
    }

    @Test func onceItOverflowedItIsNeitherTakenAgainNorASource() throws {
        var clone = desired()
        var spec = VolumeSpec(size: Sample.gibi(10), placement: .pool("fast"))
        spec.source = .snapshot("before")
        clone.volumes["copy"] = Sample.declared("copy", spec)
        let plan = plan(clone, try observed([thick(), snapshot(full: 100)]))
        #expect(plan.isEmpty, "\(plan.steps)")
        #expect(change(plan)?.reason == .overflowed)
        #expect(change(plan, .volume, "copy")?.reason == .dependencyBlocked)
        #expect(change(self.plan(desired(), try observed([thick(), snapshot(full: 99.5)])))?.action == .unchanged)
    }

    @Test func aCopyOfItBringsItsOriginsDeviceAndLeavesIt() throws {
        var clone = desired()
        var spec = VolumeSpec(size: Sample.gibi(10), placement: .pool("fast"))
        spec.source = .snapshot("before")
        clone.volumes["copy"] = Sample.declared("copy", spec)
        let idle = steps(plan(clone, try observed([thick(active: false), snapshot(full: nil)])))
        #expect(idle.contains(.lvm(.activate(VolumeRef(Self.volume, uid: Sample.uid, uuid: "uuid-db")))))
        #expect(!idle.contains { if case .lvm(.deactivate) = $0 { true } else { false } })
        // In use, while its snapshot is read: nobody waits for that.
        clone.attachments = Sample.desired(attached: ["db"]).attachments
        let used = steps(plan(clone, try observed([thick(), snapshot()])))
        // It may overflow in the last moment of that, and show what its origin holds by then.
        for steps in [idle, used] {
            let fill = try #require(
                steps.firstIndex { if case .volume(.fill(_, Self.taken, _)) = $0 { true } else { false } })
            guard case .lvm(.confirmWhole(Self.taken)) = steps[fill + 1], case .lvm(.complete) = steps[fill + 2] else {
                Issue.record("\(steps)")
                continue
            }
        }
    }

    @Test func aVolumeThatHasOneDoesNotGrow() throws {
        var larger = desired()
        larger.volumes["db"]!.spec.size = Sample.gibi(12)
        let plan = plan(larger, try observed([thick(), snapshot()]))
        #expect(plan.isEmpty)
        #expect(change(plan, .volume, "db")?.reason == .inUse)
        #expect(change(plan, .volume, "db")?.summary.contains("vg0/s-before") == true)
    }

    /// Its device is its volume's, which may be in use.
    @Test func itGoesToTheTrashWithItsDeviceAsItIs() throws {
        var without = desired()
        without.snapshots = [:]
        let plan = plan(without, try observed([thick(), snapshot()])) { $0.prune = true }
        guard case .volume(.relabel(let relabelling))? = steps(plan).first else {
            Issue.record("\(plan.changes)")
            return
        }
        #expect(relabelling.after.until != nil && !relabelling.goesOutOfService)
        let until = Sample.context().now.advanced(by: TimeSpan(seconds: 60))
        let there = self.plan(without, try observed([thick(), snapshot { $0.until = until }])) { $0.prune = true }
        #expect(there.isEmpty, "\(there.steps)")
    }

    /// LVM removes an origin's snapshots with it, ours in the trash and a person's alike.
    @Test func aVolumeThatHasOneIsNotDestroyedAtOnce() throws {
        var empty = desired()
        empty.volumes = [:]
        empty.snapshots = [:]
        var volume = thick()
        var marks = Sample.marks()
        marks.policy = RemovalPolicy(keepFor: TimeSpan(seconds: 0))
        volume.tags = marks.tags
        let foreign = LogicalVolume(
            name: "byhand", uuid: "uuid-hand", size: Sample.gibi(1), layout: .linear, active: true, origin: "v-db",
            dataPercent: 1)
        for other in [snapshot(), foreign] {
            let plan = plan(empty, try observed([volume, other])) {
                $0.prune = true
                $0.allowDestroy = true
                $0.allowRemovals = 2
            }
            #expect(!steps(plan).contains { if case .volume(.purge) = $0 { true } else { false } }, "\(other.name)")
            #expect(change(plan, .volume, "db")?.reason == .inUse)
        }
        let alone = plan(empty, try observed([volume])) {
            $0.prune = true
            $0.allowDestroy = true
            $0.allowRemovals = 1
        }
        #expect(steps(alone).contains { if case .volume(.purge) = $0 { true } else { false } })
    }

    /// The data that rolling back writes over goes into every other snapshot of the volume first.
    @Test(
        arguments: [
            // The last but one holds the volume's blocks, and not the kernel's table of them.
            (2048, 10.0, true), (2048, nil, false), (1024, 95, false), (10 * 1024 + 4, nil, false),
            (11 * 1024, nil, true),
        ])
    func rollingBackAsksOfOtherSnapshotsThatTheyHoldIt(mebi: Int64, full: Double?, fits: Bool) throws {
        var restore = desired()
        restore.restores["undo"] = Sample.declared(
            "undo", RestoreSpec(volume: "db", volumeUID: Sample.uid, from: .snapshot("before")))
        let other = LogicalVolume(
            name: "byhand", uuid: "uuid-hand", size: ByteCount(mebi << 20), layout: .linear, active: full != nil,
            origin: "v-db", dataPercent: full)
        // The source holds 10 % of 2 GiB.
        let plan = plan(restore, try observed([thick(), snapshot(), other])) { $0.allowDestroy = true }
        #expect(plan.isEmpty == !fits)
        if !fits {
            let line = try #require(change(plan, .restore, "undo"))
            #expect(
                line.reason == .insufficientCapacity && line.summary.contains("vg0/byhand"), "\(line.summary)")
        }
    }

    @Test func rollingBackToItKeepsNothingAndAsks() throws {
        var restore = desired()
        restore.restores["undo"] = Sample.declared(
            "undo", RestoreSpec(volume: "db", volumeUID: Sample.uid, from: .snapshot("before")))
        let asked = plan(restore, try observed([thick(), snapshot()]))
        #expect(asked.isEmpty && change(asked, .restore, "undo")?.reason == .consentNeeded)
        let allowed = plan(restore, try observed([thick(), snapshot()])) { $0.allowDestroy = true }
        #expect(change(allowed, .restore, "undo")?.risk == .destroysData)
        #expect(steps(allowed).count == 5)
    }

    /// It may have overflowed while nobody looked, which LVM tells of what is active. A volume that is marked first
    /// would wait for what is lost.
    @Test func aVolumeIsMarkedOnlyWhenItsSnapshotIsSeenToBeWhole() throws {
        var restore = desired()
        restore.restores["undo"] = Sample.declared(
            "undo", RestoreSpec(volume: "db", volumeUID: Sample.uid, from: .snapshot("before")))
        let steps = steps(
            plan(restore, try observed([thick(active: false), snapshot(full: nil)])) { $0.allowDestroy = true })
        guard steps.count == 6, case .lvm(.activate(AnyUUID(Self.volume, Sample.uid))) = steps[0],
            case .lvm(.confirmWhole(let whole)) = steps[1], case .lvm(.begin(Self.volume, _, nil)) = steps[2],
            case .volume(.fill) = steps[3], case .lvm(.confirmWhole(Self.taken)) = steps[4],
            case .lvm(.complete) = steps[5],
            whole.location == Self.taken, whole.uuid == "uuid-before"
        else {
            Issue.record("\(steps)")
            return
        }
    }
}
