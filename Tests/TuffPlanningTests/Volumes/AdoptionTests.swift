import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Taking over what is there, and giving it back.
@Suite struct AdoptionTests {
    func survey(_ observed: ObservedState, _ desired: DesiredState = DesiredState()) -> ImportSurvey {
        ImportSurvey(ImportSelection(), observed: observed, desired: desired, context: Sample.context())
    }

    func order(_ order: Order, _ observed: ObservedState) throws -> Plan {
        try Planner.plan(order, observed: observed, context: Sample.context())
    }

    /// LV `data` exported by somebody else's target, and the order that adopts it.
    func exported() -> (ObservedState, Order) {
        let observed = Sample.observed([ImportTests.exported], targets: ImportTests.targets())
        return (observed, .adopt(survey(observed).volumes.map(\.adoption)))
    }

    /// The same after `change` to the volume.
    func changed(_ observed: ObservedState, _ change: (inout LogicalVolume) -> Void) -> ObservedState {
        var volume = ImportTests.exported
        change(&volume)
        var result = observed
        result.volumeGroups = ObservationMap(["vg0": .known(Sample.group([volume]))])
        return result
    }

    func adopted(_ observed: ObservedState, _ order: Order) throws -> (ObservedState, Marks) {
        guard case .lvm(.adopt(_, _, let marks))? = try self.order(order, observed).steps.first?.step else {
            throw Unplanned()
        }
        return (changed(observed) { $0.tags += marks.tags }, marks)
    }

    /// The exported volume after its adoption, when its old target is gone and nobody has it open.
    func withdrawn() throws -> (ObservedState, Marks) {
        let (observed, order) = exported()
        var (after, marks) = try adopted(observed, order)
        after = changed(after) {
            $0.tags = marks.tags
            $0.open = false
        }
        after.targets = .known(TargetInventory())
        return (after, marks)
    }

    struct Unplanned: Error {}

    func documents(_ name: String = "data", origin: String? = "vg0/data") -> DesiredState {
        var desired = Sample.desired(volumes: [name], attached: [name])
        if let origin { desired.volumes[name]!.metadata.annotations[Metadata.importedFromKey] = origin }
        return desired
    }

    // MARK: Adopting

    @Test func anAdoptionIsOneChangeOfTags() throws {
        let (observed, order) = exported()
        let plan = try self.order(order, observed)
        #expect(plan.steps.count == 1 && plan.changes.map(\.action) == [.adopt])
        #expect(plan.changes[0].risk == .online)
        guard case .lvm(.adopt(let location, let uuid, let marks))? = plan.steps.first?.step else {
            throw Unplanned()
        }
        #expect(location == .logicalVolume(group: "vg0", name: "data") && uuid == "uuid-data")
        #expect(marks.adopted && marks.iqn == ImportTests.theirs && marks.serial == ImportTests.serial)
        #expect(marks.role == .volume("data") && marks.lun == nil)
        #expect(Marks.read(marks.tags) == .ours(marks))
    }

    @Test func whatIsAdoptedIsLeftAloneTheSecondTime() throws {
        let (observed, order) = exported()
        let (after, _) = try adopted(observed, order)
        let again = try self.order(order, after)
        #expect(again.isEmpty && again.changes.map(\.action) == [.unchanged])
    }

