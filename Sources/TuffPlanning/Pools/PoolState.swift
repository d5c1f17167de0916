package import TuffModel

/// The use that a declared pool can be put to right now.
package struct PoolState: Sendable {
    package var name: String
    package var labels: [String: String]
    package var backend: StorageBackend
    /// Why nothing can be made or grown here; nil when all is well.
    package var obstacle: Obstacle?
    /// That obstacle forbids changes, and what is there serves all the same.
    package var stillServes = false
    /// Thin pools: what is wrong with it or with what it stands on, the worst first.
    package var faults: [VolumeFault] = []
    /// Why nothing may read zeros here that nobody wrote: a thin pool that hands out chunks as earlier volumes left
    /// them. What is there stays in use, and so do its snapshots, which share blocks or copy whole ones.
    package var stale: Obstacle?
    /// Faults that stop nothing.
    package var complaints: [Obstacle] = []
    /// The share of a pool is mounted in another way than declared.
    var mountFault: Obstacle?
    /// Room that may still be promised to new and growing volumes.
    package var budget: PoolBudget
    /// Allocation unit sizes are rounded up to; 1 byte for files.
    package var unit: ByteCount
    /// Thick pools: how new extents are kept from showing what they hold.
    package var wipe: LVMPoolSpec.Wipe?
    /// Thick pools: room of the temporary snapshot from which a volume in use is copied, of that volume's size.
    package var temporaryReserve: Percentage?
    /// Directories: files share blocks when asked to, so that a copy takes a moment and no room.
    package var sharesBlocks = false
    /// Bytes of the logical sectors that initiators see of its volumes; nil: not known.
    package var sectorSize: Int?
    /// LVM's uuid of the group, and after a slash of the thin pool; nil where there is none or nothing was seen.
    package var uuid: String?

    /// Why no volume can be made, grown or filled here. Both would count on what was never written to read zeros.
    package var fillObstacle: Obstacle? { obstacle ?? stale }

    /// Why nobody is given what is there already.
    package var outage: Obstacle? { stillServes ? nil : obstacle }

    /// The same for the line of something that is to live here. What is wrong with the pool stands in its own line,
    /// once, and not in that of each of its volumes.
    var obstacleToVolumes: Obstacle? {
        obstacle.map { Obstacle($0.reason, "pool '\(name)' is not available, see its own line") }
    }

    var obstacleToFilling: Obstacle? { obstacleToVolumes ?? stale }

    /// The same of `outage`.
    var outageToVolumes: Obstacle? { stillServes ? nil : obstacleToVolumes }
}

/// A reason and the sentence that goes with it.
package struct Obstacle: Hashable, Sendable {
    package var reason: Reason
    package var sentence: String

    package init(_ reason: Reason, _ sentence: String) {
        self.reason = reason
        self.sentence = sentence
    }

    package init(_ fault: VolumeFault) { self.init(Reason(rawValue: fault.reason.rawValue), fault.sentence) }
}

