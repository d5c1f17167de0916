import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Volumes that are rolled back in place to a restore point.
@Suite struct RestoreFromBackupPlanTests {
    static let key = RestoreKey.of("undo", Sample.uid)
    static let volume = VolumeRef(BackupPlanTests.place, uid: Sample.uid, uuid: "uuid-db")

    func desired(_ at: RestorePointName = .latest, attached: Bool = false, uid: UID = Sample.uid) -> DesiredState {
        var desired = BackupPlanTests.desired(attached: attached)
        desired.backups = [:]
        desired.restores["undo"] = Sample.declared(
            "undo", RestoreSpec(volume: "db", volumeUID: uid, from: .backup(repository: "nas", at: at)))
        return desired
    }

    func point(_ id: String, _ time: Int64, _ change: (inout ObservedPoint) -> Void = { _ in }) -> ObservedPoint {
        SourcePlanTests.point(id, time, uid: Sample.uid, change)
    }

    func observed(
        _ points: [ObservedPoint], damaged: Int = 0, _ change: (inout Marks) -> Void = { _ in }
    ) -> ObservedState {
        SourcePlanTests.observed(points, damaged: damaged, [Sample.volume("db", change)])
    }

    func plan(_ desired: DesiredState, _ observed: ObservedState, _ consent: (inout Consent) -> Void = { _ in }) -> Plan
    {
        Planner.plan(desired: desired, observed: observed, context: Sample.context("00", consent))
    }

    func line(_ plan: Plan) -> PlannedChange? { plan.changes.first { $0.resource == ResourceID(.restore, "undo") } }

    func filled(_ plan: Plan) -> String? {
        plan.steps.lazy.compactMap { step in
            if case .volume(.fillFromBackup(_, let content, _)) = step.step { content.point } else { nil }
        }.first
    }

    @Test func whatIsWrittenOverIsKeptAndTheVolumeBearsItsMarkUntilItIsWhole() throws {
        let plan = plan(desired(), observed([point("older", 0), point("newer", 9)]))
        let steps = plan.storageSteps
        try #require(steps.count == 5)
        guard case .volume(.copy(Self.volume, let kept, let marks)) = steps[0],
            case .volume(.fillFromBackup(Self.volume, let content, let operation)) = steps[3]
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(marks.safety == Self.key && marks.until != nil && content.point == "newer")
        #expect(operation == "restore/\(Self.key)")
        #expect(
            steps[1]
                == .lvm(.begin(Self.volume, operation: operation, kept: VolumeRef(kept, uid: marks.uid))))
        #expect(steps[2] == .lvm(.activate(Self.volume)))
        #expect(steps[4] == .lvm(.complete(Self.volume, size: Sample.gibi(10), operation: operation)))
        #expect(line(plan)?.summary.contains("restore point newer") == true)
    }

    @Test func aPointIsOfThisVolumeAloneUnderWhateverNameItHad() {
        let theirs = SourcePlanTests.point("theirs", 50, uid: Sample.uid(7))
        let hosts = point("hosts", 60) { $0.node = "storage2" }
        let stacks = point("stacks", 70) { $0.stack = "other" }
        let hand = SourcePlanTests.point("hand", 80, uid: nil)
        let former = point("former", 9) { $0.volume = "former-name" }
        #expect(filled(plan(desired(), observed([point("a", 0), former, theirs, hosts, stacks, hand]))) == "former")
        let none = plan(desired(), observed([theirs, hosts, stacks, hand]))
        #expect(none.isEmpty && line(none)?.reason == .noRestorePoint)
        let named = plan(desired(.id("theirs")), observed([point("a", 0), theirs]))
        #expect(line(named)?.reason == .noRestorePoint && line(named)?.summary.contains("1 others") == true)
    }

    @Test func theTimeAndTheIdentityChooseAndDoubtStops() {
        let points = [point("aaaaaaaa", 0), point("bbbbbbbb", 9), point("cccccccc", 20) { $0.isSetAside = true }]
        #expect(filled(plan(desired(), observed(points))) == "bbbbbbbb")
        let time = Instant(secondsSince1970: 1_795_000_005)
        #expect(filled(plan(desired(.notAfter(time)), observed(points))) == "aaaaaaaa")
        #expect(filled(plan(desired(.id("cccc")), observed(points))) == "cccccccc")
        #expect(line(plan(desired(), observed(points, damaged: 1)))?.reason == .noRestorePoint)
        #expect(filled(plan(desired(.id("aaaa")), observed(points, damaged: 1))) == "aaaaaaaa")
    }

    @Test func nobodyIsDetachedAndNothingHappensTwice() {
        let points = [point("a", 0)]
        let attached = plan(desired(attached: true), observed(points))
        #expect(line(attached)?.reason == .attached && filled(attached) == nil)
        #expect(line(plan(desired(), observed(points) { $0.executed = [Self.key] }))?.reason == .executed)
        #expect(line(plan(desired(uid: Sample.uid(7)), observed(points)))?.reason == .obsolete)
        #expect(line(plan(desired(), observed(points) { $0.protect = true }))?.reason == .protected)
    }

    @Test func whatWasInterruptedGoesOnAndIsShownToNobodyMeanwhile() {
        let begun = observed([point("a", 0)]) { $0.operation = Marks.restoring(Self.key) }
        let finishing = plan(desired(attached: true), begun)
        let kinds = finishing.storageSteps.prefix(3).map { step in
            switch step {
            case .lvm(.activate): "activate"
            case .volume(.fillFromBackup): "fill"
            case .lvm(.complete): "complete"
            default: "other"
            }
        }
        #expect(kinds == ["activate", "fill", "complete"])
        var silent = begun
        silent.repositories = ObservationMap(["nas": .unknown(HostError(.unreachable, "silent"))])
        let waiting = plan(desired(attached: true), silent)
        #expect(waiting.isEmpty && line(waiting)?.reason == .repositoryUnreachable)
        #expect(waiting.changes.first { $0.resource.kind == .attachment }?.action == .blocked)
    }

    @Test func sizesThatDifferAreSaid() {
        let small = plan(desired(), observed([point("a", 0) { $0.size = Sample.gibi(8) }]))
        #expect(line(small)?.notes.contains { $0.contains("the last 2 GiB") && $0.contains("restore point") } == true)
        let large = plan(desired(), observed([point("a", 0) { $0.size = Sample.gibi(12) }]))
        #expect(large.isEmpty && line(large)?.reason == .tooSmall)
    }

    @Test func everyBlockMayDifferAndMustFit() throws {
        func state(used: Double) throws -> ObservedState {
            var state = observed([point("a", 0) { $0.content = Sample.gibi(10) }])
            var group = try #require(state.volumeGroups["vg0"].value ?? nil)
            group.logicalVolumes[0].dataPercent = used
            state.volumeGroups.entries["vg0"] = .known(group)
            return state
        }
        #expect(!plan(desired(), try state(used: 70)).isEmpty)
        #expect(line(plan(desired(), try state(used: 82)))?.reason == .insufficientCapacity)
    }
}
