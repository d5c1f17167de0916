import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Backup documents, policies, and repositories that are made.
@Suite struct BackupPlanTests {
    static let place = VolumeLocation.logicalVolume(group: "vg0", name: "v-db")

    static func desired(attached: Bool = false) -> DesiredState {
        var desired = SourcePlanTests.desired(nil)
        desired.backups["before"] = Sample.declared("before", BackupSpec(volume: "db", repository: "nas"))
        if attached {
            desired.attachments["db-on-web1"] = Sample.declared(
                "db-on-web1", AttachmentSpec(volume: "db", initiator: Sample.initiator))
        }
        return desired
    }

    static func nightly() -> DesiredState {
        var desired = SourcePlanTests.desired(nil)
        desired.backupPolicies["nightly"] = Sample.declared(
            "nightly",
            BackupPolicySpec(volumes: .names(["db"]), repository: "nas", schedule: Schedule(cron: "30 2 * * *")))
        return desired
    }

    func plan(
        _ desired: DesiredState, _ observed: ObservedState, _ consent: (inout Consent) -> Void = { _ in }
    ) -> Plan {
        Planner.plan(
            desired: desired, observed: observed, context: Sample.context("00112233445566778899aabbccddeeff", consent))
    }

    func change(_ plan: Plan, _ kind: Kind, _ name: String) -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    /// Steps of one change by their verbs, with what each waits for.
    func steps(_ plan: Plan, _ kind: Kind, _ name: String) -> [PlannedStep] {
        plan.steps.filter { plan.changes[$0.change].resource == ResourceID(kind, name) }
    }

    @Test func aVolumeThatNobodyUsesIsReadItself() throws {
        let observed = SourcePlanTests.observed([], [Sample.volume()])
        let steps = steps(plan(Self.desired(), observed), .backup, "before")
        #expect(steps.count == 3)
        guard case .lvm(.activate) = steps[0].step, case .backup(.backUp(let source, let task)) = steps[1].step,
            case .lvm(.deactivate) = steps[2].step
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(source == VolumeRef(Self.place, uid: Sample.uid, uuid: "uuid-db"))
        #expect(task.backup == "before" && task.uid == Sample.uid && task.node == "storage1")
        // It is taken down however the reading ended, once it was up.
        #expect(steps[2].after == [steps[0].id] && steps[2].behind == [steps[1].id])
    }

    @Test func ofAVolumeInUseASnapshotIsReadWhichGoesInAnyCase() throws {
        var volume = Sample.volume(active: true)
        volume.open = true
        let plan = plan(Self.desired(), SourcePlanTests.observed([], [volume]))
        let steps = steps(plan, .backup, "before")
        guard steps.count == 4, case .volume(.copy(let origin, let place, let marks)) = steps[0].step,
            case .lvm(.activate) = steps[1].step, case .backup(.backUp(let source, _)) = steps[2].step,
            case .lvm(.dropTemporary(let snapshot)) = steps[3].step
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(origin.uid == Sample.uid && source.location == place && marks.role == .temporary(Sample.uid))
        #expect(snapshot.location == place && snapshot.originUID == Sample.uid)
        #expect(steps[3].after == [steps[0].id] && steps[3].behind == [steps[2].id])
    }

    @Test func whatACrashLeftIsReplacedAndNeverRead() throws {
        var volume = Sample.volume(active: true)
        volume.open = true
        let marks = Marks(
            uid: Sample.uid(5), role: .temporary(Sample.uid), stack: "default", origin: Sample.uid)
        let left = LogicalVolume(
            name: "c-\(Sample.uid)", uuid: "uuid-left", size: Sample.gibi(10), tags: marks.tags, layout: .thin,
            active: false, open: false, pool: "tp0", origin: "v-db")
        let plan = plan(Self.desired(), SourcePlanTests.observed([], [volume, left]))
        let steps = steps(plan, .backup, "before")
        guard case .lvm(.dropTemporary(let old))? = steps.first?.step else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(old.uuid == "uuid-left" && steps.count == 5)
        // Without a backup that takes it away it goes by itself.
        let alone = self.plan(SourcePlanTests.desired(nil), SourcePlanTests.observed([], [volume, left]))
        #expect(change(alone, .pool, "fast")?.summary.contains("not backed up any more") == true)
    }

