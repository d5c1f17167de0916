import TuffModel
import TuffPlanning
import TuffTestSupport

/// Pools that are to be made, of devices that are blank and of some that are not.
extension Simulation {
    static let blankDevices = ["/dev/disk/by-id/blank-0", "/dev/disk/by-id/blank-1"]
    static let thickDevice = "/dev/disk/by-id/blank-2"
    static let spareDevice = "/dev/disk/by-id/blank-3"
    /// Nothing tells whose its bytes are, so that LVM itself would take it.
    static let usedDevice = "/dev/disk/by-id/used"
    static let foreignDevice = "/dev/disk/by-id/foreign"

    static func plugIn(_ world: inout FakeWorld) {
        for path in blankDevices + [thickDevice, spareDevice] { world.lvm.plugIn(path) }
        world.lvm.plugIn(usedDevice) { $0.firstData = 1 << 27 }
        world.lvm.plugIn(foreignDevice) { $0.signatures = [DeviceSignature(type: "ext4", offset: 1080)] }
    }

    /// A dead host's group, which no document speaks of, with what was in its trash too long.
    static func plugInRescued(_ world: inout FakeWorld) {
        var marks = Sample.marks("rescued", uid: Sample.uid(8))
        marks.until = Instant(text: "2026-01-01T00:00:00Z")
        world.lvm.addGroup("rescue", size: ByteCount(1 << 30))
        try? world.lvm.create("t-\(marks.uid)", in: "rescue", size: ByteCount(16 << 20), tags: marks.tags)
    }

    func homes() -> Set<String> {
        Set(
            desired.pools.values.map { pool in
                switch pool.spec.storage {
                case .thinPool(let group, _), .thick(let group): group
                case .directory(let path): Self.home(path, pool.spec.share)
                }
            })
    }

    /// The consent that an edit comes with.
    static func consent(_ edit: Edit) -> Consent {
        var consent = pruning
        consent.allowDestroy = edit.destroys
        consent.allowPoolCreate = edit.makesPool
        return consent
    }

    /// The devices that documents offer, by group.
    func offers() -> [String: Set<String>] {
        var result: [String: Set<String>] = [:]
        for pool in desired.pools.values {
            guard case .lvm(let lvm) = pool.spec.backend, let create = lvm.create else { continue }
            result[lvm.volumeGroup, default: []].formUnion(create.devices)
        }
        return result
    }

    mutating func editPool(_ edit: Edit) -> Bool {
        switch edit {
        case .autoExtend:
            guard var pool = desired.pools["fast"] else { return false }
            pool.spec.autoExtend =
                pool.spec.autoExtend == nil
                ? AutoExtendSpec(threshold: Percentage(80), by: Percentage(20)) : nil
            desired.pools["fast"] = pool
        case .stopMonitoring: meddle { $0.lvm["vg0", "tp0"]?.isMonitored = false }
        case .declarePool:
            guard desired.pools["made"] == nil else { return false }
            desired.pools["made"] = Self.pool("made", "vg1", Self.blankDevices)
            desired.volumes["within"] = Sample.declared(
                "within", VolumeSpec(size: ByteCount(16 << 20), placement: .pool("made")))
        case .declareThickPool:
            guard desired.pools["thick"] == nil else { return false }
            desired.pools["thick"] = Self.pool("thick", "vg3", [Self.thickDevice], thinPool: nil)
            desired.volumes["inside"] = Sample.declared(
                "inside", VolumeSpec(size: ByteCount(16 << 20), placement: .pool("thick")))
        case .declareMixedPool:
            // One of its devices is blank, which makes the other no less somebody's.
            guard desired.pools["mixed"] == nil else { return false }
            desired.pools["mixed"] = Self.pool("mixed", "vg4", [Self.spareDevice, Self.foreignDevice])
        case .changeWipe:
            guard case .lvm(var lvm)? = desired.pools["slow"]?.spec.backend else { return false }
            let all: [LVMPoolSpec.Wipe] = [.zero, .discard, .none]
            lvm.wipe = all[((all.firstIndex(of: lvm.wipe) ?? 0) + 1) % all.count]
            desired.pools["slow"]?.spec.backend = .lvm(lvm)
        default:
            guard desired.pools["refused"] == nil else { return false }
            desired.pools["refused"] = Self.pool("refused", "vg2", [Self.usedDevice, Self.foreignDevice])
        }
        return true
    }

    private static func pool(_ name: String, _ group: String, _ devices: [String], thinPool: String? = "tp")
        -> Declared<PoolSpec>
    {
        var lvm = LVMPoolSpec(volumeGroup: group, thinPool: thinPool)
        lvm.create = PoolCreation(devices: devices)
        return Sample.declared(name, PoolSpec(backend: .lvm(lvm)))
    }
}
