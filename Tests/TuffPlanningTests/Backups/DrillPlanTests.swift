import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Restoring for practice: when, what, where, and what becomes of the scratch volume.
@Suite struct DrillPlanTests {
    static let now = PrunePlanTests.now
    static let scratchUID = Sample.uid(11)

    static func desired(_ cron: String = "0 * * * *", pool: String = "fast") -> DesiredState {
        var desired = BackupPlanTests.nightly()
        desired.backupPolicies["nightly"]!.spec.drill = DrillSpec(cron: cron, pool: pool)
        // Nothing else is due.
        desired.backupPolicies["nightly"]!.spec.schedule = Schedule(cron: "0 0 1 1 *")
        desired.backupRepositories["nas"]!.spec.prune = Schedule(cron: "0 0 1 1 *")
        return desired
    }

    /// A point of the policy that is a day old.
    static func point(
        _ id: String = "aaaaaaaa1111", ago: Int64 = 86400, volume: String = "db", uid: UID = Sample.uid,
        _ change: (inout ObservedPoint) -> Void = { _ in }
    ) -> ObservedPoint {
        SourcePlanTests.point(id, now - ago, uid: uid) {
            $0.policy = "nightly"
            $0.volume = volume
            change(&$0)
        }
    }

    static func receipt(
        _ ago: Int64, of volume: String = "db", by node: String = "storage1", fault: String? = nil
    ) -> ObservedReceipt {
        var receipt = ObservedReceipt(
            .drill, at: Instant(secondsSince1970: 1_795_000_000 + now - ago), by: node, of: "default")
        (receipt.policy, receipt.volume, receipt.uid, receipt.fault) = ("nightly", volume, Sample.uid, fault)
        return receipt
    }

    /// A scratch volume that a drill left.
    static func scratch(
        uid: UID = scratchUID, stack: String = "default", _ change: (inout LogicalVolume) -> Void = { _ in }
    ) -> LogicalVolume {
        let marks = Marks.scratch(uid, of: "nightly", stack: stack)
        var volume = LogicalVolume(
            name: marks.objectName, uuid: "uuid-\(uid)", size: Sample.gibi(10), tags: marks.tags, layout: .thin,
            active: true, open: false, pool: "tp0")
        change(&volume)
        return volume
    }

    func plan(
        _ points: [ObservedPoint] = [point()], _ receipts: [ObservedReceipt] = [], _ volumes: [LogicalVolume] = [],
        in desired: DesiredState = desired(), runDue: Bool = true, damaged: Int = 0,
        _ change: (inout ObservedState) -> Void = { _ in }
    ) -> Plan {
        var observed = Sample.observed([Sample.volume()] + volumes)
        observed.repositories = ObservationMap([
            "nas": .known(ObservedRepository(id: "r", points: points, damaged: damaged, receipts: receipts))
        ])
        observed.jobs = ObservationMap()
        change(&observed)
        return Planner.plan(
            desired: desired, observed: observed,
            context: Sample.context("00112233445566778899aabbccddeeff") { $0.runDue = runDue })
    }

    func task(_ plan: Plan) -> DrillTask? {
        plan.steps.lazy.compactMap { if case .volume(.drill(_, let task)) = $0.step { task } else { nil } }.first
    }

    func lines(_ plan: Plan, _ action: Action) -> [PlannedChange] {
        plan.changes.filter { $0.resource == ResourceID(.backupPolicy, "nightly") && $0.action == action }
    }

    /// Scratch volumes that a plan removes, but for its own.
    func removals(_ plan: Plan) -> [UID] {
        let made = plan.steps.compactMap { step in
            if case .volume(.create(_, _, _, let marks)) = step.step { marks.uid } else { nil }
        }
        return plan.steps.compactMap { step -> UID? in
            if case .volume(.dropScratch(let volume, _, _)) = step.step { volume.uid } else { nil }
        }.filter { !made.contains($0) }
    }

    // MARK: When

