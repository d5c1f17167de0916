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

extension Step {
    /// Whether the device of a volume must work for it: somebody opens it, or is let in.
    var needsDevice: Bool {
        switch self {
        case .volume(.activate), .export(.createBackstore), .export(.repairBackstore(_, enable: true)),
            .export(.createACL):
            true
        case .volume, .pool, .export: false
        }
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
    /// otherwise for anything else.
    func layoutObstacle(toGrow stored: StoredVolume) -> Obstacle? {
        guard case .thick = stored.backend, case .logicalVolume(let name, let volume) = stored.location,
            case .known(let group?) = observed.volumeGroups[name],
            let what = group.logicalVolumes.first(where: { $0.name == volume })?.layout.special
        else { return nil }
        return Obstacle(
            .notSupportedYet,
            "\(stored.location) is \(what), and this version grows linear volumes only; 'lvextend -L SIZE "
                + "\(stored.location)' grows it, and its new end then shows what those extents held before")
    }
}