    @Test func aBackupThatWasMadeIsNotMadeAgain() {
        let made = SourcePlanTests.point("a", 0, uid: Sample.uid) { $0.backup = "before" }
        let plan = plan(Self.desired(), SourcePlanTests.observed([made], [Sample.volume()]))
        #expect(change(plan, .backup, "before")?.action == .unchanged && plan.steps.isEmpty)
    }

    @Test func aRepositoryThatCannotBeReadIsNoReasonToBackUpAgain() {
        var observed = SourcePlanTests.observed([], [Sample.volume()])
        observed.repositories = ObservationMap(["nas": .unknown(HostError(.timeout, "silent"))])
        for desired in [Self.desired(), Self.nightly()] {
            let plan = plan(desired, observed) { $0.runDue = true }
            #expect(plan.steps.isEmpty)
            #expect(plan.changes.filter { $0.reason == .repositoryUnreachable }.count == 2)
        }
    }

    @Test func twoBackupsOfOneVolumeAreMadeOneAfterTheOther() throws {
        var volume = Sample.volume(active: true)
        volume.open = true
        var desired = Self.desired()
        desired.backups["also"] = Sample.declared("also", BackupSpec(volume: "db", repository: "nas"))
        let plan = plan(desired, SourcePlanTests.observed([], [volume]))
        let first = steps(plan, .backup, "also"), second = steps(plan, .backup, "before")
        #expect(second.first?.behind == [try #require(first.last).id])
    }

    @Test func aPointOfAnotherVolumeOfTheNameIsNotThisBackup() {
        let other = SourcePlanTests.point("a", 0, uid: Sample.uid(9)) { $0.backup = "before" }
        let plan = plan(Self.desired(), SourcePlanTests.observed([other], [Sample.volume()]))
        #expect(change(plan, .backup, "before")?.action == .create)
        // And among what cannot be read it may be.
        let unread = self.plan(Self.desired(), SourcePlanTests.observed([], damaged: 1, [Sample.volume()]))
        #expect(change(unread, .backup, "before")?.action == .blocked)
    }

    @Test func labelsOfDocumentsDoNotSayWhatAPointWasMadeFor() throws {
        var desired = Self.desired()
        desired.volumes["db"]!.metadata.labels = ["tuff.dev/backup": "before", "tier": "db"]
        let plan = plan(desired, SourcePlanTests.observed([], [Sample.volume()]))
        let tasks = plan.steps.compactMap { step -> BackupTask? in
            if case .backup(.backUp(_, let task)) = step.step { task } else { nil }
        }
        #expect(tasks.map(\.labels) == [["tier": "db"]])
    }

    /// A repository alone is enough to declare the volume again. Its content is the point, whatever it began with.
    @Test func aPointCarriesItsVolumesDocument() throws {
        var desired = Self.desired()
        desired.volumes["db"]!.spec.source = .volume("golden")
        desired.volumes["golden"] = Sample.declared(
            "golden", VolumeSpec(size: Sample.gibi(1), placement: desired.volumes["db"]!.spec.placement))
        let plan = plan(desired, SourcePlanTests.observed([], [Sample.volume()]))
        let tasks = plan.steps.compactMap { step -> BackupTask? in
            if case .backup(.backUp(_, let task)) = step.step { task } else { nil }
        }
        let document = try #require(tasks.first?.document)
        #expect(document.hasPrefix("apiVersion: tuff.dev/v1\nkind: Volume\n") && document.contains("  name: db\n"))
        #expect(!document.contains("source"), "\(document)")
    }

    // MARK: Policies

