import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Backup bases in plans: made, compared, completed, and dropped.
@Suite struct BasePlanTests {
    static let repository = String(repeating: "a", count: 32), root = String(repeating: "c", count: 64)
    static let pointID = String(repeating: "b", count: 32)

    static func base(_ number: UInt8 = 3, isComplete: Bool = true, of volume: UID = Sample.uid) -> LogicalVolume {
        let identity = ThinIdentity(
            uuid: "uuid-base\(number)-0000", device: UInt32(number), transaction: UInt64(number))
        var marks = BackupBase(uid: Sample.uid(number), stack: "default", volume: volume, repository: repository)
        if isComplete { marks.completion = BackupBase.Completion(point: pointID, root: root, identity: identity) }
        var volume = LogicalVolume(
            name: marks.objectName, uuid: identity.uuid, size: Sample.gibi(10), tags: marks.tags, layout: .thin,
            pool: "tp0", origin: "v-db")
        volume.permission = .readOnly
        volume.thinIdentity = identity
        return volume
    }

    static func point(_ change: (inout ObservedPoint) -> Void = { _ in }) -> ObservedPoint {
        SourcePlanTests.point(pointID, 0, uid: Sample.uid) {
            $0.root = root
            change(&$0)
        }
    }

    static func observed(_ points: [ObservedPoint], _ volumes: [LogicalVolume]) -> ObservedState {
        var observed = SourcePlanTests.observed(points, [Sample.volume()] + volumes)
        observed.repositories = ObservationMap(["nas": .known(ObservedRepository(id: repository, points: points))])
        return observed
    }

    private func plan(_ desired: DesiredState, _ observed: ObservedState) -> Plan {
        Planner.plan(
            desired: desired, observed: observed, context: Sample.context("00112233445566778899aabbccddeeff"))
    }

    /// The backup that the base was made by, and another.
    private func desired() -> DesiredState {
        var desired = BackupPlanTests.desired()
        desired.backups["again"] = Sample.declared("again", BackupSpec(volume: "db", repository: "nas"))
        return desired
    }

    private func says(_ plan: Plan, _ text: String) -> Bool {
        plan.changes.contains { change in change.notes.contains { note in note.contains(text) } }
    }

    private func drops(_ plan: Plan) -> [UID] {
        plan.steps.compactMap { if case .lvm(.dropBase(let base, _)) = $0.step { base.uid } else { nil } }
    }

    @Test func aThinVolumeIsReadFromABaseThatStays() throws {
        let plan = plan(BackupPlanTests.desired(), Self.observed([], []))
        let steps = plan.steps.map(\.step)
        guard steps.count == 5, case .lvm(.makeBase(let base, of: let origin)) = steps[0],
            case .backup(.compare(let comparison)) = steps[1],
            case .backup(.backUp(let source, _)) = steps[2], case .lvm(.deactivate(let hidden)) = steps[3],
            case .backup(.completeBase(let completed, _)) = steps[4]
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(origin.uid == Sample.uid && base.volume == Sample.uid && base.repository == Self.repository)
        #expect(hidden == source && source.uid == base.uid && comparison.base == base && completed == base)
        // It is hidden however the reading ended, and completed only when it succeeded.
        #expect(plan.steps[3].behind == [2] && plan.steps[3].after == [0])
        #expect(plan.steps[4].after == [2])
        #expect(says(plan, "(NoBase)"))
    }

    @Test func theBaseOfTheLastTimeGoesWhenTheNextIsComplete() throws {
        let made = Self.point { $0.backup = "before" }
        let plan = plan(desired(), Self.observed([made], [Self.base()]))
        #expect(drops(plan) == [Sample.uid(3)])
        let drop = try #require(plan.steps.last)
        guard case .backup(.completeBase) = plan.steps[drop.after.first ?? 0].step else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(says(plan, "what changed since restore point bbbbbbbb"))
        #expect(!plan.changes.contains { [.orphan, .blocked].contains($0.action) }, "\(plan.changes)")
    }

