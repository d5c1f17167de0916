import TuffModel

extension StoredVolume {
    /// Its own fault, for which nothing is done to it. Its pool and its group have lines of their own.
    var breakage: Obstacle? {
        faults.filter { $0.gravity == .broken && $0.cause == .itself }.worst.map { Obstacle($0) }
    }

    /// Why it does not grow: it or what it stands on is not as it should be.
    var ailment: Obstacle? {
        faults.filter { $0.gravity >= .impaired && $0.cause == .itself && $0.reason != .readOnly }.worst.map {
            Obstacle($0)
        }
    }

    /// A plan's warning about it, which stops nothing.
    var complaints: [String] {
        faults.filter { $0.gravity == .impaired && $0.cause == .itself }.map(\.sentence)
    }

    /// Why nobody new is given it. What is handed out already stays so: whoever has it can read what can be read.
    var refusal: Obstacle? {
        guard let fault = faults.refusal else { return nil }
        guard fault.cause != .itself else { return Obstacle(fault) }
        return Obstacle(
            Reason(rawValue: fault.reason.rawValue),
            "\(fault.cause) is not well (\(fault.reason.rawValue)), see its own line")
    }
}

extension LogicalVolume.Layout {
    /// Its sort, where it is a pool of others and no volume.
    package var pool: String? {
        switch self {
        case .thinPool: "a thin pool"
        case .vdoPool: "a VDO pool"
        case .cachePool: "a cache"
        case .thin, .linear, .striped, .mirror, .raid0, .raid1, .raid4, .raid5, .raid6, .raid10, .cache, .writecache,
            .integrity, .vdo, .other:
            nil
        }
    }

    /// Its sort, where Tuff neither adopts nor grows such a volume; nil: it is plain or thin.
    var special: String? {
        switch self {
        case .thin, .linear: nil
        case .striped: "striped"
        case .mirror: "a mirror"
        case .raid0: "RAID 0"
        case .raid1: "RAID 1"
        case .raid4: "RAID 4"
        case .raid5: "RAID 5"
        case .raid6: "RAID 6"
        case .raid10: "RAID 10"
        case .cache: "cached (dm-cache)"
        case .writecache: "cached (dm-writecache)"
        case .integrity: "one with checksums (dm-integrity)"
        case .vdo: "a VDO volume"
        case .thinPool, .vdoPool, .cachePool: pool
        case .other: "of a type that Tuff does not know"
        }
    }
}

extension PlanningPass {
    /// A volume that somebody made a part of another is not replaced by a blank one.
    func absorptionObstacle(_ role: Marks.Role) -> Obstacle? {
        index.absorption(role, context.stack).map {
            Obstacle(.dataMissing, "\($0); nothing is made in its place while its marks are there")
        }
    }

    /// Growth takes extents, wipes them and joins them to a linear volume by their numbers; LVM would want them
    /// otherwise for anything else. Where a pool wipes nothing LVM chooses them itself, and those of a striped volume
    /// are as many as it becomes larger by. RAID and caches take others besides, which nothing here counts.
    func layoutObstacle(toGrow stored: StoredVolume) -> Obstacle? {
        guard case .thick = stored.backend, let (_, volume) = logicalVolume(of: stored),
            let what = volume.layout.special
        else { return nil }
        let wipes = poolsByBackend[stored.backend]?.wipe != LVMPoolSpec.Wipe.none
        guard wipes || volume.layout != .striped else { return nil }
        return Obstacle(
            .notSupportedYet,
            "\(stored.location) is \(what), and this version grows \(wipes ? "linear" : "linear and striped") volumes "
                + "only; 'lvextend -L SIZE \(stored.location)' grows it, and its new end then shows what those extents "
                + "held before")
    }

    /// The size that a document asks of what is there. LVM makes a striped volume as large as whole stripes: an extent
    /// on each of its devices, which are no more than those of the group.
    func asked(_ size: ByteCount, of stored: StoredVolume, in pool: PoolState) -> ByteCount {
        let asked = size.roundedUp(to: pool.unit)
        guard let present = stored.size, asked < present, let (group, volume) = logicalVolume(of: stored),
            volume.layout == .striped,
            (present - asked).bytes < pool.unit.bytes * Int64(max(1, group.physicalVolumes.count))
        else { return asked }
        return present
    }

    private func logicalVolume(of stored: StoredVolume) -> (group: VolumeGroup, volume: LogicalVolume)? {
        guard case .logicalVolume(let name, let volume) = stored.location,
            case .known(let group?) = observed.volumeGroups[name],
            let found = group.logicalVolumes.first(where: { $0.name == volume })
        else { return nil }
        return (group, found)
    }
}
