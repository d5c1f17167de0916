import FoundationEssentials
import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// The memory of repositories and named Backups: what is lost is not made again, and what is older is told.
@Suite struct BackupMemoryTests {
    let context = Sample.context("00112233445566778899aabbccddeeff") { $0.allowRepositoryCreate = true }
    static let point = SourcePlanTests.point("aaaaaaaa1", 0, uid: Sample.uid) { $0.backup = "before" }

    /// Volume `db`, the repository `nas` that may be made, and Backup `before`.
    func desired() -> DesiredState {
        var desired = BackupPlanTests.desired()
        desired.backupRepositories["nas"]!.spec.creates = true
        return desired
    }

    func seen(_ points: [ObservedPoint], damaged: Int = 0, id: String = "first", _ ledger: Ledger) -> ObservedState {
        var observed = SourcePlanTests.observed(points, damaged: damaged, [Sample.volume()])
        observed.repositories?.entries["nas"] = .known(ObservedRepository(id: id, points: points, damaged: damaged))
        observed.ledger = ledger
        return observed
    }

    func gone(_ ledger: Ledger, _ seen: Observation<ObservedRepository>? = nil) -> ObservedState {
        var observed = Sample.observed([Sample.volume()])
        observed.repositories = ObservationMap(seen.map { ["nas": $0] } ?? [:])
        observed.ledger = ledger
        return observed
    }

    func after(_ observed: ObservedState, _ desired: DesiredState? = nil) -> Ledger {
        observed.ledger.after(observed, desired: desired ?? self.desired(), context: context)
    }

    /// What a pass remembers that saw these points.
    func ledger(_ points: [ObservedPoint] = [point]) -> Ledger { after(seen(points, Ledger())) }

    func plan(_ observed: ObservedState, _ desired: DesiredState? = nil, _ context: PlanContext? = nil) -> Plan {
        Planner.plan(desired: desired ?? self.desired(), observed: observed, context: context ?? self.context)
    }

    func line(_ plan: Plan, _ kind: Kind, _ name: String) -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    // MARK: Lost

    @Test func aRepositoryThatIsGoneIsLostAndNotMadeAgain() {
        var ledger = ledger()
        let lost = plan(gone(ledger))
        #expect(line(lost, .backupRepository, "nas")?.reason == .lost && lost.steps.isEmpty)
        #expect(line(lost, .backupRepository, "nas")?.summary.contains("tuff forget BackupRepository/nas") == true)
        #expect(line(lost, .backup, "before")?.reason == .dependencyBlocked)
        // A pass that saw nothing there forgets nothing.
        #expect(after(gone(ledger)).repository("nas", stack: "default") == ledger.repository("nas", stack: "default"))
        ledger.forget(ResourceID(.backupRepository, "nas"), stack: "default")
        #expect(line(plan(gone(ledger)), .backupRepository, "nas")?.action == .create)
    }

    @Test func aDamagedOneIsLostWhereItIsRememberedAndOneThatIsUnreadableIsUnknown() {
        let damaged = Observation<ObservedRepository>.unknown(HostError(.damaged, "the first file is gone"))
        #expect(line(plan(gone(ledger(), damaged)), .backupRepository, "nas")?.reason == .lost)
        #expect(line(plan(gone(Ledger(), damaged)), .backupRepository, "nas")?.reason == .repositoryUnreachable)
        for code in [HostError.Code.malformed, .timeout, .refused, .failed, .unreachable] {
            let unknown = plan(gone(ledger(), .unknown(HostError(code, "silent"))))
            #expect(line(unknown, .backupRepository, "nas")?.reason == .repositoryUnreachable, "\(code)")
            #expect(line(unknown, .backup, "before")?.reason == .repositoryUnreachable && unknown.steps.isEmpty)
        }
    }

    @Test func anotherRepositoryAtItsPlaceIsNamedAndNotUsed() {
        let ledger = ledger(), swapped = seen([], id: "secondsecond", ledger)
        let plan = plan(swapped)
        let found = line(plan, .backupRepository, "nas")
        #expect(found?.reason == .repositoryReplaced && found?.summary.contains("secondse") == true)
        #expect(plan.steps.isEmpty && line(plan, .backup, "before")?.action == .blocked)
        #expect(after(swapped).repository("nas", stack: "default")?.id == "first")
        // A document that names another place means another one.
        var moved = desired()
        moved.backupRepositories["nas"]!.spec.site = .directory("/srv/backups/new")
        #expect(line(self.plan(swapped, moved), .backupRepository, "nas")?.action == .unchanged)
        let place = moved.backupRepositories["nas"]!.spec.site.description
        let both = after(swapped, moved)
        #expect(both.repository("nas", stack: "default", at: place)?.id == "secondsecond")
        // A slip of the hand in the path is no reason to forget where the first one is.
        #expect(line(self.plan(gone(both)), .backupRepository, "nas")?.reason == .lost)
        #expect(line(self.plan(gone(ledger), moved), .backupRepository, "nas")?.action == .create)
    }

    // MARK: Older than it was

