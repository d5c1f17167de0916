import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Targets whose portals are in each other's way, and that move in one plan.
@Suite struct PortalMovePlanTests {
    private static let everywhere = Portal(address: "0.0.0.0"), wanted = Portal(address: "192.0.2.10")
    private static let names = ["a", "b", "c"]

    private struct World {
        var desired: DesiredState
        var inventory = TargetInventory()
        var volumes: [LogicalVolume] = []

        /// An export of each volume as its document wants it, but for the portal.
        init(_ names: [String], on portal: Portal = everywhere) {
            desired = Sample.desired(volumes: names, attached: names)
            for (index, name) in names.enumerated() {
                let uid = Sample.uid(UInt8(index + 1))
                volumes.append(Sample.volume(name, size: Sample.gibi(1), uid: uid, active: true))
                desired.volumes[name]?.spec.size = Sample.gibi(1)
                let one = Sample.export { target, backstore in
                    target.iqn = PortalMovePlanTests.iqn(name)
                    target.portals = [portal]
                    target.luns[0].backstore = uid.backstoreName
                    target.acls[0].mark = AccessMark(attachment: "\(name)-on-web1", onRemove: .waitForLogout)
                    backstore.name = uid.backstoreName
                    backstore.place = "iblock_\(index)"
                    backstore.path = "/dev/vg0/v-\(name)"
                    backstore.identity = DiskIdentity(serial: uid.serial)
                }
                inventory.targets += one.targets
                inventory.backstores += one.backstores
            }
        }

        func plan(_ portals: [Portal] = [wanted]) -> Plan {
            var context = Sample.context()
            context.config.portals = portals
            return Planner.plan(
                desired: desired, observed: Sample.observed(volumes, targets: inventory), context: context)
        }

        mutating func logIn(to index: Int) {
            inventory.targets[index].acls[0].sessions = [ObservedSession(state: "LOGGED_IN")]
        }
    }

    private static func iqn(_ name: String) -> String { "\(Sample.iqnBase):\(name)" }

    /// `-a 0.0.0.0:3260` or `+a 192.0.2.10:3260` for each step on a portal; other steps by their name.
    private func moves(_ plan: Plan) -> [String] {
        plan.steps.map { step in
            func name(_ target: TargetRef) -> String { String(target.iqn.dropFirst(Sample.iqnBase.count + 1)) }
            switch step.step {
            case .export(.removePortal(let target, let portal)): return "-\(name(target)) \(portal)"
            case .export(.addPortal(let target, let portal)): return "+\(name(target)) \(portal)"
            default:
                let path = "\(step.step)".split(separator: "(").dropFirst().first ?? ""
                return path.split(separator: ".").last.map(String.init) ?? ""
            }
        }
    }

