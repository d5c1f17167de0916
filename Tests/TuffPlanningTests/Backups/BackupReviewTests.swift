import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// What reviewers of backups in plans found, each with the right answer.
@Suite struct BackupReviewTests {
    private let sources = SourcePlanTests(), prunes = PrunePlanTests(), memories = BackupMemoryTests()

    @Test func aShareThatCinderWroteIsNeverPruned() {
        var desired = PrunePlanTests.nightly()
        desired.backupPolicies = [:]
        desired.backupRepositories["nas"]!.spec.format = .cinder
        #expect(prunes.task(prunes.plan(PrunePlanTests.points(5), in: desired)) == nil)
    }

    @Test func nothingIsRestoredFromAPointThatLacksData() {
        let points = [
            SourcePlanTests.point("aaaaaaaa1", 0), SourcePlanTests.point("bbbbbbbb2", 9) { $0.isHurt = true },
        ]
        let latest = sources.plan(SourcePlanTests.desired(), SourcePlanTests.observed(points))
        #expect(sources.change(latest)?.reason == .noRestorePoint && sources.filled(latest) == nil)
        let named = sources.plan(
            SourcePlanTests.desired { $0.at = .id("aaaaaaaa1") }, SourcePlanTests.observed(points))
        #expect(sources.filled(named) == "aaaaaaaa1")
    }

    /// A volume that `--restore-missing` began, and two repositories that have its series.
    private func begun(_ other: Observation<ObservedRepository>, asking name: String? = nil) -> Plan {
        var desired = SourcePlanTests.desired(nil)
        desired.backupRepositories["archive"] = Sample.declared(
            "archive", BackupRepositorySpec(site: .directory("/srv/backups/archive")))
        let volume = Sample.volume(uid: Sample.uid(7)) { $0.operation = Marks.copying }
        var observed = SourcePlanTests.observed([SourcePlanTests.point("bbbbbbbb2", 9)], [volume])
        observed.repositories?.entries["archive"] = other
        return sources.plan(desired, observed) { $0.restoreMissing = name }
    }

    @Test func aResumedRestoreTakesTheNewestOfAllOrThatOfTheRepositoryThatIsNamed() {
        let older = ObservedRepository(id: "a", points: [SourcePlanTests.point("aaaaaaaa1", 0)])
        #expect(sources.filled(begun(.known(older))) == "bbbbbbbb2")
        #expect(sources.filled(begun(.known(older), asking: "archive")) == "aaaaaaaa1")
        // Another host's point of that uid is none of it.
        let foreign = SourcePlanTests.point("cccccccc3", 99) { $0.node = "storage2" }
        #expect(sources.filled(begun(.known(ObservedRepository(id: "a", points: [foreign])))) == "bbbbbbbb2")
        for unread in [
            Observation.unknown(HostError(.timeout, "silent")), .known(ObservedRepository(id: "a", damaged: 1)),
        ] {
            #expect(sources.filled(begun(unread)) == nil)
            #expect(sources.filled(begun(unread, asking: "nas")) == "bbbbbbbb2")
        }
    }

    @Test func nothingIsMadeBlankBesidePointsThatDoNotTellTheirVolume() {
        let nameless = SourcePlanTests.point("aaaaaaaa1", 0, uid: nil)
        let plan = sources.plan(SourcePlanTests.desired(nil), SourcePlanTests.observed([nameless])) {
            $0.restoreMissing = "nas"
        }
        #expect(sources.change(plan)?.reason == .backupExists && plan.steps.isEmpty)
    }

    @Test func anotherNameForAPlaceMakesNothingOfItNew() {
        var renamed = memories.desired()
        renamed.backupRepositories["nas2"] = Sample.declared(
            "nas2", renamed.backupRepositories.removeValue(forKey: "nas")!.spec)
        renamed.backups = [:]
        var observed = memories.gone(memories.ledger())
        observed.repositories = ObservationMap()
        let lost = memories.line(memories.plan(observed, renamed), .backupRepository, "nas2")
        #expect(lost?.reason == .lost && lost?.summary.contains("tuff forget BackupRepository/nas") == true)
    }

    @Test func aLedgerStaysSmallWhateverAMediumHolds() {
        let points = (0..<12_000).map { number in
            SourcePlanTests.point("p\(number)", Int64(number), uid: Sample.uid(UInt8(number % 200))) {
                $0.volume = "v\(number)"
            }
        }
        let huge = SourcePlanTests.point("huge", 99_999) { $0.volume = String(repeating: "x", count: 1 << 20) }
        let known = memories.ledger(points + [huge]).repository("nas", stack: "default")
        #expect(known?.newest.count == 10_000 && known?.newest.contains { $0.point == "huge" } == false)
        #expect(known?.newest.contains { $0.point == "p11999" } == true)
    }

    @Test func noRepositoryIsMadeWithinWhatAnotherSetOfDocumentsHas() {
        func reason(of path: String) -> Reason? {
            var desired = memories.desired()
            desired.backups = [:]
            desired.backupRepositories["nas"]!.spec.site = .directory(path)
            var observed = Sample.observed()
            observed.repositories = ObservationMap()
            observed.ledger = memories.ledger()
            observed.ledger.repositories?[0].stack = "other"
            observed.ledger.entries.append(
                Ledger.Entry(
                    stack: "other", resource: ResourceID(.pool, "files"), standing: .live, uid: nil, uuid: nil,
                    place: "/srv/files", seen: Instant(secondsSince1970: 0), sharedSince: nil))
            return memories.line(memories.plan(observed, desired), .backupRepository, "nas")?.reason
        }
        for path in ["/srv/files", "/srv/files/backups", "/srv/backups/nas/packs", "/srv/backups"] {
            #expect(reason(of: path) == .notAllowed, "\(path)")
        }
        #expect(reason(of: "/srv/backups/nas") == .lost)
        #expect(reason(of: "/srv/backups/nas2") == nil)
    }

    @Test func anOriginOutsideOfThePoolIsFoundThroughOthers() {
        func asks(_ change: (inout [LogicalVolume]) -> Void) -> Bool? {
            var own = Sample.volume()
            own.origin = "w"
            var middle = BasePlanTests.base()
            (middle.name, middle.uuid, middle.tags, middle.origin) = ("w", "uuid-w", [], nil)
            var volumes = [own, middle]
            change(&volumes)
            var observed = BasePlanTests.observed([], [])
            observed.volumeGroups = Sample.observed(volumes).volumeGroups
            let plan = Planner.plan(
                desired: BackupPlanTests.desired(), observed: observed,
                context: Sample.context("00112233445566778899aabbccddeeff"))
            return plan.steps.lazy.compactMap { step in
                if case .backup(.compare(let comparison)) = step.step { comparison.readsOrigin } else { nil }
            }.first
        }
        #expect(asks { _ in } == false)
        #expect(asks { $0[1].origin = "elsewhere" } == true)
        #expect(asks { $0.removeLast() } == true)
    }
}
