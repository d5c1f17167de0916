import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Marked objects in groups that are no pool of this node: a copy of its disks, or those of a host that died.
@Suite struct StrangerTests {
    private static let all = Sample.context {
        $0.prune = true
        $0.runDue = true
        $0.allowDestroy = true
    }

    private func group(_ name: String, _ volumes: [LogicalVolume]) -> VolumeGroup {
        var group = Sample.group(volumes)
        group.name = name
        group.uuid = "\(name)-uuid"
        return group
    }

    /// vg0 with the volume `db`, and another group with these.
    private func observed(_ volumes: [LogicalVolume], in name: String = "rescue") -> ObservedState {
        var observed = Sample.observed()
        observed.volumeGroups = ObservationMap([
            "vg0": .known(Sample.group([Sample.volume()])), name: .known(group(name, volumes)),
        ])
        return observed
    }

    private func plan(_ observed: ObservedState, _ desired: DesiredState = Sample.desired()) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Self.all)
    }

    private static let over = Sample.volume("gone", uid: Sample.uid(41)) {
        $0.until = Self.all.now.advanced(by: TimeSpan(seconds: -60))
    }
    private static let undeclared = Sample.volume("left", uid: Sample.uid(42))

    @Test func nothingIsTakenFromAGroupThatIsNoPool() {
        let plan = plan(observed([Self.over, Self.undeclared]))
        #expect(plan.isEmpty, "\(plan.steps.map(\.step))")
        let listed = plan.changes.filter { $0.action == .orphan }
        #expect(
            listed.count == 2 && listed.allSatisfy { $0.summary.contains("rescue/tp0 is no pool that this node has") })
        #expect(plan.counts.blocked == 0)
    }

    @Test func whatIsKeptThereMayBeRead() {
        let kept = Sample.volume("gone", uid: Sample.uid(41), active: true) {
            $0.until = Self.all.now.advanced(by: TimeSpan(seconds: 3600))
        }
        #expect(plan(observed([kept])).isEmpty)
    }

    @Test func aPolicyDoesNotExpireWhatIsThere() {
        var desired = Sample.desired()
        var spec = SnapshotPolicySpec(volumes: .names(["db"]), schedule: Schedule(cron: "0 0 * * *"))
        spec.keep = KeepRule()
        spec.keep?.last = 1
        desired.snapshotPolicies["daily"] = Sample.declared("daily", spec)
        func taken(_ day: UInt8) -> LogicalVolume {
            let marks = Marks(
                uid: Sample.uid(day), role: .snapshot("daily-db-202611\(day)-0000"), stack: "default",
                origin: Sample.uid,
                occasion: Marks.Occasion(policy: "daily", time: Instant(text: "2026-11-\(day)T00:00:00Z")!))
            return LogicalVolume(
                name: marks.objectName, uuid: "uuid-\(day)", size: Sample.gibi(10), tags: marks.tags, pool: "tp0")
        }
        var observed = observed([taken(18), taken(19)])
        observed.volumeGroups = ObservationMap([
            "vg0": .known(Sample.group([Sample.volume(), taken(22)])),
            "rescue": .known(group("rescue", [taken(18), taken(19)])),
        ])
        let plan = plan(observed, desired)
        #expect(plan.isEmpty, "\(plan.steps.map(\.step))")
        #expect(plan.counts.orphaned == 2)
    }

    @Test func whatTheLedgerKnowsAsAPoolIsOneAsLongAsItIsTheSame() {
        func remembering(_ uuid: String) -> ObservedState {
            var observed = observed([Self.over])
            observed.ledger.record(
                Ledger.Entry(
                    stack: "default", resource: ResourceID(.pool, "old"), uuid: uuid, place: "rescue/tp0",
                    seen: Self.all.now))
            return observed
        }
        #expect(plan(remembering("rescue-uuid/pool-uuid")).changes.contains { $0.action == .purge })
        #expect(plan(remembering("former-uuid/pool-uuid")).isEmpty)
    }

    @Test func anotherGroupUnderTheNameOfADeclaredPoolIsNone() {
        var observed = Sample.observed([Self.over])
        observed.ledger.record(
            Ledger.Entry(
                stack: "default", resource: ResourceID(.pool, "fast"), uuid: "former-uuid/pool-uuid", place: "vg0/tp0",
                seen: Self.all.now))
        let plan = plan(observed, Sample.desired(volumes: []))
        #expect(plan.isEmpty && plan.counts.orphaned == 1, "\(plan.changes)")
    }

    @Test func aGroupPluggedInDoesNotMakeTheGuardMilder() {
        let many = (50..<70).map { Sample.volume("v\($0)", uid: Sample.uid($0)) }
        var observed = observed(many)
        observed.volumeGroups = ObservationMap([
            "vg0": .known(Sample.group([Sample.volume(), Sample.volume("web", uid: Sample.uid(40))])),
            "rescue": .known(group("rescue", many)),
        ])
        #expect(plan(observed, Sample.desired(volumes: [])).refusal?.reason == .tooManyRemovals)
    }
}
