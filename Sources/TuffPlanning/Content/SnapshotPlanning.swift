import TuffModel

/// The source of a new volume's or snapshot's content, at a moment when it is there.
struct CopySource {
    var resource: ResourceID
    var stored: StoredVolume
    var size: ByteCount
    /// The step that makes it, or changes it.
    var after: Int?
    /// In the same thin pool, or the same directory of a file system that shares blocks, where a copy takes a moment
    /// and no room.
    var sharesBlocks = false
    /// Room of the temporary snapshot from which it is read, since somebody uses it; nil: it is read itself.
    var room: ByteCount?

    /// Why a volume of `wanted` cannot be made from it.
    func obstacle(for wanted: ByteCount) -> Obstacle? {
        guard wanted < size else { return nil }
        return Obstacle(
            .wouldShrink,
            "\(resource), which it is made from, has \(size); a volume holds all of its source, write \(size.quantity)")
    }
}

/// Why there is no source.
struct MissingSource: Error {
    var obstacle: Obstacle
}

extension VolumeSource {
    /// The object it names on this host, if it is one of ours.
    var role: Marks.Role? {
        switch self {
        case .volume(let name): .volume(name)
        case .snapshot(let name): .snapshot(name)
        case .backup, .cinderBackup, .image: nil
        }
    }
}

extension PlanningPass {
    /// The volume or snapshot that `spec.source` names, ready to be copied into `pool`; nil: it names none.
    mutating func copySource(_ source: VolumeSource?, _ pool: PoolState) -> Result<CopySource?, MissingSource> {
        guard let role = source?.role else { return .success(nil) }
        return copySource(role, into: pool).map { $0 }
    }

    /// - Parameter sharingBlocks: for a snapshot, which LVM makes of what its source holds at one moment, in use or
    ///   not.
    mutating func copySource(
        _ role: Marks.Role, into pool: PoolState, sharingBlocks: Bool = false
    ) -> Result<CopySource, MissingSource> {
        func missing(_ reason: Reason, _ sentence: String) -> Result<CopySource, MissingSource> {
            .failure(MissingSource(obstacle: Obstacle(reason, sentence)))
        }
        guard case .available(let stored, let after)? = outcome(of: role), let size = stored.size else {
            return missing(
                .dependencyBlocked,
                isDeclared(role)
                    ? "\(role.resource) is not available, see its own line" : "there is no \(role.resource)")
        }
        var source = CopySource(resource: role.resource, stored: stored, size: size, after: after)
        source.sharesBlocks = sharesBlocks(pool, with: stored)
        if case .thick = pool.backend, stored.backend == pool.backend { source.sharesBlocks = sharingBlocks }
        var obstacle =
            suspension(of: stored)
            ?? (source.sharesBlocks
                ? stored.breakage ?? unfinishedContent(stored)
                // Its bytes are read, for which all that it stands on has to be there.
                : stored.refusal ?? transferObstacle(stored, into: pool))
        // Bytes are read from what does not change meanwhile: a snapshot, or a volume that nobody has or gets.
        if obstacle == nil, !source.sharesBlocks, let usage = usage(of: stored) {
            source.room = temporaryRoom(stored)
            if source.room == nil { obstacle = usage }
        }
        return obstacle.map { .failure(MissingSource(obstacle: $0)) } ?? .success(source)
    }

    /// True if a copy of a stored volume takes a moment and no room in this pool.
    func sharesBlocks(_ pool: PoolState, with stored: StoredVolume) -> Bool {
        guard stored.backend == pool.backend else { return false }
        return switch pool.backend {
        case .thinPool: true
        case .thick: false
        case .directory: pool.sharesBlocks
        }
    }

    /// Makes a volume that begins with the content of another, and grows it to its own size.
    mutating func planCopy(
        of source: CopySource, to stored: StoredVolume, size: ByteCount, _ declared: Declared<VolumeSpec>,
        pool: PoolState, notes: [String]
    ) -> VolumeOutcome {
        let resource = stored.marks.role.resource
        var made = stored
        made.marks.size = stored.backend.recorded(source.size)
        var steps = [StorageStep.volume(copyStep(source, made))]
        if size > source.size { steps += made.growing(from: source.size, to: size) }
        let change = PlannedChange(
            resource, action: .create,
            summary: "create \(size) in pool \(pool.name) from \(source.resource) (\(stored.location))",
            risk: .online, location: declared.location, uid: stored.uid,
            notes: notes + formerNotes(stored.marks, isBlank: false))
        let last = builder.add(
            change, steps, after: source.after.map { [$0] } ?? [])
        made.active = !stored.location.traits.activates
        made.size = max(size, source.size)
        return .available(made, after: last)
    }

