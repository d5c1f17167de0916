import TuffModel

/// Snapshots of thick volumes: LVM keeps what is written over in an LV of its own, of a size that is chosen once. They
/// come and go with their origin's device, and are lost when that room is full.
extension PlanningPass {
    /// Why a snapshot that needs this much room of its own cannot be taken; takes the room where it can.
    mutating func reserveObstacle(_ reserve: ByteCount?, in pool: PoolState) -> Obstacle? {
        guard let reserve else {
            return Obstacle(
                .reserveMissing,
                "pool '\(pool.name)' is thick: a snapshot there needs 'reserve', room for what is written over while it lives"
            )
        }
        return capacityObstacle(pool, reserve.roundedUp(to: pool.unit))
    }

    /// What became of a snapshot whose room was too small. Taking it anew would be another moment under an old name.
    func overflow(_ stored: StoredVolume) -> Obstacle? {
        guard stored.isOverflowed else { return nil }
        return Obstacle(
            .overflowed,
            "\(stored.location) overflowed: more was written to its volume than its reserve holds, and what it held is lost. "
                + "It is never taken again under this name; remove its document, and take another with a larger reserve"
        )
    }

    /// LVM grows what has such snapshots only while nobody has its device ("Snapshot origin volumes can be resized only
    /// while inactive", 2.03.16), and they would show the new end as well.
    func growthObstacle(_ stored: StoredVolume) -> Obstacle? {
        if let obstacle = stored.ailment ?? layoutObstacle(toGrow: stored) { return obstacle }
        guard case .logicalVolume(let name, let volume) = stored.location, case .thick = stored.backend,
            case .known(let group?) = observed.volumeGroups[name],
            let snapshot = group.logicalVolumes.first(where: { $0.origin == volume && $0.isThickSnapshot })
        else { return nil }
        if index.temporaries.contains(where: { $0.uuid == snapshot.uuid }) {
            return Obstacle(
                .inUse,
                "\(stored.location) is being copied from the temporary snapshot \(name)/\(snapshot.name), and LVM does not grow "
                    + "a volume in use that has one; it grows when that is done")
        }
        return Obstacle(
            .inUse,
            "\(stored.location) has the snapshot \(name)/\(snapshot.name), and LVM does not grow a volume in use that has one; "
                + "it grows when that is gone (tuff trash purge \(snapshot.name) where it is in the trash)")
    }

    /// What is written over in a thick volume goes first into every snapshot of it, other people's too, and one whose
    /// room is full is lost. So rolling back asks of each of them that it can take all that may be written.
    func bystanderObstacle(_ stored: StoredVolume, from source: StoredVolume?) -> Obstacle? {
        // What was begun is not given up: the worst of it was asked for before.
        guard stored.marks.restoration == nil, case .thick = stored.backend,
            case .logicalVolume(let name, let volume) = stored.location,
            case .known(let group?) = observed.volumeGroups[name]
        else { return nil }
        let snapshots = group.logicalVolumes.filter { $0.origin == volume && $0.isThickSnapshot && !$0.isOverflowed }
        let own = source.flatMap { source in snapshots.first { $0.uuid == source.uuid } }
        // Content from outside may differ in every block.
        let size = stored.size ?? .zero
        let worst = source == nil ? size : min(size, own.map(usedRoom) ?? .zero)
        for other in snapshots where source == nil || other.uuid != source?.uuid {
            // Of a snapshot that is not active nobody can tell how full it is: LVM then shows no percentage.
            let free = other.dataPercent == nil ? .zero : max(other.size - usedRoom(other), .zero)
            // One that holds all of its volume can never overflow.
            if other.size >= Self.room(toKeep: stored.size ?? .zero) || free >= Self.room(toKeep: worst) { continue }
            return Obstacle(
                .insufficientCapacity,
                "rolling back may write \(worst), which the snapshot \(group.name)/\(other.name) has to keep as well, and it has "
                    + (other.dataPercent == nil
                        ? "room that cannot be told while it is inactive" : "\(free) of room left")
                    + "; enlarge it with lvextend, or remove it")
        }
        return nil
    }

    /// Room in a copy-on-write snapshot for so many bytes that are written over, and for the kernel's table of them: 16
    /// bytes for a chunk of 4 KiB, and its header (drivers/md/dm-snap-persistent.c).
    static func room(toKeep amount: ByteCount) -> ByteCount { amount + ByteCount(amount.bytes / 100 + 8192) }

    /// Bytes that a copy-on-write snapshot holds, at most.
    private func usedRoom(_ snapshot: LogicalVolume) -> ByteCount {
        guard let percent = snapshot.dataPercent else { return snapshot.size }
        let bytes = (Double(snapshot.size.bytes) * min(percent, 100) / 100).rounded(.up)
        return ByteCount(Int64(exactly: bytes) ?? snapshot.size.bytes)
    }

    /// Why the bytes of a thick snapshot cannot be read: there is nothing of it any more, or its device would bring one
    /// that is out of use.
    func snapshotObstacle(toRead source: StoredVolume) -> Obstacle? {
        if let obstacle = overflow(source) { return obstacle }
        guard source.isThickSnapshot, !source.active,
            source.marks.origin.flatMap({ index.volume($0) })?.standing != .live
        else { return nil }
        return Obstacle(
            .dependencyBlocked,
            "\(source.location) is inactive, and LVM activates it with its volume only, which is not in use here")
    }

    /// What makes the device of a source appear, and what takes it away again. That of a thick snapshot is its origin's
    /// affair, whoever has that meanwhile.
    ///
    /// Nobody but copies needs the device of another snapshot, so one that is there was left by a copy that was cut
    /// short.
    func bringing(_ source: StoredVolume) -> (up: [StorageStep], down: [StorageStep]) {
        var isLeft = false
        if case .snapshot = source.marks.role { isLeft = !source.isThickSnapshot }
        guard isLeft || !source.active, source.location.traits.activates else { return ([], []) }
        guard source.isThickSnapshot else {
            return (source.activation, [.lvm(.deactivate(source.ref))])
        }
        guard let origin = source.marks.origin.flatMap({ index.volume($0) }) else { return ([], []) }
        var place = origin
        if case .available(let planned, _)? = outcomes[origin.marks.role], planned.uid == origin.uid { place = planned }
        return (place.activation, [])
    }
}