    @Test func anOlderCopyIsToldAndUsed() throws {
        let old = SourcePlanTests.point("old", 0, uid: Sample.uid)
        let new = SourcePlanTests.point("new", 9, uid: Sample.uid)
        let ledger = ledger([old, new])
        let back = seen([old], ledger)
        let found = line(plan(back), .backupRepository, "nas")
        #expect(found?.action == .unchanged && found?.reason == .rolledBack)
        #expect(found?.notes.contains { $0.contains("new of ") && $0.contains("tuff forget") } == true)
        // Its points serve, and whoever uses one is told.
        var restoring = desired()
        restoring.volumes["copy"] = Sample.declared(
            "copy", VolumeSpec(size: Sample.gibi(10), placement: .pool("fast")))
        restoring.volumes["copy"]!.spec.source = .backup(BackupSource(repository: "nas", volume: "db"))
        let copy = try #require(line(plan(back, restoring), .volume, "copy"))
        #expect(copy.action == .create && copy.notes.contains { $0.contains("older than this host remembers") })
        // A later backup does not hide it; the point itself, back again, ends it, and so does a person.
        var later = after(back)
        let newer = SourcePlanTests.point("newer", 20, uid: Sample.uid)
        #expect(line(plan(seen([old, newer], later)), .backupRepository, "nas")?.reason == .rolledBack)
        later = after(seen([old, newer], later))
        #expect(later.repository("nas", stack: "default")?.rollback?.missing.map(\.point) == ["new"])
        #expect(line(plan(seen([old, new, newer], later)), .backupRepository, "nas")?.reason == nil)
        later.forget(ResourceID(.backupRepository, "nas"), stack: "default")
        #expect(line(plan(seen([old, newer], later)), .backupRepository, "nas")?.reason == nil)
    }

    @Test func whatRulesAndPeopleMayRemoveProvesNothing() {
        let old = SourcePlanTests.point("old", 0, uid: Sample.uid)
        let new = SourcePlanTests.point("new", 9, uid: Sample.uid)
        let ledger = ledger([old, new])
        func reason(_ observed: ObservedState) -> Reason? {
            line(plan(observed), .backupRepository, "nas")?.reason
        }
        // The series went on, so a keep rule of any host may have let the former newest go.
        let next = SourcePlanTests.point("next", 20, uid: Sample.uid)
        #expect(reason(seen([next], ledger)) == nil)
        // An older one goes whenever a rule says so.
        #expect(reason(seen([new], ledger)) == nil)
        // Among points that cannot be read it may be, and nothing is forgotten of it.
        #expect(reason(seen([old], damaged: 1, ledger)) == nil)
        #expect(reason(seen([old], after(seen([old], damaged: 1, ledger)))) == .rolledBack)
        // One that a person set aside for its time speaks for no series.
        var aside = new
        aside.isSetAside = true
        let settled = after(seen([old, aside], ledger))
        #expect(settled.repository("nas", stack: "default")?.newest.map(\.point) == ["old"])
        #expect(reason(seen([old], settled)) == nil)
        // Another host's and another stack's series are theirs to judge.
        let theirs = SourcePlanTests.point("theirs", 9, uid: Sample.uid(9)) { $0.node = "storage2" }
        #expect(reason(seen([], after(seen([theirs], Ledger())))) == nil)
    }

    // MARK: Named Backups

    @Test func aNamedBackupWhosePointIsGoneIsNotMadeAgain() {
        var ledger = ledger()
        #expect(ledger.backup("before", stack: "default")?.point == Self.point.id)
        let newer = SourcePlanTests.point("newer", 9, uid: Sample.uid) { $0.policy = "nightly" }
        let removed = seen([newer], ledger)
        let lost = plan(removed)
        #expect(line(lost, .backup, "before")?.reason == .lost && lost.steps.isEmpty)
        #expect(line(lost, .backupRepository, "nas")?.reason == nil)
        var recreating = context
        recreating.consent.recreate = [ResourceID(.backup, "before")]
        #expect(line(plan(removed, nil, recreating), .backup, "before")?.action == .create)
        ledger.forget(ResourceID(.backup, "before"), stack: "default")
        #expect(line(plan(seen([newer], ledger)), .backup, "before")?.action == .create)
        // One that a newly made repository does not have was made in the one before.
        var other = self.ledger()
        other.forget(ResourceID(.backupRepository, "nas"), stack: "default")
        let remade = plan(seen([], id: "secondsecond", other))
        #expect(line(remade, .backup, "before")?.summary.contains("in the repository first") == true)
    }

    @Test func withoutDocumentAndPointABackupIsOver() {
        var without = desired()
        without.backups = [:]
        let kept = after(seen([Self.point], ledger()), without)
        #expect(kept.backup("before", stack: "default") != nil)
        #expect(after(seen([], damaged: 1, kept), without).backup("before", stack: "default") != nil)
        #expect(after(seen([], kept), without).backup("before", stack: "default") == nil)
    }

    @Test func aRenamedVolumeHasItsBackupStillAndAnotherOneDoesNot() {
        var renamed = desired()
        renamed.volumes["base"] = renamed.volumes["db"]
        renamed.volumes["db"] = nil
        renamed.volumes["base"]!.metadata.name = "base"
        renamed.volumes["base"]!.metadata.annotations["tuff.dev/renamed-from"] = "db"
        renamed.backups["before"]!.spec.volume = "base"
        #expect(line(plan(seen([Self.point], Ledger()), renamed), .backup, "before")?.action == .unchanged)
        // A point whose time somebody set aside was made all the same.
        var aside = Self.point
        aside.isSetAside = true
        #expect(line(plan(seen([aside], Ledger())), .backup, "before")?.action == .unchanged)
    }

    // MARK: Files

    @Test func ledgersOfEarlierVersionsKnowNoneAndOursSurviveTheirFile() throws {
        let ledger = ledger()
        let data = try JSONEncoder().encode(ledger)
        #expect(try JSONDecoder().decode(Ledger.self, from: data) == ledger)
        let empty = try JSONEncoder().encode(Ledger())
        #expect(!String(decoding: empty, as: UTF8.self).contains("repositories"))
    }
}