/// Virtual and real room of a pool. Cinder's capacity filter is the reference for both halves: what may be promised is
/// (total - reserved) x ratio - provisioned, and no more than free space less the reserve x ratio.
package struct PoolBudget: Sendable {
    package var virtualFree: ByteCount
    /// Free space less the reserve, as it is now; initiators fill it without asking.
    package var realFree = ByteCount.zero
    /// The factor by which it may be promised: overprovision, 1 for what is not thin.
    package var ratio = 1.0
    /// The share of its space, less the reserve, that is really free: from 0 to 1. What is not thin has 1, since its
    /// promises are real.
    package var freeShare = 1.0
    /// Set when the pool's real space is already within its reserve, or not known.
    package var exhausted: Obstacle?
    /// Room that this plan has promised, of which nothing is written yet.
    private var promised = ByteCount.zero

    package init(virtualFree: ByteCount) { self.virtualFree = virtualFree }

    /// Room that may still be promised.
    package var room: ByteCount { min(virtualFree, realFree.scaled(by: ratio) - promised) }

    /// By which pools are weighed. It falls with every promise, so that volumes spread whatever plan they come in, and
    /// a pool that initiators and snapshots have filled has little of it though hardly anything was promised.
    package var score: ByteCount { virtualFree.scaled(by: freeShare) }

    /// Sets the room that is really free, less the reserve, of a pool in which more may be promised than there is.
    package mutating func measure(free: ByteCount, of size: ByteCount, _ spec: PoolSpec) {
        let reserve = spec.reserve.of(size), usable = size - reserve
        ratio = spec.overprovision
        realFree = free - reserve
        freeShare = usable > .zero ? min(max(Double(realFree.bytes) / Double(usable.bytes), 0), 1) : 0
    }

    /// Room that something made in the same plan takes for good.
    package mutating func give(_ amount: ByteCount) {
        virtualFree = virtualFree - amount
        realFree = realFree - amount
    }

    /// Takes `amount` from what may be promised; why not when it does not fit, and then takes nothing.
    package mutating func take(_ amount: ByteCount) -> Obstacle? {
        if let obstacle = obstacle(to: amount) { return obstacle }
        virtualFree = virtualFree - amount
        promised = promised + amount
        return nil
    }

    /// Really takes `amount`, which is written as the plan is carried out.
    package mutating func spend(_ amount: ByteCount) { realFree = realFree - amount }

    /// Undoes a `take` and a `spend`.
    package mutating func giveBack(promised amount: ByteCount, spent: ByteCount) {
        virtualFree = virtualFree + amount
        promised = promised - amount
        realFree = realFree + spent
    }

    /// Why so much may not be promised.
    package func obstacle(to amount: ByteCount) -> Obstacle? {
        if let exhausted { return exhausted }
        guard amount > room else { return nil }
        let why =
            amount > virtualFree
            ? "size less reserve, times overprovision, less what is provisioned"
            : "what is really free less reserve, times overprovision"
        return Obstacle(
            .insufficientCapacity, "needs \(amount) and only \(max(room, .zero)) may still be promised (\(why))")
    }
}

extension ByteCount {
    /// Cut off at what fits; nothing for what is negative or no number.
    fileprivate func scaled(by ratio: Double) -> ByteCount {
        let bytes = Double(bytes) * ratio
        return bytes > 0 ? ByteCount(Int64(exactly: bytes.rounded(.down)) ?? .max) : .zero
    }
}

extension PoolState {
    package init(_ declared: Declared<PoolSpec>, observed: ObservedState) {
        name = declared.metadata.name
        labels = declared.metadata.labels
        backend = declared.spec.storage
        unit = ByteCount(1)
        budget = PoolBudget(virtualFree: .zero)
        switch declared.spec.backend {
        case .lvm(let lvm):
            switch observed.volumeGroups[lvm.volumeGroup] {
            case .unknown(let error):
                obstacle = Obstacle(.unknown, "volume group \(lvm.volumeGroup) could not be observed: \(error)")
            case .known(nil):
                obstacle = Obstacle(.poolMissing, "volume group \(lvm.volumeGroup) does not exist")
            case .known(let group?):
                assess(group, lvm: lvm, spec: declared.spec, observed: observed)
            }
        case .directory(let directory):
            if let share = directory.nfs {
                (obstacle, mountFault) = Self.judgeMount(of: share, at: directory.path, in: observed)
                if let mountFault { complaints.append(mountFault) }
                guard obstacle == nil else { return }
            }
            switch observed.directories[directory.path] {
            case .unknown(let error) where error.code == .exposed:
                obstacle = Obstacle(.exposed, error.description)
            case .unknown(let error):
                obstacle = Obstacle(.unknown, "directory \(directory.path) could not be observed: \(error)")
            case .known(nil):
                obstacle = Obstacle(.poolMissing, "directory \(directory.path) does not exist; make it first")
            case .known(let found?):
                assess(found, declared.spec)
            }
        }
    }

    /// Blocks it where documents may not reach it. A pool out of reach is neither missing nor lost.
    mutating func judge(_ spec: PoolSpec, by door: ReachDoor) -> ReachDoor.Refusal? {
        guard let refusal = door.refusal(of: spec) else { return nil }
        if case .lvm = spec.backend, door.obstacle(to: backend) == nil {
            // What is in a pool that wipes nothing was made when that was allowed.
            stale = refusal.obstacle
        } else {
            obstacle = refusal.obstacle
        }
        return refusal
    }