    @Test func aPolicyIsDueByWhatTheRepositoryHolds() throws {
        let now = Sample.context().now.secondsSince1970 - 1_795_000_000
        func point(_ age: Int64) -> ObservedPoint {
            SourcePlanTests.point("p\(age)", now - age, uid: Sample.uid) { $0.policy = "nightly" }
        }
        func observed(_ points: [ObservedPoint]) -> ObservedState {
            SourcePlanTests.observed(points, [Sample.volume()])
        }
        let waiting = plan(Self.nightly(), observed([point(7 * 86400)]))
        #expect(waiting.steps.isEmpty)
        #expect(waiting.changes.contains { $0.action == .due && $0.resource.kind == .backupPolicy })
        let run = plan(Self.nightly(), observed([point(7 * 86400)])) { $0.runDue = true }
        let tasks = run.steps.compactMap { step -> BackupTask? in
            if case .backup(.backUp(_, let task)) = step.step { task } else { nil }
        }
        #expect(tasks.map(\.policy) == ["nightly"])
        #expect(plan(Self.nightly(), observed([point(60)])) { $0.runDue = true }.steps.isEmpty)
    }

    @Test func aPointThatThePlanItselfMadeHoursLaterIsNotOfTheFuture() {
        let made = Sample.context().now.secondsSince1970 - 1_795_000_000 + 3 * 3600
        let point = SourcePlanTests.point("p", made, uid: Sample.uid) { $0.policy = "nightly" }
        var observed = SourcePlanTests.observed([point], [Sample.volume()])
        observed.takenAt = Instant(secondsSince1970: 1_795_000_000 + made + 60)
        let plan = plan(Self.nightly(), observed) { $0.runDue = true }
        #expect(plan.steps.isEmpty && change(plan, .backupPolicy, "nightly")?.action == .unchanged)
        #expect(!plan.changes.contains { $0.action == .blocked })
    }

    @Test func aPointOfTheFutureStopsItsPolicyWithAWord() {
        let later = Sample.context().now.secondsSince1970 - 1_795_000_000 + 86400
        let point = SourcePlanTests.point("p", later, uid: Sample.uid) { $0.policy = "nightly" }
        let plan = plan(Self.nightly(), SourcePlanTests.observed([point], [Sample.volume()])) { $0.runDue = true }
        #expect(plan.steps.isEmpty && plan.changes.contains { $0.reason == .clockBehind })
    }

    // MARK: Repositories

    @Test func aRepositoryIsMadeOnlyWhereThatIsAskedForAndAllowed() {
        var desired = SourcePlanTests.desired(nil), observed = Sample.observed()
        observed.repositories = ObservationMap()
        #expect(change(plan(desired, observed), .backupRepository, "nas")?.reason == .repositoryMissing)
        desired.backupRepositories["nas"]!.spec.creates = true
        #expect(change(plan(desired, observed), .backupRepository, "nas")?.reason == .consentNeeded)
        let made = plan(desired, observed) { $0.allowRepositoryCreate = true }
        #expect(change(made, .backupRepository, "nas")?.action == .create)
        #expect(
            made.steps.contains { step in
                if case .backup(.makeRepository("nas", _)) = step.step { true } else { false }
            })
    }

    @Test func aRepositoryIsMadeBeforeTheSamePlanBacksUpToIt() throws {
        var desired = Self.desired(), observed = Sample.observed([Sample.volume()])
        desired.backupRepositories["nas"]!.spec.creates = true
        observed.repositories = ObservationMap()
        let made = plan(desired, observed) { $0.allowRepositoryCreate = true }
        let maker = try #require(steps(made, .backupRepository, "nas").first)
        let first = try #require(steps(made, .backup, "before").first)
        #expect(first.after.contains(maker.id))
    }

    @Test func whatLiesOutOfReachIsNeverAsked() {
        var desired = Self.desired()
        desired.backupRepositories["nas"]!.spec.site = .nfs(NFSShare(server: "nas.example.com", export: "/b"))
        let plan = plan(desired, SourcePlanTests.observed([], [Sample.volume()]))
        #expect(change(plan, .backupRepository, "nas")?.reason == .notAllowed && plan.steps.isEmpty)
    }
}
