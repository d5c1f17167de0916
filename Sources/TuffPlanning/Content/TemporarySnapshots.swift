import TuffModel

/// Thick volumes in use are copied from a temporary snapshot, which is there for as long as the copy takes.
///
/// It is taken after the volume that is to be filled was made, and says in `tuff:temp=` which one that is: whatever
/// dies when, a later pass finds both and goes on or removes it. It holds nothing that its origin does not, and costs a
/// second write for each first one, so nothing but an unfinished copy keeps it, and no consent is needed to remove it.
extension PlanningPass {
    /// The temporary snapshot through which a volume in use is read.
    struct TemporaryUse {
        /// The snapshot that is read.
        var snapshot: StoredVolume
        /// Steps that make it, where it is not there.
        var first: [StorageStep]
        var handle: TemporarySnapshot
    }

    /// Room for a temporary snapshot of a volume; nil: its pool takes none.
    func temporaryRoom(_ source: StoredVolume) -> ByteCount? {
        guard case .thick = source.backend, case .volume = source.marks.role, let size = source.size,
            let pool = poolsByBackend[source.backend], let share = pool.temporaryReserve
        else { return nil }
        // One for all of it must never overflow.
        return (share.percent == 100 ? Self.room(toKeep: size) : share.of(size)).roundedUp(to: pool.unit)
    }

    /// Advice about a source in use where no temporary snapshot can be taken.
    func temporaryHint(_ source: StoredVolume) -> String {
        guard case .thick = source.backend, case .volume = source.marks.role, let pool = poolsByBackend[source.backend]
        else { return "" }
        return ", or give pool '\(pool.name)' a tempSnapshotReserve"
    }

    /// What is there already to copy into this volume from.
    func temporary(for purpose: UID, of source: StoredVolume, isThin: Bool = false) -> StoredVolume? {
        index.temporaries.first {
            $0.marks.role == .temporary(purpose) && $0.marks.stack == context.stack && $0.isThickSnapshot == !isThin
                && $0.marks.origin == source.uid && $0.backend == source.backend
        }
    }

    /// The logical volume itself, whose size is that of the room.
    private func logicalVolume(_ stored: StoredVolume) -> LogicalVolume? {
        guard case .logicalVolume(let name, let volume) = stored.location,
            case .known(let group?) = observed.volumeGroups[name]
        else { return nil }
        return group.logicalVolumes.first { $0.name == volume }
    }

    func handle(_ temporary: StoredVolume, of source: StoredVolume?) -> TemporarySnapshot? {
        guard case .logicalVolume(let group, let name) = temporary.location,
            case .temporary(let purpose) = temporary.marks.role, let originUID = temporary.marks.origin
        else { return nil }
        let origin = source?.location.objectName ?? logicalVolume(temporary)?.origin ?? ""
        let uuid = source.map(\.uuid) ?? originUUID(of: temporary)
        return TemporarySnapshot(
            group: group, name: name, uid: temporary.uid, uuid: temporary.uuid, origin: origin, originUUID: uuid,
            originUID: originUID, purpose: purpose)
    }

    private func originUUID(of temporary: StoredVolume) -> String? {
        guard case .logicalVolume(let name, _) = temporary.location,
            case .known(let group?) = observed.volumeGroups[name], let origin = logicalVolume(temporary)?.origin
        else { return nil }
        return group.logicalVolumes.first { $0.name == origin }?.uuid
    }

    /// Why no temporary snapshot can be taken for a new copy; takes its room where one can.
    mutating func temporaryObstacle(_ source: CopySource?) -> Obstacle? {
        guard let source, let room = source.room, let pool = poolsByBackend[source.stored.backend] else { return nil }
        return pool.obstacleToVolumes ?? pool.budget.exhausted ?? reserveObstacle(room, in: pool)
    }

    /// What goes on with, or begins anew, the copy into `begun` of a volume in use.
    mutating func temporaryUse(
        of source: CopySource, for begun: StoredVolume, room: ByteCount
    ) -> Result<TemporaryUse, MissingSource> {
        let there = temporary(for: begun.uid, of: source.stored)
        if let there, !there.isOverflowed, let handle = handle(there, of: source.stored) {
            temporariesInUse.insert(there.uid)
            return .success(TemporaryUse(snapshot: there, first: [], handle: handle))
        }
        var first: [StorageStep] = []
        if let there, let handle = handle(there, of: source.stored) {
            temporariesInUse.insert(there.uid)
            first = [.lvm(.dropTemporary(handle))]
        }
        let role = Marks.Role.temporary(begun.uid), place = source.stored.location.renamed(role.objectName)
        if there == nil, index.isTaken(place) {
            return .failure(MissingSource(obstacle: Obstacle(.nameTaken, "\(place) \(whose(place))")))
        }
        let marks = Marks(
            uid: context.mintUID(for: ResourceID(.snapshot, "temporary/\(begun.uid)")), role: role,
            stack: context.stack,
            origin: source.stored.uid)
        var snapshot = source.stored
        snapshot.marks = marks
        snapshot.location = place
        snapshot.uuid = nil
        snapshot.open = false
        snapshot.isThickSnapshot = true
        first.append(
            .lvm(.snapshotThick(source: source.stored.ref, location: place, reserve: room, marks: marks)))
        guard let handle = handle(snapshot, of: source.stored) else {
            return .failure(MissingSource(obstacle: Obstacle(.driverCannot, "\(place) is no logical volume")))
        }
        return .success(TemporaryUse(snapshot: snapshot, first: first, handle: handle))
    }