    func copyStep(_ source: CopySource, _ stored: StoredVolume) -> VolumeStep {
        .copy(source: source.stored.ref, location: stored.location, marks: stored.marks)
    }

    // MARK: Snapshots

    /// Compares one declared snapshot with what is stored and adds its change. A snapshot is taken once: one that is
    /// there stays as it is, whatever became of its volume.
    mutating func planSnapshot(_ declared: Declared<SnapshotSpec>) -> VolumeOutcome? {
        let role = Marks.Role.snapshot(declared.metadata.name), former = former(role, declared.metadata)
        guard let volume = outcome(of: .volume(declared.spec.volume)) else { return nil }
        for name in [role, former].compactMap({ $0 }) {
            if let obstacle = twinObstacle(name, [.live]) {
                return builder.unavailable(
                    ResourceID(.snapshot, declared.metadata.name), by: obstacle, at: declared.location)
            }
            let found = index.live(name, context.stack)
            guard let stored = found.first else { continue }
            guard found.count == 1 else {
                return builder.unavailable(
                    ResourceID(.snapshot, declared.metadata.name),
                    by: ambiguity(found, "say they are \(name.resource)"), at: declared.location)
            }
            return planStored(stored, declared: declared, of: volume, action: .update)
        }
        for name in [role, former].compactMap({ $0 }) {
            if let obstacle = twinObstacle(name) {
                return builder.unavailable(
                    ResourceID(.snapshot, declared.metadata.name), by: obstacle, at: declared.location)
            }
            guard let stored = index.trashed(name, context.stack).first else { continue }
            if let obstacle = loss(of: name.resource, besides: stored.uid) {
                return builder.unavailable(
                    ResourceID(.snapshot, declared.metadata.name), by: obstacle, at: declared.location)
            }
            return planStored(stored, declared: declared, of: volume, action: .untrash)
        }
        return take(declared, of: volume, former)
    }

    private mutating func take(
        _ declared: Declared<SnapshotSpec>, of volume: VolumeOutcome, _ former: Marks.Role?
    ) -> VolumeOutcome {
        let role = Marks.Role.snapshot(declared.metadata.name)
        guard case .available(let origin, _) = volume, let pool = poolsByBackend[origin.backend] else {
            return builder.unavailable(
                ResourceID(.snapshot, declared.metadata.name),
                by: Obstacle(
                    .dependencyBlocked, "volume '\(declared.spec.volume)' is not available, see its own line"),
                at: declared.location)
        }
        let source: CopySource
        switch copySource(.volume(declared.spec.volume), into: pool, sharingBlocks: true) {
        case .success(let found): source = found
        case .failure(let missing):
            let action: Action = missing.obstacle.reason == .notSupportedYet ? .unsupported : .blocked
            return builder.unavailable(
                ResourceID(.snapshot, declared.metadata.name), by: missing.obstacle, as: action, at: declared.location)
        }
        let location = origin.location.renamed(role.objectName)
        let isThick = if case .thick = pool.backend { true } else { false }
        let obstacle =
            pool.obstacleToVolumes ?? unseen() ?? loss(of: role.resource) ?? former.flatMap { loss(of: $0.resource) }
            ?? (index.isTaken(location) ? Obstacle(.nameTaken, "\(location) \(whose(location))") : nil)
            ?? recognition(of: role) ?? pool.budget.exhausted
            ?? (isThick ? reserveObstacle(declared.spec.reserve, in: pool) : nil)
            ?? roomObstacle(toCopy: source, into: pool)
        if let obstacle {
            return builder.unavailable(
                ResourceID(.snapshot, declared.metadata.name), by: obstacle, at: declared.location)
        }
        let uid = context.mintUID(for: role.resource)
        let marks = Marks(
            uid: uid, role: role, stack: context.stack, origin: origin.uid, size: origin.backend.recorded(source.size))
        var stored = StoredVolume(
            marks: marks, backend: origin.backend, location: location, uuid: nil, size: source.size, active: false)
        stored.isThickSnapshot = isThick
        if !source.sharesBlocks { return planFullSnapshot(stored, of: source, declared) }
        stored.active = !location.traits.activates
        var step = StorageStep.volume(copyStep(source, stored)), room = ""
        if isThick, let reserve = declared.spec.reserve {
            stored.active = origin.active
            room = " with \(reserve) of room"
            step = .lvm(
                .snapshotThick(
                    source: source.stored.ref, location: location, reserve: reserve.roundedUp(to: pool.unit),
                    marks: marks))
        }
        let last = builder.add(
            PlannedChange(
                role.resource, action: .create,
                summary: "take a snapshot of \(source.resource), \(source.size)\(room) (\(location))",
                risk: .online, location: declared.location, uid: uid),
            [step], after: source.after.map { [$0] } ?? [])
        return .available(stored, after: last)
    }

