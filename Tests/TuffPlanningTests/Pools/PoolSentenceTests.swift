import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// A fault of a pool is said once, in the pool's own line.
@Suite struct PoolSentenceTests {
    @Test func volumesPointToTheirPoolsLine() throws {
        var desired = Sample.desired(volumes: ["a", "b"])
        desired.snapshots["s"] = Sample.declared("s", SnapshotSpec(volume: "a"))
        var observed = Sample.observed()
        observed.volumeGroups = ObservationMap(["vg0": .unknown(HostError(.timeout, "lvm did not answer within 60 s"))])
        let plan = Planner.plan(desired: desired, observed: observed, context: Sample.context())
        let pool = try #require(plan.changes.first { $0.resource.kind == .pool })
        #expect(pool.summary.contains("lvm did not answer within 60 s") && pool.reason == .unknown)
        let volumes = plan.changes.filter { $0.resource.kind == .volume }
        #expect(volumes.map(\.summary) == Array(repeating: "pool 'fast' is not available, see its own line", count: 2))
        // Programs read the pool's reason in each of them.
        #expect(volumes.allSatisfy { $0.reason == .unknown })
        #expect(plan.changes.count { $0.summary.contains("60 s") } == 1)
    }
}
