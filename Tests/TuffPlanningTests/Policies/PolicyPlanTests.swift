import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Snapshots by schedule. Sample's clock shows 2026-11-22T09:30:00Z.
@Suite struct PolicyPlanTests {
    private func policy(_ cron: String = "0 * * * *", keep last: Int? = nil, zone: String? = nil)
        -> Declared<SnapshotPolicySpec>
    {
        var spec = SnapshotPolicySpec(volumes: .names(["db"]), schedule: Schedule(cron: cron))
        spec.schedule.timeZone = zone
        if let last {
            spec.keep = KeepRule()
            spec.keep?.last = last
        }
        return Sample.declared("hourly", spec)
    }

    private func desired(_ policy: Declared<SnapshotPolicySpec>) -> DesiredState {
        var desired = Sample.desired()
        desired.snapshotPolicies["hourly"] = policy
        return desired
    }

    private func taken(
        _ time: String, number: Int, policy: String = "hourly", _ change: (inout Marks) -> Void = { _ in }
    ) -> LogicalVolume {
        let instant = Instant(text: time)!
        var marks = Marks(
            uid: Sample.uid(UInt8(number)), role: .snapshot("hourly-db-\(number)"), stack: "default",
            origin: Sample.uid,
            occasion: Marks.Occasion(policy: policy, time: instant))
        change(&marks)
        let name = marks.until == nil ? "p-hourly-db-\(number)" : "t-\(marks.uid)"
        return LogicalVolume(
            name: name, uuid: "uuid-\(number)", size: Sample.gibi(10), tags: marks.tags, pool: "tp0", origin: "v-db")
    }

    private func plan(
        _ desired: DesiredState, _ volumes: [LogicalVolume], at time: String = "2026-11-22T09:30:00Z",
        run: Bool = true, prune: Bool = false, _ change: (inout ObservedState) -> Void = { _ in }
    ) -> Plan {
        var observed = Sample.observed([Sample.volume()] + volumes)
        change(&observed)
        let context = Sample.context {
            $0.runDue = run
            $0.prune = prune
        }
        var later = context
        later.now = Instant(text: time)!
        return Planner.plan(desired: desired, observed: observed, context: later)
    }

    private func steps(_ plan: Plan) -> [Step] { plan.storageSteps }

    private func occasions(_ plan: Plan) -> [String] {
        steps(plan).compactMap { step in
            if case .volume(.copy(_, _, let marks)) = step {
                marks.occasion.map { "\($0.policy) \($0.time)" }
            } else {
                nil
            }
        }
    }

    private func purged(_ plan: Plan) -> [UID] {
        steps(plan).compactMap { if case .volume(.purge(let volume, _)) = $0 { volume.uid } else { nil } }
    }

    // MARK: Taking

    @Test func theFirstIsTakenAtOnceForTheNewestTimeThatPassed() throws {
        let plan = plan(desired(policy()), [])
        #expect(occasions(plan) == ["hourly 2026-11-22T09:00:00Z"])
        let change = try #require(plan.changes.first { $0.resource.kind == .snapshot })
        #expect(change.resource.name == "hourly-db-20261122-0900" && change.action == .create && change.notes.isEmpty)
        guard case .volume(.copy(let source, let location, let marks))? = steps(plan).first else {
            Issue.record("\(steps(plan))")
            return
        }
        #expect(source.uid == Sample.uid && source.uuid == "uuid-db")
        #expect(source.description == "vg0/v-db" && location.description == "vg0/p-hourly-db-20261122-0900")
        #expect(Marks.read(marks.tags) == .ours(marks))
    }

    @Test func withoutConsentItIsListedApartAndIsNoChange() throws {
        let plan = plan(desired(policy(keep: 1)), [], run: false)
        #expect(plan.isEmpty && plan.counts.due == 1 && plan.counts.add == 0)
        #expect(plan.changes.first { $0.action == .due }?.summary.contains("due at 2026-11-22T09:00:00Z") == true)
    }

    @Test func whatWasMissedIsMadeUpOnceForTheNewestTime() throws {
        let plan = plan(desired(policy()), [taken("2026-11-22T04:00:00Z", number: 1)])
        #expect(occasions(plan) == ["hourly 2026-11-22T09:00:00Z"])
        #expect(plan.changes.contains { $0.notes.contains { $0.contains("missed") } })
    }

    @Test(arguments: [nil, "2026-11-23T00:00:00Z"])
    func whatIsThereOrInTheTrashIsNotTakenAgain(_ until: String?) {
        let there = taken("2026-11-22T09:00:00Z", number: 1) { $0.until = until.flatMap { Instant(text: $0) } }
        #expect(occasions(plan(desired(policy()), [there])).isEmpty)
    }