    @Test func aBaseIsNoVolumeOfAnybodys() {
        let made = Self.point { $0.backup = "before" }
        let plan = plan(BackupPlanTests.desired(), Self.observed([made], [Self.base()]))
        #expect(plan.steps.isEmpty, "\(plan.steps)")
        #expect(plan.changes.allSatisfy { [.unchanged, .due].contains($0.action) }, "\(plan.changes)")
    }

    @Test func whatServesNoMoreGoesUnasked() {
        let made = Self.point { $0.backup = "before" }
        func plan(_ change: (inout DesiredState, inout ObservedState) -> Void, _ bases: [LogicalVolume]) -> Plan {
            var desired = BackupPlanTests.desired(), observed = Self.observed([made], bases)
            change(&desired, &observed)
            return self.plan(desired, observed)
        }
        let one = Self.base(), unfinished = Self.base(4, isComplete: false)
        #expect(drops(plan({ _, _ in }, [one, unfinished])) == [Sample.uid(4)])
        #expect(drops(plan({ desired, _ in desired.backups = [:] }, [one])) == [Sample.uid(3)])
        #expect(drops(plan({ _, _ in }, [Self.base(of: Sample.uid(8))])) == [Sample.uid(3)])
        // It may be all that is left of a lost volume, also where its point is gone.
        let lost = plan(
            { _, observed in
                observed.repositories = ObservationMap([
                    "nas": .known(ObservedRepository(id: Self.repository, points: []))
                ])
                observed.ledger.entries = [
                    Ledger.Entry(
                        stack: "default", resource: ResourceID(.volume, "lost"), standing: .live, uid: Sample.uid(8),
                        uuid: nil, place: "vg0/v-lost", seen: observed.takenAt, sharedSince: nil)
                ]
            }, [Self.base(of: Sample.uid(8))])
        #expect(drops(lost).isEmpty)
        // Its point is gone, and named backups are elsewhere.
        let gone = plan(
            { _, observed in
                let other = SourcePlanTests.point("d", 0, uid: Sample.uid) { $0.backup = "before" }
                observed.repositories = ObservationMap([
                    "nas": .known(ObservedRepository(id: Self.repository, points: [other]))
                ])
            }, [one])
        #expect(drops(gone) == [Sample.uid(3)])
        // Never while it is not known.
        let unread = plan(
            { _, observed in
                observed.repositories = ObservationMap(["nas": .unknown(HostError(.timeout, "silent"))])
            }, [one])
        #expect(drops(unread).isEmpty)
        let held = plan(
            { desired, observed in
                desired.backups = [:]
                observed.jobs = ObservationMap([
                    "j": .known(
                        RunningJob(
                            id: "j", kind: "backup", summary: "backing up", objects: [Sample.uid(3)], pid: 1,
                            since: observed.takenAt))
                ])
            }, [one])
        #expect(drops(held).isEmpty)
    }

    @Test func aPoolThatRunsLowShedsThemFirstAndGetsNone() {
        let made = Self.point { $0.backup = "before" }
        var observed = Self.observed([made], [Self.base()])
        guard case .known(var group)? = observed.volumeGroups.entries["vg0"] else { return }
        for index in group.logicalVolumes.indices where group.logicalVolumes[index].layout == .thinPool {
            group.logicalVolumes[index].dataPercent = 99.5
        }
        observed.volumeGroups.entries["vg0"] = .known(group)
        let plan = plan(desired(), observed)
        #expect(drops(plan) == [Sample.uid(3)])
        #expect(!plan.steps.contains { if case .lvm(.makeBase) = $0.step { true } else { false } })
    }

    @Test func twoBackupsOfOneVolumeInOnePlanLeaveOneBase() {
        var desired = BackupPlanTests.desired()
        desired.backups["also"] = Sample.declared("also", BackupSpec(volume: "db", repository: "nas"))
        let plan = plan(desired, Self.observed([], []))
        let made = plan.steps.compactMap { if case .lvm(.makeBase(let base, _)) = $0.step { base.uid } else { nil } }
        #expect(made.count == 2 && drops(plan) == [made[0]])
    }
}