    private func attachment(_ plan: Plan, _ name: String) -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(.attachment, "\(name)-on-web1") }
    }

    /// Steps that have to end well before a step, directly or not.
    private func conditions(of id: Int, in plan: Plan) -> Set<Int> {
        var found: Set<Int> = [], open = plan.steps[id].after
        while let next = open.popLast() {
            if found.insert(next).inserted { open += plan.steps[next].after }
        }
        return found
    }

    // MARK: All may leave

    @Test(arguments: [(everywhere, wanted), (wanted, everywhere), (Portal(address: "::"), wanted)])
    func allLeaveTheirOldPortalsBeforeTheFirstGetsANewOne(old: Portal, new: Portal) {
        let plan = World(Self.names, on: old).plan([new])
        #expect(moves(plan) == Self.names.map { "-\($0) \(old)" } + Self.names.map { "+\($0) \(new)" })
        #expect(plan.counts.change == 3 && plan.counts.blocked == 0)
        for id in 3..<6 { #expect(conditions(of: id, in: plan) == [0, 1, 2]) }
        for (index, name) in Self.names.enumerated() {
            #expect(attachment(plan, name)?.notes == [])
            let own = plan.steps.filter { plan.changes[$0.change].resource.name == "\(name)-on-web1" }.map(\.id)
            #expect(own == [index, index + 3])
        }
    }

    @Test func whatIsInNobodysWayGoesAfterTheNewOneIsThere() {
        var world = World(["a", "b"])
        world.inventory.targets[0].portals.append(Portal(address: "0.0.0.0", port: 3261))
        #expect(
            moves(world.plan()) == [
                "-a 0.0.0.0:3260", "-b 0.0.0.0:3260", "+a 192.0.2.10:3260", "-a 0.0.0.0:3261", "+b 192.0.2.10:3260",
            ])
    }

    @Test func aNewTargetWaitsForTheOldOnes() throws {
        var world = World(Self.names)
        world.inventory.targets.removeFirst()
        world.inventory.backstores.removeFirst()
        let plan = world.plan()
        let moves = moves(plan)
        #expect(moves.prefix(2) == ["-b 0.0.0.0:3260", "-c 0.0.0.0:3260"])
        let addition = try #require(moves.firstIndex(of: "+a 192.0.2.10:3260"))
        #expect(conditions(of: addition, in: plan).isSuperset(of: [0, 1]))
        // Nobody can log in before everything that protects the disk is there.
        let mapping = try #require(moves.firstIndex(of: "mapLUN"))
        #expect(conditions(of: addition, in: plan).contains(mapping))
    }

    /// A run was killed after the removals, and one target had not come to it.
    @Test func aTargetWithoutAnyPortalWaitsForTheLastOldOne() {
        var world = World(["a", "b"])
        world.inventory.targets[0].portals = []
        let plan = world.plan()
        #expect(moves(plan).first == "-b 0.0.0.0:3260")
        #expect(Set(moves(plan).dropFirst()) == ["+a 192.0.2.10:3260", "+b 192.0.2.10:3260"])
        for id in 1..<3 { #expect(conditions(of: id, in: plan) == [0]) }
    }

    /// A target that fails for its own reasons keeps nobody from his portal.
    @Test func repairsComeWhenThePortalIsGoneAndNothingWaitsForThem() throws {
        var world = World(["a", "b"])
        world.inventory.targets[0].settings[.generateNodeACLs] = true
        let plan = world.plan()
        let repair = try #require(plan.steps.first { if case .export(.set) = $0.step { true } else { false } })
        #expect(repair.behind == [0] && repair.after == [])
        for id in 2..<4 { #expect(conditions(of: id, in: plan) == [0, 1]) }
        #expect(repair.id == 4)
    }

    @Test func whatWaitsForManyWaitsForFewDirectly() {
        let names = (0..<70).map { "v\($0 < 10 ? "0" : "")\($0)" }
        let plan = World(names).plan()
        #expect(plan.steps.count == 140 && plan.counts.change == 70)
        #expect((plan.steps.map(\.after.count).max() ?? 0) <= 33)
        #expect(conditions(of: 70, in: plan) == Set(0..<70))
        #expect(conditions(of: 139, in: plan) == Set(0..<70))
    }

    // MARK: Some have to stay

    @Test func aTargetInUseKeepsItsPortalAndIsNamed() throws {
        var world = World(Self.names)
        world.logIn(to: 1)
        let plan = world.plan()
        #expect(plan.isEmpty && plan.counts.blocked == 3)
        for name in Self.names {
            let change = try #require(attachment(plan, name))
            #expect(change.reason == .portalUnusable)
            #expect(
                change.summary.contains(
                    "portal 192.0.2.10:3260 cannot be listened on beside 0.0.0.0:3260 of target "
                        + "\(Self.iqn("b")), to which \(Sample.initiator) is logged in: "), "\(change.summary)")
        }
    }

    @Test func whoIsInNobodysWayMovesBesideOneInUse() {
        var world = World(Self.names)
        world.logIn(to: 1)
        world.desired.volumes["c"]?.spec.portals = [Portal(address: "192.0.2.10", port: 3261)]
        let plan = world.plan()
        #expect(moves(plan) == ["-c 0.0.0.0:3260", "+c 192.0.2.10:3261"])
        #expect(attachment(plan, "a")?.action == .blocked && attachment(plan, "b")?.action == .blocked)
    }

    @Test func aTargetWithAnObstacleOfItsOwnStaysAndIsNamed() throws {
        var world = World(Self.names)
        world.desired.attachments["c-on-web1"]?.spec.chap = CHAPSpec(
            initiator: CHAPCredential(user: "web1", password: SecretReference(file: "/etc/tuff/secrets/none")))
        let plan = world.plan()
        #expect(plan.isEmpty)
        #expect(attachment(plan, "c")?.reason == .secretUnavailable)
        for name in ["a", "b"] {
            let change = try #require(attachment(plan, name))
            #expect(change.action == .blocked && change.reason == .portalUnusable)
            #expect(change.summary.contains("beside 0.0.0.0:3260 of target \(Self.iqn("c")): "), "\(change.summary)")
        }
    }

    /// Each target waits for the next one, and the last is in use: the tries end before the targets do.
    @Test(arguments: [3, 20])
    func aChainOfTargetsThatWaitForEachOtherEnds(count: Int) throws {
        let names = (0..<count).map { "v\($0 < 10 ? "0" : "")\($0)" }
        var world = World(names)
        for (index, name) in names.enumerated() {
            world.inventory.targets[index].portals = [Portal(address: "0.0.0.0", port: 4000 + index)]
            world.desired.volumes[name]?.spec.portals = [
                Portal(address: "192.0.2.10", port: 4000 + min(index + 1, count - 1))
            ]
        }
        world.logIn(to: count - 1)
        let plan = world.plan()
        #expect(plan.isEmpty && plan.counts.blocked == count)
        #expect(attachment(plan, names[0])?.summary.contains("of target \(Self.iqn(names[1]))") == true)
    }

    @Test func documentsThatContradictEachOtherTakeNobodysPortal() {
        var world = World(["a", "b"])
        world.desired.volumes["b"]?.spec.portals = [Self.everywhere]
        let plan = world.plan()
        #expect(plan.isEmpty)
        #expect(attachment(plan, "a")?.reason == .portalUnusable)
        #expect(attachment(plan, "b")?.action == .unchanged)
    }
}