    @Test func nothingIsTakenByAClockThatWentBack() {
        let plan = plan(desired(policy(keep: 1)), [taken("2026-11-22T12:00:00Z", number: 1)])
        #expect(plan.isEmpty)
        #expect(plan.changes.contains { $0.reason == .clockBehind })
    }

    @Test func aPersonsWordAboutTheClockEndsTheWaitForOneOfTheFuture() throws {
        let ahead = taken("2026-12-24T12:00:00Z", number: 1)
        let volumes = [ahead, taken("2026-11-22T07:00:00Z", number: 2), taken("2026-11-22T08:00:00Z", number: 3)]
        var ledger = Ledger()
        ledger.lastPass = Instant(text: "2026-11-22T09:20:00Z")
        func run(at time: String = "2026-11-22T09:30:00Z") -> Plan {
            plan(desired(policy(keep: 2)), volumes, at: time, prune: true) { $0.ledger = ledger }
        }
        let blocked = run()
        #expect(blocked.isEmpty)
        let line = try #require(blocked.changes.first { $0.reason == .clockBehind })
        #expect(line.summary.contains("tuff forget clock"))
        ledger.forgetTimes(after: Instant(text: "2026-11-22T09:25:00Z")!)
        let after = run()
        #expect(occasions(after) == ["hourly 2026-11-22T09:00:00Z"])
        #expect(purged(after) == [Sample.uid(2)])
        #expect(after.counts.blocked == 0)
        #expect(after.changes.contains { $0.uid == Sample.uid(1) && $0.summary.contains("a clock that was ahead") })
        // When its time has come it is one like others.
        #expect(occasions(run(at: "2026-12-24T12:30:00Z")).isEmpty)
    }

    @Test func aClockThatGoesBackAfterThatWordIsNotTrusted() {
        var ledger = Ledger()
        ledger.forgetTimes(after: Instant(text: "2026-11-25T09:25:00Z")!)
        let plan = plan(desired(policy()), [taken("2026-11-24T12:00:00Z", number: 1)]) { $0.ledger = ledger }
        #expect(plan.isEmpty && plan.changes.contains { $0.reason == .clockBehind })
    }

    @Test func aVolumeOfTheSamePlanHasNothingToKeepYet() {
        let plan = Planner.plan(
            desired: desired(policy()), observed: Sample.observed(), context: Sample.context { $0.runDue = true })
        #expect(occasions(plan).isEmpty)
    }

    @Test func aPoolWithinItsReserveTakesNoSnapshot() throws {
        let plan = plan(desired(policy()), []) { observed in
            var group = observed.volumeGroups["vg0"].value.flatMap { $0 }!
            let pool = group.logicalVolumes.firstIndex { $0.name == "tp0" }!
            group.logicalVolumes[pool].dataPercent = 97
            observed.volumeGroups.entries["vg0"] = .known(group)
        }
        #expect(plan.isEmpty)
        #expect(plan.changes.contains { $0.resource.kind == .snapshotPolicy && $0.reason == .insufficientCapacity })
    }

