import TuffModel

/// Copies of what directory pools hold. Where the file system shares blocks (XFS, btrfs) a copy is one step, whoever
/// uses its source. Elsewhere, and from and to other pools, it is filled byte by byte as all copies between pools are,
/// from what does not change meanwhile: a volume that is attached is one while nobody is logged in, and the worker asks
/// the file's times in the end.
///
/// Either way its sidecar says `tuff:op=copy` before the file is there and until all of it is.
extension PlanningPass {
    /// Why the bytes of a file cannot be read now, to be copied one by one.
    func fileObstacle(_ source: StoredVolume, into pool: PoolState) -> Obstacle? {
        if let obstacle = unfinishedContent(source) { return obstacle }
        guard case .volume(let name) = source.marks.role else { return nil }
        guard case .known = inventory else {
            return Obstacle(.unknown, "the targets could not be observed, so somebody may be using \(source.location)")
        }
        if let error = fault(source) {
            return Obstacle(.unknown, "whether somebody uses \(source.location) could not be observed: \(error)")
        }
        let target = ObservedExport(source, targets: targets, backstores: backstores).target
        let users =
            (target?.acls.filter { !$0.sessions.isEmpty }.map(\.initiator) ?? []) + (target?.dynamicSessions ?? [])
        guard users.isEmpty else {
            let why =
                pool.backend == source.backend
                ? "\(source.backend) is on a file system that shares no blocks, so that a copy is made byte by byte"
                : "the copy is made byte by byte; take a Snapshot of it where its pool can, and copy that"
            return Obstacle(
                .inUse, "\(users.sorted().joined(separator: ", ")) is logged in to Volume/\(name), and \(why)")
        }
        return nil
    }

    /// Why there is not the real room for a copy that shares no blocks with its source; takes it of a directory where
    /// there is. Of thin pools the proof of the whole plan takes it.
    mutating func roomObstacle(toCopy source: CopySource?, into pool: PoolState) -> Obstacle? {
        guard let source, !source.sharesBlocks else { return nil }
        let amount = occupied(source.stored)
        if let obstacle = writingObstacle(amount, of: source.resource.description, into: pool) { return obstacle }
        if case .directory = pool.backend { spend(amount, in: pool.name) }
        return nil
    }

    /// Why so many bytes cannot be written to a new volume there, on which the plan would come to grief.
    func writingObstacle(_ amount: ByteCount, of what: String, into pool: PoolState) -> Obstacle? {
        if case .thick = pool.backend { return nil }
        let free = pools[pool.name]?.budget.realFree ?? .zero
        guard amount > free else { return nil }
        return Obstacle(
            .insufficientCapacity,
            "a copy of \(what) takes \(amount), and pool '\(pool.name)' has \(max(free, .zero)) of real room beyond its "
                + "reserve")
    }

    /// Bytes there are blocks for, as far as that is known, and otherwise all.
    func occupied(_ stored: StoredVolume) -> ByteCount {
        let size = stored.size ?? .zero
        switch (stored.backend, stored.location) {
        case (.thinPool(let group, let pool), _): return mapped(stored, in: group, pool)
        case (.directory(let path), .file(_, let name)):
            let file = observed.directories.entries[path]?.value?.files.first { $0.name == name }
            return file.map { min($0.allocated, $0.size ?? size) } ?? size
        case (.thick, _), (.directory, .logicalVolume): return size
        }
    }

    // MARK: Steps

    func fillStep(_ begun: StoredVolume, from source: StoredVolume, _ operation: String) -> StorageStep {
        .volume(.fill(begun.ref, source: source.ref, operation: operation))
    }

    /// Takes the mark of unfinished work off; a file's sidecar is written anew with all its marks.
    func completion(of begun: StoredVolume, as marks: Marks) -> StorageStep {
        guard !begun.location.traits.changesSingleMarks else {
            return .lvm(
                .complete(begun.ref, size: begun.size ?? .zero, operation: begun.marks.operation ?? Marks.copying))
        }
        return relabelling(begun, as: marks)
    }

    func relabelling(_ stored: StoredVolume, as marks: Marks) -> StorageStep {
        .volume(
            .relabel(
                Relabelling(
                    uuid: nil, from: stored.location, to: stored.location, before: stored.marks, after: marks)))
    }

