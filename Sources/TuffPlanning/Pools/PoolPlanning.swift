import TuffModel

/// Makes pools that are not there: of blank devices, with consent, and never a second time.
extension PlanningPass {
    /// The parts that a declared pool lacks, and their making.
    /// - Returns: whether anything was said about the pool; false: it is as it is, and what that means is for the
    ///   caller.
    mutating func planMissing(_ declared: Declared<PoolSpec>, _ state: inout PoolState) -> Bool {
        guard case .lvm(let lvm) = declared.spec.backend, let create = lvm.create,
            case .known(let group) = observed.volumeGroups[lvm.volumeGroup]
        else { return false }
        if state.obstacle == nil { return planUnfinished(declared, group) }
        guard state.obstacle?.reason == .poolMissing else { return false }
        let creation: PoolCreationPlan
        switch self.creation(declared, lvm: lvm, create: create, group: group) {
        case .success(let found): creation = found
        case .failure(let obstacle):
            // Not its reason: a device that cannot be seen makes no other pool unseen.
            state.obstacle = Obstacle(.dependencyBlocked, "pool '\(state.name)' is not there and cannot be made now")
            block(declared, obstacle, at: "spec.lvm.create.devices")
            return true
        }
        guard context.consent.allowPoolCreate else {
            state.obstacle = Obstacle(
                .consentNeeded, "pool '\(state.name)' is not there, and making it needs --allow-pool-create")
            block(
                declared,
                Obstacle(.consentNeeded, "would \(creation.sentence); give --allow-pool-create to let it"),
                at: "spec.lvm.create", notes: creation.notes)
            return true
        }
        let key = ExclusiveKey.volumeGroup(lvm.volumeGroup)
        let last = builder.add(
            PlannedChange(
                ResourceID(.pool, state.name), action: .create, summary: creation.sentence, risk: .online,
                location: declared.location(of: "spec.lvm.create"), notes: creation.notes),
            creation.steps.map { .pool($0) })
        if let last { builder.wait(for: last, under: key) }
        state.expect(creation, declared.spec)
        creations[state.name] = creation
        // Pools of one plan share what is free in a group, and so do its thick volumes.
        if let pool = creation.thinPool, group != nil {
            claimedExtents[pool.group, default: .zero] += pool.extents
        }
        return true
    }

    private mutating func block(
        _ declared: Declared<PoolSpec>, _ obstacle: Obstacle, at field: String, notes: [String] = []
    ) {
        builder.block(
            ResourceID(.pool, declared.metadata.name), by: obstacle, at: declared.location(of: field), notes: notes)
    }

    /// The pool is there and its group still says that it is being made.
    private mutating func planUnfinished(_ declared: Declared<PoolSpec>, _ group: VolumeGroup?) -> Bool {
        let name = declared.metadata.name
        guard let group, let marks = PoolMarks(group.tags), marks.isBegun, marks.pool == name,
            marks.stack == context.stack, case .lvm(let lvm) = declared.spec.backend, let thinPool = lvm.thinPool
        else { return false }
        builder.add(
            PlannedChange(
                ResourceID(.pool, name), action: .update,
                summary: "finish the interrupted creation of volume group \(group.name)",
                risk: .online, location: declared.location),
            [.pool(.complete(group: group.name, thinPool: thinPool, marks))])
        return true
    }

    private mutating func creation(
        _ declared: Declared<PoolSpec>, lvm: LVMPoolSpec, create: PoolCreation, group: VolumeGroup?
    ) -> Result<PoolCreationPlan, Obstacle> {
        let maker = PoolMaker(
            pool: declared.metadata.name, lvm: lvm, create: create, autoExtend: declared.spec.autoExtend,
            context: context)
        if var group {
            group.free -= claimedExtents[group.name] ?? .zero
            return maker.within(group, devices: observed.devices)
        }
        var members: [CandidateDevice] = []
        for path in create.devices {
            switch candidate(path, for: declared.metadata.name, maker) {
            case .success(let device): members.append(device)
            case .failure(let obstacle): return .failure(obstacle)
            }
        }
        return maker.fromNothing(members)
    }

    /// A device that may become part of the pool.
    private mutating func candidate(
        _ path: String, for pool: String, _ maker: PoolMaker
    ) -> Result<CandidateDevice, Obstacle> {
        switch observed.devices[path] {
        case .unknown(let error):
            return .failure(Obstacle(.unknown, "device \(path) could not be looked at: \(error)"))
        case .known(nil): return .failure(Obstacle(.deviceMissing, "device \(path) does not exist"))
        case .known(let device?):
            if let other = claimed.updateValue(path, forKey: device.number) {
                return .failure(Obstacle(.nameTaken, "\(other) and \(path) are one device, \(device.node)"))
            }
            let members = observed.volumeGroups.entries.values.compactMap(\.value).flatMap(\.physicalVolumes)
            if let uuid = device.physicalVolume, members.contains(uuid) {
                return .failure(Obstacle(.deviceNotBlank, "\(path) is part of another volume group"))
            }
            return maker.obstacle(to: device).map { .failure($0) } ?? .success(device)
        }
    }
}

/// The result of making one pool.
struct PoolCreationPlan {
    var steps: [PoolStep]
    var sentence: String
    var notes: [String] = []
    /// Of the thin pool, or what is free in the group of a thick one.
    var size: ByteCount
    var unit: ByteCount

    var thinPool: NewThinPool? {
        for case .createThinPool(let pool) in steps { return pool }
        return nil
    }
}

extension NewThinPool {
    /// Room it takes of its group: data, metadata, and a spare for repair of the metadata's size.
    var extents: ByteCount { size + metadataSize + metadataSize }
}

extension Obstacle: Error {}

extension PoolState {
    /// The pool's state when it is made, for volumes of the same plan.
    mutating func expect(_ creation: PoolCreationPlan, _ spec: PoolSpec) {
        obstacle = nil
        unit = creation.unit
        let usable = creation.size - spec.reserve.of(creation.size)
        if case .lvm(let lvm) = spec.backend, lvm.thinPool == nil {
            wipe = lvm.wipe
            budget = PoolBudget(virtualFree: usable)
            budget.realFree = usable
        } else {
            budget = PoolBudget(virtualFree: Self.virtualFree(total: creation.size, spec, provisioned: .zero))
            budget.measure(free: creation.size, of: creation.size, spec)
        }
    }
}