    // MARK: Overflow

    /// A copy whose temporary snapshot overflowed begins again only with more room than that had: as much would be
    /// written meanwhile as before, and each attempt reads all of the source and has its users write everything twice.
    /// So the volume itself keeps how much was too little, and a person raises the share.
    mutating func planOverflow(
        _ stored: StoredVolume, of source: CopySource, room: ByteCount, _ location: SourceLocation
    ) -> VolumeOutcome? {
        let there = temporary(for: stored.uid, of: source.stored).flatMap { $0.isOverflowed ? $0 : nil }
        let spent = max(there.flatMap(logicalVolume)?.size ?? .zero, stored.marks.overflowedRoom ?? .zero)
        guard room <= spent else { return nil }
        let pool = poolsByBackend[source.stored.backend]?.name ?? ""
        let sentence =
            "more was written to \(source.resource) while it was copied than its temporary snapshot had room for (\(spent)); "
            + "give pool '\(pool)' a tempSnapshotReserve of more than now, \(room) of this volume (100% never overflows), or "
            + "take \(source.resource) out of use"
        guard let there, let handle = handle(there, of: source.stored) else {
            builder.add(
                PlannedChange(
                    stored.marks.role.resource, action: .blocked, summary: sentence, reason: .overflowed,
                    location: location,
                    uid: stored.uid))
            return .unavailable(sentence)
        }
        temporariesInUse.insert(there.uid)
        var after = stored.marks
        after.operation = Marks.copying(afterOverflowOf: spent)
        let change = Relabelling(
            uuid: stored.uuid, from: stored.location, to: stored.location, before: stored.marks, after: after)
        // Noted first: without the snapshot nothing else tells that it overflowed.
        builder.add(
            PlannedChange(
                stored.marks.role.resource, action: .update,
                summary: "remove the temporary snapshot \(there.location), which overflowed: \(sentence)",
                risk: .online,
                reason: .overflowed, location: location, uid: stored.uid),
            [.volume(.relabel(change)), .lvm(.dropTemporary(handle))])
        return .unavailable(sentence)
    }

    // MARK: Leftovers

    /// Removes temporary snapshots that serve no copy any more.
    mutating func planLeftTemporaries() {
        for temporary in index.temporaries
        where temporary.marks.stack == context.stack && !temporariesInUse.contains(temporary.uid)
            && !foreignBackends.contains(temporary.backend)
        {
            guard case .temporary(let purpose) = temporary.marks.role, isAtHome(temporary),
                !isWanted(temporary, purpose),
                let pool = poolsByBackend[temporary.backend]
            else { continue }
            planLeft(temporary, pool: ResourceID(.pool, pool.name), purpose: purpose)
        }
    }

    private mutating func planLeft(_ temporary: StoredVolume, pool: ResourceID, purpose: UID) {
        var obstacle = stateObstacle(temporary)
        if !temporary.isThickSnapshot, !isThin(temporary) {
            obstacle = Obstacle(
                .marksDamaged, "\(temporary.location) has the marks of a temporary snapshot and is none; take them off")
        } else if temporary.open {
            obstacle =
                obstacle
                ?? Obstacle(
                    .inUse, "the temporary snapshot \(temporary.location) serves no copy any more, and is in use")
        }
        guard obstacle == nil, let handle = handle(temporary, of: nil) else {
            let found = obstacle ?? Obstacle(.marksDamaged, "\(temporary.location) does not say what it was taken of")
            builder.block(pool, by: found, uid: temporary.uid)
            return
        }
        let copy = index.volume(purpose).map { "\($0.marks.role.resource) is" } ?? "a volume (uid \(purpose)) is"
        let work = temporary.marks.origin == purpose ? "backed up" : "copied"
        let size = logicalVolume(temporary)?.size ?? .zero
        builder.add(
            PlannedChange(
                pool, action: .update,
                summary: "give back \(size) of the temporary snapshot \(temporary.location), "
                    + "from which \(copy) not \(work) any more",
                risk: .online, uid: temporary.uid),
            [.lvm(.dropTemporary(handle))])
    }

    /// A thin snapshot, which a backup reads.
    private func isThin(_ temporary: StoredVolume) -> Bool {
        if case .thinPool = temporary.backend { logicalVolume(temporary)?.origin != nil } else { false }
    }

    /// Whether the copy that it was taken for is still to be finished from it.
    private func isWanted(_ temporary: StoredVolume, _ purpose: UID) -> Bool {
        guard let copy = index.bearer(of: purpose) else { return unseenStorage != nil }
        guard copy.standing == .live, copy.marks.isCopying, case .volume(let name) = copy.marks.role,
            let role = volumes[name]?.spec.source?.role
        else { return false }
        // What cannot be told now is kept; what is read directly by now needs no snapshot.
        guard case .available(let source, _)? = outcomes[role], source.uid == temporary.marks.origin else {
            return index.live(role, context.stack).contains { $0.uid == temporary.marks.origin }
        }
        guard case .available? = outcomes[copy.marks.role] else { return true }
        return false
    }
}
