import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Nothing goes while somebody waits for it: one document's obstacle and another's removal must not add up to a loss.
@Suite struct WaitingTests: PruningSuite {
    /// Volume `pg`, which was `db` before: renamed by its document, it kept its target's name.
    func renamed(_ change: (inout Marks) -> Void = { _ in }) -> LogicalVolume {
        Sample.volume("pg", active: true) { marks in
            marks.iqn = Self.iqn
            change(&marks)
        }
    }

    func ledger(_ entries: [Ledger.Entry]) -> Ledger {
        var ledger = Ledger()
        for entry in entries { ledger.record(entry) }
        ledger.lastPass = Sample.context().now
        return ledger
    }

    func entry(_ resource: ResourceID, _ uid: UID = Sample.uid, _ change: (inout Ledger.Entry) -> Void = { _ in })
        -> Ledger.Entry
    {
        var entry = Ledger.Entry(
            stack: "default", resource: resource, uid: uid, place: "vg0/v-\(resource.name)", seen: Sample.context().now)
        change(&entry)
        return entry
    }

    func annotated(_ desired: DesiredState, _ name: String, from former: String) -> DesiredState {
        var desired = desired
        desired.volumes[name]!.metadata.annotations["tuff.dev/renamed-from"] = former
        return desired
    }

    static let past: Instant = Sample.context().now.advanced(by: TimeSpan(seconds: -60))

    // MARK: A rename that is reverted

