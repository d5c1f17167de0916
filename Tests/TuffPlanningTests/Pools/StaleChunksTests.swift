import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// A thin pool whose new chunks show what earlier volumes left in them (`zero` is off).
@Suite struct StaleChunksTests {
    private func stale(_ observed: ObservedState, _ isStale: Bool = true) throws -> ObservedState {
        var observed = observed, group = try #require(observed.volumeGroups["vg0"].value ?? nil)
        group.logicalVolumes[0].zeroesChunks = !isStale
        observed.volumeGroups.entries["vg0"] = .known(group)
        return observed
    }

    private func plan(_ desired: DesiredState, _ observed: ObservedState) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context())
    }

    /// Compares the plans for `resource` where the pool zeroes and where it does not: carried out there, blocked here,
    /// and with no step of storage.
    private func expectRefusal(_ resource: ResourceID, _ desired: DesiredState, _ observed: ObservedState) throws {
        let well = plan(desired, try stale(observed, false))
        #expect(well.changes.first { $0.resource == resource }?.action.acts == true, "\(well.changes)")
        let plan = plan(desired, try stale(observed))
        let change = try #require(plan.changes.first { $0.resource == resource })
        #expect(change.action == .blocked && change.reason == .notZeroed, "\(change)")
        #expect(change.summary.contains("lvchange --zero y vg0/tp0"))
        let own = plan.steps.filter { plan.changes[$0.change].resource == resource }
        #expect(own.isEmpty)
    }

    private let volume = ResourceID(.volume, "db")

    @Test func nothingIsMadeOrGrownThere() throws {
        try expectRefusal(volume, Sample.desired(), Sample.observed())
        var larger = Sample.desired()
        larger.volumes["db"]!.spec.size = Sample.gibi(11)
        try expectRefusal(volume, larger, Sample.observed([Sample.volume()]))
        try expectRefusal(
            volume, Sample.desired(), Sample.observed([Sample.volume { $0.operation = Marks.creating }]))
        var clone = Sample.desired(volumes: ["copy", "db"])
        clone.volumes["copy"]!.spec.source = .volume("db")
        try expectRefusal(ResourceID(.volume, "copy"), clone, Sample.observed([Sample.volume()]))
    }

    @Test func nothingIsFilledThere() throws {
        let images = ImagePlanTests()
        try expectRefusal(volume, images.desired(), images.observed())
        try expectRefusal(volume, images.desired(), images.observed([images.unfilled()]))

        let copies = TransferPlanTests()
        var desired = copies.desired(.snapshot("before"), copies: [])
        desired.volumes["db"]!.spec.placement = .pool("slow")
        desired.snapshots = [:]
        var spec = VolumeSpec(size: Sample.gibi(10), placement: .pool("fast"))
        spec.source = .volume("db")
        desired.volumes["copy"] = Sample.declared("copy", spec)
        var source = Sample.volume()
        source.layout = .linear
        source.pool = nil
        try expectRefusal(ResourceID(.volume, "copy"), desired, Sample.observed([source]))
        var begun = copies.interrupted(from: Sample.uid)
        begun.layout = .thin
        begun.pool = "tp0"
        try expectRefusal(ResourceID(.volume, "copy"), desired, Sample.observed([source, begun]))
    }

    @Test func nothingIsRolledBackThereAndNoRollingBackIsGoneOnWith() throws {
        let restores = RestorePlanTests(), line = ResourceID(.restore, "undo")
        try expectRefusal(line, restores.desired("undo"), restores.observed())
        try expectRefusal(
            line, restores.desired("undo"),
            restores.observed { $0.operation = Marks.restoring(RestorePlanTests.key) })
    }

    /// Snapshots share blocks, and what is written over is copied by whole chunks.
    @Test func whatIsThereIsAttachedAndSnapshotsAreTaken() throws {
        var desired = Sample.desired(attached: ["db"])
        desired.snapshots["now"] = Sample.declared("now", SnapshotSpec(volume: "db"))
        let plan = plan(desired, try stale(Sample.observed([Sample.volume(active: true)])))
        #expect(plan.changes.allSatisfy { $0.action != .blocked })
        #expect(plan.changes.contains { $0.resource.kind == .snapshot && $0.action == .create })
        #expect(plan.steps.contains { if case .export = $0.step { true } else { false } })
    }

    @Test func aPoolThatZeroesIsPreferred() throws {
        var desired = Sample.desired()
        desired.pools["fast"]!.metadata.labels = ["tier": "any"]
        var other = Sample.declared("slow", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))))
        other.metadata.labels = ["tier": "any"]
        desired.pools["slow"] = other
        desired.volumes["db"]!.spec.placement = .selector(LabelSelector(matchLabels: ["tier": "any"]))
        desired.volumes["db"]!.spec.size = Sample.gibi(1)
        func chosen(_ observed: ObservedState) -> String? {
            plan(desired, observed).changes.first { $0.resource == volume }?.summary
        }
        var observed = Sample.observed(), group = Sample.group()
        group.free = Sample.gibi(40)
        observed.volumeGroups.entries["vg0"] = .known(group)
        #expect(chosen(try stale(observed, false))?.contains("pool fast") == true)
        #expect(chosen(try stale(observed))?.contains("pool slow") == true)
    }
}
