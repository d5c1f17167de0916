import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// LVM refuses a new volume in a thin pool above its own limits, and so the plan refuses it first.
@Suite struct ThinPoolLimitTests {
    /// Volume `db` is to be made in a pool of 90 GiB.
    private func observed(_ change: (inout LogicalVolume, inout VolumeGroup) -> Void) throws -> ObservedState {
        var observed = Sample.observed()
        var group = try #require(observed.volumeGroups["vg0"].value ?? nil)
        var pool = group.logicalVolumes[0]
        change(&pool, &group)
        group.logicalVolumes[0] = pool
        observed.volumeGroups.entries["vg0"] = .known(group)
        return observed
    }

    private func plan(_ observed: ObservedState, _ desired: DesiredState = Sample.desired()) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context("00"))
    }

    private func line(_ plan: Plan) throws -> PlannedChange {
        try #require(plan.changes.first { $0.resource == ResourceID(.volume, "db") })
    }

    @Test(arguments: [nil, "people"]) func noVolumeIsMadeAboveTheThreshold(_ profile: String?) throws {
        let full = try observed { pool, _ in
            (pool.dataPercent, pool.autoextendThreshold, pool.profile) = (80.1, 80, profile)
        }
        let line = try line(plan(full))
        #expect(line.action == .blocked && line.reason == .insufficientCapacity)
        let rule = "data of thin pool vg0/tp0 is 80.1 % full, beyond its autoextend threshold of 80 % ("
        #expect(line.summary.contains(rule + (profile.map { "profile \($0)" } ?? "lvm.conf")), "\(line.summary)")
        #expect(plan(full).steps.isEmpty)
    }

    @Test func exactlyTheThresholdAndOneOfAHundredAreNoLimit() throws {
        let even = try observed { pool, group in (pool.dataPercent, pool.autoextendThreshold) = (80, 80) }
        #expect(try line(plan(even)).action == .create)
        let never = try observed { pool, _ in (pool.dataPercent, pool.autoextendThreshold) = (85, 100) }
        #expect(try line(plan(never)).action == .create)
    }

    /// 4 MiB of metadata must be free, a quarter of less than 16 MiB.
    @Test(arguments: [(Int64(4), 75.0), (16, 75.0), (64, 93.75)])
    func someMetadataAreKeptFree(_ size: Int64, _ limit: Double) throws {
        var desired = Sample.desired()
        desired.pools["fast"]?.spec.reserve = Percentage(0)
        func change(_ used: Double) throws -> PlannedChange {
            try line(
                plan(
                    try observed { pool, _ in
                        (pool.metadataSize, pool.metadataPercent) = (ByteCount(size << 20), used)
                    }, desired))
        }
        #expect(try change(limit - 1).action == .create)
        let full = try change(limit)
        #expect(full.reason == .insufficientCapacity && full.summary.contains("what LVM keeps free"), "\(full.summary)")
    }

    /// Of 90 GiB 50 are used, and a copy of 40 would pass the threshold; the reserve of a tenth is further off.
    @Test(arguments: [false, true]) func theProofTakesTheThresholdWhereThePoolCannotGrow(_ grows: Bool) throws {
        var desired = Sample.desired(volumes: [])
        let image = ImageSource(path: "/srv/images/disk.raw", format: .raw)
        var spec = VolumeSpec(size: Sample.gibi(30), placement: .pool("fast"))
        spec.source = .image(image)
        desired.volumes["db"] = Sample.declared("db", spec)
        var observed = try observed { pool, group in
            (pool.dataPercent, pool.autoextendThreshold) = (Double(50) / 90 * 100, 80)
            (pool.isMonitored, group.free) = (true, grows ? Sample.gibi(20) : Sample.gibi(1))
        }
        observed.images = ObservationMap([
            image.key: .known(.usable(size: Sample.gibi(30), content: Sample.gibi(30)))
        ])
        let plan = plan(observed, desired)
        let reason = try line(plan).reason
        let isRefused = plan.refusal != nil || reason == .insufficientCapacity
        #expect(isRefused == !grows, "\(plan.changes) \(String(describing: plan.refusal))")
        #expect(grows || "\(plan)".contains("LVM makes no new volume beyond its autoextend threshold of 80 %"))
    }
}
