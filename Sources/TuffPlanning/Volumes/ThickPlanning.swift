import TuffModel

/// Extents of thick volumes, which must show nothing of earlier volumes.
extension PlanningPass {
    /// Makes a thick volume that bears the mark of unfinished work until it is wiped.
    mutating func planWiped(
        _ begun: StoredVolume, declared: Declared<VolumeSpec>, pool: PoolState, wipe: LVMPoolSpec.Wipe,
        notes: [String]
    ) -> VolumeOutcome {
        var begun = begun
        begun.marks.operation = Marks.wiping
        let size = begun.size ?? .zero
        let change = PlannedChange(
            begun.marks.role.resource, action: .create,
            summary: "create \(size) thick, wiped, in pool \(pool.name) (\(begun.location))", risk: .online,
            location: declared.location, uid: begun.uid, notes: notes)
        let last = builder.add(change, [begun.creation(size)] + begun.wiping(wipe))
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
                        ResourceID(.pool, pool.name), action: .update,
                        summary: "give back \(volume.size) that an interrupted growth took "
                            + "(\(location))", risk: .online),
                    [.lvm(.dropGrowth(location: location))])
            }
        }
    }
}

extension StoredVolume {
    /// The steps that make a thick volume larger by extents that read zeros, in use or not. Only taking and joining
    /// need the group.
    func growingWiped(
        at location: VolumeLocation, from: ByteCount, to: ByteCount, _ wipe: LVMPoolSpec.Wipe
    ) -> [StorageStep] {
        let volume = VolumeRef(location, uid: uid, uuid: uuid)
        return [
            .lvm(.takeExtents(volume, from: from, to: to)),
            .lvm(.wipeExtents(holder: VolumeRef(location.renamed("x-\(uid)"), uid: uid), wipe: wipe)),
            .lvm(.joinExtents(volume, from: from, to: to)),
        ]
    }

    /// Steps that end with a volume of which every byte reads zero, inactive.
    func wiping(_ wipe: LVMPoolSpec.Wipe) -> [StorageStep] {
        [
            .lvm(.activate(ref)), .lvm(.wipe(ref, wipe: wipe)),
            .lvm(.complete(ref, size: size ?? .zero, operation: Marks.wiping)),
        ]
    }
}