    /// 02:30 in Berlin is skipped on 2026-03-29, when 02:00 becomes 03:00, and comes twice on 2026-10-25.
    @Test(arguments: [
        ("2026-03-29T00:59:59Z", "2026-03-28T01:30:00Z"), ("2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
        ("2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z"), ("2026-10-25T01:30:00Z", "2026-10-25T00:30:00Z"),
        ("2026-10-26T01:30:00Z", "2026-10-26T01:30:00Z"),
    ])
    func theDaysOnWhichClocksChangeHaveOneRunEach(_ now: String, _ occurrence: String) throws {
        let berlin = try ZoneReader.read("Europe/Berlin")
        let plan = plan(desired(policy("30 2 * * *", zone: "Europe/Berlin")), [], at: now) {
            $0.timeZones.entries["Europe/Berlin"] = .known(berlin)
        }
        #expect(occasions(plan) == ["hourly \(occurrence)"])
    }

    @Test func anUnknownTimeZoneStopsThePolicyAndNothingElse() throws {
        let old = taken("2026-11-20T09:00:00Z", number: 1)
        let plan = plan(desired(policy(keep: 1, zone: "Mars/Olympus")), [old], prune: true)
        #expect(plan.isEmpty)
        let line = try #require(plan.changes.first { $0.resource.kind == .snapshotPolicy })
        #expect(line.action == .blocked && line.summary.contains("Mars/Olympus"))
    }

    // MARK: Keeping

    @Test func whatTheRuleNoLongerKeepsGoesAfterTheNewOneIsThere() throws {
        let old = (5...8).map { taken("2026-11-22T0\($0):00:00Z", number: $0) }
        let plan = plan(desired(policy(keep: 2)), old)
        #expect(occasions(plan) == ["hourly 2026-11-22T09:00:00Z"])
        // The new one and that of 08:00 stay.
        #expect(Set(purged(plan)) == Set([5, 6, 7].map { Sample.uid($0) }))
        let copy = try #require(plan.steps.first { if case .volume(.copy) = $0.step { true } else { false } })
        // It is looked for, and not taken for there since a command said so.
        let confirmation = try #require(
            plan.steps.first { if case .volume(.confirmMade) = $0.step { true } else { false } })
        #expect(confirmation.after.contains(copy.id))
        for step in plan.steps {
            if case .volume(.relabel) = step.step { #expect(step.after.contains(confirmation.id)) }
        }
        #expect(plan.refusal == nil)
        #expect(self.plan(desired(policy(keep: 2)), old, run: false).counts.due == 4)
    }

    @Test func withoutARuleAllStay() {
        let old = (5...9).map { taken("2026-11-22T0\($0):00:00Z", number: $0) }
        #expect(plan(desired(policy()), old).isEmpty)
    }

    @Test func onlyItsOwnExpire() {
        var desired = desired(policy(keep: 1))
        desired.snapshotPolicies["daily"] = Sample.declared(
            "daily", SnapshotPolicySpec(volumes: .names(["db"]), schedule: Schedule(cron: "0 0 * * *")))
        let byHand = Marks(uid: Sample.uid(20), role: .snapshot("mine"), stack: "default", origin: Sample.uid)
        let mine = LogicalVolume(
            name: "s-mine", uuid: "uuid-mine", size: Sample.gibi(10), tags: byHand.tags, pool: "tp0", origin: "v-db")
        desired.snapshots["mine"] = Sample.declared("mine", SnapshotSpec(volume: "db"))
        // Named by a document: it is that document's now.
        desired.snapshots["hourly-db-3"] = Sample.declared("hourly-db-3", SnapshotSpec(volume: "db"))
        let plan = plan(
            desired,
            [
                taken("2026-11-22T00:00:00Z", number: 1, policy: "daily"), taken("2026-11-22T03:00:00Z", number: 3),
                taken("2026-11-22T08:00:00Z", number: 8), taken("2026-11-22T09:00:00Z", number: 9), mine,
            ])
        #expect(purged(plan) == [Sample.uid(8)])
    }

    @Test func protectedAndOpenOnesStay() {
        var open = taken("2026-11-22T07:00:00Z", number: 7)
        open.open = true
        let protected = taken("2026-11-22T08:00:00Z", number: 8) { $0.protect = true }
        let plan = plan(desired(policy(keep: 1)), [open, protected, taken("2026-11-22T09:00:00Z", number: 9)])
        #expect(plan.isEmpty)
        #expect(Set(plan.changes.filter { $0.action == .blocked }.compactMap(\.reason)) == [.inUse, .protected])
    }

    @Test func theyAreNoOrphansWhileTheirPolicyIsDeclared() {
        let points = (8...9).map { taken("2026-11-22T0\($0):00:00Z", number: $0) }
        #expect(plan(desired(policy()), points, prune: true).isEmpty)
        var gone = desired(policy())
        gone.snapshotPolicies = [:]
        let plan = plan(gone, points)
        #expect(plan.changes.count { $0.action == .orphan && $0.resource.kind == .snapshot } == 2)
    }

    @Test func longNamesAreCutAndStayApart() throws {
        var desired = desired(policy())
        let name = "a-volume-with-quite-a-long-name-for-a-snapshot-of-it"
        desired.volumes[name] = Sample.declared(name, VolumeSpec(size: Sample.gibi(10), placement: .pool("fast")))
        desired.snapshotPolicies["hourly"]!.spec.volumes = .names([name])
        let long = Sample.volume(name, uid: Sample.uid(40))
        let plan = Planner.plan(
            desired: desired, observed: Sample.observed([Sample.volume(), long]),
            context: Sample.context { $0.runDue = true })
        let change = try #require(plan.changes.first { $0.resource.kind == .snapshot })
        #expect(change.action == .create && change.resource.name.utf8.count <= 63)
        #expect(change.resource.name.hasPrefix("hourly-a-volume-with-quite"))
        #expect(change.resource.name.hasSuffix("-20261122-0900"))
    }
}
