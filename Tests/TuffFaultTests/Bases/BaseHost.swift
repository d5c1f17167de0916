import FoundationEssentials
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// A host with one thin volume and one repository, its controller, and an oracle that knows what each restore point
/// must hold.
final class BaseHost {
    /// What a person does between passes.
    enum Edit: String, CaseIterable, Sendable {
        case backUp, write, reserve, release, removeBase, exchangeBase, writeToBase, forgetBackups, losePoints
    }

    static let config = ControllerConfig(
        node: "storage1", portals: [Portal(address: "192.0.2.10")], iqnBase: Sample.iqnBase,
        allow: Reach(directories: ["/srv/backups"]))
    static let site = "/srv/backups/nas"

    let machine: FakeMachine
    let state: Folder
    let driver: any VolumeGroupDriver
    let ledger = MemoryLedger()
    var desired = Sample.desired()
    /// The content that the volume had when each point was made.
    private(set) var expected: [String: UInt64] = [:]
    private(set) var violations: [String] = []
    private var backups = 0, seeds: UInt64 = 0
    /// Somebody else holds the pool's metadata.
    private var foreignBlock: UInt64?

    /// - Parameter mutate: makes the driver of a controller that is at fault.
    init(
        isSampled: Bool = true, lies: Bool = false,
        mutate: (LVMDriver) -> any VolumeGroupDriver = { $0 }
    ) throws {
        var world = FakeWorld()
        var repository = FakeRepository(id: FakeRepository.name(7))
        repository.isSampled = isSampled
        world.repositories[Self.site] = repository
        machine = FakeMachine(world)
        state = try Folder()
        driver = mutate(LVMDriver(stateDirectory: state.path))
        desired.backupRepositories["nas"] = Sample.declared("nas", BackupRepositorySpec(site: .directory(Self.site)))
        machine.meddle { $0.lvm.metadata["vg0/tp0", default: FakeLVM.Metadata()].lies = lies }
    }

    var content: UInt64? { machine.world.lvm["vg0", "v-db"]?.content }

    var bases: [FakeLVM.Volume] {
        (machine.world.lvm["vg0"]?.volumes.values.filter { $0.name.hasPrefix("b-") } ?? []).sorted { $0.name < $1.name }
    }

    var held: UInt64? { machine.world.lvm.metadata["vg0/tp0"]?.heldBlock }

    func edit(_ edit: Edit) {
        switch edit {
        case .backUp:
            backups += 1
            let name = "b\(backups)"
            desired.backups[name] = Sample.declared(name, BackupSpec(volume: "db", repository: "nas"))
        case .write: machine.meddle { $0.lvm.write(to: "v-db", in: "vg0") }
        case .reserve:
            machine.meddle { $0.lvm.reserve("tp0", in: "vg0") }
            foreignBlock = held
        case .release:
            machine.meddle { $0.lvm.release("tp0", in: "vg0") }
            foreignBlock = nil
        case .removeBase:
            let names = bases.map(\.name)
            machine.meddle { world in names.forEach { world.lvm["vg0", $0] = nil } }
        case .exchangeBase:
            for base in bases {
                machine.meddle { world in
                    world.lvm["vg0", base.name] = nil
                    try? world.lvm.snapshot(base.name, of: "v-db", in: "vg0")
                    world.lvm["vg0", base.name]?.tags = base.tags
                    world.lvm["vg0", base.name]?.isReadOnly = true
                }
            }
        case .writeToBase:
            for base in bases {
                machine.meddle { world in
                    world.lvm["vg0", base.name]?.isReadOnly = false
                    world.lvm.write(to: base.name, in: "vg0")
                }
            }
        case .forgetBackups: desired.backups = [:]
        case .losePoints:
            machine.meddle { $0.repositories[Self.site]?.points.removeAll() }
            // Named ones would be made again.
            desired.backups = [:]
        }
    }

    // MARK: Passes

    /// One pass as a controller makes it.
    /// - Returns: whether nothing is left to do.
    func pass(_ faults: FaultPlan = FaultPlan()) async -> Bool {
        let before = content
        defer { judge(contentBefore: before) }
        _ = await driver.settleHolds(on: machine)
        let reconciler = Reconciler(
            machine: machine, config: Self.config, volumeGroups: driver, directories: DirectoryPoolDriver(),
            exports: LIODriver(), ledger: ledger)
        seeds += 1
        let context = PlanContext(now: machine.now(), seed: "seed \(seeds)", config: Self.config)
        do throws(HostError) {
            let observed = try await reconciler.observe(desired, context: context)
            let plan = Planner.plan(desired: desired, observed: observed, context: context)
            guard !plan.isEmpty else { return true }
            machine.setFaults(faults)
            let report = try await reconciler.apply(plan, desired: desired, observed: observed)
            machine.setFaults(FaultPlan())
            return report.remaining.steps.isEmpty
        } catch {
            machine.setFaults(FaultPlan())
            return false
        }
    }

    private func judge(contentBefore before: UInt64?) {
        let repository = machine.world.repositories[Self.site]
        for (id, stamp) in repository?.stamps ?? [:] {
            if expected[id] == nil { expected[id] = before ?? content }
            if expected[id] != stamp { note("restore point \(id) holds \(stamp) and not \(expected[id] ?? 0)") }
        }
        if let foreignBlock, held != foreignBlock { note("somebody else's reserve was given back") }
    }

    func note(_ sentence: String) { if !violations.contains(sentence) { violations.append(sentence) } }

    /// A new controller, or a boot.
    func recover(rebooting: Bool) {
        if rebooting {
            machine.reboot()
            machine.meddle { world in
                for name in world.lvm["vg0"]?.volumes.keys.sorted() ?? [] where name.hasPrefix("v-") {
                    world.lvm["vg0", name]?.active = true
                }
            }
        } else {
            machine.restartController()
        }
    }

    /// At most three passes bring the host to rest; then nothing is left that nobody needs.
    func settle() async {
        var isDone = false
        for _ in 0..<3 where !isDone { isDone = await pass() }
        if !isDone { note("three passes are not enough") }
        if await pass() == false { note("the next pass still does something") }
        if bases.count > 1 { note("\(bases.count) bases are kept for one volume and repository") }
        if bases.contains(where: { $0.tags.contains("tuff:op=backup") }) { note("an unfinished base is kept") }
        if foreignBlock == nil, held != nil { note("a reserve of ours is left") }
        let records = Folder.names(in: state.path).filter { $0.hasPrefix("metadata-hold") }
        if !records.isEmpty { note("a record of a reserve is left") }
        for name in desired.backups.keys.sorted()
        where machine.world.repositories[Self.site]?.points.contains(where: { $0.backup == name }) != true {
            note("Backup/\(name) is not made")
        }
    }
}
