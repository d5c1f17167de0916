import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct LedgerTests {
    let context = Sample.context()

    func kept(_ desired: DesiredState, _ observed: ObservedState) -> Ledger {
        observed.ledger.after(observed, desired: desired, context: context)
    }

    func plan(_ desired: DesiredState, _ observed: ObservedState, _ context: PlanContext? = nil) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: context ?? self.context)
    }

    func change(_ plan: Plan, _ kind: Kind = .volume, _ name: String = "db") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    @Test func whatWasSeenAndVanishedIsLostAndNotNew() {
        let ledger = kept(Sample.desired(), Sample.observed([Sample.volume()]))
        var gone = Sample.observed()
        gone.ledger = ledger
        let lost = plan(Sample.desired(), gone)
        #expect(lost.isEmpty)
        #expect(change(lost)?.reason == .lost)
        #expect(change(lost)?.summary.contains("vg0/v-db") == true)
        var recreating = context
        recreating.consent.recreate = [ResourceID(.volume, "db")]
        let again = plan(Sample.desired(), gone, recreating)
        #expect(change(again)?.action == .create)
        #expect(change(again)?.notes.contains { $0.contains("blank") } == true)
        #expect(change(again)?.uid != Sample.uid)
        gone.ledger.forget(ResourceID(.volume, "db"), stack: "default")
        #expect(change(plan(Sample.desired(), gone))?.action == .create)
    }

    @Test func anotherStacksVolumeOfTheNameIsNoLossOfThisOne() {
        var observed = Sample.observed()
        observed.ledger = kept(Sample.desired(), Sample.observed([Sample.volume(stack: "other")]))
        #expect(change(plan(Sample.desired(), observed))?.action == .create)
    }

    @Test func whatLeftOnPurposeIsNoLoss() {
        let trashed = Sample.volume { $0.until = context.now }
        var observed = Sample.observed()
        observed.ledger = kept(Sample.desired(), Sample.observed([trashed]))
        #expect(change(plan(Sample.desired(), observed))?.action == .create)
        #expect(change(plan(Sample.desired(), observed))?.notes.isEmpty == false)
    }

    @Test func aRemovalIsNoLossEvenIfNobodyLivedToWriteItDown() {
        var observed = Sample.observed([Sample.volume()])
        observed.ledger = kept(Sample.desired(volumes: []), observed)
        let context = Sample.context { $0.prune = true }
        let removal = plan(Sample.desired(volumes: []), observed, context)
        let ledger = observed.ledger.before(removal)
        #expect(ledger.entry(ResourceID(.volume, "db"), stack: "default")?.standing == .leaving)
        #expect(ledger.removals.map(\.resource) == [ResourceID(.volume, "db")])
        var gone = Sample.observed()
        gone.ledger = ledger
        #expect(change(plan(Sample.desired(), gone))?.action == .create)
    }

    @Test func aRenamedVolumeIsNotLostUnderItsOldName() {
        var observed = Sample.observed([Sample.volume("new")])
        observed.ledger = kept(Sample.desired(), Sample.observed([Sample.volume("db")]))
        let ledger = kept(Sample.desired(volumes: ["new"]), observed)
        #expect(ledger.entry(ResourceID(.volume, "db"), stack: "default") == nil)
        #expect(ledger.entry(ResourceID(.volume, "new"), stack: "default")?.uid == Sample.uid)
    }

    @Test func aVanishedPoolIsLostAndAnotherUnderItsNameIsNotIt() {
        let ledger = kept(Sample.desired(), Sample.observed())
        var gone = Sample.observed()
        gone.ledger = ledger
        gone.volumeGroups = ObservationMap()
        #expect(change(plan(Sample.desired(), gone), .pool, "fast")?.reason == .lost)
        var other = Sample.observed()
        other.ledger = ledger
        var group = Sample.group()
        group.uuid = "another"
        other.volumeGroups = ObservationMap(["vg0": .known(group)])
        let moved = plan(Sample.desired(), other)
        #expect(moved.isEmpty)
        #expect(change(moved, .pool, "fast")?.reason == .moveNotSupported)
        // What the ledger remembers stays what it was, until a person forgets it.
        #expect(
            kept(Sample.desired(), other).entry(ResourceID(.pool, "fast"), stack: "default")?.uuid?.hasPrefix("vg-uuid")
                == true)
    }

    @Test func anUnseenGroupLosesNothing() {
        var observed = Sample.observed([Sample.volume()])
        observed.ledger = kept(Sample.desired(), observed)
        observed.volumeGroups = ObservationMap(["vg0": .unknown(HostError(.timeout, "hangs"))])
        #expect(change(plan(Sample.desired(), observed))?.reason == .unknown)
        #expect(kept(Sample.desired(), observed).entries == observed.ledger.entries)
    }

    @Test func theClockOfTheLastPassNeverGoesBack() {
        var observed = Sample.observed()
        let later = context.now.advanced(by: TimeSpan(seconds: 999))
        observed.ledger.lastPass = later
        #expect(kept(Sample.desired(), observed).lastPass == later)
    }
}
