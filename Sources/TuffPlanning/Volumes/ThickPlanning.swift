import TuffModel

/// What only thick volumes need: extents that show nothing of earlier volumes.
extension PlanningPass {
    /// Makes a thick volume that bears the mark of unfinished work until it is wiped.
    mutating func planWiped(
        _ begun: StoredVolume, _ declared: Declared<VolumeSpec>, _ pool: PoolState, _ wipe: LVMPoolSpec.Wipe,
        _ notes: [String]
    ) -> VolumeOutcome {
        var begun = begun
        begun.marks.operation = Marks.wiping
        let size = begun.size ?? .zero
        let change = PlannedChange(
            begun.marks.role.resource, .create,
            "create \(size) thick, wiped, in pool \(pool.name) (\(begun.location))", risk: .online,
            location: declared.location, uid: begun.uid, notes: notes)
        let steps =
            [.create(backend: begun.backend, location: begun.location, size: size, marks: begun.marks)]
            + begun.wiping(wipe)
        let last = builder.add(change, steps.map { (.volume($0), key(of: $0)) })
        var made = begun
        made.marks.operation = nil
        return .available(made, after: last)
    }

    /// Volumes that hold extents for a growth which was interrupted, and which nothing in this plan takes up.
    mutating func planLeftGrowths() {
        for pool in pools.values.sorted(by: { $0.name < $1.name }) where pool.obstacle == nil {
            guard case .thick(let name) = pool.backend, case .known(let group?) = observed.volumeGroups[name] else {
                continue
            }
            for volume in group.logicalVolumes
            where volume.tags.contains("tuff-growth") && volume.name.hasPrefix("x-") && !builder.grows(volume.name) {
                let location = VolumeLocation.logicalVolume(group: name, name: volume.name)
                builder.add(
                    PlannedChange(
                        ResourceID(.pool, pool.name), .update,
                        "give back \(volume.size) that an interrupted growth took "
                            + "(\(location))", risk: .online),
                    [(.volume(.dropGrowth(location: location)), key(of: location))])
            }
        }
    }
}

extension StoredVolume {
    /// The steps that make a thick volume larger by extents that read zeros, in use or not. Only taking and joining
    /// need the group.
    func growingWiped(
        at location: VolumeLocation, from: ByteCount, to: ByteCount, _ wipe: LVMPoolSpec.Wipe
    ) -> [VolumeStep] {
        [
            .takeExtents(location: location, uid: uid, uuid: uuid, from: from, to: to),
            .wipeExtents(location: location.renamed("x-\(uid)"), uid: uid, wipe: wipe),
            .joinExtents(location: location, uid: uid, uuid: uuid, from: from, to: to),
        ]
    }

    /// What ends with a volume of which every byte reads zero, inactive.
    func wiping(_ wipe: LVMPoolSpec.Wipe) -> [VolumeStep] {
        [
            .activate(location: location, uid: uid, uuid: uuid),
            .wipe(location: location, uid: uid, uuid: uuid, wipe: wipe),
            .complete(location: location, uid: uid, size: size ?? .zero, operation: Marks.wiping),
        ]
    }
}
