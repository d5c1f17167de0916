import TuffModel

/// Volumes whose content is copied byte by byte, since they share no thin pool with what they are made from.
extension PlanningPass {
    /// Why the bytes of `source` cannot be read now, whoever uses it.
    func transferObstacle(_ source: StoredVolume, into pool: PoolState) -> Obstacle? {
        if !source.location.traits.showsUsers { return fileObstacle(source, into: pool) }
        return unfinishedContent(source) ?? snapshotObstacle(toRead: source)
    }

    /// Who may change it while it is read.
    func usage(of source: StoredVolume) -> Obstacle? {
        guard source.location.traits.showsUsers else { return nil }
        let advice = "take a Snapshot of it, and make this volume from that\(temporaryHint(source))"
        if source.open { return Obstacle(.inUse, "\(source.location) is in use; \(advice)") }
        let name = source.marks.name
        guard case .volume = source.marks.role, attachedVolumes.contains(name) else { return nil }
        return Obstacle(.inUse, "Volume/\(name) is attached and may change while it is read; \(advice)")
    }

    /// An incomplete volume is no source, and is attached to nobody.
    func unfinishedContent(_ stored: StoredVolume) -> Obstacle? {
        guard stored.marks.lastingOperation != nil else { return nil }
        return Obstacle(.unfinished, "\(stored.location) is not complete yet")
    }

    /// Makes a volume and copies into it all that its source holds; it bears the mark of unfinished work until then.
    mutating func planTransfer(
        of source: CopySource, to stored: StoredVolume, _ declared: Declared<VolumeSpec>, pool: PoolState,
        notes: [String]
    ) -> VolumeOutcome {
        var begun = stored
        begun.marks.operation = Marks.copying
        let size = begun.size ?? .zero
        return addTransfer(
            of: source, to: begun, [begun.creation(size)], location: declared.location,
            summary:
                "create \(size) in pool \(pool.name) and copy \(source.size) of \(source.resource) (\(begun.location))",
            notes: notes + formerNotes(stored.marks, isBlank: false))
    }

    /// Goes on with a copy that was interrupted. What was copied is read again and found equal.
    mutating func planResumedTransfer(
        _ stored: StoredVolume, declared: Declared<VolumeSpec>, pool: PoolState
    ) -> VolumeOutcome {
        // One that was begun from another volume says which, and is not given content from outside.
        let comesFromOutside = declared.spec.source?.isOutside ?? !repositories.isEmpty
        if comesFromOutside, stored.marks.origin == nil {
            return planResumedFilling(stored, of: declared, in: pool)
        }
        let resource = stored.marks.role.resource
        func stop(_ obstacle: Obstacle) -> VolumeOutcome {
            builder.unavailable(resource, by: obstacle, at: declared.location(of: "spec.source"), uid: stored.uid)
        }
        guard let role = declared.spec.source?.role,
            case .success(let source?) = copySource(declared.spec.source, pool),
            source.stored.uid == stored.marks.origin
        else {
            return stop(
                Obstacle(
                    .unfinished,
                    "copying into \(stored.location) was interrupted, and what it was made from ("
                        + "\(stored.marks.origin.map { "uid \($0)" } ?? "an image")) is not its declared source or "
                        + "cannot be read; bring it back, or remove this volume's document"))
        }
        if let obstacle = pool.obstacleToFilling ?? suspension(of: stored) {
            return stop(obstacle)
        }
        if let room = source.room {
            let place = declared.location(of: "spec.source")
            if let outcome = planOverflow(stored, of: source, room: room, place) { return outcome }
            let isThere = temporary(for: stored.uid, of: source.stored).map { !$0.isOverflowed } ?? false
            if !isThere, let obstacle = temporaryObstacle(source) { return stop(obstacle) }
        }
        let summary = "finish copying \(source.size) of \(role.resource) (\(stored.location))"
        let size = max(declared.spec.size.roundedUp(to: pool.unit), stored.size ?? .zero)
        if let obstacle = source.obstacle(for: size) { return stop(obstacle) }
        guard stored.location.traits.isOneObject else {
            return addResumedFile(stored, size: size, of: source, location: declared.location, summary: summary)
        }
        var begun = stored
        switch enlargement(of: &begun, to: size, in: pool) {
        case .failure(let obstacle): return stop(obstacle)
        case .success(let first):
            return addTransfer(of: source, to: begun, first, location: declared.location, summary: summary, notes: [])
        }
    }

    /// What makes a volume that is not complete as large as its document says by now, since what it is made from may
    /// have grown as well. Its new end needs no wiping: it is filled with the rest before anybody is shown it.
    mutating func enlargement(
        of begun: inout StoredVolume, to size: ByteCount, in pool: PoolState
    ) -> Result<[StorageStep], Obstacle> {
        guard let now = begun.size, now < size else { return .success([]) }
        if let obstacle = capacityObstacle(pool, size - now) { return .failure(obstacle) }
        begun.size = size
        return .success([.volume(.extend(begun.ref, from: now, to: size))])
    }

    /// - Parameter first: what makes it, where it is not there.
    mutating func addTransfer(
        of source: CopySource, to begun: StoredVolume, _ first: [StorageStep], location: SourceLocation,
        summary: String, notes: [String]
    ) -> VolumeOutcome {
        var from = source.stored, steps = first, temporary: TemporaryUse?
        if let room = source.room {
            switch temporaryUse(of: source, for: begun, room: room) {
            case .success(let use):
                (temporary, from) = (use, use.snapshot)
                if !first.isEmpty, !use.first.isEmpty {
                    steps.append(.volume(.confirmMade(begun.ref)))
                }
                steps += use.first
            case .failure(let missing):
                return builder.unavailable(
                    begun.marks.role.resource, by: missing.obstacle, at: location, uid: begun.uid)
            }
        }
        let bringing = bringing(from)
        steps += bringing.up + begun.activation
        var made = begun
        made.marks.operation = nil
        made.marks.size = begun.backend.recorded(begun.size ?? .zero)
        made.active = !begun.location.traits.activates
        steps.append(fillStep(begun, from: from, begun.marks.operation ?? Marks.copying))
        if from.isThickSnapshot {
            steps.append(.lvm(.confirmWhole(from.ref)))
        }
        steps.append(completion(of: begun, as: made.marks))
        if let temporary { steps.append(.lvm(.dropTemporary(temporary.handle))) }
        steps += bringing.down
        let last = builder.add(
            PlannedChange(
                begun.marks.role.resource, action: .create, summary: summary, risk: .online, location: location,
                uid: begun.uid,
                notes: notes + (temporary.map { [temporaryNote($0, of: source)] } ?? [])),
            steps, after: source.after.map { [$0] } ?? [], behind: transfers[source.stored.uid].map { [$0] } ?? [])
        transfers[source.stored.uid] = last
        return .available(made, after: last)
    }

    private func temporaryNote(_ use: TemporaryUse, of source: CopySource) -> String {
        let whence = use.first.isEmpty ? "from" : "from a temporary snapshot with \(source.room ?? .zero) of room,"
        return
            "\(source.resource) is in use: it is copied \(whence) \(use.snapshot.location), which goes when that is done"
    }
}
