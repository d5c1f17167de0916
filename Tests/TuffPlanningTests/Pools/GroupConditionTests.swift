import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Groups that are there and not to be had: another host's, hidden ones, and those whose room LVM does not hand out.
@Suite struct GroupConditionTests {
    private func plan(_ group: Observation<VolumeGroup>?, volumes: [String] = ["db-data"]) -> Plan {
        var observed = Sample.observed()
        observed.volumeGroups.entries["vg0"] = group
        observed.ledger.record(
            Ledger.Entry(
                stack: "default", resource: ResourceID(.pool, "fast"), uuid: "vg-uuid/pool-uuid", place: "vg0/tp0",
                seen: Instant(secondsSince1970: 1)))
        observed.ledger.record(
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, "db-data"), uid: Sample.uid, uuid: "lv-uuid",
                place: "vg0/v-db-data", seen: Instant(secondsSince1970: 1)))
        return Planner.plan(desired: Sample.desired(volumes: volumes), observed: observed, context: Sample.context())
    }

    @Test func anotherHostsGroupIsNeitherLostNorChanged() throws {
        var group = Sample.group([Sample.volume("db-data")])
        group.systemID = "tufflab"
        group.foreignTo = "renamed"
        let plan = plan(.known(group))
        let pool = try #require(plan.changes.first { $0.resource.kind == .pool })
        #expect(pool.action == .blocked && pool.reason == .foreignGroup)
        #expect(
            pool.summary.contains(
                "vgchange --config 'local/extra_system_ids=[\"tufflab\"]' --systemid 'renamed' vg0"), "\(pool.summary)")
        #expect(plan.steps.isEmpty && plan.changes.allSatisfy { !$0.summary.contains("forget") })
    }

    @Test func whatIsInAGroupThatCannotBeSeenIsNotLost() {
        let plan = plan(.unknown(HostError(.failed, "LVM does not show it, though it is there")))
        #expect(!plan.changes.contains { $0.reason == .lost } && plan.steps.isEmpty)
        #expect(plan.changes.allSatisfy { !$0.summary.contains("forget") && !$0.summary.contains("--recreate") })
        // And what is really gone is.
        let gone = self.plan(nil)
        #expect(gone.changes.contains { $0.reason == .lost })
    }

    @Test func roomOnDevicesThatTakeNothingNewIsNoRoom() throws {
        var group = Sample.group()
        (group.free, group.unallocatable) = (.zero, Sample.gibi(30))
        var pool = try #require(Sample.desired(volumes: []).pools["fast"])
        pool.spec = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0")))
        var observed = Sample.observed()
        observed.volumeGroups.entries["vg0"] = .known(group)
        let state = PoolState(pool, observed: observed)
        #expect(state.budget.room <= .zero)
        #expect(state.complaints.map(\.reason) == [.notAllocatable])
        #expect(state.complaints[0].sentence.contains("pvchange -xy DEVICE"))
        group.unallocatable = Sample.gibi(1)
        group.free = Sample.gibi(2)
        observed.volumeGroups.entries["vg0"] = .known(group)
        #expect(PoolState(pool, observed: observed).complaints.isEmpty)
    }
}
