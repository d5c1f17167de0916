import TuffModel

/// The making of one declared pool. Pure.
struct PoolMaker {
    let pool: String
    let lvm: LVMPoolSpec
    let create: PoolCreation
    let autoExtend: AutoExtendSpec?
    let context: PlanContext

    private var group: String { lvm.volumeGroup }
    /// Stands for this pool on this node in the uuids of its physical volumes.
    private var owner: UID { context.poolMark(pool, group: group) }
    private var marks: PoolMarks { PoolMarks(pool: pool, stack: context.stack, isBegun: lvm.thinPool != nil) }

    private func isBegun(_ device: CandidateDevice) -> Bool {
        device.physicalVolume.map { PhysicalVolumeMark.isOurs($0, owner: owner) } ?? false
    }

    /// Why a device is not taken. Nothing is ever wiped: a person who gives up what is on it says so to the device.
    func obstacle(to device: CandidateDevice) -> Obstacle? {
        let name = device.node == device.path ? device.path : "\(device.path) (\(device.node))"
        func refused(_ sentence: String) -> Obstacle { Obstacle(.deviceNotBlank, "\(name) \(sentence)") }
        if device.isReadOnly { return refused("is read-only") }
        if device.isInUse { return refused("is in use: mounted, swap, exported, or part of another device") }
        if isBegun(device) { return nil }
        if let first = device.signatures.first {
            let others = device.signatures.count > 1 ? " and \(device.signatures.count - 1) more" : ""
            return refused(
                "holds \(first)\(others), and Tuff wipes nothing; if that may go: "
                    + "blkdiscard --force --zeroout \(device.path)")
        }
        if let first = device.firstData {
            return refused(
                "holds data at byte \(first), though nothing tells whose; if that may go: "
                    + "blkdiscard --zeroout \(device.path)")
        }
        guard ThinPoolSizes.room(on: device.size) > .zero else { return refused("has \(device.size), too little") }
        return nil
    }

    /// A group that does not exist, and what is in it.
    func fromNothing(_ devices: [CandidateDevice]) -> Result<PoolCreationPlan, Obstacle> {
        let total = devices.reduce(ByteCount.zero) { $0 + ThinPoolSizes.room(on: $1.size) }
        var steps: [PoolStep] = []
        var prepared: [PreparedDevice] = []
        for device in devices {
            let begun = isBegun(device) ? device.physicalVolume : nil
            let uuid = begun ?? PhysicalVolumeMark.uuid(owner: owner, unique: context.deviceUID(device.path))
            if begun == nil { steps.append(.prepare(BlankDevice(device), group: group, uuid: uuid)) }
            prepared.append(PreparedDevice(path: device.path, uuid: uuid))
        }
        steps.append(.createGroup(group, prepared, marks))
        var sentence =
            devices.contains(where: isBegun) ? "finish making volume group \(group)" : "make volume group \(group)"
        sentence += " of \(devices.map(\.path).joined(separator: ", "))"
        var result = PoolCreationPlan(steps: steps, sentence: sentence, size: total, unit: ThinPoolSizes.extent)
        for device in devices where !device.path.hasPrefix("/dev/disk/by-") {
            result.notes.append("\(device.path) may be another disk after a boot; name it by /dev/disk/by-id/…")
        }
        guard lvm.thinPool != nil else { return .success(result) }
        return add(to: result, total: total, free: total, unit: ThinPoolSizes.extent, uuid: nil, marks: marks)
    }

    /// A group that exists and lacks the thin pool.
    func within(
        _ found: VolumeGroup, devices: ObservationMap<CandidateDevice>
    ) -> Result<PoolCreationPlan, Obstacle> {
        guard let name = lvm.thinPool else {
            return .failure(Obstacle(.poolMissing, "volume group \(group) is there already"))
        }
        if found.logicalVolumes.contains(where: { $0.name == name }) {
            return .failure(Obstacle(.nameTaken, "\(group)/\(name) exists and is not a thin pool"))
        }
        let their = PoolMarks(found.tags)
        let isOurs = their.map { $0.pool == pool && $0.stack == context.stack } ?? false
        if isOurs, their?.isBegun == false {
            return .failure(
                Obstacle(
                    .lost,
                    "volume group \(group) was made for this pool and its thin pool \(name) was in it; it is gone. Nothing "
                        + "is made in its place (see vgcfgrestore), unless 'vgchange --deltag tuff:pool=\(pool) \(group)' "
                        + "gives it up"))
        }
        if !isOurs, let obstacle = membership(found, devices) { return .failure(obstacle) }
        let result = PoolCreationPlan(
            steps: [],
            sentence: isOurs ? "finish making volume group \(group)" : "use volume group \(group), which is there",
            size: .zero, unit: found.extentSize)
        return add(
            to: result, total: found.size, free: found.free, unit: found.extentSize, uuid: found.uuid,
            marks: isOurs ? their : nil)
    }

    /// Every device named must be in a group that somebody else made: the document says what the pool is made of.
    private func membership(_ found: VolumeGroup, _ devices: ObservationMap<CandidateDevice>) -> Obstacle? {
        for path in create.devices {
            switch devices[path] {
            case .unknown(let error): return Obstacle(.unknown, "device \(path) could not be looked at: \(error)")
            case .known(nil): return Obstacle(.deviceMissing, "device \(path) does not exist")
            case .known(let device?):
                if let uuid = device.physicalVolume, found.physicalVolumes.contains(uuid) { continue }
                return Obstacle(
                    .deviceNotBlank,
                    "volume group \(group) exists and \(path) is no part of it; Tuff adds no devices to a group")
            }
        }
        return nil
    }

    private func add(
        to start: PoolCreationPlan, total: ByteCount, free: ByteCount, unit: ByteCount, uuid: String?,
        marks: PoolMarks?
    ) -> Result<PoolCreationPlan, Obstacle> {
        guard let name = lvm.thinPool else { return .success(start) }
        let sizes = ThinPoolSizes(
            share: create.thinPoolSize, of: total, free: free, chunk: create.chunkSize, extent: unit)
        guard let sizes else {
            return .failure(
                Obstacle(
                    .insufficientCapacity,
                    "\(create.thinPoolSize) of volume group \(group) (\(total)) and twice the metadata do not fit into the "
                        + "\(free) that is free"))
        }
        var result = start
        let new = NewThinPool(
            group: group, groupUUID: uuid, marks: marks, name: name, sizes: sizes, chunkSize: create.chunkSize,
            failsWhenFull: create.whenFull == .error, autoExtend: autoExtend.map(AutoExtend.init))
        result.steps.append(.createThinPool(new))
        if let marks { result.steps.append(.complete(group: group, thinPool: name, marks)) }
        result.sentence +=
            ", and make thin pool \(name) of \(sizes.data) with \(sizes.metadata) of metadata, chunks of "
            + "\(create.chunkSize), \(create.whenFull == .error ? "errors" : "waiting") when full"
        result.size = sizes.data
        return .success(result)
    }
}
