import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Restore points that a policy's keep rule lets go, and who prunes when.
@Suite struct PrunePlanTests {
    /// Seconds of `SourcePlanTests.point` at the context's now.
    static let now = Sample.context().now.secondsSince1970 - 1_795_000_000
    static let day: Int64 = 86400

    static func nightly(last: Int = 2) -> DesiredState {
        var desired = BackupPlanTests.nightly()
        desired.backupPolicies["nightly"]!.spec.keep = KeepRule()
        desired.backupPolicies["nightly"]!.spec.keep?.last = last
        // Due at every hour, without jitter: tests say what was done when.
        desired.backupRepositories["nas"]!.spec.prune = Schedule(cron: "0 * * * *")
        return desired
    }

    /// One a day, the newest an hour old: `p0`, `p1`, …
    static func points(
        _ count: Int, uid: UID? = Sample.uid, named prefix: String = "p",
        _ change: (inout ObservedPoint) -> Void = { _ in }
    ) -> [ObservedPoint] {
        (0..<count).reversed().map { age in
            SourcePlanTests.point("\(prefix)\(age)", now - 3600 - Int64(age) * day, uid: uid) {
                $0.policy = "nightly"
                change(&$0)
            }
        }
    }

    static func receipt(_ ago: Int64, by node: String, packs: Bool = true) -> ObservedReceipt {
        var receipt = ObservedReceipt(
            .prune, at: Instant(secondsSince1970: 1_795_000_000 + now - ago), by: node, of: "default")
        receipt.packs = packs
        return receipt
    }

    func plan(
        _ points: [ObservedPoint], _ receipts: [ObservedReceipt] = [], damaged: Int = 0,
        in desired: DesiredState = nightly(), runDue: Bool = true,
        _ change: (inout ObservedState) -> Void = { _ in }
    ) -> Plan {
        var observed = SourcePlanTests.observed([], [Sample.volume()])
        observed.repositories = ObservationMap([
            "nas": .known(ObservedRepository(id: "r", points: points, damaged: damaged, receipts: receipts))
        ])
        change(&observed)
        return Planner.plan(
            desired: desired, observed: observed,
            context: Sample.context("00112233445566778899aabbccddeeff") { $0.runDue = runDue })
    }

    /// The prune of a plan; nil: none is carried out.
    func task(_ plan: Plan) -> PruneTask? {
        plan.steps.lazy.compactMap { step in
            if case .backup(.prune(let task)) = step.step { task } else { nil }
        }.first
    }

    func expired(_ plan: Plan) -> [String] { task(plan)?.expired.map(\.point) ?? [] }

