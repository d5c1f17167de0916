import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Volumes that begin with a restore point, and those that must not be made blank in its place.
@Suite struct SourcePlanTests {
    static let site = BackupRepositorySpec.Site.directory("/srv/backups/nas")

    static func desired(_ source: ((inout BackupSource) -> Void)? = { _ in }) -> DesiredState {
        var desired = Sample.desired()
        desired.backupRepositories["nas"] = Sample.declared("nas", BackupRepositorySpec(site: site))
        if let source {
            var backup = BackupSource(repository: "nas", volume: "db")
            source(&backup)
            desired.volumes["db"]!.spec.source = .backup(backup)
        }
        return desired
    }

    static func point(
        _ id: String, _ time: Int64, uid: UID? = Sample.uid(7), _ change: (inout ObservedPoint) -> Void = { _ in }
    ) -> ObservedPoint {
        var point = ObservedPoint(
            id: id, volume: "db", stack: "default", node: "storage1", uid: uid,
            time: Instant(secondsSince1970: 1_795_000_000 + time), size: Sample.gibi(10), content: Sample.gibi(1))
        change(&point)
        return point
    }

    static func observed(
        _ points: [ObservedPoint], damaged: Int = 0, _ volumes: [LogicalVolume] = []
    ) -> ObservedState {
        var observed = Sample.observed(volumes)
        observed.repositories = ObservationMap([
            "nas": .known(ObservedRepository(id: "r", points: points, damaged: damaged))
        ])
        return observed
    }

