import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Volumes that begin with a backup of OpenStack Cinder's.
@Suite struct CinderPlanTests {
    static let backup = "aaaaaaa0-bbbb-4ccc-8ddd-eeeeeeeeeeee"

    func desired(_ backup: String = backup) -> DesiredState {
        var desired = Sample.desired()
        var spec = BackupRepositorySpec(site: .directory("/srv/cinder"))
        spec.format = .cinder
        desired.backupRepositories["old"] = Sample.declared("old", spec)
        desired.volumes["db"]!.spec.source = .cinderBackup(repository: "old", backup: backup)
        return desired
    }

    func observed(_ size: ByteCount = Sample.gibi(8), damaged: Int = 0) -> ObservedState {
        var point = ObservedPoint(
            id: Self.backup, volume: "web-root", time: Instant(secondsSince1970: 1_795_000_000), size: size,
            content: size)
        point.cinder = CinderNames(volume: "11111111-2222", volumeName: "web-root", name: "weekly")
        var observed = Sample.observed()
        observed.repositories = ObservationMap([
            "old": .known(ObservedRepository(id: "cinder", points: [point], damaged: damaged))
        ])
        return observed
    }

    func change(_ desired: DesiredState, _ observed: ObservedState) -> PlannedChange? {
        let plan = Planner.plan(desired: desired, observed: observed, context: Sample.context())
        return plan.changes.first { $0.resource == ResourceID(.volume, "db") }
    }

    @Test func itIsFilledOutOfAShareThatIsOnlyReadAndSaysWhoseItWas() throws {
        let plan = Planner.plan(desired: desired(), observed: observed(), context: Sample.context())
        let contents = plan.steps.compactMap { step -> BackupContent? in
            if case .volume(.fillFromBackup(_, let content, _)) = step.step { content } else { nil }
        }
        #expect(contents.map(\.point) == [Self.backup] && contents.first?.access.format == .cinder)
        let found = try #require(change(desired(), observed()))
        #expect(
            found.action == .create && found.notes.contains { $0.contains("'web-root'") && $0.contains("'weekly'") })
    }

    @Test func oneThatIsNotThereOrDoesNotFitIsSaid() {
        #expect(change(desired("bbbbbbb0-bbbb-4ccc-8ddd-eeeeeeeeeeee"), observed())?.reason == .noRestorePoint)
        #expect(change(desired(), observed(Sample.gibi(20)))?.reason == .tooSmall)
        var silent = observed()
        silent.repositories = ObservationMap(["old": .unknown(HostError(.unreachable, "silent"))])
        #expect(change(desired(), silent)?.reason == .repositoryUnreachable)
    }

    @Test func whatCinderWroteIsNoBackupOfAVolumeOfOurs() {
        var plain = desired()
        plain.volumes["db"]!.spec.source = nil
        var named = observed()
        named.repositories?.entries["old"] = .unknown(HostError(.unreachable, "silent"))
        // Neither its names nor its silence keep a new volume from being made blank.
        #expect(change(plain, named)?.action == .create)
        #expect(change(plain, observed())?.action == .create)
        let ledger = named.ledger.after(observed(), desired: plain, context: Sample.context())
        #expect(ledger.repositories == nil)
    }
}