    func line(_ plan: Plan, _ action: Action) -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(.backupRepository, "nas") && $0.action == action }
    }

    /// `tuff backup prune --repository DIR` knows the directory, and no name of a document.
    @Test func aPruneByHandInThePlaceOfTheRepositoryIsWaitedFor() throws {
        let site = try #require(Self.nightly().backupRepositories["nas"]?.spec.site)
        func beside(_ place: String) -> Plan {
            plan(Self.points(5)) {
                $0.jobs = ObservationMap([
                    "a": .known(
                        RunningJob(
                            id: "a", kind: "prune-by-hand", summary: "pruning \(place) by hand",
                            keys: ["repository:\(place)"], pid: 4711, since: Sample.context().now))
                ])
            }
        }
        let waiting = beside("\(site)")
        #expect(task(waiting) == nil)
        let line = try #require(waiting.changes.first { $0.reason == .jobRunning })
        #expect(line.resource == ResourceID(.backupRepository, "nas"))
        #expect(line.summary.hasPrefix("it waits for pruning \(site) by hand (pid 4711, since "), "\(line)")
        #expect(task(beside("/srv/elsewhere")) != nil)
    }

    // MARK: What goes

    @Test func whatTheRuleKeepsStaysAndTheRestGoesOldestFirst() throws {
        let plan = plan(Self.points(5))
        #expect(expired(plan) == ["p4", "p3", "p2"])
        let task = try #require(self.task(plan))
        #expect(task.node == "storage1" && task.stack == "default")
        #expect(task.expired.allSatisfy { $0.policy == "nightly" })
        let line = try #require(self.line(plan, .update))
        #expect(line.risk == .destroysData && line.summary.hasPrefix("remove 3 restore points"))
        #expect(line.notes.count == 1 && line.notes[0].contains("keeps 2 of 5 of Volume/db"))
    }

    @Test func unaskedNothingGoesAndItIsListedApart() {
        let plan = plan(Self.points(5), runDue: false)
        #expect(plan.steps.isEmpty && line(plan, .due)?.summary.hasPrefix("remove 3 restore points") == true)
    }

    @Test(arguments: ["Backup", "policy", "node", "stack", "uid", "aside"])
    func pointsThatAreNotThePolicysAreNeverTouched(_ difference: String) {
        let others = Self.points(5, named: "o") { point in
            switch difference {
            case "Backup": point.backup = "before"
            case "policy": point.policy = "weekly"
            case "node": point.node = "storage2"
            case "stack": point.stack = "other"
            case "uid": point.uid = nil
            default: point.isSetAside = true
            }
        }
        #expect(expired(plan(others)) == [])
        #expect(expired(plan((others + Self.points(3)).sorted { $0.time < $1.time })) == ["p2"])
    }

    @Test func aPolicyWithoutKeepOrThatIsNotDeclaredRemovesNothing() {
        var desired = Self.nightly()
        desired.backupPolicies["nightly"]!.spec.keep = nil
        #expect(expired(plan(Self.points(5), in: desired)) == [])
        desired.backupPolicies["nightly"]!.spec.keep = KeepRule()
        #expect(expired(plan(Self.points(5), in: desired)) == [])
        desired.backupPolicies = [:]
        #expect(expired(plan(Self.points(5), in: desired)) == [])
        desired = Self.nightly()
        desired.backupPolicies["nightly"]!.spec.volumes = .names(["another"])
        #expect(expired(plan(Self.points(5), in: desired)) == [])
    }

    @Test func eachSeriesIsJudgedAloneAndItsNewestStays() {
        // A volume of the name that is gone has its own history.
        let gone = Self.points(4, uid: Sample.uid(9), named: "g")
        let all = (Self.points(3) + gone).sorted { $0.time < $1.time }
        #expect(Set(expired(plan(all))) == ["p2", "g3", "g2"])
    }

    @Test func theNewestGoodPointStaysWhateverIsNewer() {
        var points = Self.points(5)
        // Those that lack something take no other's place.
        for index in points.indices where ["p0", "p1", "p2"].contains(points[index].id) { points[index].isHurt = true }
        let gone = expired(plan(points, in: Self.nightly(last: 1)))
        #expect(gone == ["p4", "p2", "p1"], "p3 is the newest that is whole")
    }

    @Test func aPointOfTheFutureStopsItsSeries() {
        var points = Self.points(5)
        points.append(SourcePlanTests.point("ahead", Self.now + 3600, uid: Sample.uid) { $0.policy = "nightly" })
        let stopped = plan(points)
        #expect(expired(stopped) == [] && stopped.changes.contains { $0.reason == .clockBehind })
        // Once it is set aside by name, the rest goes on.
        points[5].isSetAside = true
        #expect(expired(plan(points)) == ["p4", "p3", "p2"])
    }

    @Test func aClockThatLooksWrongStopsIt() {
        let ahead = plan(Self.points(5)) { observed in
            observed.clock = ClockReading(boot: "b", uptime: 1000, civil: Sample.context().now)
            observed.ledger.clock = ClockReading(
                boot: "b", uptime: 900, civil: Sample.context().now.advanced(by: TimeSpan(seconds: -40 * Self.day)))
        }
        #expect(task(ahead) == nil && line(ahead, .blocked)?.reason == .clockAhead)
    }

    @Test func nothingGoesWhileAPointCannotBeRead() {
        let plan = plan(Self.points(5), damaged: 1)
        #expect(task(plan) == nil && line(plan, .blocked)?.reason == .pointsDamaged)
    }

    @Test func whatADocumentNamesStays() {
        var desired = Self.nightly()
        var source = BackupSource(repository: "nas", volume: "db")
        source.at = .id("p4")
        desired.volumes["copy"] = Sample.declared("copy", VolumeSpec(size: Sample.gibi(10), placement: .pool("fast")))
        desired.volumes["copy"]!.spec.source = .backup(source)
        #expect(expired(plan(Self.points(5), in: desired)) == ["p3", "p2"])
        source.at = .notAfter(Instant(secondsSince1970: 1_795_000_000 + Self.now - 3 * Self.day))
        desired.volumes["copy"]!.spec.source = .backup(source)
        #expect(expired(plan(Self.points(5), in: desired)) == ["p4", "p2"])
    }

    @Test func aRepositoryThatCannotBeReadIsLeftAlone() {
        let plan = plan([]) { observed in
            observed.repositories = ObservationMap(["nas": .unknown(HostError(.timeout, "silent"))])
        }
        #expect(task(plan) == nil)
    }

    // MARK: When, and by whom

    @Test func thePacksAreLookedThroughByTheFirstHostAlone() throws {
        // Nothing goes, and nobody pruned since the last hour.
        #expect(task(plan(Self.points(2)))?.packsDue != nil)
        #expect(task(plan(Self.points(2), [Self.receipt(60, by: "storage2")])) == nil)
        // Its own points wait for nobody; the packs were looked through.
        let own = try #require(task(plan(Self.points(5), [Self.receipt(60, by: "storage2")])))
        #expect(own.packsDue == nil && own.expired.count == 3)
        #expect(task(plan(Self.points(5), [Self.receipt(60, by: "storage1", packs: false)]))?.packsDue != nil)
        let both = [Self.receipt(90, by: "storage2"), Self.receipt(60, by: "storage1", packs: false)]
        #expect(task(plan(Self.points(5), both)) == nil)
        #expect(task(plan(Self.points(5), [Self.receipt(60, by: "storage1")])) == nil)
    }

    @Test func aReceiptOfTheFutureTellsNothing() {
        #expect(task(plan(Self.points(5), [Self.receipt(-Self.day, by: "storage2")]))?.packsDue != nil)
    }

    @Test func anEmptyRepositoryIsNotPruned() { #expect(task(plan([])) == nil) }

    @Test func aPointThatIsDueIsMadeBeforeOthersGo() throws {
        let old = Self.points(5).map { point in
            var point = point
            point.time = point.time.advanced(by: TimeSpan(seconds: -2 * Self.day))
            return point
        }
        let plan = plan(old)
        let prune = try #require(plan.steps.first { if case .backup(.prune) = $0.step { true } else { false } })
        let backup = try #require(plan.steps.first { if case .backup(.backUp) = $0.step { true } else { false } })
        #expect(prune.behind == [backup.id])
    }

    // MARK: Reading back

    static func verified(_ ago: Int64, by node: String = "storage1", fault: String? = nil) -> ObservedReceipt {
        var receipt = ObservedReceipt(
            .verify, at: Instant(secondsSince1970: 1_795_000_000 + now - ago), by: node, of: "default")
        receipt.policy = "nightly"
        receipt.share = 5
        receipt.fault = fault
        return receipt
    }

    @Test func whatIsStoredIsReadBackWhenThatIsDue() throws {
        var desired = Self.nightly()
        desired.backupPolicies["nightly"]!.spec.verify = VerificationSpec(cron: "0 * * * *")
        desired.backupPolicies["nightly"]!.spec.verify?.sample = Percentage(5)
        func task(_ receipts: [ObservedReceipt], runDue: Bool = true) -> VerifyTask? {
            plan(Self.points(2), receipts, in: desired, runDue: runDue).steps.lazy.compactMap { step in
                if case .backup(.verify(let task)) = step.step { task } else { nil }
            }.first
        }
        let first = try #require(task([]))
        #expect(first.share == 5 && first.policy == "nightly" && first.node == "storage1")
        #expect(task([], runDue: false) == nil)
        #expect(task([Self.verified(60)]) == nil && task([Self.verified(2 * 3600)]) != nil)
        // Another host's policy has its own, and a time to come tells nothing.
        #expect(task([Self.verified(60, by: "storage2")]) != nil && task([Self.verified(-Self.day)]) != nil)
        let done = plan(Self.points(2), [Self.verified(60)], in: desired)
        let line = done.changes.first { $0.resource == ResourceID(.backupPolicy, "nightly") && $0.action == .unchanged }
        #expect(line?.summary.contains(", last proven on 20") == true, "\(line?.summary ?? "")")
        #expect(line?.summary.hasSuffix(", 5 % of the data") == true)
        // What was found to be wrong is no proof, and is not looked for every minute.
        let wrong = plan(Self.points(2), [Self.verified(60, fault: "a pack is gone")], in: desired)
        #expect(!wrong.changes.contains { $0.summary.contains("last proven") })
    }
}
