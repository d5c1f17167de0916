import TuffModel

/// The way in which a backup reads a volume as it was at one moment.
struct BackupMoment {
    /// The volume or snapshot that is read.
    var source: VolumeRef
    /// Steps that make it and bring it up.
    var first: [StorageStep] = []
    /// Steps that take it away again, whatever became of the reading, once the step of `first` with this number is
    /// done.
    var last: [StorageStep] = []
    var made = 0
    /// Steps that come after a reading that succeeded.
    var then: [StorageStep] = []
    var notes: [String] = []
}

/// Of a thin volume that is there already a base is taken (`BasePlanning`). Elsewhere, and where a base has no room:
/// a volume that nobody uses or gets does not change and is read itself. Of one in use a thin pool takes a snapshot,
/// which shares its blocks, and a thick pool a copy-on-write snapshot with room for what is written meanwhile. Both are
/// temporary snapshots for the volume itself, so a later pass removes what a crash left of them.
extension PlanningPass {
    mutating func moment(of stored: StoredVolume, for run: BackupRun) -> Result<BackupMoment, MissingSource> {
        func missing(_ reason: Reason, _ sentence: String) -> Result<BackupMoment, MissingSource> {
            .failure(MissingSource(obstacle: Obstacle(reason, sentence)))
        }
        guard let pool = poolsByBackend[stored.backend] else {
            return missing(.dependencyBlocked, "no document declares its pool, \(stored.backend)")
        }
        switch stored.backend {
        case .directory:
            if let obstacle = fileObstacle(stored, into: pool) {
                guard obstacle.reason == .inUse else { return .failure(MissingSource(obstacle: obstacle)) }
                return missing(
                    .noPointInTime,
                    "an initiator is logged in to Volume/\(stored.marks.name), and \(stored.backend) gives no snapshot of "
                        + "one moment to a backup; log out first")
            }
            return .success(BackupMoment(source: stored.ref))
        case .thick:
            guard usage(of: stored) != nil else { return .success(direct(stored)) }
            guard let room = temporaryRoom(stored) else {
                return missing(
                    .noPointInTime,
                    "Volume/\(stored.marks.name) is in use, and pool '\(pool.name)' has no tempSnapshotReserve for a "
                        + "snapshot of it; take it out of use, or set that")
            }
            if let obstacle = pool.obstacleToVolumes ?? pool.budget.exhausted ?? reserveObstacle(room, in: pool) {
                return .failure(MissingSource(obstacle: obstacle))
            }
            return snapshotMoment(of: stored, room: room)
        case .thinPool:
            if let moment = baseMoment(of: run, in: pool) { return .success(moment) }
            guard usage(of: stored) != nil else { return .success(direct(stored)) }
            if let obstacle = pool.obstacleToVolumes ?? pool.budget.exhausted {
                return .failure(MissingSource(obstacle: obstacle))
            }
            return snapshotMoment(of: stored, room: nil)
        }
    }

    /// Reads a volume itself, which nobody has or gets.
    private func direct(_ stored: StoredVolume) -> BackupMoment {
        let bringing = bringing(stored)
        return BackupMoment(source: stored.ref, first: bringing.up, last: bringing.down)
    }

    /// A snapshot of its own for each restore point: one that an earlier attempt left is of an earlier moment.
    /// - Parameter room: of a copy-on-write snapshot; nil: a thin one.
    private mutating func snapshotMoment(
        of stored: StoredVolume, room: ByteCount?
    ) -> Result<BackupMoment, MissingSource> {
        var first: [StorageStep] = []
        if let left = temporary(for: stored.uid, of: stored, isThin: room == nil), let handle = handle(left, of: stored)
        {
            temporariesInUse.insert(left.uid)
            first.append(.lvm(.dropTemporary(handle)))
        }
        let role = Marks.Role.temporary(stored.uid), place = stored.location.renamed(role.objectName)
        if first.isEmpty, index.isTaken(place) {
            return .failure(MissingSource(obstacle: Obstacle(.nameTaken, "\(place) \(whose(place))")))
        }
        var snapshot = stored
        snapshot.marks = Marks(
            uid: context.mintUID(for: ResourceID(.snapshot, "temporary/\(stored.uid)")), role: role,
            stack: context.stack, origin: stored.uid)
        snapshot.location = place
        snapshot.uuid = nil
        snapshot.open = false
        snapshot.active = room != nil && stored.active
        snapshot.isThickSnapshot = room != nil
        guard let handle = handle(snapshot, of: stored) else {
            return .failure(MissingSource(obstacle: Obstacle(.driverCannot, "\(place) is no logical volume")))
        }
        var note = "it is read from a snapshot of that moment"
        if let room {
            note += " with \(room) of room"
            first.append(
                .lvm(.snapshotThick(source: stored.ref, location: place, reserve: room, marks: snapshot.marks)))
        } else {
            first.append(.volume(.copy(source: stored.ref, location: place, marks: snapshot.marks)))
        }
        let made = first.count - 1
        var second: [StorageStep] = bringing(snapshot).up
        if room == nil { second = snapshot.activation }
        return .success(
            BackupMoment(
                source: snapshot.ref, first: first + second, last: [.lvm(.dropTemporary(handle))], made: made,
                notes: [note + ", which goes when that is done"]))
    }
}
