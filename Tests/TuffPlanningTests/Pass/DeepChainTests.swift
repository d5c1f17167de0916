import Glibc
import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Documents choose how long a chain of what is made from what is. As many as one file may declare are planned on any
/// stack, and in a time that grows as they do.
@Suite struct DeepChainTests {
    static let length = 10_000

    static func name(_ index: Int) -> String { "n\(String(index + 100_000).dropFirst())" }

    /// Uids of their own for as many as there are.
    static func uid(_ index: Int) -> UID {
        UID(bytes: (0..<UID.byteCount).map { UInt8(truncatingIfNeeded: index >> (8 * ($0 % 4))) ^ UInt8($0) })
    }

    /// The chain in the order of its names or against it, so that either end is planned first.
    enum Direction: CaseIterable { case forwards, backwards }

    static func desired(_ backend: PoolSpec.Backend) -> DesiredState {
        var state = DesiredState()
        var pool = PoolSpec(backend: backend)
        if case .lvm(let lvm) = backend, lvm.thinPool == nil {} else { pool.overprovision = 100_000 }
        state.pools["fast"] = Sample.declared("fast", pool)
        return state
    }

    static let thin = PoolSpec.Backend.lvm(LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp0"))

    /// A group with room for all.
    static func world(_ volumes: [LogicalVolume] = []) -> ObservedState {
        var group = Sample.group(volumes)
        group.logicalVolumes[0].size = Sample.gibi(1_000_000)
        group.logicalVolumes[0].metadataSize = Sample.gibi(16)
        group.size = Sample.gibi(2_000_000)
        group.free = Sample.gibi(900_000)
        return ObservedState(
            takenAt: Sample.context().now, volumeGroups: ObservationMap(["vg0": .known(group)]),
            targets: .known(TargetInventory()))
    }

    static func clones(_ direction: Direction, _ backend: PoolSpec.Backend = thin) -> DesiredState {
        var state = desired(backend)
        for index in 0..<length {
            var spec = VolumeSpec(size: Sample.gibi(1), placement: .pool("fast"))
            let source = direction == .forwards ? index - 1 : index + 1
            if (0..<length).contains(source) { spec.source = .volume(name(source)) }
            state.volumes[name(index)] = Sample.declared(name(index), spec)
        }
        return state
    }

    /// Plans, in time of the processor that grows as the length does: where it grew with its square it was minutes,
    /// also in an optimised build. What else the machine does is not in it.
    static func plan(
        _ desired: DesiredState, _ observed: ObservedState, _ context: PlanContext = Sample.context()
    ) -> Plan {
        let start = processorSeconds()
        let plan = Planner.plan(desired: desired, observed: observed, context: context)
        let seconds = processorSeconds() - start
        print("planned \(plan.changes.count) changes in \(seconds) s")
        #expect(seconds < 60)
        return plan
    }

    /// Of this thread; planning gives it to nobody.
    private static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    @Test(arguments: Direction.allCases) func clonesOfClonesAreMadeOneAfterTheOther(_ direction: Direction) {
        let plan = Self.plan(Self.clones(direction), Self.world())
        #expect(plan.counts.add == Self.length)
        #expect(plan.steps.count == Self.length)
        // Each waits for the one it is made from, and for nothing else.
        #expect(plan.steps.allSatisfy { $0.after == ($0.id == 0 ? [] : [$0.id - 1]) })
    }

    @Test func clonesInAThickPoolAreCopiedOneAfterTheOther() {
        var state = Self.clones(.backwards, .lvm(LVMPoolSpec(volumeGroup: "vg0")))
        for name in state.volumes.keys { state.volumes[name]?.spec.size = ByteCount(4 << 20) }
        let plan = Self.plan(state, Self.world())
        #expect(plan.counts.add == Self.length, "\(plan.counts) \(plan.changes[0].summary)")
    }

    @Test func snapshotsOfClonesOfSnapshots() {
        var state = Self.desired(Self.thin)
        for index in 0..<Self.length / 2 {
            var spec = VolumeSpec(size: Sample.gibi(1), placement: .pool("fast"))
            if index > 0 { spec.source = .snapshot(Self.name(index - 1)) }
            state.volumes[Self.name(index)] = Sample.declared(Self.name(index), spec)
            state.snapshots[Self.name(index)] = Sample.declared(
                Self.name(index), SnapshotSpec(volume: Self.name(index)))
        }
        #expect(Self.plan(state, Self.world()).counts.add == Self.length)
    }

    @Test func selectorsThatFollowTheirSources() {
        var state = Self.clones(.backwards)
        state.pools["fast"]?.metadata.labels = ["tier": "ssd"]
        for name in state.volumes.keys {
            state.volumes[name]?.spec.placement = .selector(LabelSelector(matchLabels: ["tier": "ssd"]))
        }
        #expect(Self.plan(state, Self.world()).counts.add == Self.length)
    }

    @Test func aChainThatCannotBeginStopsAtItsBeginning() {
        var state = Self.clones(.backwards)
        let last = Self.name(Self.length - 1)
        state.volumes[last]?.spec.source = .backup(BackupSource(repository: "nas", volume: "db"))
        let plan = Self.plan(state, Self.world())
        #expect(plan.isEmpty)
        #expect(plan.counts.blocked == Self.length)
    }

    @Test func aCircleEndsThoughTheReaderRefusesOne() {
        var state = Self.clones(.forwards)
        state.volumes[Self.name(0)]?.spec.source = .volume(Self.name(Self.length - 1))
        let plan = Self.plan(state, Self.world())
        #expect(plan.isEmpty)
        #expect(plan.counts.blocked == Self.length)
    }

    @Test func aChainOnAnotherNodeIsPassedOver() {
        var state = Self.clones(.backwards)
        state.pools["fast"]?.spec.node = "storage2"
        let plan = Self.plan(state, Self.world())
        #expect(plan.changes.isEmpty)
    }

    /// The objects are there, each made from the one before it, and each is renamed and rolled back.
    @Test func whatIsThereIsComparedRenamedAndRolledBack() {
        var state = Self.clones(.forwards)
        var stored: [LogicalVolume] = []
        for index in 0..<Self.length {
            let name = Self.name(index), former = "o\(name.dropFirst())", uid = Self.uid(index)
            var marks = Sample.marks(former, uid: uid)
            marks.origin = index > 0 ? Self.uid(index - 1) : nil
            stored.append(
                LogicalVolume(
                    name: "v-\(former)", uuid: "uuid-\(index)", size: Sample.gibi(1), tags: marks.tags, layout: .thin,
                    pool: "tp0"))
            state.volumes[name]?.metadata.annotations["tuff.dev/renamed-from"] = former
        }
        let renamed = Self.plan(state, Self.world(stored))
        #expect(renamed.counts.change == Self.length)

        let half = Self.length / 2
        for (index, name) in state.volumes.keys.sorted().enumerated() {
            state.volumes[name]?.metadata.annotations = [:]
            let uid = Self.uid(index)
            var marks = Sample.marks(name, uid: uid)
            marks.origin = index > 0 ? Self.uid(index - 1) : nil
            stored[index].name = "v-\(name)"
            stored[index].tags = marks.tags
            guard index < half else { continue }
            let snapshot = Marks(
                uid: Self.uid(index + Self.length), role: .snapshot(name), stack: "default", origin: uid)
            stored.append(
                LogicalVolume(
                    name: "s-\(name)", uuid: "uuid-s\(index)", size: Sample.gibi(1), tags: snapshot.tags, layout: .thin,
                    pool: "tp0", origin: "v-\(name)"))
            state.snapshots[name] = Sample.declared(name, SnapshotSpec(volume: name))
            state.restores[name] = Sample.declared(
                name, RestoreSpec(volume: name, volumeUID: uid, from: .snapshot(name)))
        }
        let back = Self.plan(state, Self.world(stored))
        #expect(back.counts.change == half, "\(back.changes.first { $0.resource.kind == .restore }?.summary ?? "")")
        // Nothing is declared any more: all are in the trash in the end, none is looked for among all the others.
        var none = Self.desired(Self.thin)
        none.pools["fast"]?.spec.overprovision = 1
        let pruned = Self.plan(none, Self.world(stored), Sample.context { $0.prune = true })
        #expect(pruned.counts.remove == Self.length + half)
    }

    @Test func tenThousandRestoresToOneVolumeWaitForAPerson() {
        var state = Self.desired(Self.thin)
        state.volumes["db"] = Sample.declared("db", VolumeSpec(size: Sample.gibi(10), placement: .pool("fast")))
        state.snapshots["s"] = Sample.declared("s", SnapshotSpec(volume: "db"))
        for index in 0..<Self.length {
            state.restores[Self.name(index)] = Sample.declared(
                Self.name(index), RestoreSpec(volume: "db", volumeUID: Sample.uid, from: .snapshot("s")))
        }
        let plan = Self.plan(state, Self.world([Sample.volume()]))
        #expect(plan.changes.count { $0.reason == .conflict } == Self.length)
    }

    @Test func snapshotsOfThickVolumesFindTheirVolumes() {
        var state = Self.desired(.lvm(LVMPoolSpec(volumeGroup: "vg0")))
        var stored: [LogicalVolume] = []
        for index in 0..<Self.length / 2 {
            let name = Self.name(index), uid = Self.uid(index)
            stored.append(
                LogicalVolume(
                    name: "v-\(name)", uuid: "u\(index)", size: Sample.gibi(1), tags: Sample.marks(name, uid: uid).tags,
                    layout: .linear))
            let marks = Marks(uid: Self.uid(index + Self.length), role: .snapshot(name), stack: "default", origin: uid)
            stored.append(
                LogicalVolume(
                    name: "s-\(name)", uuid: "s\(index)", size: ByteCount(4 << 20), tags: marks.tags,
                    layout: .linear, origin: "v-\(name)"))
            state.volumes[name] = Sample.declared(name, VolumeSpec(size: Sample.gibi(1), placement: .pool("fast")))
            var spec = SnapshotSpec(volume: name)
            spec.reserve = ByteCount(4 << 20)
            state.snapshots[name] = Sample.declared(name, spec)
        }
        let plan = Self.plan(state, Self.world(stored))
        #expect(plan.isEmpty, "\(plan.steps.first as Any)")
        #expect(plan.counts.unchanged == Self.length + 1)
    }
}