    /// Steps that make a file with the whole content of another one in its directory.
    ///
    /// - Parameter left: the same, as an earlier attempt left it.
    func copySteps(_ source: CopySource, to stored: StoredVolume, goingOn left: StoredVolume? = nil) -> [StorageStep] {
        guard !source.sharesBlocks else { return [.volume(copyStep(source, stored))] }
        var begun = stored
        begun.marks.operation = Marks.copying
        var steps = [begun.creation(source.size)]
        if let left {
            begun = left
            steps = making(&begun, of: source.size)
        }
        return steps + [fillStep(begun, from: source.stored, Marks.copying), completion(of: begun, as: stored.marks)]
    }

    /// What an unfinished file lacks in size: it was claimed and not made, or made and not sized, or cut off in the
    /// middle of another way to make it.
    private func making(_ begun: inout StoredVolume, of size: ByteCount) -> [StorageStep] {
        let now = begun.size ?? .zero
        begun.size = max(size, now)
        if now == .zero {
            return [begun.creation(size)]
        }
        return now < size ? [.volume(.extend(begun.ref, from: now, to: size))] : []
    }

    // MARK: Files that are not complete

    /// Begins a copy anew whose making was cut short, or goes on with one that is being filled.
    mutating func addResumedFile(
        _ stored: StoredVolume, size: ByteCount, of source: CopySource, location: SourceLocation, summary: String
    ) -> VolumeOutcome {
        var begun = stored
        guard source.sharesBlocks else {
            let first = making(&begun, of: size)
            return addTransfer(of: source, to: begun, first, location: location, summary: summary, notes: [])
        }
        begun.size = size
        begun.marks.size = begun.backend.recorded(source.size)
        var steps = [StorageStep.volume(copyStep(source, begun))]
        begun.marks.operation = nil
        if size > source.size { steps += begun.growing(from: source.size, to: size) }
        let last = builder.add(
            PlannedChange(
                begun.marks.role.resource, action: .create, summary: summary, risk: .online, location: location,
                uid: begun.uid),
            steps, after: source.after.map { [$0] } ?? [])
        begun.active = true
        return .available(begun, after: last)
    }

    /// Takes a snapshot whose bytes are copied.
    mutating func planFullSnapshot(
        _ stored: StoredVolume, of source: CopySource, _ declared: Declared<SnapshotSpec>
    ) -> VolumeOutcome {
        var begun = stored
        begun.marks.operation = Marks.copying
        return addTransfer(
            of: source, to: begun, [begun.creation(source.size)], location: declared.location,
            summary: "take a snapshot of \(source.resource) by copying its \(source.size) (\(begun.location))",
            notes: [])
    }

    /// A snapshot that was never taken to its end is one of the moment at which it is.
    mutating func planResumedSnapshot(
        _ stored: StoredVolume, _ declared: Declared<SnapshotSpec>, of volume: VolumeOutcome
    ) -> VolumeOutcome {
        guard let pool = poolsByBackend[stored.backend] else {
            return builder.unavailable(
                ResourceID(.snapshot, declared.metadata.name),
                by: Obstacle(.dependencyBlocked, "no document declares its pool, \(stored.backend)"),
                at: declared.location, uid: stored.uid)
        }
        switch copySource(.volume(declared.spec.volume), into: pool) {
        case .failure(let missing):
            return builder.unavailable(
                ResourceID(.snapshot, declared.metadata.name), by: missing.obstacle, at: declared.location,
                uid: stored.uid)
        case .success(let source):
            let obstacle =
                pool.obstacle ?? stateObstacle(stored) ?? pool.budget.exhausted
                ?? (stored.size == nil ? roomObstacle(toCopy: source, into: pool) : nil)
            if let obstacle {
                return builder.unavailable(
                    ResourceID(.snapshot, declared.metadata.name), by: obstacle, at: declared.location, uid: stored.uid)
            }
            return addResumedFile(
                stored, size: source.size, of: source, location: declared.location,
                summary: "finish taking a snapshot of \(source.resource), \(source.size) (\(stored.location))")
        }
    }
}
