import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Copies between pools whose sectors differ.
@Suite struct SectorTests {
    /// Thick pools `small` on vg0 and `large` on vg1, the second with more room, of these sectors; both are labelled.
    private func world(_ small: Int?, _ large: Int?) -> (DesiredState, ObservedState) {
        var desired = DesiredState(), observed = Sample.observed()
        for (name, group, sectors, free) in [("small", "vg0", small, Int64(50)), ("large", "vg1", large, 80)] {
            desired.pools[name] = Sample.declared(
                name, PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: group))), labels: ["tier": "ssd"])
            var found = VolumeGroup(name: group, uuid: group, size: Sample.gibi(100), free: Sample.gibi(free))
            found.sectorSize = sectors
            observed.volumeGroups.entries[group] = .known(found)
        }
        var volume = VolumeSpec(
            size: Sample.gibi(10), placement: .selector(LabelSelector(matchLabels: ["tier": "ssd"])))
        volume.source = .image(Self.image)
        desired.volumes["db"] = Sample.declared("db", volume)
        observed.images = ObservationMap([
            Self.image.key: .known(ObservedImage.usable(size: Sample.gibi(4), content: Sample.gibi(1)))
        ])
        return (desired, observed)
    }

    private static let image = ImageSource(path: "/srv/tuff/images/debian.raw", format: .raw)

    private func notes(_ desired: DesiredState, _ observed: ObservedState) -> (pool: String?, warning: String?) {
        let plan = Planner.plan(desired: desired, observed: observed, context: Sample.context())
        let change = plan.changes.first { $0.resource == ResourceID(.volume, "db") }
        let pool = ["small", "large"].first { change?.summary.contains("pool \($0)") == true }
        return (pool, change?.notes.first { $0.hasPrefix("WARNING") })
    }

    @Test func anImageGoesWhereItsPartitionTableIsRead() {
        let (desired, observed) = world(512, 4096)
        let found = notes(desired, observed)
        #expect(found.pool == "small" && found.warning == nil, "\(found)")
        let placement = Planner.placement(of: "db", desired: desired, observed: observed, context: Sample.context())
        #expect(placement?.explanation.contains("has sectors of 512 bytes, as what it is copied from") == true)
    }

    @Test func whereNoPoolHasItsSectorsThePlanWarns() {
        let (desired, observed) = world(4096, 4096)
        let found = notes(desired, observed)
        #expect(found.pool == "large" && found.warning?.contains("has sectors of 4096 bytes") == true, "\(found)")
    }

    @Test func whatIsNotKnownDecidesNothing() {
        let (desired, observed) = world(nil, nil)
        let found = notes(desired, observed)
        #expect(found.pool == "large" && found.warning == nil, "\(found)")
    }

    @Test func aCopyBetweenPoolsIsWarnedOf() {
        var (desired, observed) = world(512, 4096)
        var group = VolumeGroup(name: "vg1", uuid: "vg1", size: Sample.gibi(100), free: Sample.gibi(80))
        var source = Sample.volume("source")
        (source.layout, source.pool) = (.linear, nil)
        group.logicalVolumes = [source]
        group.sectorSize = 4096
        observed.volumeGroups.entries["vg1"] = .known(group)
        desired.volumes["source"] = Sample.declared(
            "source", VolumeSpec(size: Sample.gibi(10), placement: .pool("large")))
        desired.volumes["db"]?.spec.source = .volume("source")
        desired.volumes["db"]?.spec.placement = .pool("small")
        let warning = notes(desired, observed).warning
        #expect(warning?.contains("Volume/source has sectors of 4096 bytes") == true, "\(warning ?? "")")
        desired.volumes["db"]?.spec.placement = .pool("large")
        #expect(notes(desired, observed).warning == nil)
    }
}
