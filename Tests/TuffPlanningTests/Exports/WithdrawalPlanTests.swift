import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct WithdrawalPlanTests {
    static let prune = Sample.context { $0.prune = true }

    func plan(
        _ desired: DesiredState, _ targets: TargetInventory, _ context: PlanContext = Self.prune
    ) -> Plan {
        Planner.plan(
            desired: desired, observed: Sample.observed([Sample.volume(active: true)], targets: targets),
            context: context)
    }

    func change(_ plan: Plan, _ kind: Kind = .attachment, _ name: String = "db-on-web1") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    func exports(_ plan: Plan) -> [ExportStep] {
        plan.steps.compactMap { if case .export(let step) = $0.step { step } else { nil } }
    }

    let target = TargetRef(iqn: "\(Sample.iqnBase):db", place: "")

    @Test func withoutPruneAccessIsListedAndStays() {
        let plan = plan(Sample.desired(), Sample.export(), Sample.context())
        #expect(plan.isEmpty)
        #expect(change(plan)?.action == .orphan)
    }

    @Test func theLastAccessTakesTheExportDownInTheKernelsOrder() {
        let plan = plan(Sample.desired(), Sample.export())
        #expect(
            exports(plan) == [
                .removeACL(target, initiator: Sample.initiator, mapped: [0], disconnecting: false), .disable(target),
                .removeLUN(target, number: 0), .removePortal(target, Portal(address: "192.0.2.10")),
                .removeTarget(target), .removeBackstore(uid: Sample.uid, place: "iblock_7"),
            ])
        #expect(change(plan)?.action == .withdraw)
    }

    /// The kernel would refuse to remove the backstore in every pass.
    @Test func aBackstoreThatSomebodyElsesTargetHandsOutTooIsNamed() throws {
        var targets = Sample.export()
        targets.targets.append(
            ObservedTarget(
                iqn: "iqn.1999-01.com.example:theirs",
                luns: [ObservedLUN(number: 4, backstore: Sample.uid.backstoreName)]))
        let plan = plan(Sample.desired(), targets)
        #expect(plan.isEmpty)
        let withdrawn = try #require(change(plan))
        #expect(withdrawn.reason == .notOurs && withdrawn.summary.contains("iqn.1999-01.com.example:theirs"))
    }

    @Test func aVolumeGoesToTheTrashAfterItsExportIsGone() throws {
        let plan = plan(Sample.desired(volumes: []), Sample.export())
        let last = try #require(plan.steps.last)
        guard case .volume(.relabel) = last.step else {
            Issue.record("\(last)")
            return
        }
        #expect(last.after == [last.id - 1])
        #expect(exports(plan).count == 6)
    }

    static func session(_ onRemove: AttachmentSpec.OnRemove) -> TargetInventory {
        Sample.export { target, _ in
            target.acls[0].sessions = [ObservedSession(state: "LOGGED_IN", addresses: ["192.0.2.99"])]
            target.acls[0].mark = AccessMark(attachment: "db-on-web1", onRemove: onRemove)
        }
    }

    @Test func aLiveSessionIsWaitedForAndItsVolumeToo() {
        let plan = plan(Sample.desired(volumes: []), Self.session(.waitForLogout))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .inUse)
        #expect(change(plan, .volume, "db")?.reason == .inUse)
    }

    @Test func disconnectAsLastAppliedEndsTheSession() {
        let plan = plan(Sample.desired(), Self.session(.disconnect))
        #expect(
            exports(plan).first
                == .removeACL(target, initiator: Sample.initiator, mapped: [0], disconnecting: true))
        #expect(change(plan)?.risk == .interruptsIO)
    }

    @Test func accessThatTuffDidNotGrantIsNeverTakenAway() {
        let stranger = ObservedACL(initiator: "iqn.2004-10.com.example:stranger")
        let targets = Sample.export { target, _ in target.acls.append(stranger) }
        let plan = plan(Sample.desired(volumes: []), targets)
        #expect(exports(plan) == [.removeACL(target, initiator: Sample.initiator, mapped: [0], disconnecting: false)])
        #expect(change(plan, .volume, "db")?.action == .blocked)
        #expect(plan.changes.contains { $0.reason == .notOurs })
    }

    @Test func anotherInitiatorOfTheSameAttachmentIsReplacedOnlyOnceItIsOut() throws {
        var desired = Sample.desired(attached: ["db"])
        desired.attachments["db-on-web1"]!.spec.initiator = "iqn.2004-10.com.example:web2"
        let waiting = plan(desired, Self.session(.waitForLogout), Sample.context())
        #expect(waiting.isEmpty)
        #expect(change(waiting)?.reason == .inUse)
        let plan = plan(desired, Sample.export(), Sample.context())
        let steps = exports(plan)
        let removal = steps.firstIndex {
            $0 == .removeACL(target, initiator: Sample.initiator, mapped: [0], disconnecting: false)
        }
        let creation = steps.firstIndex {
            $0 == .createACL(target, initiator: "iqn.2004-10.com.example:web2")
        }
        #expect(try #require(removal) < #require(creation))
        #expect(change(plan)?.risk == .interruptsIO)
        #expect(!steps.contains { if case .removeTarget = $0 { true } else { false } })
    }

    @Test func accessOfAnotherAttachmentIsWithdrawnBeforeTheNewOneIsGranted() throws {
        var desired = Sample.desired()
        desired.attachments["new"] = Sample.declared(
            "new", AttachmentSpec(volume: "db", initiator: "iqn.2004-10.com.example:web2"))
        let careful = plan(desired, Sample.export(), Sample.context())
        #expect(careful.isEmpty)
        #expect(change(careful, .attachment, "new")?.reason == .inUse)
        let plan = plan(desired, Sample.export())
        let withdrawal = try #require(plan.changes.firstIndex { $0.action == .withdraw })
        let creation = try #require(plan.changes.firstIndex { $0.resource.name == "new" })
        let last = try #require(plan.steps.last { $0.change == withdrawal })
        let first = try #require(plan.steps.first { $0.change == creation })
        #expect(first.after.contains(last.id))
    }

    @Test func anACLOfAnEarlierVersionIsMarkedAndThenOurs() {
        let unmarked = Sample.export { target, _ in target.acls[0].mark = nil }
        let plan = plan(Sample.desired(attached: ["db"]), unmarked, Sample.context())
        #expect(
            exports(plan) == [
                .markACL(
                    target, initiator: Sample.initiator,
                    AccessMark(attachment: "db-on-web1", onRemove: .waitForLogout))
            ])
    }

    @Test func whatIsLeftOfAnExportIsTakenDown() {
        let leftover = Sample.export { target, _ in target.acls = [] }
        #expect(self.plan(Sample.desired(), leftover, Sample.context()).isEmpty)
        let plan = plan(Sample.desired(), leftover)
        #expect(exports(plan).last == .removeBackstore(uid: Sample.uid, place: "iblock_7"))
        // Nobody loses access, so that it needs no permission.
        #expect(plan.changes.contains { $0.action == .takeDown && !$0.action.removes })
    }

    @Test(arguments: ["a", String(repeating: "n", count: 63)])
    func aMarkFitsTheKernelsTagAndIsReadBack(name: String) throws {
        for onRemove in AttachmentSpec.OnRemove.allCases {
            let mark = AccessMark(attachment: name, onRemove: onRemove)
            #expect(mark.text.utf8.count <= 63)
            #expect(AccessMark(text: mark.text) == mark)
            #expect(mark.isOf(name))
        }
        for text in ["", "webservers", "tuff", "tuff:", "tuff:A", "tuff:../x", "TUFF:a", "tuff?a"] {
            #expect(AccessMark(text: text) == nil)
        }
    }
}