    @Test func aRevertedRenameTakesNothingAway() throws {
        let targets = Sample.export { target, backstore in backstore.path = "/dev/vg0/v-pg" }
        let observed = Sample.observed([renamed()], targets: targets)
        let plan = plan(Sample.desired(volumes: ["db"], attached: ["db"]), observed)
        #expect(plan.steps.isEmpty, "\(plan.changes.map(\.summary))")
        let waits = try #require(change(plan, "db"))
        #expect(waits.action == .blocked && waits.reason == .nameTaken)
        #expect(waits.summary.contains("target name \(Self.iqn) belongs to vg0/v-pg (Volume/pg)"), "\(waits.summary)")
        #expect(waits.summary.contains("'tuff.dev/renamed-from: pg'"), "\(waits.summary)")
        let stays = try #require(change(plan, "pg"))
        #expect(stays.action == .blocked && stays.reason == .awaited)
        #expect(
            stays.summary.contains("Volume/db waits for the target name \(Self.iqn) of vg0/v-pg"), "\(stays.summary)")
        #expect(stays.summary.contains("'tuff.dev/renamed-from: pg'"), "\(stays.summary)")
        let access = plan.changes.filter { $0.resource.kind == .attachment }
        #expect(access.allSatisfy { $0.action == .blocked })
    }

    @Test func theAnnotationOfTheLineBringsItBack() throws {
        let desired = annotated(Sample.desired(volumes: ["db"]), "db", from: "pg")
        let plan = plan(desired, Sample.observed([renamed()]))
        let step = try #require(plan.steps.first?.step)
        guard case .volume(.relabel(let change)) = step, plan.steps.count == 1 else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(change.to == .logicalVolume(group: "vg0", name: "v-db"))
        #expect(change.after.role == .volume("db") && change.after.iqn == Self.iqn && change.after.uid == Sample.uid)
    }

    @Test func whatIsInTheTrashIsNotDestroyedWhileItIsWaitedFor() throws {
        let trashed = renamed { $0.until = Self.past }
        let blocked = plan(Sample.desired(volumes: ["db"]), Sample.observed([trashed]))
        #expect(blocked.steps.isEmpty)
        #expect(change(blocked, "pg")?.reason == .awaited)
        #expect(change(blocked, "db")?.summary.contains("(Volume/pg, in the trash)") == true)
        #expect(change(blocked, "db")?.summary.contains("tuff trash purge \(Sample.uid)") == true)
        let back = plan(annotated(Sample.desired(volumes: ["db"]), "db", from: "pg"), Sample.observed([trashed]))
        #expect(change(back, "db")?.action == .untrash)
        #expect(!back.changes.contains { $0.action == .purge }, "brought back and destroyed by one plan")
        var meant = Self.prune
        meant.consent.allowBlank = [ResourceID(.volume, "db")]
        #expect(
            change(plan(Sample.desired(volumes: ["db"]), Sample.observed([trashed]), meant), "pg")?.action == .purge)
    }

    @Test func withoutPruneTheLineDoesNotPromiseTheTrash() throws {
        let plan = plan(Sample.desired(volumes: ["db"]), Sample.observed([renamed()]), Sample.context())
        let line = try #require(change(plan, "pg"))
        #expect(line.action == .orphan && line.summary.contains("it stays: Volume/db waits for"), "\(line.summary)")
    }

    /// The ledger knows the former name where the target's name does not tell it.
    @Test(arguments: [false, true]) func aFormerNameIsRemembered(_ isPurge: Bool) throws {
        var observed = Sample.observed([
            Sample.volume("pg") {
                $0.iqn = "iqn.2020-01.org.former:db"
                if isPurge { $0.until = Self.past }
            }
        ])
        observed.ledger = ledger([entry(ResourceID(.volume, "pg")) { $0.formerly = ["db"] }])
        let plan = plan(Sample.desired(volumes: ["db"]), observed)
        #expect(plan.steps.isEmpty)
        #expect(change(plan, "db")?.reason == .nameTaken)
        #expect(
            change(plan, "db")?.summary.contains("vg0/\(isPurge ? "t-\(Sample.uid)" : "v-pg") was Volume/db before")
                == true)
        #expect(change(plan, "pg")?.reason == .awaited)
    }

    @Test func theLedgerRemembersFormerNames() {
        var observed = Sample.observed([renamed()])
        observed.ledger = ledger([entry(ResourceID(.volume, "db"))])
        let after = observed.ledger.after(
            observed, desired: Sample.desired(volumes: ["pg"]), context: Sample.context())
        let entry = after.entries.first { $0.uid == Sample.uid }
        #expect(entry?.resource == ResourceID(.volume, "pg") && entry?.formerly == ["db"] && entry?.iqn == Self.iqn)
    }

    @Test func aSnapshotThatWasRenamedIsNotTakenAnewUnderItsFormerName() throws {
        var desired = Sample.desired(volumes: ["db"])
        desired.snapshots["before"] = Sample.declared("before", SnapshotSpec(volume: "db"))
        let marks = Marks(uid: Sample.uid(2), role: .snapshot("after"), stack: "default", origin: Sample.uid)
        let snapshot = LogicalVolume(
            name: "s-after", uuid: "uuid-after", size: Sample.gibi(10), tags: marks.tags, layout: .thin, active: false,
            open: false, pool: "tp0")
        var observed = Sample.observed([Sample.volume(), snapshot])
        observed.ledger = ledger([
            entry(ResourceID(.snapshot, "after"), Sample.uid(2)) { $0.formerly = ["before"] }
        ])
        let stopped = plan(desired, observed)
        #expect(stopped.steps.isEmpty)
        #expect(change(stopped, "before", .snapshot)?.reason == .nameTaken)
        #expect(change(stopped, "after", .snapshot)?.reason == .awaited)
        desired.snapshots["before"]!.metadata.annotations["tuff.dev/renamed-from"] = "after"
        let cured = plan(desired, observed)
        #expect(change(cured, "before", .snapshot)?.action == .update && cured.steps.count == 1)
    }

    // MARK: Brothers

    @Test func whatADocumentWasImportedFromStays() throws {
        var desired = Sample.desired(volumes: ["pg"])
        desired.volumes["pg"]!.metadata.annotations[Metadata.importedFromKey] = "vg0/old-lv"
        var adopted = Sample.volume { $0.adopted = true }
        adopted.name = "old-lv"
        let plan = plan(desired, Sample.observed([adopted]))
        #expect(plan.steps.isEmpty)
        #expect(change(plan, "db")?.reason == .awaited)
        #expect(change(plan, "db")?.summary.contains("Volume/pg was imported from vg0/old-lv") == true)
    }

    @Test func aSerialNumberIsNotGivenTwice() throws {
        var desired = Sample.desired(volumes: ["pg"])
        desired.volumes["pg"]!.spec.size = Sample.gibi(20)
        var identity = IdentityOverride()
        identity.serial = Sample.uid.serial
        desired.volumes["pg"]!.spec.identity = identity
        let plan = plan(desired, Sample.observed([Sample.volume()]))
        #expect(plan.steps.isEmpty)
        #expect(change(plan, "pg")?.reason == .nameTaken)
        #expect(change(plan, "db")?.summary.contains("waits for the serial number \(Sample.uid.serial)") == true)
    }

    @Test func whatAnotherStackWaitsForStays() throws {
        let theirs = Sample.observed([Sample.volume()])
        var other = Self.prune
        other.stack = "prod"
        let blocked = Planner.plan(desired: Sample.desired(volumes: ["db"]), observed: theirs, context: other)
        #expect(change(blocked, "db")?.reason == .nameTaken && blocked.steps.isEmpty)
        // The document moved there; the first stack has none any more.
        var observed = theirs
        observed.ledger = Ledger().after(theirs, desired: Sample.desired(volumes: ["db"]), context: other)
        let mine = plan(Sample.desired(volumes: []), observed)
        #expect(mine.steps.isEmpty)
        #expect(change(mine, "db")?.summary.contains("Volume/db of stack 'prod' asks for") == true)
        // An order by hand in that stack changes nothing about it.
        let ordered = observed.ledger.after(theirs, desired: DesiredState(), context: other)
        #expect(ordered.waits == observed.ledger.waits && ordered.waits?.isEmpty == false)
        // Once that document is gone, it waits no more.
        observed.ledger = observed.ledger.after(theirs, desired: Sample.desired(volumes: []), context: other)
        #expect(change(plan(Sample.desired(volumes: []), observed), "db")?.action == .trash)
    }

    @Test func accessStaysUntilItsAttachmentsNewVolumeIsThere() throws {
        var desired = Sample.desired(volumes: ["db", "big"])
        desired.volumes["big"]!.spec.size = Sample.gibi(9000)
        desired.attachments["db-on-web1"] = Sample.declared(
            "db-on-web1", AttachmentSpec(volume: "big", initiator: Sample.initiator))
        let observed = Sample.observed([Sample.volume(active: true)], targets: Sample.export())
        let stays = plan(desired, observed)
        #expect(stays.steps.isEmpty)
        #expect(stays.changes.contains { $0.reason == .awaited && $0.summary.contains("keeps vg0/v-db") })
        desired.attachments = [:]
        #expect(plan(desired, observed).changes.contains { $0.action == .withdraw })
    }

    /// `db2` is a byte copy of `db`, itself or through another volume, and its attachment was that of `db`.
    func moved(through middle: String?, _ size: ByteCount = Sample.gibi(10)) -> DesiredState {
        var desired = Sample.desired(volumes: ["db"])
        desired.pools["slow"] = Sample.declared("slow", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))))
        var source = "db"
        for name in [middle, "db2"].compactMap(\.self) {
            var spec = VolumeSpec(size: size, placement: .pool("slow"))
            spec.source = .volume(source)
            desired.volumes[name] = Sample.declared(name, spec)
            source = name
        }
        desired.attachments["db-on-web1"] = Sample.declared(
            "db-on-web1", AttachmentSpec(volume: "db2", initiator: Sample.initiator))
        return desired
    }

    func roomy(_ volumes: [LogicalVolume], _ targets: TargetInventory = TargetInventory()) throws -> ObservedState {
        var observed = Sample.observed(volumes, targets: targets)
        var group = try #require(observed.volumeGroups["vg0"].value ?? nil)
        group.free = Sample.gibi(80)
        observed.volumeGroups.entries["vg0"] = .known(group)
        return observed
    }

    @Test(arguments: [nil, "middle"]) func accessDoesNotKeepItsNewVolumeFromBeingCopied(_ middle: String?) throws {
        let desired = moved(through: middle)
        var used = Sample.volume(active: true)
        used.open = true
        let first = plan(desired, try roomy([used], Sample.export()))
        #expect(change(first, middle ?? "db2")?.reason == .inUse)
        #expect(change(first, "db-on-web1", .attachment) != nil)
        #expect(first.changes.contains { $0.action == .withdraw }, "\(first.changes.map(\.summary))")
        // What is left in use is nobody's access: the copy is made, and its attachment with it.
        let second = plan(desired, try roomy([Sample.volume()]))
        #expect(change(second, "db2")?.action == .create, "\(second.changes.map(\.summary))")
        #expect(second.steps.contains { if case .export(.createACL) = $0.step { true } else { false } })
        // Once it is there, nothing is left to do for the volumes.
        var copies: [LogicalVolume] = []
        for (number, name) in [middle, "db2"].compactMap(\.self).enumerated() {
            var copy = Sample.volume(name, uid: Sample.uid(UInt8(number + 5)), active: true)
            (copy.layout, copy.pool) = (.linear, nil)
            copies.append(copy)
        }
        let third = plan(desired, try roomy([Sample.volume()] + copies))
        #expect(change(third, "db2")?.action == .unchanged, "\(third.changes.map(\.summary))")
        #expect(third.steps.allSatisfy { if case .export = $0.step { true } else { false } } && !third.steps.isEmpty)
    }

    @Test func accessStaysWhereItsNewVolumeWaitsForSomethingElse() throws {
        var desired = moved(through: nil)
        desired.volumes["db2"]!.spec.size = Sample.gibi(5)
        let plan = plan(desired, try roomy([Sample.volume(active: true)], Sample.export()))
        #expect(change(plan, "db2")?.action == .blocked && change(plan, "db2")?.reason != .inUse)
        #expect(!plan.changes.contains { $0.action == .withdraw }, "\(plan.changes.map(\.summary))")
    }

    @Test func whatARestoreOrACloneNeedsIsNotDestroyedInTheTrash() throws {
        let marks = Marks(
            uid: Sample.uid(2), role: .snapshot("before"), stack: "default", until: Self.past, origin: Sample.uid)
        let snapshot = LogicalVolume(
            name: "t-\(Sample.uid(2))", uuid: "uuid-before", size: Sample.gibi(10), tags: marks.tags, layout: .thin,
            active: false, open: false, pool: "tp0")
        var desired = Sample.desired(volumes: ["db"])
        let observed = Sample.observed([Sample.volume(), snapshot])
        #expect(change(plan(desired, observed), "before", .snapshot)?.action == .purge)
        desired.restores["undo"] = Sample.declared(
            "undo", RestoreSpec(volume: "db", volumeUID: Sample.uid, from: .snapshot("before")))
        let kept = try #require(change(plan(desired, observed), "before", .snapshot))
        #expect(kept.reason == .awaited && kept.summary.contains("tuff trash restore \(Sample.uid(2))"))
    }

    /// A blank volume was made under the new name before somebody wrote the annotation.
    @Test func anAnnotationThatCameTooLateKeepsWhatItNames() throws {
        let desired = annotated(Sample.desired(volumes: ["pg"]), "pg", from: "db")
        let blank = Sample.volume("pg", uid: Sample.uid(2))
        for old in [Sample.volume(), Sample.volume { $0.until = Self.past }] {
            let plan = plan(desired, Sample.observed([blank, old]))
            #expect(plan.steps.isEmpty)
            #expect(change(plan, "db")?.reason == .awaited)
            #expect(
                change(plan, "pg")?.notes.first?.contains("declare Volume/db again in the place of Volume/pg") == true)
        }
        // The same annotation after it was carried out keeps nothing.
        var observed = Sample.observed([blank, Sample.volume()])
        observed.ledger = ledger([entry(ResourceID(.volume, "pg"), Sample.uid(2)) { $0.formerly = ["db"] }])
        #expect(change(plan(desired, observed), "db")?.action == .trash)
    }

    @Test func aVolumeWhoseDocumentNamesAnotherNodeIsTold() throws {
        var desired = Sample.desired(volumes: ["db"])
        desired.pools["fast"]!.spec.node = "storage1"
        var away = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp1")))
        away.node = "storage2"
        desired.pools["away"] = Sample.declared("away", away)
        desired.volumes["db"]!.spec.placement = .pool("away")
        let plan = plan(desired, Sample.observed([Sample.volume()]))
        #expect(plan.steps.isEmpty)
        #expect(change(plan, "db")?.reason == .moveNotSupported)
    }

    /// A resource that its own document uses is not kept by its own obstacle: access that is gone from the documents
    /// goes.
    @Test func aDocumentDoesNotWaitForItself() {
        var desired = Sample.desired(volumes: ["db"])
        desired.volumes["db"]!.spec.size = Sample.gibi(5)
        let plan = plan(desired, Sample.observed([Sample.volume(active: true)], targets: Sample.export()))
        #expect(change(plan, "db")?.reason == .wouldShrink)
        #expect(plan.changes.contains { $0.action == .withdraw })
    }
}
