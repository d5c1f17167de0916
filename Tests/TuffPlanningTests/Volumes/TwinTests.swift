import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Objects that bear one uid: a group that was copied with its tags, or tags put on another volume.
@Suite struct TwinTests {
    /// All of `originals` once more in vg01, as `vgimportclone` leaves a copy of their disks.
    private func copied(_ originals: [LogicalVolume], alone: [LogicalVolume] = []) -> ObservedState {
        var observed = Sample.observed(originals + alone)
        var copy = Sample.group(originals)
        copy.name = "vg01"
        copy.uuid = "vg01-uuid"
        observed.volumeGroups = ObservationMap(["vg0": .known(Sample.group(originals + alone)), "vg01": .known(copy)])
        return observed
    }

    private func taken(_ hour: UInt8, policy: String = "hourly") -> LogicalVolume {
        let marks = Marks(
            uid: Sample.uid(hour), role: .snapshot("hourly-db-20261122-0\(hour)00"), stack: "default",
            origin: Sample.uid,
            occasion: Marks.Occasion(policy: policy, time: Instant(text: "2026-11-22T0\(hour):00:00Z")!))
        return LogicalVolume(
            name: marks.objectName, uuid: "uuid-\(hour)", size: Sample.gibi(10), tags: marks.tags, pool: "tp0",
            origin: "v-db")
    }

    private func desired(hourly count: Int = 24) -> DesiredState {
        var desired = Sample.desired()
        var spec = SnapshotPolicySpec(volumes: .names(["db"]), schedule: Schedule(cron: "0 * * * *"))
        spec.keep = KeepRule()
        spec.keep?.hourly = count
        desired.snapshotPolicies["hourly"] = Sample.declared("hourly", spec)
        return desired
    }

    private static let all = Sample.context {
        $0.runDue = true
        $0.prune = true
        $0.allowDestroy = true
    }

    private func plan(_ desired: DesiredState, _ observed: ObservedState) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Self.all)
    }

    @Test func aPolicyDestroysNothingOfAGroupThatWasCopied() {
        let plan = plan(desired(), copied([Sample.volume(), taken(7), taken(8), taken(9)]))
        #expect(plan.isEmpty, "\(plan.steps.map(\.step))")
        let twins = plan.changes.filter { $0.reason == .marksDamaged && $0.resource.kind == .snapshot }
        #expect(twins.count == 3 && twins.allSatisfy { $0.summary.contains("vg01/p-hourly-db") })
    }

    @Test func aPolicyDestroysNoneOfTwoSnapshotsThatBearOneUID() {
        var other = taken(7)
        other.name = "mine"
        other.uuid = "uuid-mine"
        let plan = plan(desired(hourly: 1), Sample.observed([Sample.volume(), taken(7), other, taken(8), taken(9)]))
        // The others are judged as ever.
        #expect(plan.changes.filter { $0.action == .purge }.compactMap(\.uid) == [Sample.uid(8)])
        #expect(plan.changes.contains { $0.action == .blocked && $0.summary.contains("vg0/mine and vg0/p-hourly-db") })
    }

    @Test func aPolicyDestroysNothingWhileTwoVolumesHaveTheName() {
        let another = Sample.volume("db", uid: Sample.uid(40))
        var second = another
        second.name = "v-another"
        let plan = plan(desired(hourly: 1), Sample.observed([Sample.volume(), second, taken(8), taken(9)]))
        #expect(plan.isEmpty, "\(plan.steps.map(\.step))")
    }

    @Test func aVolumeThatIsThereTwiceIsNotTouchedAndNotMadeAnew() throws {
        var desired = Sample.desired(attached: ["db"])
        desired.volumes["db"]!.spec.size = Sample.gibi(20)
        let plan = plan(desired, copied([Sample.volume()]))
        #expect(plan.isEmpty)
        let line = try #require(plan.changes.first { $0.resource == ResourceID(.volume, "db") })
        #expect(line.action == .blocked && line.summary.contains("vg0/v-db and vg01/v-db bear one uid"))
        #expect(plan.changes.filter { $0.resource == ResourceID(.volume, "db") }.count == 1)
    }

    @Test func tagsCopiedToAnotherNameGiveNoSecondDiskOfOneIdentity() {
        let original = Sample.volume()
        var copy = Sample.volume("other")
        copy.tags = original.tags.map { $0 == "tuff:vol=db" ? "tuff:vol=other" : $0 }
        let plan = plan(
            Sample.desired(volumes: ["db", "other"], attached: ["db", "other"]), Sample.observed([original, copy]))
        #expect(plan.isEmpty, "\(plan.steps.map(\.step))")
        #expect(plan.counts.blocked == 4)
    }

    @Test func whatIsThereTwiceIsNeitherPutInTheTrashNorPurged() {
        let over = Sample.volume("gone", uid: Sample.uid(41)) {
            $0.until = Sample.context().now.advanced(by: TimeSpan(seconds: -60))
        }
        let undeclared = Sample.volume("left", uid: Sample.uid(42))
        let plan = plan(Sample.desired(), copied([over, undeclared], alone: [Sample.volume()]))
        #expect(plan.isEmpty, "\(plan.steps.map(\.step))")
        #expect(plan.changes.filter { $0.reason == .marksDamaged }.count == 2)
    }

    @Test func anotherStacksTwinsAreNotListed() {
        let theirs = Sample.volume("their", uid: Sample.uid(43), stack: "other")
        let plan = plan(Sample.desired(), copied([theirs], alone: [Sample.volume()]))
        #expect(plan.isEmpty && plan.counts.blocked == 0)
    }

    @Test(arguments: ["db", "\(Sample.uid)"]) func noOrderPicksOneOfTwo(_ name: String) {
        let over = Sample.volume { $0.until = Sample.context().now }
        #expect(throws: OrderError.self) {
            try Planner.plan(.purge(name), observed: copied([over]), context: Sample.context())
        }
    }

    @Test func theLedgerDoesNotFollowTheCopy() {
        var ledger = Ledger()
        let entry = Ledger.Entry(
            stack: "default", resource: ResourceID(.volume, "db"), uid: Sample.uid, place: "vg0/v-db",
            seen: Sample.context().now)
        ledger.record(entry)
        let next = ledger.after(copied([Sample.volume()]), desired: Sample.desired(), context: Sample.context())
        #expect(next.entry(entry.resource, stack: "default") == entry)
    }
}