    @Test func whatChangedSinceIsNotAdopted() throws {
        let (observed, order) = exported()
        let blue = Sample.marks("x", uid: Sample.uid(9), stack: "blue")
        let cases: [(Reason, (inout LogicalVolume) -> Void)] = [
            (.dataMissing, { $0.uuid = "another" }), (.dataMissing, { $0.name = "renamed" }),
            (.nameTaken, { $0.tags = blue.tags }), (.marksDamaged, { $0.tags = ["tuff:vol=x"] }),
            (.suspended, { $0.suspended = true }),
        ]
        for (reason, change) in cases {
            let plan = try self.order(order, changed(observed, change))
            #expect(plan.steps.isEmpty && plan.changes.map(\.action) == [.blocked], "\(plan.changes)")
            if reason != .suspended { #expect(plan.changes.first?.reason == reason, "\(plan.changes)") }
        }
    }

    @Test func aTakenNameAndATakenTargetNameAreRefused() throws {
        let (observed, order) = exported()
        var taken = observed
        taken.volumeGroups = ObservationMap([
            "vg0": .known(Sample.group([ImportTests.exported, Sample.volume("data")]))
        ])
        #expect(try self.order(order, taken).changes.first?.reason == .nameTaken)
        taken.volumeGroups = ObservationMap([
            "vg0": .known(Sample.group([ImportTests.exported, Sample.volume("x") { $0.iqn = ImportTests.theirs }]))
        ])
        #expect(try self.order(order, taken).changes.first?.summary.contains("belongs to vg0/v-x") == true)
    }

    // MARK: After it

    @Test func theDocumentsSayTheSameBeforeAndAfter() throws {
        let (observed, order) = exported()
        let (after, _) = try adopted(observed, order)
        let found = [observed, after].map { survey($0) }
        #expect(found[0].volumes.map(\.isAdopted) == [false] && found[1].volumes.map(\.isAdopted) == [true])
        var volumes = found.flatMap(\.volumes)
        volumes[0].isAdopted = true
        #expect(volumes[0] == volumes[1] && found[0].pools == found[1].pools)
    }

    @Test func theOldTargetKeepsItsSessionAndThePlanSaysWhatToDo() throws {
        let (observed, order) = exported()
        let (after, _) = try adopted(observed, order)
        let plan = Planner.plan(desired: documents(), observed: after, context: Sample.context())
        #expect(plan.isEmpty)
        let attachment = try #require(plan.changes.first { $0.resource.kind == .attachment })
        #expect(attachment.action == .blocked && attachment.reason == .notOurs)
        for word in [ImportTests.theirs, "log out \(Sample.initiator)", "disk1", ImportTests.serial, "tuff apply"] {
            #expect(attachment.summary.contains(word), "\(attachment.summary)")
        }
        #expect(plan.changes.first { $0.resource.kind == .volume }?.action == .unchanged)
    }

    /// A second way to the same bytes under another target's name would be as bad.
    @Test func whatIsHeldOpenIsNotHandedOutASecondTime() throws {
        let targets = ImportTests.targets { target, _ in target.luns.append(ObservedLUN(number: 1, backstore: "x")) }
        let observed = Sample.observed([ImportTests.exported], targets: targets)
        let (after, marks) = try adopted(observed, .adopt(survey(observed).volumes.map(\.adoption)))
        #expect(marks.iqn == "\(Sample.iqnBase):data" && marks.serial == ImportTests.serial)
        let plan = Planner.plan(desired: documents(), observed: after, context: Sample.context())
        #expect(plan.isEmpty)
        #expect(plan.changes.first { $0.resource.kind == .attachment }?.reason == .inUse)
    }

    @Test func onceTheOldTargetIsGoneOursIsTheSameDisk() throws {
        let (after, _) = try withdrawn()
        let plan = Planner.plan(desired: documents(), observed: after, context: Sample.context())
        let made = plan.steps.compactMap { step -> BackstoreSpec? in
            if case .export(.createBackstore(let spec)) = step.step { spec } else { nil }
        }
        #expect(made.map(\.identity.serial) == [ImportTests.serial])
        #expect(made.map(\.location) == [.logicalVolume(group: "vg0", name: "data")])
        #expect(
            plan.steps.contains { $0.step == .export(.createTarget(TargetRef(iqn: ImportTests.theirs, place: ""))) })
        #expect(plan.changes.allSatisfy { $0.action != .blocked })
    }

    /// Documents alone make nothing: the volume they speak of is there, or it is lost.
    @Test func anImportedDocumentNeverMakesABlankVolume() {
        let there = Sample.observed([ImportTests.volume("data")])
        for (observed, word) in [(there, "not adopted yet"), (Sample.observed(), "not there")] {
            let plan = Planner.plan(desired: documents(), observed: observed, context: Sample.context())
            #expect(plan.isEmpty)
            let change = plan.changes.first { $0.resource.kind == .volume }
            #expect(change?.reason == .notAdopted && change?.summary.contains(word) == true, "\(plan.changes)")
        }
        let free = Planner.plan(
            desired: documents(origin: nil), observed: Sample.observed(), context: Sample.context())
        #expect(!free.isEmpty)
    }