    @Test func oneThatIsDueIsListedAndCarriedOutWhereThatIsAskedFor() throws {
        let listed = plan(runDue: false)
        #expect(listed.steps.isEmpty && task(listed) == nil)
        let line = try #require(lines(listed, .due).first { $0.summary.contains("for practice") })
        #expect(line.summary.hasPrefix("restore Volume/db, 10 GiB, for practice to a scratch volume in pool fast"))
        #expect(line.summary.contains("restore point aaaaaaaa of ") && line.summary.contains(", due at "))
        let given = self.task(plan())
        let task = try #require(given)
        #expect(task.content.point == "aaaaaaaa1111" && task.policy == "nightly" && task.volume == "db")
        #expect(task.node == "storage1" && task.stack == "default" && task.uid == Sample.uid)
    }

    @Test func theReceiptsTellWhenItWasDone() {
        #expect(task(plan([Self.point()], [Self.receipt(60)])) == nil)
        #expect(task(plan([Self.point()], [Self.receipt(2 * 3600)])) != nil)
        // One that found a fault was done as well.
        #expect(task(plan([Self.point()], [Self.receipt(60, fault: "a pack is gone")])) == nil)
        // Of another host, or of a time to come, it tells nothing.
        #expect(task(plan([Self.point()], [Self.receipt(60, by: "storage2")])) != nil)
        #expect(task(plan([Self.point()], [Self.receipt(-86400)])) != nil)
        // Nothing is late before there is a point.
        #expect(task(plan([])) == nil && task(plan([Self.point(ago: 60)], in: Self.desired("0 0 1 1 *"))) == nil)
        let unread = plan { $0.repositories = ObservationMap(["nas": .unknown(HostError(.timeout, "silent"))]) }
        #expect(task(unread) == nil)
        let done = plan([Self.point()], [Self.receipt(60)])
        #expect(lines(done, .unchanged).first?.summary.contains(", Volume/db last restored for practice on 20") == true)
    }

    // MARK: What

    @Test func theNewestPointOfTheVolumeWhoseLastDrillIsLongestAgoIsTaken() throws {
        var desired = Self.desired()
        for name in ["a", "web"] {
            desired.volumes[name] = Sample.declared(name, VolumeSpec(size: Sample.gibi(10), placement: .pool("fast")))
        }
        desired.backupPolicies["nightly"]!.spec.volumes = .names(["a", "db", "web"])
        let stored = [Sample.volume("a", uid: Sample.uid(2)), Sample.volume("web", uid: Sample.uid(3))]
        let points = [
            Self.point("old", ago: 3 * 86400), Self.point("new", ago: 2 * 86400),
            Self.point("aside", ago: 86400) { $0.isSetAside = true },
            Self.point("other", ago: 86400) { $0.policy = "weekly" },
            Self.point("of-a", volume: "a", uid: Sample.uid(2)),
            Self.point("of-web", volume: "web", uid: Sample.uid(3)),
        ].sorted { $0.time < $1.time }
        func drilled(_ receipts: [ObservedReceipt]) -> String? {
            self.task(self.plan(points, receipts, stored, in: desired))?.content.point
        }
        #expect(drilled([]) == "of-a")
        #expect(drilled([Self.receipt(7200, of: "a")]) == "new")
        #expect(drilled([Self.receipt(9000, of: "a"), Self.receipt(7300, of: "db", fault: "x")]) == "of-web")
        let all = [Self.receipt(9000, of: "db"), Self.receipt(8000, of: "web"), Self.receipt(7200, of: "a")]
        #expect(drilled(all) == "new")
    }

    @Test func onePointThatIsHurtIsSaidAndAnotherVolumeTaken() throws {
        var desired = Self.desired()
        desired.volumes["web"] = Sample.declared("web", VolumeSpec(size: Sample.gibi(10), placement: .pool("fast")))
        desired.backupPolicies["nightly"]!.spec.volumes = .names(["db", "web"])
        let points = [Self.point { $0.isHurt = true }, Self.point("of-web", volume: "web", uid: Sample.uid(3))]
        let plan = plan(points, [], [Sample.volume("web", uid: Sample.uid(3))], in: desired)
        #expect(task(plan)?.content.point == "of-web")
        let line = try #require(lines(plan, .blocked).first)
        #expect(line.reason == .noRestorePoint && line.summary.hasPrefix("Volume/db is not restored for practice"))
    }

