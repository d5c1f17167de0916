import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// An export that was interrupted between any two actions is finished by the next pass.
@Suite struct InterruptedExportTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var kind: TargetDriver
        var chap: Bool
        var readOnly: Bool
        var testDescription: String { "\(kind.rawValue)\(chap ? " CHAP" : "")\(readOnly ? " read-only" : "")" }
    }

    static let cases = [
        Case(kind: .lio, chap: false, readOnly: false), Case(kind: .lio, chap: true, readOnly: true),
        Case(kind: .tgt, chap: false, readOnly: false), Case(kind: .tgt, chap: false, readOnly: true),
    ]

    private func context(_ kind: TargetDriver) -> PlanContext {
        var context = Sample.context()
        context.config.targetDriver = kind
        context.config.allow = Reach(everythingBeneath: ["/etc/tuff", "/srv"])
        return context
    }

    private func driver(_ kind: TargetDriver) -> any ExportDriver {
        kind == .lio ? LIODriver() : TgtDriver()
    }

    private func desired(_ test: Case) -> DesiredState {
        var state = Sample.desired(attached: ["db"])
        state.attachments["db-on-web1"]?.spec.readOnly = test.readOnly
        if test.chap {
            let web1 = CHAPCredential(user: "web1", password: SecretReference(file: "/etc/tuff/web1"))
            let storage = CHAPCredential(user: "storage", password: SecretReference(file: "/etc/tuff/storage"))
            state.attachments["db-on-web1"]?.spec.chap = CHAPSpec(initiator: web1, mutual: storage)
        }
        return state
    }

    private func world() -> FakeWorld {
        var world = FakeWorld()
        world.otherDevices["/dev/vg0/v-db"] = Sample.gibi(10)
        world.otherDeviceUUIDs["/dev/vg0/v-db"] = "LVM-vguuiduuiddb"
        world.tgt.portals = Sample.config.portals
        world.secrets = ["/etc/tuff/web1": "first secret", "/etc/tuff/storage": "second secret"]
        return world
    }

    /// The export actions that the planner wants on this machine now.
    private func wanted(_ test: Case, on machine: FakeMachine) async throws -> [HostAction] {
        let context = context(test.kind)
        let key = FingerprintKey(bytes: context.fingerprintKeyBytes)
        var observed = Sample.observed([Sample.volume(active: true)])
        observed.targets = await driver(test.kind).observe(machine, key: key)
        for file in ["/etc/tuff/web1", "/etc/tuff/storage"] {
            let print = try await machine.fingerprint(SecretReference(file: file), key: key)
            observed.secrets.entries[file] = .known(print)
        }
        let plan = Planner.plan(desired: desired(test), observed: observed, context: context)
        #expect(plan.counts.blocked == 0, "\(plan.changes)")
        let steps = plan.steps.compactMap { step in
            if case .export(let export) = step.step { export } else { nil }
        }
        #expect(steps.count == plan.steps.count)
        return driver(test.kind).lower(steps).flatMap(\.actions)
    }

    @Test(arguments: cases) func everyPrefixIsFinishedByTheNextPass(_ test: Case) async throws {
        let whole = FakeMachine(world())
        let actions = try await wanted(test, on: whole)
        #expect(actions.count > 5)
        try await whole.perform(actions)
        #expect(try await wanted(test, on: whole).isEmpty)
        let goal = await driver(test.kind).observe(whole, key: FingerprintKey(bytes: [1]))
        for length in 0...actions.count {
            let machine = FakeMachine(world())
            try await machine.perform(Array(actions.prefix(length)))
            let rest = try await wanted(test, on: machine)
            try await machine.perform(rest)
            #expect(
                try await wanted(test, on: machine).isEmpty, "cut after \(length): \(actions.prefix(length).suffix(2))")
            let reached = await driver(test.kind).observe(machine, key: FingerprintKey(bytes: [1]))
            #expect(reached == goal, "cut after \(length): \(actions.prefix(length).suffix(2))")
        }
    }

    @Test(arguments: cases) func nobodySeesAWritableDiskThatShouldBeReadOnly(_ test: Case) async throws {
        guard test.readOnly else { return }
        let actions = try await wanted(test, on: FakeMachine(world()))
        for length in 0...actions.count {
            let machine = FakeMachine(world())
            try await machine.perform(Array(actions.prefix(length)))
            let seen = FakeInitiators(machine: machine, kind: test.kind)
            let iqn = "\(Sample.iqnBase):db"
            let letIn = seen.serial(iqn, as: Sample.initiator, chap: nil) != nil || test.kind == .lio
            #expect(!letIn || !seen.isWritable(iqn, as: Sample.initiator), "after \(actions.prefix(length))")
        }
    }

    @Test func secretsAreNeverReadableByOthersNotEvenForAMoment() async throws {
        let test = Case(kind: .lio, chap: true, readOnly: false)
        let actions = try await wanted(test, on: FakeMachine(world()))
        for length in 0...actions.count {
            let machine = FakeMachine(world())
            try await machine.perform(Array(actions.prefix(length)))
            let inventory = try #require(await LIODriver().observe(machine, key: FingerprintKey(bytes: [1])).value)
            #expect(inventory.targets.flatMap(\.acls).allSatisfy { $0.chap.exposed.isEmpty })
        }
    }

    @Test func anUnloadedKernelTargetIsUnknownAndNamesTheModule() async throws {
        var world = FakeWorld()
        world.targets.isLoaded = false
        let observation = await LIODriver().observe(FakeMachine(world), key: FingerprintKey(bytes: []))
        guard case .unknown(let error) = observation else {
            Issue.record("observed \(observation)")
            return
        }
        #expect(error.code == .notFound)
        #expect(error.sentence.contains("modprobe iscsi_target_mod"))
    }

    @Test func anEmptyTargetStackIsKnownToBeEmpty() async throws {
        let machine = FakeMachine(FakeWorld())
        for kind in TargetDriver.allCases {
            let observation = await driver(kind).observe(machine, key: FingerprintKey(bytes: []))
            #expect(observation == .known(TargetInventory()))
        }
    }

    /// Somebody adds a LUN in the place of ours between the look and the act.
    @Test func aLUNThatCameMeanwhileIsNotTakenForOurs() async throws {
        let test = Case(kind: .tgt, chap: false, readOnly: false)
        let machine = FakeMachine(world())
        let actions = try await wanted(test, on: machine)
        let new = try #require(actions.firstIndex { "\($0)".contains("--op new --mode logicalunit") })
        try await machine.perform(Array(actions.prefix(new)))
        var theirs = world()
        theirs.otherDevices["/dev/sdx"] = Sample.gibi(1)
        let command = try #require(
            { if case .run(let command) = actions[new] { command } else { nil } }() as Command?)
        let arguments = command.arguments.map { $0 == "/dev/vg0/v-db" ? "/dev/sdx" : $0 }
        machine.meddle { world in
            world.otherDevices = theirs.otherDevices
            let devices = theirs.otherDevices
            #expect(world.tgt.run(arguments) { devices[$0] }.status == 0)
        }
        await #expect(throws: HostError.self) { try await machine.perform(Array(actions[new...])) }
        let units = machine.world.tgt.targets.values.flatMap { $0.units.values }
        #expect(units.allSatisfy { UID(backstoreName: $0.id) == nil }, "somebody's LUN got our name")
    }

    /// The same world with two targets, one of which hangs somewhere.
    @Test(arguments: ["acls", "", "lun"]) func aTargetThatHangsIsUnseenAndTheOthersAreSeen(_ where: String) async throws
    {
        var world = FakeWorld()
        let group = "iscsi/iqn.2026-01.dev.tuff:stuck/tpgt_1"
        for path in ["iscsi", "iscsi/iqn.2026-01.dev.tuff:stuck", group, "iscsi/iqn.2026-01.dev.tuff:fine"] {
            try world.targets.meddle(.makeDirectory(.target(path)))
        }
        let machine = FakeMachine(world)
        let key = FingerprintKey(bytes: [])
        let whole = try #require(await LIODriver().observe(machine, key: key).value)
        machine.meddle { $0.targets.hanging = [`where`.isEmpty ? group : "\(group)/\(`where`)"] }
        let found = try #require(await LIODriver().observe(machine, key: key).value)
        #expect(found.targets == whole.targets.filter { $0.iqn.hasSuffix("fine") })
        #expect(found.unseen?.targets.mapValues(\.code) == ["iqn.2026-01.dev.tuff:stuck": .timeout])
        #expect(found.unseen?.backstores.isEmpty == true && found.unseen?.unlisted == nil)
        machine.meddle { $0.targets.hanging = ["iscsi"] }
        #expect(await LIODriver().observe(machine, key: key).value == nil, "nothing is known of what is absent")
    }

    @Test func manyTargetsThatHangAreNotAllTried() async throws {
        var world = FakeWorld()
        var hanging: Set<String> = []
        try world.targets.meddle(.makeDirectory(.target("iscsi")))
        for number in 10..<40 {
            let target = "iscsi/iqn.2026-01.dev.tuff:t\(number)"
            try world.targets.meddle(.makeDirectory(.target(target)))
            try world.targets.meddle(.makeDirectory(.target("\(target)/tpgt_1")))
            hanging.insert("\(target)/tpgt_1")
        }
        world.targets.hanging = hanging
        let machine = FakeMachine(world)
        let found = try #require(await LIODriver().observe(machine, key: FingerprintKey(bytes: [])).value)
        #expect(found.targets.isEmpty && found.unseen?.targets.count == 30)
        #expect(found.unseen?.targets.values.count { $0.code == .timeout } ?? 0 <= 4)
        #expect(machine.calls.reads[.targets, default: 0] <= 6)
    }

    @Test func aSilentDaemonIsUnknown() async throws {
        var world = FakeWorld()
        world.tgt.isRunning = false
        let observation = await TgtDriver().observe(FakeMachine(world), key: FingerprintKey(bytes: []))
        #expect(observation.value == nil)
    }
}