    func plan(
        _ desired: DesiredState, _ observed: ObservedState, _ consent: (inout Consent) -> Void = { _ in }
    ) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: context(consent))
    }

    /// Of a host whose administrator let documents have the restore points of two more.
    func context(_ consent: (inout Consent) -> Void = { _ in }) -> PlanContext {
        var context = Sample.context("00112233445566778899aabbccddeeff", consent)
        context.config.allow.series = ["storage2/*", "storage1/lab"]
        return context
    }

    func change(_ plan: Plan) -> PlannedChange? { plan.changes.first { $0.resource == ResourceID(.volume, "db") } }

    /// The restore point that a plan fills a volume from.
    func filled(_ plan: Plan) -> String? {
        plan.steps.lazy.compactMap { step in
            if case .volume(.fillFromBackup(_, let content, _)) = step.step { content.point } else { nil }
        }.first
    }

    @Test func aVolumeIsMadeUnfinishedThenFilledThenComplete() throws {
        let plan = plan(Self.desired(), Self.observed([Self.point("older", 0), Self.point("newer", 9)]))
        #expect(filled(plan) == "newer")
        let verbs = plan.storageSteps.map { step in
            switch step {
            case .volume(.create(_, _, _, let marks)): "create \(marks.operation ?? "")"
            case .lvm(.activate): "activate"
            case .volume(.fillFromBackup): "fill"
            case .lvm(.complete): "complete"
            default: "other"
            }
        }
        #expect(verbs == ["create copy", "activate", "fill", "complete"])
        let found = try #require(change(plan))
        #expect(found.action == .create && found.summary.contains("restore point newer"))
    }

    @Test func theIdentityIsNewUnlessItIsToBeKept() throws {
        let points = [Self.point("a", 0)]
        #expect(change(plan(Self.desired(), Self.observed(points)))?.uid != Sample.uid(7))
        let keeping = Self.desired { $0.identity = .keep }
        #expect(change(plan(keeping, Self.observed(points)))?.uid == Sample.uid(7))
        // While that disk is here, in the trash too, a second one of its identity is refused.
        let trashed = Sample.volume("old", uid: Sample.uid(7)) {
            $0.until = Instant(secondsSince1970: 1_799_000_000)
        }
        let refused = change(plan(keeping, Self.observed(points, [trashed])))
        #expect(refused?.action == .blocked && refused?.reason == .nameTaken)
    }

    @Test(arguments: [
        (RestorePointName.notAfter(Instant(secondsSince1970: 1_795_000_005)), "b"), (.id("c"), "c"), (.latest, "c"),
    ])
    func aPointIsChosen(at: RestorePointName, id: String) {
        let points = [Self.point("a", 0), Self.point("b", 5), Self.point("c", 9)]
        #expect(filled(plan(Self.desired { $0.at = at }, Self.observed(points))) == id)
    }

    @Test func whatWasSetAsideIsPassedOverUnlessItIsNamed() {
        let points = [Self.point("a", 0), Self.point("b", 9) { $0.isSetAside = true }]
        #expect(filled(plan(Self.desired(), Self.observed(points))) == "a")
        #expect(filled(plan(Self.desired { $0.at = .id("b") }, Self.observed(points))) == "b")
    }

    @Test func anotherHostsSeriesIsNotTakenForOurs() {
        let points = [Self.point("a", 0) { $0.node = "storage2" }]
        #expect(change(plan(Self.desired(), Self.observed(points)))?.reason == .noRestorePoint)
        #expect(filled(plan(Self.desired { $0.node = "storage2" }, Self.observed(points))) == "a")
    }

    @Test func ofSeveralVolumesOfOneNameThatWhichIsGoneIsMeant() {
        let points = [Self.point("gone", 0), Self.point("here", 9, uid: Sample.uid(8))]
        let elsewhere = Sample.volume("renamed", uid: Sample.uid(8))
        #expect(filled(plan(Self.desired(), Self.observed(points, [elsewhere]))) == "gone")
        let unclear = change(plan(Self.desired(), Self.observed(points)))
        #expect(unclear?.reason == .seriesUnclear && unclear?.summary.contains(Sample.uid(8).description) == true)
        #expect(filled(plan(Self.desired { $0.uid = Sample.uid(8) }, Self.observed(points))) == "here")
    }

    @Test func nothingBlankIsMadeInThePlaceOfWhatCannotBeRead() {
        var unread = Self.observed([])
        unread.repositories = ObservationMap(["nas": .unknown(HostError(.timeout, "the server is silent"))])
        for desired in [Self.desired(), Self.desired { $0.orBlank = true }, Self.desired(nil)] {
            let plan = plan(desired, unread)
            #expect(change(plan)?.reason == .repositoryUnreachable)
            #expect(plan.steps.isEmpty)
        }
        // Nor where nobody looked: inventories of versions that did not.
        #expect(plan(Self.desired(), Sample.observed()).steps.isEmpty)
    }

    @Test func whoComesFirstIsRestoredFirst() {
        var desired = Sample.desired(volumes: ["a", "b", "c"])
        desired.backupRepositories["nas"] = Sample.declared("nas", BackupRepositorySpec(site: Self.site))
        for (name, priority) in [("a", -5), ("b", 0), ("c", 9)] {
            desired.volumes[name]!.spec.priority = priority
            desired.volumes[name]!.spec.source = .backup(BackupSource(repository: "nas", volume: "db"))
        }
        let plan = plan(desired, Self.observed([Self.point("p", 0)]))
        let filled = plan.steps.compactMap { step -> String? in
            if case .volume(.fillFromBackup(let volume, _, _)) = step.step { volume.location.objectName } else { nil }
        }
        #expect(filled == ["v-c", "v-b", "v-a"])
    }

    @Test func anInstantRestoreThatIsNoneIsSaid() {
        let observed = Self.observed([Self.point("p", 0)])
        #expect(change(plan(Self.desired(), observed))?.notes == [])
        let notes = change(plan(Self.desired { $0.instant = true }, observed))?.notes ?? []
        #expect(notes.count == 1 && notes[0].hasPrefix("source.backup.instant:"))
    }

    @Test func orBlankIsBlankOnlyWhereThereIsNoSeries() {
        let desired = Self.desired { $0.orBlank = true }
        let blank = plan(desired, Self.observed([]))
        #expect(change(blank)?.action == .create && filled(blank) == nil)
        #expect(filled(plan(desired, Self.observed([Self.point("a", 0)]))) == "a")
        #expect(change(plan(desired, Self.observed([], damaged: 1)))?.reason == .noRestorePoint)
    }

    @Test func aDocumentSmallerThanThePointIsRefusedBeforeAnythingIsMade() {
        var desired = Self.desired()
        desired.volumes["db"]!.spec.size = Sample.gibi(9)
        let plan = plan(desired, Self.observed([Self.point("a", 0)]))
        #expect(change(plan)?.reason == .tooSmall && plan.steps.isEmpty)
    }

    // MARK: A host made anew

    @Test func aNewVolumeWhoseBackupsAreThereIsNotMadeBlank() throws {
        let plan = plan(Self.desired(nil), Self.observed([Self.point("a", 0)]))
        let found = try #require(change(plan))
        #expect(found.reason == .backupExists && plan.steps.isEmpty)
        #expect(found.summary.contains("--restore-missing nas"))
        #expect(found.summary.contains("--allow-blank Volume/db"))
    }

    @Test func itComesBackUnderItsIdentityOrIsBlankOnAPersonsWord() {
        let observed = Self.observed([Self.point("a", 0)])
        let restored = plan(Self.desired(nil), observed) { $0.restoreMissing = "nas" }
        #expect(filled(restored) == "a" && change(restored)?.uid == Sample.uid(7))
        let blank = plan(Self.desired(nil), observed) { $0.allowBlank = [ResourceID(.volume, "db")] }
        #expect(change(blank)?.action == .create && filled(blank) == nil)
    }

    @Test func whatThisHostKnowsIsNoMatterOfBackups() {
        var observed = Self.observed([Self.point("a", 0)])
        observed.ledger.entries = [
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, "db"), standing: .purged, uid: Sample.uid(7), uuid: nil,
                place: "vg0/v-db", seen: Instant(secondsSince1970: 1_795_000_000), sharedSince: nil)
        ]
        #expect(change(plan(Self.desired(nil), observed))?.action == .create)
    }

    @Test func aRestoreThatWasCutOffIsGoneOnWithWithoutASource() {
        let begun = Sample.volume(uid: Sample.uid(7)) { $0.operation = Marks.copying }
        let plan = plan(Self.desired(nil), Self.observed([Self.point("a", 0)], [begun]))
        #expect(filled(plan) == "a")
        #expect(change(plan)?.summary.hasPrefix("finish filling") == true)
    }

    @Test func anInterruptedRestoreThatKeepsItsIdentityIsGoneOnWith() {
        let begun = Sample.volume(uid: Sample.uid(7)) { $0.operation = Marks.copying }
        let points = [Self.point("a", 0), Self.point("other", 9, uid: Sample.uid(8))]
        let plan = plan(Self.desired { $0.identity = .keep }, Self.observed(points, [begun]))
        #expect(filled(plan) == "a" && change(plan)?.uid == Sample.uid(7))
    }

    @Test func aHostMadeAnewMakesNothingBlankWhereARepositoryIsMissing() {
        var observed = Sample.observed()
        observed.repositories = ObservationMap()
        let blocked = plan(Self.desired(nil), observed)
        #expect(change(blocked)?.reason == .repositoryMissing && blocked.steps.isEmpty)
        // Nor where what is there cannot be read, or is not believed.
        let damaged = plan(Self.desired(nil), Self.observed([], damaged: 1))
        #expect(change(damaged)?.reason == .backupExists && damaged.steps.isEmpty)
        let aside = plan(Self.desired(nil), Self.observed([Self.point("a", 0) { $0.isSetAside = true }]))
        #expect(change(aside)?.reason == .backupExists && aside.steps.isEmpty)
        // One that this very plan makes holds nothing.
        var making = Self.desired(nil)
        making.backupRepositories["nas"]!.spec.creates = true
        #expect(change(plan(making, observed) { $0.allowRepositoryCreate = true })?.action == .create)
    }

    @Test func aLostVolumeThatIsGivenUpComesBackAndIsNotBlank() {
        var observed = Self.observed([Self.point("a", 0)])
        observed.ledger.entries = [
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, "db"), standing: .live, uid: Sample.uid(7), uuid: nil,
                place: "vg0/v-db", seen: Instant(secondsSince1970: 1_795_000_000), sharedSince: nil)
        ]
        #expect(change(plan(Self.desired(nil), observed) { $0.restoreMissing = "nas" })?.reason == .lost)
        let back = plan(Self.desired(nil), observed) {
            $0.restoreMissing = "nas"
            $0.recreate = [ResourceID(.volume, "db")]
        }
        #expect(filled(back) == "a" && change(back)?.uid == Sample.uid(7))
        #expect(change(back)?.notes.contains { $0.contains("this is a new one") } == false, "it is the one that it was")
        // Its line says that there are backups; and to give it up is not to say that it may be blank.
        let lost = change(plan(Self.desired(nil), observed))
        #expect(lost?.summary.contains("apply with --recreate Volume/db --restore-missing nas") == true)
        let blank = change(plan(Self.desired(nil), observed) { $0.recreate = [ResourceID(.volume, "db")] })
        #expect(blank?.reason == .backupExists)
        #expect(blank?.summary.contains("--recreate Volume/db --restore-missing nas") == true)
        let meant = plan(Self.desired(nil), observed) {
            $0.recreate = [ResourceID(.volume, "db")]
            $0.allowBlank = [ResourceID(.volume, "db")]
        }
        #expect(change(meant)?.action == .create && filled(meant) == nil)
        // Another disk with its content is new, and not blank.
        let copy = plan(Self.desired(), observed) { $0.recreate = [ResourceID(.volume, "db")] }
        #expect(change(copy)?.notes.contains { $0.hasSuffix("this is a new one") } == true)
    }

    @Test func whatIsGivenUpIsNotBlankForWantOfAnAnswer() {
        var lost = Self.observed([])
        lost.ledger.entries = [
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, "db"), standing: .live, uid: Sample.uid(7), uuid: nil,
                place: "vg0/v-db", seen: Instant(secondsSince1970: 1_795_000_000), sharedSince: nil),
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, "other"), standing: .live, uid: Sample.uid(6),
                uuid: nil,
                place: "vg0/v-other", seen: Instant(secondsSince1970: 1_795_000_000), sharedSince: nil),
        ]
        func given(_ observed: ObservedState, restoring: Bool) -> PlannedChange? {
            change(
                plan(Self.desired(nil), observed) {
                    $0.recreate = [ResourceID(.volume, "db")]
                    $0.restoreMissing = restoring ? "nas" : nil
                })
        }
        // Asked to bring it back, and there is nothing; asked to make it anew, and nobody can tell whether there is.
        #expect(given(lost, restoring: true)?.reason == .noRestorePoint)
        #expect(given(lost, restoring: false)?.action == .create)
        var silent = lost
        silent.repositories = ObservationMap(["nas": .unknown(HostError(.timeout, "silent"))])
        #expect(given(silent, restoring: false)?.reason == .repositoryUnreachable)
        // A document that begins with something else is not sent to a restore point it would not get.
        let image = change(plan(Self.desired(), Self.observed([Self.point("a", 0)]).remembering(lost.ledger)))
        #expect(image?.reason == .lost && image?.summary.contains("--restore-missing") == false, "\(image as Any)")
        // Nor to that of another volume which had the name.
        let other = Self.observed([Self.point("a", 0, uid: Sample.uid(8))]).remembering(lost.ledger)
        #expect(change(plan(Self.desired(nil), other))?.summary.contains("--restore-missing") == false)
    }

    @Test func aHostOfAnotherNameIsToldWhoseTheBackupsAre() throws {
        let observed = Self.observed([Self.point("a", 0) { $0.node = "former1" }])
        let plain = try #require(change(plan(Self.desired(nil), observed)))
        #expect(plain.action == .create && plain.notes.contains { $0.contains("by former1") }, "\(plain)")
        let restoring = try #require(change(plan(Self.desired(nil), observed) { $0.restoreMissing = "nas" }))
        #expect(restoring.reason == .backupExists && restoring.summary.contains("node: former1"), "\(restoring)")
        let meant = plan(Self.desired(nil), observed) {
            $0.restoreMissing = "nas"
            $0.allowBlank = [ResourceID(.volume, "db")]
        }
        #expect(change(meant)?.action == .create && change(meant)?.notes.contains { $0.contains("former1") } == false)
    }

    @Test func aRepositoryThatNobodyDeclaresIsNotPassedOver() {
        let refused = plan(Self.desired(nil), Self.observed([])) { $0.restoreMissing = "nsa" }.refusal
        #expect(
            refused?.reason == .consentMismatch && refused?.help.contains("nas") == true,
            "\(String(describing: refused))")
    }

    @Test func ofPointsThatCannotBeReadTheNewestMayBeOne() {
        let observed = Self.observed([Self.point("abcd", 0)], damaged: 1)
        #expect(change(plan(Self.desired(), observed))?.reason == .noRestorePoint)
        #expect(filled(plan(Self.desired { $0.at = .id("abcd") }, observed)) == "abcd")
        let missing = plan(Self.desired(nil), observed) { $0.restoreMissing = "nas" }
        #expect(missing.steps.isEmpty)
    }

    @Test func anotherHostsIdentityIsNotTakenByAnID() {
        let points = [Self.point("abcd", 0) { $0.node = "storage2" }]
        let keeping = Self.desired {
            $0.at = .id("abcd")
            $0.identity = .keep
        }
        #expect(change(plan(keeping, Self.observed(points)))?.reason == .noRestorePoint)
        #expect(filled(plan(Self.desired { $0.at = .id("abcd") }, Self.observed(points))) == "abcd")
    }

    @Test func anInterruptedRestoreWithoutItsRepositoryWaits() {
        let begun = Sample.volume(uid: Sample.uid(7)) { $0.operation = Marks.copying }
        let plan = plan(Self.desired(nil), Self.observed([], [begun]))
        #expect(change(plan)?.action == .blocked && plan.steps.isEmpty)
    }

    @Test func othersSeriesNeedTheWordOfTheAdministrator() {
        func reason(_ series: [String]?, _ change: (inout ObservedPoint) -> Void) -> Reason? {
            var context = context()
            context.config.allow.series = series
            let point = Self.point("abcdabcdabcd", 0, change)
            let desired = Self.desired { $0.at = .id("abcdabcd") }
            let plan = Planner.plan(desired: desired, observed: Self.observed([point]), context: context)
            return self.change(plan)?.reason
        }
        #expect(reason(nil) { _ in } == nil)
        #expect(reason(nil) { $0.node = "storage2" } == .notAllowed)
        #expect(reason(nil) { $0.stack = "lab" } == .notAllowed)
        #expect(reason(["storage2/*"]) { $0.node = "storage2" } == nil)
        #expect(reason(["storage2/*"]) { $0.stack = "lab" } == .notAllowed)
        #expect(reason(["*/lab"]) { $0.stack = "lab" } == nil)
        #expect(reason(["storage22/*", "*/other"]) { $0.node = "storage2" } == .notAllowed)
        // Nobody's series: a person made it, and gave it no host.
        #expect(
            reason(nil) { point in
                (point.node, point.stack, point.uid) = (nil, nil, nil)
            } == nil)
    }
}

extension ObservedState {
    fileprivate func remembering(_ ledger: Ledger) -> Self {
        var observed = self
        observed.ledger = ledger
        return observed
    }
}
