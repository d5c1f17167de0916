import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct ExportPlanTests {
    typealias Edit = @Sendable (inout ObservedTarget, inout ObservedBackstore) -> Void

    func plan(_ desired: DesiredState, _ targets: TargetInventory, active: Bool = true) -> Plan {
        Planner.plan(
            desired: desired, observed: Sample.observed([Sample.volume(active: active)], targets: targets),
            context: Sample.context())
    }

    func attachment(_ plan: Plan) -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(.attachment, "db-on-web1") }
    }

    @Test func readOnlyForOneInitiatorIsBlockedWhereItIsForAll() throws {
        let other = ObservedACL(
            initiator: "iqn.2004-10.com.example:web2",
            mappedLUNs: [ObservedMappedLUN(number: 0, lun: 0, readOnly: false)])
        var desired = Sample.desired(attached: ["db"])
        desired.attachments["db-on-web1"]?.spec.readOnly = true
        func plan(_ driver: TargetDriver, shared: Bool) -> Plan {
            var context = Sample.context()
            context.config.targetDriver = driver
            let targets = Sample.export { target, _ in if shared { target.acls.append(other) } }
            return Planner.plan(
                desired: desired, observed: Sample.observed([Sample.volume(active: true)], targets: targets),
                context: context)
        }
        #expect(attachment(plan(.tgt, shared: true))?.reason == .driverCannot)
        #expect(attachment(plan(.tgt, shared: false))?.action == .update)
        #expect(attachment(plan(.lio, shared: true))?.action == .update)
    }

    @Test func whatIsNotSeenHoldsUpItsOwnVolumeOnly() throws {
        let error = HostError(.timeout, "hangs")
        let db = "\(Sample.iqnBase):db"
        let name = Sample.uid.backstoreName
        let faults: [UnseenTargets] = [
            UnseenTargets(targets: [db: error]), UnseenTargets(backstores: [name: error]),
            UnseenTargets(unlisted: error),
        ]
        for unseen in faults {
            let plan = plan(Sample.desired(attached: ["db"]), TargetInventory(unseen: unseen))
            #expect(plan.isEmpty)
            #expect(attachment(plan)?.reason == .unknown, "\(unseen)")
        }
        // A backstore that was seen is not among those whose names are not known.
        var drifted = Sample.export { target, _ in target.enabled = false }
        drifted.unseen = UnseenTargets(targets: ["iqn.2026-01.dev.tuff:other": error], unlisted: error)
        #expect(!plan(Sample.desired(attached: ["db"]), drifted).isEmpty)
        // A new volume gets no target name that may be somebody's.
        let taken = TargetInventory(unseen: UnseenTargets(targets: ["\(Sample.iqnBase):new": error]))
        let new = plan(Sample.desired(volumes: ["new", "fine"]), taken)
        #expect(new.changes.first { $0.resource.name == "new" }?.reason == .unknown)
        #expect(new.changes.first { $0.resource.name == "fine" }?.action == .create)
    }

    @Test func aNewExportIsBuiltFromTheInsideOut() {
        let plan = plan(Sample.desired(attached: ["db"]), TargetInventory(), active: false)
        let target = TargetRef(iqn: "\(Sample.iqnBase):db", place: "")
        let backstore = BackstoreSpec(
            uid: Sample.uid, location: .logicalVolume(group: "vg0", name: "v-db"), deviceUUID: "LVM-vguuiduuiddb",
            size: Sample.gibi(10), identity: DiskIdentity(serial: Sample.uid.serial), discard: true)
        let expected: [Step] =
            [
                .lvm(
                    .activate(
                        VolumeRef(
                            .logicalVolume(group: "vg0", name: "v-db"), uid: Sample.uid, uuid: "uuid-db")))
            ]
            + ([
                .createBackstore(backstore), .createTarget(target), .set(target, .authentication, false),
                .set(target, .generateNodeACLs, false), .set(target, .cacheDynamicACLs, false),
                .set(target, .demoModeWriteProtect, true), .set(target, .demoModeDiscovery, false),
                .addLUN(target, number: 0, backstore), .createACL(target, initiator: Sample.initiator),
                .markACL(
                    target, initiator: Sample.initiator,
                    AccessMark(attachment: "db-on-web1", onRemove: .waitForLogout)),
                .mapLUN(target, initiator: Sample.initiator, number: 0, lun: 0, readOnly: false),
                .addPortal(target, Portal(address: "192.0.2.10")), .enable(target),
            ] as [ExportStep]).map(Step.export)
        #expect(plan.steps.map(\.step) == expected)
        for (step, next) in zip(plan.steps, plan.steps.dropFirst()) { #expect(next.after == [step.id]) }
        #expect(attachment(plan)?.action == .create)
    }

    @Test func anEqualExportIsLeftAlone() {
        let plan = plan(Sample.desired(attached: ["db"]), Sample.export())
        #expect(plan.isEmpty)
        #expect(attachment(plan)?.action == .unchanged)
    }

    /// One edit each, and the one step that undoes it.
    static let edits: [(String, Edit, String)] = [
        ("target.generate_node_acls", { target, _ in target.settings[.generateNodeACLs] = true }, "set"),
        ("target.cache_dynamic_acls", { target, _ in target.settings[.cacheDynamicACLs] = true }, "set"),
        ("target.demo_mode_write_protect", { target, _ in target.settings[.demoModeWriteProtect] = false }, "set"),
        ("target.demo_mode_discovery", { target, _ in target.settings[.demoModeDiscovery] = true }, "set"),
        ("target.authentication", { target, _ in target.settings[.authentication] = true }, "set"),
        ("enabled", { target, _ in target.enabled = false }, "enable"),
        ("portal", { target, _ in target.portals = [] }, "addPortal"),
        ("portal", { target, _ in target.portals.append(Portal(address: "192.0.2.66")) }, "removePortal"),
        ("readOnly", { target, _ in target.acls[0].mappedLUNs[0].readOnly = true }, "setReadOnly"),
        ("initiator.lun", { target, _ in target.acls[0].mappedLUNs = [] }, "mapLUN"),
        ("initiator.lun", { target, _ in target.acls[0].mappedLUNs[0].lun = nil }, "mapLUN"),
        ("chap.user", { target, _ in target.acls[0].chap.user = "x" }, "setCHAP"),
        ("chap.files", { target, _ in target.acls[0].chap.exposed = ["password"] }, "protectSecrets"),
        ("backstore.enabled", { _, backstore in backstore.enabled = false }, "repairBackstore"),
        ("backstore.discard", { _, backstore in backstore.discard = false }, "repairBackstore"),
        ("lun", { target, _ in target.luns[0].backstore = nil }, "addLUN"),
        ("target.AuthMethod", { target, _ in target.loginMethods = "None" }, "resetLoginMethods"),
        (
            "lun.access",
            { target, _ in
                target.luns[0].portAccess = ObservedPortAccess(group: "g1", state: "Standby", isOffline: false)
            }, "reactivateLUN"
        ),
        (
            "backstore.emulate_pr", { _, backstore in backstore.altered = [.persistentReservations] },
            "resetBackstore"
        ),
    ]

    /// At boot too, where nothing may be taken away.
    @Test func aBackstoreThatWasNeverProvenIsMadeAnewAndTakesNothingAway() {
        let targets = Sample.export { target, backstore in
            backstore.identity?.serial = ""
            target.luns = []
            target.acls[0].mappedLUNs = []
        }
        let plan = plan(Sample.desired(attached: ["db"]), targets)
        #expect(attachment(plan)?.risk == .online)
        let steps = plan.steps.compactMap { if case .export(let step) = $0.step { step } else { nil } }
        guard steps.count == 3, case .repairBackstore(_, enable: true) = steps[0], case .addLUN = steps[1],
            case .mapLUN = steps[2]
        else {
            Issue.record("\(steps)")
            return
        }
    }

    @Test(arguments: edits.indices)
    func eachEditIsRepairedWhereItDiffersAndNowhereElse(index: Int) throws {
        let (field, edit, step) = Self.edits[index]
        let plan = plan(Sample.desired(attached: ["db"]), Sample.export(edit))
        #expect(attachment(plan)?.differences.map(\.field) == [field])
        let only = try #require(plan.steps.first)
        #expect(plan.steps.count == 1)
        guard case .export(let export) = only.step else {
            Issue.record("\(only)")
            return
        }
        #expect("\(export)".hasPrefix(step + "("))
    }

    static let rebuilds: [(String, Edit)] = [
        ("backstore.serial", { _, backstore in backstore.identity?.serial = "00" }),
        ("backstore.vendor", { _, backstore in backstore.identity?.vendor = "LIO-ORG" }),
        ("backstore.path", { _, backstore in backstore.path = "/dev/vg0/other" }),
        ("backstore.writes", { _, backstore in backstore.isBuffered = true }),
    ]

    @Test(arguments: rebuilds.indices)
    func whatCannotChangeLiveIsRebuiltWhileNobodyIsLoggedIn(index: Int) {
        let (field, edit) = Self.rebuilds[index]
        let plan = plan(Sample.desired(attached: ["db"]), Sample.export(edit))
        let names = plan.steps.map { "\($0.step)".split(separator: "(").dropFirst().first.map(String.init) ?? "" }
        #expect(
            names.map { $0.split(separator: ".").last.map(String.init) } == [
                "unmapLUN", "removeLUN", "removeBackstore", "createBackstore", "addLUN", "mapLUN",
            ])
        #expect(attachment(plan)?.differences.map(\.field) == [field])
        #expect(attachment(plan)?.risk == .interruptsIO)
    }

    @Test(arguments: rebuilds.indices)
    func aLiveSessionIsNeverCutForARepair(index: Int) {
        let targets = Sample.export { target, backstore in
            Self.rebuilds[index].1(&target, &backstore)
            target.acls[0].sessions = [ObservedSession(state: "LOGGED_IN")]
        }
        let plan = plan(Sample.desired(attached: ["db"]), targets)
        #expect(plan.isEmpty)
        #expect(attachment(plan)?.reason == .inUse)
    }

    @Test func anUndeclaredPortalStaysWhileSomebodyIsLoggedIn() {
        let targets = Sample.export { target, _ in
            target.portals.append(Portal(address: "192.0.2.66"))
            target.acls[0].sessions = [ObservedSession(state: "LOGGED_IN")]
        }
        let plan = plan(Sample.desired(attached: ["db"]), targets)
        #expect(plan.isEmpty)
        #expect(attachment(plan)?.notes.count == 1)
    }

    @Test func anotherInitiatorKeepsANewOneOut() {
        let targets = Sample.export { target, _ in target.acls[0].initiator = "iqn.2004-10.com.example:web2" }
        for mark in [nil, AccessMark(attachment: "other", onRemove: .waitForLogout)] {
            var targets = targets
            targets.targets[0].acls[0].mark = mark
            let plan = plan(Sample.desired(attached: ["db"]), targets)
            #expect(plan.isEmpty)
            #expect(plan.changes.contains { $0.resource.name == "db-on-web1" && $0.reason == .inUse })
        }
    }

    @Test func aTargetThatHandsOutSomethingElseIsNotOurs() {
        let targets = Sample.export { target, _ in
            target.luns.append(ObservedLUN(number: 5, backstore: "somebody-elses"))
        }
        let plan = plan(Sample.desired(attached: ["db"]), targets)
        #expect(plan.isEmpty)
        #expect(attachment(plan)?.reason == .notOurs)
    }

    @Test func accessWithoutADocumentIsToldAndStays() {
        let plan = plan(Sample.desired(), Sample.export())
        #expect(plan.isEmpty)
        #expect(attachment(plan)?.action == .orphan)
    }

    @Test func unknownTargetsBlockAttachmentsAndNothingElse() {
        var observed = Sample.observed()
        observed.targets = .unknown(HostError(.timeout, "reading configfs took too long"))
        let plan = Planner.plan(
            desired: Sample.desired(attached: ["db"]), observed: observed, context: Sample.context())
        #expect(attachment(plan)?.reason == .unknown)
        #expect(plan.steps.count == 1)
    }

    @Test func aSuspendedDeviceIsNotTouched() {
        var volume = Sample.volume(active: true)
        volume.suspended = true
        let plan = Planner.plan(
            desired: Sample.desired(attached: ["db"]), observed: Sample.observed([volume]), context: Sample.context())
        #expect(plan.isEmpty)
        #expect(attachment(plan)?.reason == .suspended)
    }

    @Test func noPortalIsSaidRatherThanAWildcard() {
        var context = Sample.context()
        context.config.portals = []
        let plan = Planner.plan(
            desired: Sample.desired(attached: ["db"]), observed: Sample.observed([Sample.volume(active: true)]),
            context: context)
        #expect(attachment(plan)?.reason == .noPortal)
    }

    @Test func aPortalThatADaemonDoesNotServeIsSaidNotIgnored() {
        var context = Sample.context()
        context.config.targetDriver = .tgt
        func plan(_ portals: [Portal]) -> Plan {
            Planner.plan(
                desired: Sample.desired(attached: ["db"]),
                observed: Sample.observed(
                    [Sample.volume(active: true)], targets: Sample.export { target, _ in target.portals = portals }),
                context: context)
        }
        #expect(attachment(plan([Portal(address: "127.0.0.1")]))?.reason == .driverCannot)
        #expect(attachment(plan([Portal(address: "0.0.0.0")]))?.action == .unchanged)
        #expect(attachment(plan([Portal(address: "192.0.2.10")]))?.action == .unchanged)
    }

    @Test func anUnnamedLUNIsOursOnlyWithOurPathAndNumber() {
        func plan(_ lun: ObservedLUN) -> Plan {
            self.plan(
                Sample.desired(attached: ["db"]),
                Sample.export { target, _ in
                    target.luns = lun.number == 0 ? [lun] : target.luns + [lun]
                })
        }
        #expect(!plan(ObservedLUN(number: 0, backstore: nil, path: "/dev/vg0/v-db")).isEmpty)
        for foreign in [
            ObservedLUN(number: 0, backstore: nil, path: "/dev/sdb"),
            ObservedLUN(number: 1, backstore: nil, path: "/dev/sdb"),
            ObservedLUN(number: 1, backstore: nil, path: "/dev/vg0/v-db"),
        ] {
            #expect(plan(foreign).isEmpty)
            #expect(attachment(plan(foreign))?.reason == .notOurs)
        }
    }
}