    /// Compares the pool with what the ledger remembers of it: one that is gone is lost, not merely missing, and
    /// another one under its name is not the pool that was declared.
    mutating func compare(with entry: Ledger.Entry?) {
        guard let entry, entry.place == backend.description else { return }
        if entry.share != nil, let unseen = obstacle, [.notMounted, .unknown].contains(unseen.reason) {
            obstacle?.sentence += "; last seen at \(entry.seen)"
        }
        if obstacle?.reason == .poolMissing, let missing = obstacle?.sentence {
            stillServes = false
            obstacle = Obstacle(
                .lost,
                "\(missing), and it did at \(entry.seen); bring its devices back, or give it up: "
                    + "tuff forget \(entry.resource)")
        } else if let uuid, let former = entry.uuid, uuid != former {
            stillServes = false
            obstacle = Obstacle(
                .moveNotSupported,
                "\(backend) has LVM uuid \(uuid), and what was seen at \(entry.seen) had \(former): it is another "
                    + "pool under the same name; to take it for this one: tuff forget \(entry.resource)")
        }
    }

    private mutating func assess(_ group: VolumeGroup, lvm: LVMPoolSpec, spec: PoolSpec, observed: ObservedState) {
        unit = group.extentSize
        uuid = group.uuid
        sectorSize = group.sectorSize
        obstacle = Self.obstacle(of: group)
        if lvm.thinPool == nil || spec.autoExtend != nil, let closed = Self.closedRoom(of: group) {
            complaints.append(closed)
        }
        guard let poolName = lvm.thinPool else {
            wipe = lvm.wipe
            temporaryReserve = lvm.tempSnapshotReserve
            // Real extents, less the reserve: nothing is promised that is not there.
            budget = PoolBudget(virtualFree: group.free - spec.reserve.of(group.size))
            budget.realFree = budget.virtualFree
            assessMetadata(of: group)
            return
        }
        guard let pool = group.logicalVolumes.first(where: { $0.name == poolName }), pool.layout == .thinPool else {
            let what =
                group.logicalVolumes.contains { $0.name == poolName }
                ? "\(group.name)/\(poolName) is not a thin pool" : "thin pool \(group.name)/\(poolName) does not exist"
            obstacle = obstacle ?? Obstacle(.poolMissing, what)
            return
        }
        uuid = "\(group.uuid)/\(pool.uuid)"
        examine(pool, in: group)
        stale = Self.staleness(of: pool, in: group)
        let provisioned = group.logicalVolumes.lazy
            .filter { $0.layout == .thin && $0.pool == poolName && !Self.isUncounted($0.tags) }
            .reduce(ByteCount.zero) { $0 + $1.size }
        budget = PoolBudget(virtualFree: Self.virtualFree(total: pool.size, spec, provisioned: provisioned))
        if let used = pool.dataPercent {
            budget.measure(free: pool.size.scaled(by: max(0, 100 - used) / 100), of: pool.size, spec)
        }
        let limit = Double(100 - spec.reserve.percent)
        for (what, used) in [("data", pool.dataPercent), ("metadata", pool.metadataPercent)] {
            guard let used else {
                // LVM tells fill levels of active pools only. Unknown is not empty.
                budget.exhausted = Obstacle(
                    .unknown,
                    "how full \(what) of thin pool \(group.name)/\(poolName) is cannot be known while the pool is "
                        + "inactive; 'lvchange -ay \(group.name)/\(poolName)' activates it")
                continue
            }
            if used >= limit {
                budget.exhausted = Obstacle(
                    .insufficientCapacity,
                    "\(what) of thin pool \(group.name)/\(poolName) is \(Self.oneDecimal(used)) % full "
                        + "and \(spec.reserve) is kept free")
            } else if let lvm = ThinPoolLimit.of(pool, metadata: what == "metadata"), lvm.isPassed(by: used) {
                budget.exhausted = Obstacle(
                    .insufficientCapacity,
                    "\(what) of thin pool \(group.name)/\(poolName) is \(Self.oneDecimal(used)) % full, beyond "
                        + "\(lvm.rule), and LVM makes no new volume in it: 'lvextend' makes it larger, or free room in it"
                )
            }
        }
        complain(pool, in: group, spec: spec, observed: observed)
        assessMetadata(of: group)
    }