    @Test func whatCannotBeReadMayBeNewerAndThatIsSaid() throws {
        let plan = plan(damaged: 2)
        let note = "2 restore points cannot be read, and the newest may be among them"
        #expect(lines(plan, .update).first?.notes == [note])
    }

    // MARK: Steps

    @Test func theScratchVolumeIsMadeFilledAndRemovedWhateverBecameOfIt() throws {
        let plan = plan()
        try #require(plan.steps.count == 4)
        guard case .volume(.create(.thinPool("vg0", "tp0"), let place, let size, let marks)) = plan.steps[0].step,
            case .lvm(.activate(let active)) = plan.steps[1].step,
            case .volume(.drill(let drilled, _)) = plan.steps[2].step,
            case .volume(.dropScratch(let dropped, let own, isMade: true)) = plan.steps[3].step
        else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(marks == Marks.scratch(marks.uid, of: "nightly", stack: "default") && size == Sample.gibi(10))
        #expect(place == .logicalVolume(group: "vg0", name: "d-\(marks.uid)"))
        #expect(active.uid == marks.uid && drilled.uid == marks.uid && dropped.uid == marks.uid && own == marks)
        #expect(plan.steps[2].keys == [.data("/dev/vg0/d-\(marks.uid)")] && plan.steps[2].after == [1])
        // Once it is made it goes, however the drill ended.
        #expect(plan.steps[3].after == [0] && plan.steps[3].behind == [2])
    }

