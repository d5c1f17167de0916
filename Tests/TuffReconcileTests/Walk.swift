import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// A random history of one machine: people edit documents and meddle by hand, the power goes, the controller is killed.
/// Everything follows from the seed.
struct Walk {
    var generator: SeededGenerator
    let machine: FakeMachine
    let ledger = MemoryLedger()
    var desired = DesiredState()
    private var minted = 0

    static let directory = "/srv/pool"
    static let secret = "/etc/tuff/secrets/web"
    static let config = ControllerConfig(
        node: "storage1", portals: [Portal(address: "192.0.2.10"), Portal(address: "192.0.2.11")],
        iqnBase: Sample.iqnBase, allow: Reach(directories: [directory], unwiped: true))

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        var world = FakeWorld()
        world.files.addDirectory(Self.directory, sharesBlocks: true)
        world.files.addFile("notes.txt", in: Self.directory, size: ByteCount(100), allocated: ByteCount(4096))
        world.secrets[Self.secret] = "correct horse battery"
        // Somebody else's volume and target, which must stay as they are. The world is empty, so this has room.
        try? world.lvm.create("foreign", in: "vg0", pool: "tp0", size: Sample.gibi(1), tags: ["backup"])
        machine = FakeMachine(world)
        machine.meddle { world in
            for path in ["core/iblock_0", "core/iblock_0/foreign", "iscsi", "iscsi/\(Self.foreignTarget)"] {
                try? world.targets.meddle(.makeDirectory(.target(path)))
            }
        }
        var pool = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp0")))
        pool.overprovision = 4
        desired.pools["fast"] = Sample.declared("fast", pool)
        desired.pools["dir"] = Sample.declared(
            "dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: Self.directory))))
        addThickPool()
        for _ in 0..<Int.random(in: 1...3, using: &generator) { addVolume() }
    }

    static let foreignTarget = "iqn.2003-01.org.linux-iscsi.storage1:foreign"

    var reconciler: Reconciler {
        Reconciler(
            machine: machine, config: Self.config, volumeGroups: LVMDriver(), directories: DirectoryPoolDriver(),
            exports: LIODriver(), ledger: ledger)
    }

    mutating func context() -> PlanContext {
        minted += 1
        return PlanContext(
            now: machine.now(), seed: "\(generator.next())-\(minted)", config: Self.config)
    }

    // MARK: What people do

    private mutating func addVolume() {
        minted += 1
        let name = "v\(minted)"
        let pool = Self.pools.randomElement(using: &generator) ?? "fast"
        desired.volumes[name] = Sample.declared(
            name, VolumeSpec(size: ByteCount(Int64.random(in: 1...32, using: &generator) << 24), placement: .pool(pool))
        )
        if Int.random(in: 0..<3, using: &generator) > 0 { attach(name) }
    }

    private mutating func attach(_ volume: String) {
        guard !desired.attachments.values.contains(where: { $0.spec.volume == volume }) else { return }
        var spec = AttachmentSpec(volume: volume, initiator: Sample.initiator)
        spec.readOnly = Bool.random(using: &generator)
        if Bool.random(using: &generator) {
            spec.chap = CHAPSpec(initiator: CHAPCredential(user: "web", password: SecretReference(file: Self.secret)))
        }
        desired.attachments["\(volume)-on-web"] = Sample.declared("\(volume)-on-web", spec)
    }