    @Test func anAdoptedVolumeKeepsItsNameInTheTrash() throws {
        let (after, marks) = try withdrawn()
        let prune = Sample.context { $0.prune = true }
        let plan = Planner.plan(desired: Sample.desired(volumes: []), observed: after, context: prune)
        guard case .volume(.relabel(let change))? = plan.steps.first?.step, plan.steps.count == 1 else {
            throw Unplanned()
        }
        #expect(change.after.until != nil && change.from == change.to)
        let trashed = changed(after) { $0.tags = change.after.tags }
        let back = try self.order(.restore("data"), trashed)
        guard case .volume(.relabel(let returning))? = back.steps.first?.step else { throw Unplanned() }
        #expect(returning.to == .logicalVolume(group: "vg0", name: "data") && returning.after == marks)
    }

    // MARK: Releasing

    @Test func unfinishedWorkIsNotLetGoAndWhatWasRolledBackIsToldOf() throws {
        let (observed, order) = exported()
        let (after, marks) = try adopted(observed, order)
        let half = changed(after) { volume in
            var begun = marks
            begun.operation = Marks.restoring(RestoreKey.of("undo", marks.uid))
            volume.tags = begun.tags
        }
        let refused = try self.order(.release("data"), half)
        #expect(refused.isEmpty && refused.changes.first?.reason == .unfinished)
        let done = changed(after) { volume in
            var executed = marks
            executed.executed = [RestoreKey.of("undo", marks.uid)]
            volume.tags = executed.tags
        }
        let released = try self.order(.release("data"), done)
        #expect(released.changes.first?.notes.contains { $0.contains("never runs again") } == true)
    }

    @Test func whatWasCarriedOutStaysCarriedOutWhereItIsAdoptedAgain() throws {
        let (observed, order) = exported()
        let (after, marks) = try adopted(observed, order)
        let key = RestoreKey.of("undo", marks.uid)
        let released = changed(after) { $0.tags = ["theirs", "tuff:done=\(key)"] }
        #expect(Marks.read(["theirs", "tuff:done=\(key)"]) == .foreign)
        let again = try self.order(order, released)
        guard case .lvm(.adopt(_, _, let renewed))? = again.steps.first?.step else { throw Unplanned() }
        var expected = marks
        expected.executed = [key]
        #expect(renewed == expected)
    }

    @Test func releaseTakesEveryMarkOffAndNothingElse() throws {
        let (observed, order) = exported()
        let (after, marks) = try adopted(observed, order)
        // Still handed out by the old target: nothing about that changes.
        let plan = try self.order(.release("data"), after)
        #expect(plan.changes.map(\.action) == [.release])
        #expect(
            plan.steps.map(\.step) == [
                .lvm(.disown(location: .logicalVolume(group: "vg0", name: "data"), uuid: "uuid-data", marks: marks))
            ])
        #expect(plan.changes[0].notes.contains { $0.contains(ImportTests.theirs) && $0.contains(ImportTests.serial) })
    }

    @Test func releasedAndAdoptedAgainItIsTheSameDisk() throws {
        let observed = Sample.observed([ImportTests.volume("data")])
        let adoption = survey(observed).volumes[0].adoption
        let plans = try ["1", "2"].map { seed in
            try Planner.plan(.adopt([adoption]), observed: observed, context: Sample.context(seed))
        }
        #expect(plans[0].steps == plans[1].steps && plans[0].steps.count == 1)
        // What the documents say counts where no target says it any more.
        var desired = documents()
        desired.volumes["data"]!.spec.identity = IdentityOverride()
        desired.volumes["data"]!.spec.identity!.iqn = ImportTests.theirs
        desired.volumes["data"]!.spec.identity!.lun = 4
        let again = survey(observed, desired).volumes[0]
        #expect(again.isDeclared && again.identity == desired.volumes["data"]!.spec.identity)
    }

    @Test func whatOursHandsOutIsDetachedFirst() throws {
        let (observed, order) = exported()
        var (after, marks) = try adopted(observed, order)
        after.targets = .known(
            Sample.export { target, backstore in
                backstore.name = marks.uid.backstoreName
                target.iqn = ImportTests.theirs
                target.luns[0].backstore = marks.uid.backstoreName
            })
        #expect(try self.order(.release("data"), after).changes.first?.reason == .inUse)
    }

    @Test func anAdoptedVolumeThatPruneLetGoIsReleasedForGood() throws {
        let (observed, order) = exported()
        let (after, marks) = try adopted(observed, order)
        var released = marks
        released.released = true
        let plan = try self.order(.release("data"), changed(after) { $0.tags = released.tags })
        #expect(
            plan.steps.map(\.step).contains { if case .lvm(.disown(_, _, released)) = $0 { true } else { false } })
    }
}