    @Test func aFileAndAThickVolumeAreScratchVolumesAsWell() throws {
        var desired = Self.desired(pool: "dir")
        desired.pools["dir"] = Sample.declared(
            "dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/tuff/pools/a"))))
        var slow = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0")))
        slow.reserve = Percentage(0)
        desired.pools["slow"] = Sample.declared("slow", slow)
        let point = Self.point { $0.size = Sample.gibi(2) }
        let file = plan([point], in: desired) {
            $0.directories.entries["/srv/tuff/pools/a"] = .known(
                DirectoryPool(path: "/srv/tuff/pools/a", size: Sample.gibi(100), free: Sample.gibi(50)))
        }
        #expect(file.steps.count == 3, "it needs no activation")
        guard case .volume(.create(.directory, .file(_, let name), _, let marks))? = file.steps.first?.step else {
            Issue.record("\(file.steps)")
            return
        }
        #expect(name == "d-\(marks.uid)")
        desired.backupPolicies["nightly"]!.spec.drill?.pool = "slow"
        let thick = plan([point], in: desired)
        guard case .volume(.create(.thick("vg0"), _, Sample.gibi(2), let thickMarks))? = thick.steps.first?.step else {
            Issue.record("\(thick.steps) \(thick.changes)")
            return
        }
        // All of it is written before anything is read, so nothing need be wiped.
        #expect(thickMarks.operation == "drill" && thick.steps.count == 4)
    }

    @Test func thePointStaysWhileItIsRestored() {
        var desired = Self.desired()
        desired.backupPolicies["nightly"]!.spec.keep = KeepRule()
        desired.backupPolicies["nightly"]!.spec.keep?.last = 1
        desired.backupRepositories["nas"]!.spec.prune = Schedule(cron: "0 * * * *")
        let points = [Self.point("older", ago: 3 * 86400), Self.point("newest", ago: 86400)]
        let plan = plan(points, in: desired)
        let expired = plan.steps.flatMap { step -> [String] in
            if case .backup(.prune(let task)) = step.step { task.expired.map(\.point) } else { [] }
        }
        #expect(task(plan)?.content.point == "newest" && expired == ["older"])
    }

    // MARK: Room

    @Test func tooLittleRoomIsSaidAndHoldsUpNobodyElse() throws {
        var desired = Self.desired()
        desired.volumes["new"] = Sample.declared("new", VolumeSpec(size: Sample.gibi(1), placement: .pool("fast")))
        // 90 GiB, 10 % kept free, 1.5 % used: 79.6 GiB are left.
        let large = Self.point { ($0.size, $0.content) = (Sample.gibi(80), Sample.gibi(80)) }
        let plan = plan([large], in: desired)
        #expect(plan.refusal == nil && task(plan) == nil)
        let line = try #require(lines(plan, .blocked).first)
        #expect(line.reason == .insufficientCapacity && line.summary.contains("80 GiB"))
        #expect(plan.changes.contains { $0.resource == ResourceID(.volume, "new") && $0.action == .create })
    }

    @Test func ofTwoThatDoNotFitTogetherTheDrillWaits() throws {
        var desired = Self.desired()
        var source = BackupSource(repository: "nas", volume: "db")
        source.at = .latest
        desired.volumes["new"] = Sample.declared("new", VolumeSpec(size: Sample.gibi(60), placement: .pool("fast")))
        desired.volumes["new"]!.spec.source = .backup(source)
        let large = Self.point { ($0.size, $0.content) = (Sample.gibi(60), Sample.gibi(60)) }
        let plan = plan([large], in: desired)
        #expect(plan.refusal == nil && task(plan) == nil)
        #expect(plan.steps.contains { if case .volume(.fillFromBackup) = $0.step { true } else { false } })
        let line = try #require(lines(plan, .blocked).first)
        #expect(line.reason == .insufficientCapacity)
        // 64 bytes of metadata for each of its chunks, of 128 MiB less 2.5 %, 10 % and what 'new' takes.
        let why = "the scratch volume takes 60 MiB of metadata of thin pool vg0/tp0 at most, which has 51.99 MiB beside"
        #expect(line.summary.hasPrefix(why), "\(line.summary)")
        // Alone it fits.
        desired.volumes["new"] = nil
        #expect(task(self.plan([large], in: desired)) != nil)
    }

    @Test func aScratchVolumeIsNotCountedAsProvisioned() {
        var desired = BackupPlanTests.nightly()
        desired.volumes["new"] = Sample.declared("new", VolumeSpec(size: Sample.gibi(310), placement: .pool("fast")))
        func isMade(_ volumes: [LogicalVolume]) -> Bool {
            plan([], [], volumes, in: desired).changes.contains {
                $0.resource == ResourceID(.volume, "new") && $0.action == .create
            }
        }
        // 90 GiB less 10 %, times 4, less the 10 GiB of 'db': 314 GiB.
        #expect(isMade([]) && isMade([Self.scratch()]) && !isMade([Sample.volume("x", uid: Sample.uid(4))]))
    }

    // MARK: Leftovers

    @Test func whatADrillLeftGoesUnaskedAndBeforeTheNextOne() throws {
        let quiet = plan([Self.point()], [Self.receipt(60)], [Self.scratch()], runDue: false)
        #expect(removals(quiet) == [Self.scratchUID])
        let pool = ResourceID(.pool, "fast")
        let line = try #require(quiet.changes.first { $0.resource == pool && $0.action == .update })
        #expect(line.summary.contains("left that was cut off") && line.uid == Self.scratchUID)
        #expect(!quiet.changes.contains { $0.action.removes } && quiet.refusal == nil)
        let next = plan([Self.point()], [], [Self.scratch()])
        #expect(removals(next) == [Self.scratchUID])
        let removal = try #require(
            next.steps.first { if case .volume(.dropScratch(_, _, isMade: true)) = $0.step { true } else { false } })
        let creation = try #require(
            next.steps.first { if case .volume(.create) = $0.step { true } else { false } })
        #expect(creation.after.contains(removal.id))
    }

    @Test func itIsNobodysVolumeAndStandsInNobodysWay() {
        let plan = plan([Self.point()], [Self.receipt(60)], [Self.scratch()])
        #expect(!plan.changes.contains { [.orphan, .blocked, .trash].contains($0.action) }, "\(plan.changes)")
        let index = StorageIndex(
            Sample.observed([Sample.volume(), Self.scratch()]))
        #expect(index.volumes.map(\.uid) == [Sample.uid] && index.scratches.map(\.uid) == [Self.scratchUID])
        #expect(index.bearer(of: Self.scratchUID) != nil)
    }

    static let notOurs: [(String, @Sendable (inout LogicalVolume) -> Void)] = [
        ("protected", { $0.tags.append("tuff:protect") }),
        ("without its work", { $0.tags.removeAll { $0 == "tuff:op=drill" } }),
        ("a volume too", { $0.tags.append("tuff:vol=db2") }),
        ("of no stack", { $0.tags.removeAll { $0.hasPrefix("tuff:stack") } }),
        ("in the trash", { $0.tags.append("tuff:until=2026-11-22T02:30:00Z") }),
        ("of another work", { $0.tags.append("tuff:op=copy") }),
        ("with an unknown mark", { $0.tags.append("tuff:new=1") }),
        ("of another stack", { $0.tags = $0.tags.map { $0.hasPrefix("tuff:stack") ? "tuff:stack=lab" : $0 } }),
        ("open", { $0.open = true }), ("suspended", { $0.suspended = true }),
    ]

    @Test(arguments: notOurs.indices) func whatIsNotWholeOrNotOursStays(_ number: Int) {
        let (name, change) = Self.notOurs[number]
        let plan = plan([Self.point()], [Self.receipt(60)], [Self.scratch(change)])
        #expect(removals(plan) == [], "\(name)")
    }

    @Test func twoOfOneUIDStay() {
        let twin = Self.scratch { ($0.name, $0.uuid) = ("copy", "uuid-twin") }
        #expect(removals(plan([Self.point()], [Self.receipt(60)], [Self.scratch(), twin])) == [])
    }

    @Test(arguments: [true, false]) func oneWithALiveJobIsThatJobsAndNoOtherDrillBegins(_ byObject: Bool) throws {
        let path = "data:/dev/vg0/d-\(Self.scratchUID)"
        let job = RunningJob(
            id: "j", kind: "drill", summary: "restoring Volume/db from BackupRepository/nas for practice",
            keys: byObject ? [] : [path], objects: byObject ? [Self.scratchUID] : [], pid: 4711,
            since: Sample.context().now)
        let plan = plan([Self.point()], [], [Self.scratch { $0.open = true }]) {
            $0.jobs = ObservationMap(["j": .known(job)])
        }
        #expect(plan.steps.isEmpty)
        let line = try #require(lines(plan, .blocked).first)
        #expect(line.reason == .jobRunning && line.summary.contains("pid 4711"))
        // Nobody knows whose it is then.
        let unlisted = self.plan([Self.point()], [], [Self.scratch()]) {
            $0.jobs = ObservationMap(unlisted: HostError(.failed, "no list"))
        }
        #expect(unlisted.steps.isEmpty)
    }

    // MARK: Failures that are remembered

    @Test func aDrillThatFailedIsRememberedUntilOneIsDone() throws {
        let plan = plan()
        let step = plan.steps.first { if case .volume(.drill) = $0.step { true } else { false } }
        let change = try #require(step?.change)
        var ledger = Ledger()
        ledger.note(failures: [change: "no room"], done: [], of: plan, at: Sample.context().now)
        let resource = ResourceID(.backupPolicy, "nightly")
        #expect(ledger.failures(of: resource, in: "default").map(\.error) == ["no room"])
        // A backup that was made since tells nothing of it.
        func after(_ receipts: [ObservedReceipt], _ desired: DesiredState = Self.desired()) -> Int {
            var observed = Sample.observed([Sample.volume()])
            let points = [Self.point(), Self.point("newer", ago: -60)]
            observed.repositories = ObservationMap([
                "nas": .known(ObservedRepository(id: "r", points: points, receipts: receipts))
            ])
            let seen = ledger.after(observed, desired: desired, context: Sample.context())
            return seen.failures(of: resource, in: "default").count
        }
        #expect(after([]) == 1 && after([Self.receipt(60)]) == 1 && after([Self.receipt(-60)]) == 0)
        #expect(after([], BackupPlanTests.nightly()) == 0)
        ledger.note(failures: [:], done: [change], of: plan, at: Sample.context().now)
        #expect(ledger.failures(of: resource, in: "default") == [])
    }
}