    /// One edit of the documents.
    mutating func edit() {
        let names = desired.volumes.keys.sorted()
        guard let name = names.randomElement(using: &generator) else { return addVolume() }
        let attachments = desired.attachments.keys.sorted()
        switch Int.random(in: 0..<8, using: &generator) {
        case 6: snapshot(name)
        case 7: clone(name)
        case 0: addVolume()
        case 1:
            guard mayGrow(name) else { return }
            desired.volumes[name]!.spec.size += ByteCount(Int64.random(in: 1...32, using: &generator) << 22)
        case 2: attach(name)
        case 3:
            guard let attachment = attachments.randomElement(using: &generator) else { return }
            desired.attachments[attachment]!.spec.readOnly.toggle()
        case 4:
            guard let attachment = attachments.randomElement(using: &generator) else { return }
            desired.attachments[attachment]!.spec.chap =
                desired.attachments[attachment]!.spec.chap == nil
                ? CHAPSpec(initiator: CHAPCredential(user: "web", password: SecretReference(file: Self.secret))) : nil
        default:
            let portals = [Portal(address: "192.0.2.10"), Portal(address: "192.0.2.12"), Portal(address: "192.0.2.13")]
            desired.volumes[name]!.spec.portals = Array(portals.shuffled(using: &generator).prefix(2))
        }
    }

    /// One change by hand, outside the documents. None of them removes data.
    mutating func meddle() {
        let choice = Int.random(in: 0..<9, using: &generator)
        var generator = generator
        machine.meddle { world in
            let targets = Self.ourTargets(world)
            let target = targets.randomElement(using: &generator)
            switch (choice, target) {
            case (0, _): world.reboot()
            case (1, let target?): try? world.targets.meddle(write: "0", to: "iscsi/\(target)/tpgt_1/enable")
            case (2, let target?):
                let attribute = ["generate_node_acls", "authentication", "cache_dynamic_acls"]
                    .randomElement(using: &generator)!
                try? world.targets.meddle(write: "1", to: "iscsi/\(target)/tpgt_1/attrib/\(attribute)")
            case (3, let target?):
                for path in ["192.0.2.10:3260", "192.0.2.12:3260"] {
                    try? world.targets.meddle(.removeDirectory(.target("iscsi/\(target)/tpgt_1/np/\(path)")))
                }
            case (4, let target?):
                try? world.targets.meddle(.makeDirectory(.target("iscsi/\(target)/tpgt_1/np/198.51.100.1:3260")))
            case (5, let target?):
                let acl = "iscsi/\(target)/tpgt_1/acls/\(Sample.initiator)"
                try? world.targets.meddle(.unlink(.target("\(acl)/lun_0/*")))
                try? world.targets.meddle(.removeDirectory(.target("\(acl)/lun_0")))
                if Bool.random(using: &generator) { try? world.targets.meddle(.removeDirectory(.target(acl))) }
            case (6, let target?):
                let acl = "iscsi/\(target)/tpgt_1/acls/\(Sample.initiator)"
                try? world.targets.meddle(write: "x", to: "\(acl)/auth/userid")
                try? world.targets.meddle(.setMode(.target("\(acl)/auth/password"), 0o644))
            case (7, _):
                if let path = Self.ourPaths(world).randomElement(using: &generator) { Self.write(path, &world) }
            default: world.secrets[Self.secret] = "secret \(generator.next())"
            }
        }
        self.generator = generator
    }

    private static func ourTargets(_ world: FakeWorld) -> [String] {
        let entries = try? world.targets.read([TreeQuery("iscsi/*", .presence)], key: FingerprintKey(bytes: []))
        return (entries ?? []).map { String($0.path.dropFirst("iscsi/".count)) }
            .filter { $0.hasPrefix(Sample.iqnBase) }
    }

    private static func ourPaths(_ world: FakeWorld) -> [String] {
        (world.lvm["vg0"]?.volumes.keys.filter { $0.hasPrefix("v-") } ?? []).sorted()
    }

    private static func write(_ name: String, _ world: inout FakeWorld) {
        world.lvm.write(to: name, in: "vg0")
    }

    // MARK: Passes

    /// One pass as `tuff apply` makes it, under `faults`.
    mutating func apply(_ faults: FaultPlan = FaultPlan()) async throws -> ApplyReport {
        let context = context()
        let observed = try await reconciler.observe(desired, context: context)
        let plan = Planner.plan(desired: desired, observed: observed, context: context)
        machine.setFaults(faults)
        let report = try await reconciler.apply(plan, desired: desired, observed: observed)
        machine.setFaults(FaultPlan())
        return report
    }
}
