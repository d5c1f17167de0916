import FoundationEssentials
import Glibc
import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

@Suite struct AcceptedStoreTests {
    /// Runs a body with a directory of its own.
    private func inDirectory(_ body: (String) throws -> Void) throws {
        let directory = "/tmp/tuff-accepted-\(UInt64.random(in: 0...UInt64.max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try body(directory)
    }

    private var sample: AcceptedExports {
        var desired = Sample.desired(attached: ["db"])
        desired.pools["dir"] = Sample.declared(
            "dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/pool"))))
        let secret = SecretReference(file: "/etc/tuff/secrets/web1")
        desired.attachments["db-on-web1"]?.spec.chap = CHAPSpec(
            initiator: CHAPCredential(user: "web1", password: secret),
            mutual: CHAPCredential(user: "storage1", password: secret))
        desired.volumes["db"]?.spec.portals = [
            Portal(address: "2001:db8::1"), Portal(address: "192.0.2.1", port: 3261),
        ]
        return AcceptedExports(desired, context: Sample.context())
    }

    @Test func whatIsSavedIsLoadedAndOnlyOursToRead() throws {
        try inDirectory { directory in
            let store = AcceptedStore(directory: directory)
            #expect(try store.stacks().isEmpty)
            #expect(try store.load("default") == nil)
            var other = sample
            other.stack = "other"
            try store.save(sample)
            try store.save(other)
            #expect(try store.load("default") == sample)
            #expect(try store.stacks() == ["default", "other"])
            var status = stat()
            #expect(stat("\(directory)/accepted-default.json", &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test func aDamagedNewerOrMisplacedRecordIsRefusedWithTheReason() throws {
        try inDirectory { directory in
            let store = AcceptedStore(directory: directory)
            try store.save(sample)
            let path = "\(directory)/accepted-default.json"
            let good = try Data(contentsOf: URL(filePath: path))
            let newer = String(decoding: good, as: UTF8.self).replacing("\"version\":1", with: "\"version\":2")
            let misplaced = String(decoding: good, as: UTF8.self).replacing(
                "\"stack\":\"default\"", with: "\"stack\":\"other\"")
            let cases = [
                (Data(), "damaged"), (good.prefix(good.count / 2), "damaged"),
                (Data("{\"version\":1}".utf8), "damaged"),
                (Data(misplaced.utf8), "damaged"), (Data(newer.utf8), "newer version"),
            ]
            for (data, word) in cases {
                try data.write(to: URL(filePath: path))
                chmod(path, 0o600)
                let error = #expect(throws: HostError.self) { try store.load("default") }
                #expect(error?.sentence.contains(word) == true, "\(error as Any)")
            }
        }
    }
}

/// The whole way on a fake host: apply, shutdown, power off, boot.
@Suite struct BootTests {
    let machine: FakeMachine

    init() {
        var world = FakeWorld()
        world.secrets["/etc/tuff/secrets/web1"] = "correct horse battery"
        machine = FakeMachine(world)
    }

    private var reconciler: Reconciler {
        Reconciler(
            machine: machine, config: Sample.config, volumeGroups: LVMDriver(), directories: DirectoryPoolDriver(),
            exports: LIODriver(), ledger: MemoryLedger())
    }

    private func inventory() async throws -> TargetInventory {
        let observed = try await reconciler.observe(DesiredState(), context: Sample.context())
        return try #require(observed.targets.value)
    }

    private func carryOut(_ order: Order, _ sources: DesiredState = DesiredState()) async throws -> ApplyReport {
        let context = Sample.context()
        let observed = try await reconciler.observe(sources, context: context)
        let plan = try Planner.plan(order, observed: observed, context: context)
        return try await reconciler.apply(plan, desired: sources, order: order, observed: observed)
    }

    private func apply(_ desired: DesiredState) async throws -> ApplyReport {
        let observed = try await reconciler.observe(desired, context: Sample.context())
        let plan = Planner.plan(desired: desired, observed: observed, context: Sample.context())
        return try await reconciler.apply(plan, desired: desired, observed: observed)
    }

    private var desired: DesiredState {
        var desired = Sample.desired(volumes: ["db", "log"], attached: ["db", "log"])
        desired.attachments["db-on-web1"]?.spec.chap = CHAPSpec(
            initiator: CHAPCredential(user: "web1", password: SecretReference(file: "/etc/tuff/secrets/web1")))
        return desired
    }

    @Test func whatAShutdownTakesDownABootBringsBackAlike() async throws {
        #expect(try await apply(desired).outcome == .converged)
        let before = try await inventory()
        let data = machine.world.data()
        #expect(try await carryOut(.withdrawExports).outcome == .converged)
        #expect(try await inventory() == TargetInventory())
        let accepted = AcceptedExports(desired, context: Sample.context())
        #expect(try await carryOut(.restoreExports(accepted), accepted.sources).outcome == .converged)
        #expect(try await inventory() == before)
        #expect(machine.world.data() == data)
    }

    @Test func afterAPowerCutTooAndAVolumeThatIsGoneStaysGone() async throws {
        #expect(try await apply(desired).outcome == .converged)
        let before = try await inventory()
        machine.reboot()
        #expect(try await inventory() == TargetInventory())
        machine.meddle { try? $0.lvm.remove("v-log", in: "vg0") }
        let data = machine.world.data()
        let accepted = AcceptedExports(desired, context: Sample.context())
        let report = try await carryOut(.restoreExports(accepted), accepted.sources)
        #expect(report.outcome == .partly)
        #expect(try await inventory().targets == before.targets.filter { $0.iqn.hasSuffix(":db") })
        #expect(machine.world.data() == data)
        let again = try await carryOut(.restoreExports(accepted), accepted.sources)
        #expect(again.plan.isEmpty)
    }
}