    /// Compares a snapshot that is there with its document.
    private mutating func planStored(
        _ stored: StoredVolume, declared: Declared<SnapshotSpec>, of volume: VolumeOutcome, action: Action
    ) -> VolumeOutcome {
        let role = Marks.Role.snapshot(declared.metadata.name)
        if case .available(let origin, _) = volume, let of = stored.marks.origin, of != origin.uid {
            return builder.unavailable(
                ResourceID(.snapshot, declared.metadata.name),
                by: Obstacle(
                    .nameTaken,
                    "\(stored.location) is a snapshot of another volume (uid \(of)), not of this '\(declared.spec.volume)' "
                        + "(uid \(origin.uid)); choose another name"), at: declared.location, uid: stored.uid)
        }
        if stored.marks.operation == Marks.copying, action == .update {
            return planResumedSnapshot(stored, declared, of: volume)
        }
        guard let size = stored.size else {
            return builder.unavailable(
                ResourceID(.snapshot, declared.metadata.name),
                by: Obstacle(.dataMissing, "\(stored.location) is gone; its marks are still there"),
                at: declared.location, uid: stored.uid)
        }
        if let obstacle = truncation(of: stored) ?? (action == .update ? overflow(stored) : nil) {
            return builder.unavailable(
                ResourceID(.snapshot, declared.metadata.name), by: obstacle, at: declared.location, uid: stored.uid)
        }
        var after = stored.marks
        after.role = role
        after.until = nil
        after.operation = stored.marks.lastingOperation
        // Whoever names it in a document wants it for as long as that is there.
        after.occasion?.isKept = true
        after.endExpiry()
        let home = stored.location(under: after, formerName: stored.marks.name == role.name ? nil : stored.marks.name)
        guard after != stored.marks || home != stored.location else {
            builder.add(
                PlannedChange(
                    role.resource, action: .unchanged,
                    summary: "\(size) of Volume/\(declared.spec.volume) (\(stored.location))",
                    location: declared.location, uid: stored.uid))
            return .available(stored, after: nil)
        }
        var obstacle = stateObstacle(stored)
        if home != stored.location, index.isTaken(home) {
            obstacle = obstacle ?? Obstacle(.nameTaken, "\(home) \(whose(home))")
        }
        if let obstacle {
            return builder.unavailable(
                ResourceID(.snapshot, declared.metadata.name), by: obstacle, at: declared.location, uid: stored.uid)
        }
        let change = Relabelling(
            uuid: stored.uuid, from: stored.location, to: home, before: stored.marks, after: after)
        var summary = "rename \(stored.location) to \(home)"
        if action == .untrash {
            summary = "bring back \(size) from the trash (\(home))"
        } else if let policy = after.occasion?.policy, home == stored.location {
            summary = "keep \(size), which SnapshotPolicy/\(policy) took (\(home))"
        }
        let last = builder.add(
            PlannedChange(
                role.resource, action: action, summary: summary, risk: .online, location: declared.location,
                uid: stored.uid,
                notes: action == .untrash ? namesakeNotes(stored.marks.role) : []),
            [.volume(.relabel(change))])
        if after.operation != nil { return .unavailable("it is not complete yet") }
        var result = stored
        result.location = home
        result.marks = after
        return .available(result, after: last)
    }
}
