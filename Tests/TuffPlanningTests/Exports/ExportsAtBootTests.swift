import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct ExportsAtBootTests {
    let target = TargetRef(iqn: "\(Sample.iqnBase):db", place: "")

    func accepted(
        _ desired: DesiredState = Sample.desired(attached: ["db"]), former: AcceptedExports? = nil,
        _ context: PlanContext = Sample.context()
    ) -> AcceptedExports { AcceptedExports(desired, context: context, former: former) }

    func restore(_ accepted: AcceptedExports, _ observed: ObservedState) throws -> Plan {
        try Planner.plan(.restoreExports(accepted), observed: observed, context: Sample.context())
    }

    func change(_ plan: Plan, _ name: String = "db-on-web1") throws -> PlannedChange {
        try #require(plan.changes.first { $0.resource == ResourceID(.attachment, name) })
    }

    @Test func afterARebootTheSameStepsAreTakenAsByApply() throws {
        let observed = Sample.observed([Sample.volume(active: false)])
        let desired = Sample.desired(attached: ["db"])
        let apply = Planner.plan(desired: desired, observed: observed, context: Sample.context())
        let restore = try restore(accepted(desired), observed)
        #expect(restore.steps.map(\.step) == apply.steps.map(\.step))
        #expect(!restore.isEmpty)
        #expect(try restore.changes == [change(apply)])
    }

    @Test func whatIsThereAlreadyIsLeftAlone() throws {
        let plan = try restore(accepted(), Sample.observed([Sample.volume(active: true)], targets: Sample.export()))
        #expect(plan.isEmpty)
        #expect(try change(plan).action == .unchanged)
    }

    @Test func aVolumeThatIsNotThereIsNotMade() throws {
        let plan = try restore(accepted(), Sample.observed())
        #expect(plan.isEmpty)
        #expect(try change(plan).reason == .volumeMissing)
        #expect(try change(plan).reason?.mayPass == false)
    }

    @Test func aVolumeInTheTrashOrReleasedIsNotHandedOut() throws {
        let trashed = Sample.volume { $0.until = Instant(secondsSince1970: 1_795_900_000) }
        let released = Sample.volume { $0.released = true }
        for volume in [trashed, released] {
            let plan = try restore(accepted(), Sample.observed([volume]))
            #expect(plan.isEmpty)
            #expect(try change(plan).reason == .volumeMissing)
        }
    }

    @Test func aVolumeStillNamedAsInTheTrashIsNotHandedOut() throws {
        var volume = Sample.volume()
        volume.name = "t-\(Sample.uid)"
        let plan = try restore(accepted(), Sample.observed([volume]))
        #expect(plan.isEmpty)
        #expect(try change(plan).reason == .unfinished)
    }

    @Test func anUnfinishedVolumeIsNotFinishedAndNotHandedOut() throws {
        let plan = try restore(accepted(), Sample.observed([Sample.volume { $0.operation = Marks.creating }]))
        #expect(plan.isEmpty)
        #expect(try change(plan).reason == .unfinished)
    }

    @Test func growthPolicyAndRenamingThatWereNotCarriedOutStayThat() throws {
        var desired = Sample.desired(attached: ["db"])
        var volume = try #require(desired.volumes["db"])
        desired.volumes = [:]
        volume.spec.size = Sample.gibi(20)
        volume.spec.protect = true
        volume.metadata.name = "new"
        volume.metadata.annotations["tuff.dev/renamed-from"] = "db"
        desired.volumes["new"] = volume
        desired.attachments["db-on-web1"]?.spec.volume = "new"
        let plan = try restore(accepted(desired), Sample.observed([Sample.volume(active: true)]))
        #expect(try change(plan).action == .create)
        for step in plan.steps {
            guard case .export(let export) = step.step else {
                Issue.record("\(step)")
                continue
            }
            if case .createBackstore(let spec) = export {
                #expect(spec.size == Sample.gibi(10))
                #expect(spec.location == .logicalVolume(group: "vg0", name: "v-db"))
            }
        }
    }

    @Test func aGroupThatComesLateIsWaitedFor() throws {
        let gone = ObservedState(
            takenAt: Sample.context().now, volumeGroups: ObservationMap(), targets: .known(TargetInventory()))
        #expect(try change(restore(accepted(), gone)).reason == .poolMissing)
        var hung = gone
        hung.volumeGroups = ObservationMap(["vg0": .unknown(HostError(.timeout, "vg0 hangs"))])
        #expect(try change(restore(accepted(), hung)).reason == .unknown)
        for reason in [Reason.poolMissing, .unknown, .secretUnavailable] { #expect(reason.mayPass) }
        for reason in [Reason.notOurs, .inUse, .consentNeeded, .nameTaken] { #expect(!reason.mayPass) }
    }

    @Test func whatWouldTakeSomethingAwayIsBlocked() throws {
        var desired = Sample.desired(attached: ["db"])
        desired.attachments["db-on-web1"]?.spec.initiator = "iqn.2004-10.com.example:web2"
        let active = [Sample.volume(active: true)]
        let replaced = try restore(accepted(desired), Sample.observed(active, targets: Sample.export()))
        #expect(replaced.isEmpty)
        #expect(try change(replaced).reason == .consentNeeded)
        let moved = Sample.export { _, backstore in backstore.identity?.serial = "another" }
        let rebuilt = try restore(accepted(), Sample.observed(active, targets: moved))
        #expect(rebuilt.isEmpty)
        #expect(try change(rebuilt).action == .blocked)
    }

    @Test func blockingOneKeepsTheOrderOfTheOthersSteps() throws {
        let other = Sample.uid(7)
        var desired = Sample.desired(volumes: ["db", "log"], attached: ["db", "log"])
        desired.attachments["db-on-web1"]?.spec.initiator = "iqn.2004-10.com.example:web2"
        let observed = Sample.observed(
            [Sample.volume(active: true), Sample.volume("log", uid: other)], targets: Sample.export())
        let plan = try restore(accepted(desired), observed)
        #expect(try change(plan).action == .blocked)
        #expect(try change(plan, "log-on-web1").action == .create)
        for (index, step) in plan.steps.enumerated() {
            #expect(step.id == index)
            #expect(step.after.allSatisfy { $0 < index })
            #expect(plan.changes[step.change].resource.name == "log-on-web1")
        }
    }

    // MARK: What is accepted

    @Test func accessWhoseDocumentIsGoneComesBackUntilSomebodyPrunes() throws {
        let first = accepted()
        let second = accepted(Sample.desired(), former: first)
        #expect(second.access.map(\.isDeclared) == [false])
        #expect(try change(restore(second, Sample.observed([Sample.volume()]))).action == .create)
        let prune = Sample.context { $0.prune = true }
        func pruned(_ observed: ObservedState?) -> AcceptedExports {
            AcceptedExports(Sample.desired(), context: prune, former: second, observed: observed)
        }
        // Consent alone withdraws nothing: it is forgotten once it is seen to be gone, and not before.
        #expect(pruned(nil).access.count == 1)
        #expect(pruned(Sample.observed([Sample.volume()], targets: Sample.export())).access.count == 1)
        var unseen = Sample.observed([Sample.volume()])
        unseen.targets = .unknown(HostError(.timeout, "hangs"))
        #expect(pruned(unseen).access.count == 1)
        #expect(pruned(Sample.observed([Sample.volume()])).access.isEmpty)
    }

    @Test func anInitiatorThatIsToBeReplacedKeepsItsAccessUntilItIsOut() throws {
        let first = accepted()
        var desired = Sample.desired(attached: ["db"])
        desired.attachments["db-on-web1"]?.spec.initiator = "iqn.2004-10.com.example:web2"
        let waiting = accepted(desired, former: first)
        #expect(waiting.access.map(\.initiator) == [Sample.initiator])
        let out = AcceptedExports(
            desired, context: Sample.context(), former: first, observed: Sample.observed([Sample.volume()]))
        #expect(out.access.map(\.initiator) == ["iqn.2004-10.com.example:web2"])
    }

    @Test func accessUnderAnotherNameIsTheSameAccess() {
        var desired = Sample.desired()
        desired.attachments["renamed"] = Sample.declared(
            "renamed", AttachmentSpec(volume: "db", initiator: Sample.initiator))
        #expect(accepted(desired, former: accepted()).access.map(\.attachment) == ["renamed"])
    }

    @Test func twoInitiatorsNeverGetAnUnsharedVolumeAndTheFormerOneKeepsIt() throws {
        var desired = Sample.desired()
        desired.attachments["another"] = Sample.declared(
            "another", AttachmentSpec(volume: "db", initiator: "iqn.2004-10.com.example:web2"))
        let record = accepted(desired, former: accepted())
        let plan = try restore(record, Sample.observed([Sample.volume()]))
        #expect(try change(plan).action == .create)
        #expect(try change(plan, "another").reason == .inUse)
    }

    @Test func whatWasDetachedByHandDoesNotComeBack() {
        var record = accepted()
        record.strike("another", volumes: false)
        #expect(record.access.count == 1)
        record.strike("db-on-web1", volumes: false)
        #expect(record.access.isEmpty)
        record = accepted()
        record.strike("db", volumes: true)
        #expect(record.access.isEmpty)
    }

    @Test func poolsOfOtherNodesGrantNothingHere() {
        var desired = Sample.desired(attached: ["db"])
        desired.pools["fast"]?.spec.node = "storage2"
        #expect(accepted(desired).access.isEmpty)
        #expect(accepted(desired).pools.isEmpty)
    }
}

@Suite struct ExportsAtShutdownTests {
    let target = TargetRef(iqn: "\(Sample.iqnBase):db", place: "")

    func withdraw(_ observed: ObservedState) throws -> Plan {
        try Planner.plan(.withdrawExports, observed: observed, context: Sample.context())
    }

    func exports(_ plan: Plan) -> [ExportStep] {
        plan.steps.compactMap { if case .export(let step) = $0.step { step } else { nil } }
    }

    @Test(arguments: ["default", "another"]) func exportsOfEveryStackGoAndTheirSessionsEnd(stack: String) throws {
        let busy = Sample.export { target, _ in target.acls[0].sessions = [ObservedSession(state: "LOGGED_IN")] }
        let plan = try withdraw(Sample.observed([Sample.volume(active: true, stack: stack)], targets: busy))
        #expect(
            exports(plan) == [
                .removeACL(target, initiator: Sample.initiator, mapped: [0], disconnecting: true), .disable(target),
                .removeLUN(target, number: 0), .removePortal(target, Portal(address: "192.0.2.10")),
                .removeTarget(target), .removeBackstore(uid: Sample.uid, place: "iblock_7"),
            ])
        #expect(plan.changes.map(\.action) == [.withdraw])
        #expect(plan.changes[0].risk == .interruptsIO)
        #expect(plan.refusal == nil)
    }

    @Test func anExportGoesThoughItsVolumeCannotBeSeen() throws {
        var observed = Sample.observed(targets: Sample.export())
        observed.volumeGroups = ObservationMap(["vg0": .unknown(HostError(.timeout, "vg0 hangs"))])
        #expect(try exports(withdraw(observed)).last == .removeBackstore(uid: Sample.uid, place: "iblock_7"))
    }

    @Test func otherPeoplesTargetsAndAccessStay() throws {
        let foreign = ObservedTarget(
            iqn: "\(Sample.iqnBase):theirs", enabled: true, luns: [ObservedLUN(number: 0, backstore: "disk1")])
        let theirs = ObservedBackstore(
            name: "disk1", place: "iblock_0", path: "/dev/vg0/x", enabled: true, identity: nil)
        let empty = ObservedTarget(iqn: "\(Sample.iqnBase):empty")
        let nothing = TargetInventory(backstores: [theirs], targets: [foreign, empty])
        #expect(try withdraw(Sample.observed(targets: nothing)).changes.isEmpty)
        let shared = Sample.export { target, _ in
            target.acls.append(ObservedACL(initiator: "iqn.2004-10.com.example:stranger"))
        }
        let plan = try withdraw(Sample.observed([Sample.volume(active: true)], targets: shared))
        #expect(plan.isEmpty)
        #expect(plan.changes.map(\.reason) == [.notOurs])
        let mixed = Sample.export { target, _ in target.luns.append(ObservedLUN(number: 1, backstore: "disk1")) }
        #expect(try withdraw(Sample.observed([Sample.volume()], targets: mixed)).changes.map(\.reason) == [.notOurs])
    }

    @Test func whatIsLeftOfAnExportGoesToo() throws {
        let halfBuilt = Sample.export { target, _ in
            target.luns = []
            target.acls = []
        }
        #expect(try exports(withdraw(Sample.observed([Sample.volume()], targets: halfBuilt))).count == 4)
    }

    @Test func aTargetThatHangsKeepsNoOtherFromGoing() throws {
        var targets = Sample.export()
        let hung = "\(Sample.iqnBase):log"
        targets.backstores.append(
            ObservedBackstore(
                name: Sample.uid(7).backstoreName, place: "iblock_8", path: "/dev/vg0/v-log", enabled: true,
                identity: nil))
        targets.unseen = UnseenTargets(targets: [hung: HostError(.timeout, "it hangs")])
        let plan = try withdraw(
            Sample.observed([Sample.volume(active: true), Sample.volume("log", uid: Sample.uid(7))], targets: targets))
        #expect(plan.changes.map(\.resource.name) == ["db", "log"])
        #expect(plan.changes.map(\.reason) == [nil, .unknown])
        #expect(exports(plan).last == .removeBackstore(uid: Sample.uid, place: "iblock_7"))
    }

    @Test func targetsThatCannotBeSeenAreAnError() throws {
        var observed = Sample.observed([Sample.volume()])
        observed.targets = .unknown(HostError(.timeout, "configfs hangs"))
        #expect(throws: OrderError.self) { try withdraw(observed) }
    }
}
