import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Portals that the kernel lets nobody listen on beside each other.
@Suite struct PortalPlanTests {
    private static let everywhere = Portal(address: "0.0.0.0"), wanted = Portal(address: "192.0.2.10")
    private static let other = "iqn.2003-01.org.linux-iscsi:other"

    private func plan(_ targets: TargetInventory, _ change: (inout DesiredState) -> Void = { _ in }) -> Plan {
        var desired = Sample.desired(attached: ["db"])
        change(&desired)
        return Planner.plan(
            desired: desired, observed: Sample.observed([Sample.volume(active: true)], targets: targets),
            context: Sample.context())
    }

    private func attachment(_ plan: Plan, _ name: String = "db-on-web1") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(.attachment, name) }
    }

    private func steps(_ plan: Plan) -> [ExportStep] {
        plan.steps.compactMap { if case .export(let step) = $0.step { step } else { nil } }
    }

    @Test func anotherTargetOnEveryAddressIsNamed() throws {
        var targets = TargetInventory()
        targets.targets.append(ObservedTarget(iqn: Self.other, portals: [Self.everywhere]))
        let plan = plan(targets)
        #expect(plan.isEmpty)
        let change = try #require(attachment(plan))
        #expect(change.action == .blocked && change.reason == .portalUnusable)
        #expect(change.summary.contains("0.0.0.0:3260 of target \(Self.other)"))
        // On another port it is in nobody's way.
        targets.targets[0].portals = [Portal(address: "0.0.0.0", port: 3261)]
        #expect(attachment(self.plan(targets))?.action == .create)
    }

    @Test func twoVolumesOfOursAreComparedWithEachOther() throws {
        var second = DesiredState()
        second = Sample.desired(volumes: ["db", "logs"], attached: ["db", "logs"])
        second.volumes["logs"]?.spec.portals = [Self.everywhere]
        let plan = Planner.plan(
            desired: second,
            observed: Sample.observed([
                Sample.volume(active: true), Sample.volume("logs", uid: Sample.uid(2), active: true),
            ]),
            context: Sample.context())
        #expect(attachment(plan)?.action == .create)
        let blocked = try #require(attachment(plan, "logs-on-web1"))
        #expect(blocked.reason == .portalUnusable && blocked.summary.contains("target \(Sample.iqnBase):db"))
    }

    /// The kernel refuses the one as long as the other is there.
    @Test func whatIsInTheWayOnOneTargetGoesFirst() {
        let found = steps(plan(Sample.export { target, _ in target.portals = [Self.everywhere] }))
        guard found.count == 2, case .removePortal(_, Self.everywhere) = found[0],
            case .addPortal(_, Self.wanted) = found[1]
        else {
            Issue.record("\(found)")
            return
        }
    }

    @Test func whatIsInTheWayAndInUseIsSaid() throws {
        let plan = plan(
            Sample.export { target, _ in
                target.portals = [Self.everywhere]
                target.acls[0].sessions = [ObservedSession(state: "LOGGED_IN")]
            })
        #expect(plan.isEmpty)
        let change = try #require(attachment(plan))
        #expect(change.reason == .portalUnusable && change.summary.contains("beside 0.0.0.0:3260"))
    }

    @Test func aTargetHasAPortalAllTheTimeWhereBothCanBe() {
        let former = Portal(address: "192.0.2.66")
        let found = steps(plan(Sample.export { target, _ in target.portals = [former] }))
        guard found.count == 2, case .addPortal(_, Self.wanted) = found[0], case .removePortal(_, former) = found[1]
        else {
            Issue.record("\(found)")
            return
        }
    }

    @Test func whatIsNotDeclaredStaysAsLongAsNothingElseCanBeListenedOn() throws {
        var targets = Sample.export { target, _ in target.portals = [Self.everywhere] }
        targets.targets.append(ObservedTarget(iqn: Self.other, portals: [Self.everywhere]))
        let plan = plan(targets)
        #expect(plan.isEmpty)
        let change = try #require(attachment(plan))
        #expect(change.action == .blocked && change.reason == .portalUnusable)
        #expect(change.summary.contains("beside 0.0.0.0:3260 of target \(Self.other): "))
        // With another step to do it is done, and the plan still says what stays.
        targets.targets[0].settings[.generateNodeACLs] = true
        let mended = self.plan(targets)
        #expect(mended.steps.count == 1 && attachment(mended)?.reason == .portalUnusable)
        #expect(attachment(mended)?.notes.contains { $0.contains("0.0.0.0:3260 is not declared and stays") } == true)
        // Not where the target is reached by another that is declared.
        targets.targets[0].portals = [Self.everywhere, Portal(address: "192.0.2.10", port: 3261)]
        let reached = steps(
            self.plan(targets) {
                $0.volumes["db"]?.spec.portals = [Self.wanted, Portal(address: "192.0.2.10", port: 3261)]
            })
        #expect(reached.contains { if case .removePortal(_, Self.everywhere) = $0 { true } else { false } })
    }

    @Test func anotherSpellingIsTheSamePortalAndIsRemovedByItsOwnName() throws {
        let spelled = try #require(Portal(objectName: "[FD00:0::10]:3260"))
        let same = plan(Sample.export { target, _ in target.portals = [spelled] }) {
            $0.volumes["db"]?.spec.portals = [Portal(text: "[fd00::10]")!]
        }
        #expect(same.isEmpty && attachment(same)?.action == .unchanged)
        let found = steps(plan(Sample.export { target, _ in target.portals.append(spelled) }))
        guard found.count == 1, case .removePortal(_, let portal) = found[0] else {
            Issue.record("\(found)")
            return
        }
        #expect(portal.objectName == "[FD00:0::10]:3260")
    }

    @Test func whereNobodyCanListenNothingIsBegun() {
        let plan = plan(TargetInventory()) { $0.volumes["db"]?.spec.portals = [Portal(address: "fe80::1")] }
        #expect(plan.isEmpty && attachment(plan)?.reason == .portalUnusable)
        #expect(attachment(plan)?.summary.contains("[fe80::1%eth0]:3260") == true)
    }
}
