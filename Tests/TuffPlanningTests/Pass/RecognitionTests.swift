import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Resources that are new, and those that only seem to be.
@Suite struct RecognitionTests: PruningSuite {
    func entry(_ resource: ResourceID, _ change: (inout Ledger.Entry) -> Void = { _ in }) -> Ledger {
        var entry = Ledger.Entry(
            stack: "default", resource: resource, uid: Sample.uid, place: "vg0/v-\(resource.name)",
            seen: Sample.context().now)
        change(&entry)
        var ledger = Ledger()
        ledger.record(entry)
        ledger.lastPass = Sample.context().now
        return ledger
    }

    // MARK: Only the name changed

    @Test func withPruneNeitherIsMadeNorRemoved() throws {
        let targets = Sample.export()
        let plan = plan(
            Sample.desired(volumes: ["pg"], attached: ["pg"]),
            Sample.observed([Sample.volume(active: true)], targets: targets))
        #expect(plan.steps.isEmpty, "\(plan.changes.map(\.summary))")
        let new = try #require(change(plan, "pg")), old = try #require(change(plan, "db"))
        #expect(new.action == .blocked && new.reason == .renameUnclear)
        #expect(new.summary.contains("'tuff.dev/renamed-from: db'") && new.summary.contains("--allow-blank Volume/pg"))
        #expect(old.action == .blocked && old.reason == .awaited)
        #expect(!plan.changes.contains { $0.action == .withdraw })
    }

    @Test func aWordSaysWhichItIs() {
        var blank = Self.prune
        blank.consent.allowBlank = [ResourceID(.volume, "pg")]
        let made = plan(Sample.desired(volumes: ["pg"]), Sample.observed([Sample.volume()]), blank)
        #expect(change(made, "pg")?.action == .create && change(made, "db")?.action == .trash)
        var renamed = Sample.desired(volumes: ["pg"])
        renamed.volumes["pg"]!.metadata.annotations["tuff.dev/renamed-from"] = "db"
        let same = plan(renamed, Sample.observed([Sample.volume()]))
        #expect(change(same, "pg")?.action == .update && change(same, "db") == nil && same.steps.count == 1)
    }