    private mutating func assessMetadata(of group: VolumeGroup) {
        if group.metadataAreaSize > .zero, group.metadataAreaFree.bytes < group.metadataAreaSize.bytes / 5 {
            budget.exhausted = Obstacle(
                .insufficientCapacity,
                "metadata area of volume group \(group.name) has \(group.metadataAreaFree) of "
                    + "\(group.metadataAreaSize) free; LVM needs room to rewrite it (see vgcreate --metadatasize)")
        }
    }

    /// Why nothing in the group can be changed, whatever is in it.
    package static func obstacle(of group: VolumeGroup) -> Obstacle? {
        if let ours = group.foreignTo {
            let theirs = group.systemID ?? ""
            return Obstacle(
                .foreignGroup,
                "volume group \(group.name) belongs to the host with system ID '\(theirs)', and this one has "
                    + (ours.isEmpty ? "none" : "'\(ours)'")
                    + ": LVM changes nothing there. Where this host was renamed, or the other is gone for good: vgchange "
                    + "--config 'local/extra_system_ids=[\"\(theirs)\"]' --systemid '\(ours)' \(group.name)")
        }
        if group.missingDevices > 0 || group.partial {
            return Obstacle(
                .poolUnhealthy,
                "volume group \(group.name) misses \(group.missingDevices) of its devices; 'pvs -o+pv_missing' shows which. Bring "
                    + "them back; one that is there again and still counts as missing is taken back by 'vgextend "
                    + "--restoremissing \(group.name) DEVICE'")
        }
        if !["", "none"].contains(group.lockType) {
            return Obstacle(
                .poolUnhealthy,
                "volume group \(group.name) has lock type '\(group.lockType)': it is shared through lvmlockd, which Tuff does not drive"
            )
        }
        if group.exported {
            return Obstacle(.poolUnhealthy, "volume group \(group.name) is exported; 'vgimport \(group.name)' first")
        }
        return nil
    }

    /// Room that is free and out of LVM's reach, where that is all that is left or much of it.
    static func closedRoom(of group: VolumeGroup) -> Obstacle? {
        guard let closed = group.unallocatable, closed > group.free, group.missingDevices == 0 else { return nil }
        return Obstacle(
            .notAllocatable,
            "\(closed) of volume group \(group.name) are free on devices that take nothing new, and \(group.free) elsewhere; "
                + "'pvs -o+pv_allocatable' shows them, 'pvchange -xy DEVICE' lets LVM use one again")
    }

    private mutating func assess(_ directory: DirectoryPool, _ spec: PoolSpec) {
        sharesBlocks = directory.sharesBlocks == true
        sectorSize = Sectors.ofFiles
        let provisioned = directory.files.lazy
            .filter { !$0.tags.isEmpty && !Self.isUncounted($0.tags) }
            .reduce(ByteCount.zero) { $0 + ($1.size ?? .zero) }
        budget = PoolBudget(virtualFree: Self.virtualFree(total: directory.size, spec, provisioned: provisioned))
        budget.measure(free: directory.free, of: directory.size, spec)
        obstacle = directory.exposure.map {
            Obstacle(.exposed, "\($0); whoever may write there decides what Tuff hands out")
        }
        if directory.free <= spec.reserve.of(directory.size) {
            budget.exhausted = Obstacle(
                .insufficientCapacity,
                "file system of \(directory.path) has \(directory.free) free and \(spec.reserve) is kept free")
        }
    }

    /// True for what does not count against `overprovision`.
    private static func isUncounted(_ tags: [String]) -> Bool {
        if case .base = BackupBase.read(tags) { return true }
        guard case .ours(let marks) = Marks.read(tags) else { return false }
        return switch marks.role {
        case .snapshot, .scratch: true
        case .volume, .temporary: false
        }
    }

    static func virtualFree(total: ByteCount, _ spec: PoolSpec, provisioned: ByteCount) -> ByteCount {
        (total - spec.reserve.of(total)).scaled(by: spec.overprovision) - provisioned
    }

    private static func oneDecimal(_ value: Double) -> String {
        let tenths = Int((min(max(value, 0), 1000) * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
