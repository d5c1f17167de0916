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

    @Test(arguments: [true, false])
    func whatVanishedFromTheTrashOrAfterItsReleaseIsLostToo(_ isTrashed: Bool) {
        let leaving = Sample.volume { isTrashed ? ($0.until = context.now) : ($0.released = true) }
        var observed = Sample.observed()
        observed.ledger = kept(Sample.desired(), Sample.observed([leaving]))
        #expect(observed.ledger.entry(ResourceID(.volume, "db"), stack: "default")?.standing == .leaving)
        let lost = plan(Sample.desired(), observed)
        #expect(lost.isEmpty)
        #expect(change(lost)?.reason == .lost)
        #expect(change(lost)?.summary.contains("in the trash or released") == true)
    }

    @Test func aPurgeIsNoLossEvenIfNobodyLivedToWriteItDown() {
        let trashed = Sample.volume { $0.until = context.now.advanced(by: TimeSpan(seconds: -1)) }
        var observed = Sample.observed([trashed])
        observed.ledger = kept(Sample.desired(volumes: []), observed)
        let purge = plan(Sample.desired(volumes: []), observed, Sample.context { $0.prune = true })
        #expect(change(purge)?.action == .purge)
        var gone = Sample.observed()
        gone.ledger = observed.ledger.before(purge)
        #expect(gone.ledger.entry(ResourceID(.volume, "db"), stack: "default")?.standing == .purged)
        let again = plan(Sample.desired(), gone)
        #expect(change(again)?.action == .create)
        #expect(change(again)?.notes.isEmpty == false)
    }

    @Test func aRemovalIsWrittenDownBeforeItIsDone() {
        var observed = Sample.observed([Sample.volume()])
        observed.ledger = kept(Sample.desired(volumes: []), observed)
        let removal = plan(Sample.desired(volumes: []), observed, Sample.context { $0.prune = true })
        let ledger = observed.ledger.before(removal)
        #expect(ledger.entry(ResourceID(.volume, "db"), stack: "default")?.standing == .leaving)
        #expect(ledger.removals.map(\.resource) == [ResourceID(.volume, "db")])
    }

    @Test func olderDataOfTheNameInTheTrashDoesNotHideALoss() {
        var observed = Sample.observed([
            Sample.volume(uid: Sample.uid(7)) { $0.until = context.now.advanced(by: TimeSpan(seconds: 600)) }
        ])
        observed.ledger = kept(Sample.desired(), Sample.observed([Sample.volume()]))
        let lost = plan(Sample.desired(), observed)
        #expect(lost.isEmpty)
        #expect(change(lost)?.reason == .lost)
        // Seen in the trash by another pass, it does not take the lost one's place in the ledger either.
        observed.ledger = kept(Sample.desired(), observed)
        #expect(change(plan(Sample.desired(), observed))?.reason == .lost)
        observed.ledger.forget(ResourceID(.volume, "db"), stack: "default")
        #expect(change(plan(Sample.desired(), observed))?.action == .untrash)
    }

    @Test func whatWasLostUnderItsFormerNameIsNotMadeBlankUnderTheNewOne() {
        var desired = Sample.desired(volumes: ["data"])
        desired.volumes["data"]!.metadata.annotations["tuff.dev/renamed-from"] = "db"
        var gone = Sample.observed()
        gone.ledger = kept(Sample.desired(), Sample.observed([Sample.volume()]))
        let lost = plan(desired, gone)
        #expect(lost.isEmpty)
        #expect(change(lost, .volume, "data")?.reason == .lost)
        #expect(change(lost, .volume, "data")?.summary.contains("tuff forget Volume/db") == true)
    }

    @Test func timesThatAreYetToComeAreForgotten() {
        var ledger = Ledger()
        let later = context.now.advanced(by: TimeSpan(seconds: 999))
        ledger.lastPass = later
        ledger.removals = [
            Ledger.Removal(stack: "default", resource: ResourceID(.volume, "a"), at: later),
            Ledger.Removal(stack: "default", resource: ResourceID(.volume, "b"), at: context.now),
        ]
        ledger.forgetTimes(after: context.now)
        #expect(ledger.lastPass == context.now)
        #expect(ledger.removals.map(\.resource.name) == ["b"])
        #expect(ledger.clockConfirmed == context.now)
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

    private func reading(_ boot: String = "one", up uptime: Int64, ahead seconds: Int64) -> ClockReading {
        ClockReading(boot: boot, uptime: uptime, civil: context.now.advanced(by: TimeSpan(seconds: seconds)))
    }

    /// For each of these, one after another, true if it is believed.
    private func believed(_ ledger: inout Ledger, _ readings: ClockReading...) -> [Bool] {
        readings.map { ledger.believe($0) }
    }

    @Test func aClockThatIsSetAheadIsDoubtedUntilItIsRightOrConfirmed() {
        var ledger = Ledger()
        let first = believed(&ledger, reading(up: 1000, ahead: 0))
        #expect(first == [true])
        // Days may pass while nobody looks, and time servers may correct an hour.
        #expect(ledger.doubt(reading(up: 1000 + 40 * 86400, ahead: 40 * 86400 + 3600)) == nil)
        let jumped = reading(up: 1060, ahead: 365 * 86400)
        #expect(ledger.doubt(jumped) == .jumped(seconds: 365 * 86400 - 60))
        // Neither a week under the wrong clock nor a reboot makes it right.
        let later = believed(
            &ledger, jumped, jumped, reading(up: 1060 + 7 * 86400, ahead: 372 * 86400),
            reading("two", up: 9000, ahead: 373 * 86400))
        #expect(later == [false, false, false, false])
        // Set back, it is as if nothing had been.
        var corrected = ledger
        let right = believed(&corrected, reading(up: 2000, ahead: 1000))
        #expect(right == [true] && corrected.clockLead == nil)
        ledger.forgetTimes(after: context.now)
        let confirmed = believed(&ledger, reading("two", up: 9060, ahead: 373 * 86400))
        #expect(confirmed == [true])
    }

    /// Without a battery a clock begins somewhere in the past, and is right once a time server has spoken.
    @Test func aClockThatWasBehindForAWhileHasNotJumped() {
        var ledger = Ledger()
        ledger.clock = reading(up: 1000, ahead: 0)
        let results = believed(
            &ledger, reading("two", up: 20, ahead: -400 * 86400), reading("two", up: 80, ahead: 600))
        #expect(results == [false, true])
    }

    /// Nor one that went on where the machine was turned off, until a time server told how long that was.
    @Test func aClockThatStoodStillHasNotJumpedEither() {
        var ledger = Ledger()
        ledger.clock = reading(up: 1000, ahead: 0)
        let results = believed(
            &ledger, reading("two", up: 20, ahead: 30), reading("two", up: 80, ahead: 3 * 86400),
            reading("two", up: 3700, ahead: 3 * 86400 + 3620))
        #expect(results == [true, false, true])
    }

    @Test func whatWasSetRightBeforeARebootIsForgotten() {
        var ledger = Ledger()
        ledger.clock = reading(up: 1000, ahead: 0)
        let results = believed(
            &ledger, reading(up: 1060, ahead: 30 * 86400), reading("two", up: 9000, ahead: 2 * 86400))
        #expect(results == [false, true])
    }

    @Test func afterALongTimeOffTheClockHasAnHourToBeSet() {
        var ledger = Ledger()
        ledger.clock = reading(up: 1000, ahead: 0)
        #expect(ledger.doubt(reading("two", up: 30, ahead: 3600)) == nil)
        let early = reading("two", up: 30, ahead: 3 * 86400)
        #expect(ledger.doubt(early) == .settling)
        let results = believed(&ledger, early, reading("two", up: 3600, ahead: 3 * 86400 + 3570))
        #expect(results == [false, true])
    }

    @Test func aClockInDoubtEndsNothingThatIsRemembered() {
        var observed = Sample.observed()
        observed.ledger.clock = reading(up: 0, ahead: -2 * 86400)
        observed.ledger.removals = [
            Ledger.Removal(
                stack: "default", resource: ResourceID(.volume, "a"),
                at: context.now.advanced(by: TimeSpan(seconds: -2 * 86400)))
        ]
        observed.clock = reading(up: 60, ahead: 0)
        let doubted = kept(Sample.desired(), observed)
        #expect(doubted.removals.count == 1 && doubted.lastPass == nil && doubted.clockLead == 2 * 86400 - 60)
        observed.clock?.uptime = 2 * 86400
        let believed = kept(Sample.desired(), observed)
        #expect(believed.removals.isEmpty && believed.lastPass == context.now && believed.clockLead == nil)
    }

    @Test func theClockOfTheLastPassNeverGoesBack() {
        var observed = Sample.observed()
        let later = context.now.advanced(by: TimeSpan(seconds: 999))
        observed.ledger.lastPass = later
        #expect(kept(Sample.desired(), observed).lastPass == later)
    }
}