    @Test func withoutPruneBothLinesSayIt() throws {
        let plan = plan(Sample.desired(volumes: ["pg"]), Sample.observed([Sample.volume()]), Sample.context())
        let new = try #require(change(plan, "pg")), old = try #require(change(plan, "db"))
        #expect(new.action == .create)
        #expect(
            new.notes.contains { $0.contains("vg0/v-db (Volume/db)") && $0.contains("'tuff.dev/renamed-from: db'") })
        #expect(old.action == .orphan && old.summary.contains("Volume/pg, which is made in this plan"))
    }

    @Test func anotherSizeIsAnotherVolume() {
        var desired = Sample.desired(volumes: ["pg"])
        desired.volumes["pg"]!.spec.size = Sample.gibi(11)
        let plan = plan(desired, Sample.observed([Sample.volume()]))
        #expect(change(plan, "pg")?.action == .create && change(plan, "db")?.action == .trash)
    }

    /// Where labels choose the pool, the new one may be placed in another than the old one has.
    @Test func placementByLabelsHidesNoRename() {
        var desired = Sample.desired(volumes: ["pg"])
        desired.pools["fast"]!.metadata.labels = ["tier": "any"]
        let roomy = PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/pool")))
        desired.pools["roomy"] = Sample.declared("roomy", roomy, labels: ["tier": "any"])
        desired.volumes["pg"]!.spec.placement = .selector(LabelSelector(matchLabels: ["tier": "any"]))
        var observed = Sample.observed([Sample.volume()])
        observed.directories = ObservationMap([
            "/srv/pool": .known(DirectoryPool(path: "/srv/pool", size: Sample.gibi(5000), free: Sample.gibi(5000)))
        ])
        let plan = plan(desired, observed)
        #expect(plan.steps.isEmpty)
        #expect(change(plan, "pg")?.reason == .renameUnclear && change(plan, "db")?.reason == .awaited)
    }

    /// There is no room for the new one, or it cannot be made for another reason: the old one must not make room for
    /// it.
    @Test func theOldOneStaysThoughTheNewOneIsBlockedForAnotherReason() {
        var desired = Sample.desired(volumes: ["pg"])
        desired.pools["fast"]!.spec.overprovision = 0.15
        let plan = plan(desired, Sample.observed([Sample.volume()]))
        #expect(plan.steps.isEmpty)
        #expect(change(plan, "db")?.reason == .awaited)
    }

    /// One pass without --prune makes the blank one, the next with it must not take the other away.
    @Test func whatWasMadeBesideAnotherIsRemembered() throws {
        var before = Sample.observed([Sample.volume()])
        before.ledger = entry(ResourceID(.volume, "db"))
        let desired = Sample.desired(volumes: ["pg"])
        var observed = Sample.observed([Sample.volume(), Sample.volume("pg", uid: Sample.uid(2))])
        observed.ledger = before.ledger.after(observed, desired: desired, context: Sample.context())
        #expect(observed.ledger.entry(ResourceID(.volume, "pg"), stack: "default")?.beside == [Sample.uid])
        let night = plan(desired, observed)
        #expect(night.steps.isEmpty)
        #expect(change(night, "db")?.reason == .awaited)
        #expect(change(night, "db")?.summary.contains("--allow-blank Volume/pg") == true)
        var blank = Self.prune
        blank.consent.allowBlank = [ResourceID(.volume, "pg")]
        let allowed = plan(desired, observed, blank)
        #expect(change(allowed, "db")?.action == .trash)
        let after = observed.ledger.before(allowed)
        #expect(after.entry(ResourceID(.volume, "pg"), stack: "default")?.beside == nil)
    }

    // MARK: Known by its identity

    @Test func aLostVolumesTargetNameIsNotGivenToABlankOne() throws {
        var observed = Sample.observed()
        observed.ledger = entry(ResourceID(.volume, "pg")) { $0.iqn = Self.iqn }
        let lost = try #require(change(plan(Sample.desired(volumes: ["db"]), observed), "db"))
        #expect(lost.action == .blocked && lost.reason == .lost)
        #expect(lost.summary.contains("tuff forget Volume/pg"), "\(lost.summary)")
        observed.ledger.forget(ResourceID(.volume, "pg"), stack: "default")
        #expect(change(plan(Sample.desired(volumes: ["db"]), observed), "db")?.action == .create)
    }

    @Test func aBlankVolumeUnderADestroyedOnesTargetNameIsSaid() throws {
        var observed = Sample.observed()
        observed.ledger = entry(ResourceID(.volume, "pg")) {
            $0.iqn = Self.iqn
            $0.standing = .purged
        }
        let made = try #require(change(plan(Sample.desired(volumes: ["db"]), observed), "db"))
        #expect(made.action == .create)
        #expect(made.notes.contains { $0.contains("target name \(Self.iqn) was that of Volume/pg") }, "\(made.notes)")
    }

    // MARK: Marks that cannot be read

    @Test(arguments: ["x", "", "tuff:uid=bbbbbbbbbbbbbbbb", "tuff:iqn=iqn.2026-01.dev.tuff:db"])
    func somethingInTheTrashWithoutReadableMarksMayBeIt(_ tag: String) throws {
        var volume = Sample.volume { $0.until = Sample.context().now }
        volume.tags = [tag]
        let stopped = try #require(change(plan(Sample.desired(volumes: ["db"]), Sample.observed([volume])), "db"))
        #expect(stopped.reason == .marksDamaged && stopped.summary.contains("vg0/t-\(Sample.uid) may be it"))
        // The ledger knows that it is another's.
        var observed = Sample.observed([volume])
        observed.ledger = entry(ResourceID(.volume, "other")) { $0.standing = .leaving }
        #expect(change(plan(Sample.desired(volumes: ["db"]), observed), "db")?.action == .create)
        var blank = Sample.context()
        blank.consent.allowBlank = [ResourceID(.volume, "db")]
        #expect(
            change(plan(Sample.desired(volumes: ["db"]), Sample.observed([volume]), blank), "db")?.action == .create)
    }

    @Test func damagedMarksThatSpeakOfItAreHeeded() throws {
        var volume = Sample.volume()
        volume.name = "renamed-by-hand"
        volume.tags = ["tuff:uid=broken", "tuff:vol=db", "tuff:stack=default"]
        let plan = plan(Sample.desired(volumes: ["db"]), Sample.observed([volume]))
        #expect(plan.steps.isEmpty)
        #expect(plan.changes.contains { $0.reason == .marksDamaged && $0.summary.contains("its marks say so") })
    }

    // MARK: Several of one name in the trash

    private func trashed(_ number: UInt8, size: Int64, day: Int64) -> LogicalVolume {
        var volume = Sample.volume(size: Sample.gibi(size), uid: Sample.uid(number)) {
            $0.until = Sample.context().now.advanced(by: TimeSpan(seconds: day * 86400))
        }
        volume.uuid = "uuid-\(number)"
        return volume
    }

    @Test func whichOfSeveralComesBackIsSaid() throws {
        let observed = Sample.observed([
            trashed(1, size: 10, day: 2), trashed(2, size: 10, day: 5), trashed(3, size: 4, day: 1),
        ])
        let back = try #require(change(plan(Sample.desired(volumes: ["db"]), observed), "db"))
        #expect(back.action == .untrash && back.uid == Sample.uid(2))
        let note = try #require(back.notes.first)
        let days = (1...5).map { Sample.context().now.advanced(by: TimeSpan(seconds: $0 * 86400)) }
        for text in [
            "3 of this name are in the trash", "uid \(Sample.uid(2)), 10 GiB, until \(days[4])",
            "uid \(Sample.uid(1)), 10 GiB, until \(days[1])", "uid \(Sample.uid(3)), 4 GiB, until \(days[0])",
            "tuff trash restore UID",
        ] {
            #expect(note.contains(text), "\(note)")
        }
    }

    @Test func aLargerOneInTheTrashIsNoReasonToWriteItsSizeUnseen() throws {
        let observed = Sample.observed([trashed(1, size: 24, day: 2), trashed(2, size: 10, day: 1)])
        let stopped = try #require(change(plan(Sample.desired(volumes: ["db"]), observed), "db"))
        #expect(stopped.reason == .wouldShrink)
        for text in [
            "what the trash would bring back under this name is larger: uid \(Sample.uid(1)), 24 GiB",
            "To have that back",
            "tuff trash purge \(Sample.uid(1))", "uid \(Sample.uid(2)), 10 GiB",
        ] {
            #expect(stopped.summary.contains(text), "\(stopped.summary)")
        }
    }
}
