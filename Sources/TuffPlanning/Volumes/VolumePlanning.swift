import TuffModel

/// The result of planning one declared volume, for the attachments that follow.
enum VolumeOutcome {
    /// Exists, or will by the time step `after` is done.
    case available(StoredVolume, after: Int?)
    /// Cannot be attached now; the sentence says why.
    case unavailable(String)
}

extension PlanningPass {
    /// Compares one declared volume with what is stored and adds its change.
    mutating func planVolume(_ declared: Declared<VolumeSpec>) -> VolumeOutcome {
        let resource = ResourceID(.volume, declared.metadata.name)
        let role = Marks.Role.volume(declared.metadata.name), former = former(role, declared.metadata)
        let pool: PoolState
        var notes: [String]
        switch self.pool(for: declared, [role, former].compactMap { $0 }) {
        case .success(let found): (pool, notes) = found
        case .failure(let none):
            return builder.unavailable(resource, by: none.obstacle, at: declared.location(of: none.field))
        }
        notes += otherFormerNotes(role, declared.metadata)
        for name in [role, former].compactMap({ $0 }) {
            if let obstacle = twinObstacle(name, [.live]) {
                return builder.unavailable(resource, by: obstacle, at: declared.location(of: "metadata.name"))
            }
            let found = index.live(name, context.stack)
            guard let stored = found.first else { continue }
            guard found.count == 1 else {
                return builder.unavailable(
                    resource, by: ambiguity(found, "say they are \(name.resource)"),
                    at: declared.location(of: "metadata.name"))
            }
            return planStored(stored, declared: declared, resource: resource, pool: pool, action: .update, notes: notes)
        }
        for name in [role, former].compactMap({ $0 }) {
            if let obstacle = twinObstacle(name) {
                return builder.unavailable(resource, by: obstacle, at: declared.location(of: "metadata.name"))
            }
            if let outcome = planReturn(name, declared: declared, resource: resource, pool: pool, notes: notes) {
                return outcome
            }
        }
        return planCreation(declared, resource: resource, pool: pool, former: former, notes: notes)
    }

    /// Two objects that claim the same name: only a person can tell which is right.
    func ambiguity(_ found: [StoredVolume], _ what: String) -> Obstacle {
        let places = found.map(\.location.description).sorted().joined(separator: " and ")
        return Obstacle(.nameTaken, "\(places) both \(what); remove the marks of one")
    }

    /// Brings back what the trash holds under a name, or what was released under it.
    private mutating func planReturn(
        _ role: Marks.Role, declared: Declared<VolumeSpec>, resource: ResourceID, pool: PoolState,
        notes: [String]
    ) -> VolumeOutcome? {
        let trashed = index.trashed(role, context.stack).first
        let released = index.released(role, context.stack)
        guard let stored = trashed ?? released.first else { return nil }
        // What was live under this name and is gone is a loss, which older data must not hide.
        if let obstacle = loss(of: role.resource, besides: stored.uid) {
            return builder.unavailable(
                resource, by: obstacle, at: declared.location(of: "metadata.name"), uid: stored.uid)
        }
        if trashed != nil {
            return planStored(
                stored, declared: declared, resource: resource, pool: pool, action: .untrash,
                notes: notes + namesakeNotes(role))
        }
        guard released.count == 1 else {
            return builder.unavailable(
                resource, by: ambiguity(released, "were released under this name"),
                at: declared.location(of: "metadata.name"))
        }
        return planStored(stored, declared: declared, resource: resource, pool: pool, action: .adopt, notes: notes)
    }

    /// Compares a volume that is there, in use or in the trash or released, with its document.
    private mutating func planStored(
        _ stored: StoredVolume, declared: Declared<VolumeSpec>, resource: ResourceID, pool: PoolState,
        action: Action, notes: [String]
    ) -> VolumeOutcome {
        if let obstacle = barrier(of: stored, in: poolsByBackend[stored.backend]) {
            return builder.unavailable(
                resource, by: obstacle, at: declared.location(of: "metadata.name"), uid: stored.uid)
        }
        guard stored.backend == pool.backend else {
            let obstacle = Obstacle(
                .moveNotSupported,
                "it lives in \(stored.backend) and pool '\(pool.name)' is \(pool.backend); moving data between pools "
                    + "is not supported yet")
            return stopStored(stored, declared: declared, action: action, obstacle: obstacle, at: "spec.pool")
        }
        let abandoned = action == .update ? abandonedRestore(stored, declared) : nil
        if let obstacle = unfinished(stored) ?? abandoned ?? truncation(of: stored) {
            return builder.unavailable(
                resource, by: obstacle, at: declared.location(of: "metadata.name"), uid: stored.uid)
        }
        if stored.marks.operation == Marks.creating, action == .update {
            if declared.spec.source?.isOutside == true { return planResumedFilling(stored, of: declared, in: pool) }
            let size = declared.spec.size.roundedUp(to: pool.unit)
            let growth = max(size - (stored.size ?? .zero), .zero)
            if let obstacle = pool.obstacleToFilling ?? capacityObstacle(pool, growth) {
                return builder.unavailable(
                    resource, by: obstacle, at: declared.location(of: "spec.size"), uid: stored.uid)
            }
            let change = PlannedChange(
                resource, action: .create, summary: "finish the interrupted creation of \(stored.location)",
                risk: .online,
                location: declared.location, uid: stored.uid)
            return finishCreation(stored, size: size, change)
        }
        if stored.marks.isCopying, action == .update {
            return planResumedTransfer(stored, declared: declared, pool: pool)
        }
        guard let size = stored.size else {
            return builder.unavailable(
                resource,
                by: Obstacle(
                    .dataMissing, "\(stored.location) is gone; its marks are still there. Nothing is re-created"),
                at: declared.location(of: "metadata.name"), uid: stored.uid)
        }
        let wanted = asked(declared.spec.size, of: stored, in: pool)
        if wanted < size {
            let obstacle =
                action == .untrash
                ? trashedShrink(stored, declared)
                : Obstacle(
                    .wouldShrink,
                    "it has \(size) and the document says \(declared.spec.size); volumes only grow, write \(size.quantity)"
                )
            return stopStored(stored, declared: declared, action: action, obstacle: obstacle, at: "spec.size")
        }
        var revision = VolumeRevision(stored, declared: declared, action: action, wipe: pool.wipe)
        revision.grow(from: size, to: wanted)
        revision.notes += notes
        if revision.renames, index.isTaken(revision.relabelling.to) {
            let obstacle = Obstacle(
                .nameTaken,
                "\(stored.location) should be named \(revision.relabelling.to), which exists and is not this volume; "
                    + "rename that one")
            return stopStored(stored, declared: declared, action: action, obstacle: obstacle, at: "metadata.name")
        }
        return planRevision(revision, declared: declared, resource: resource, pool: pool)
    }

    /// A volume that cannot be changed now stays as it is; a volume in use may still be attached.
    private mutating func stopStored(
        _ stored: StoredVolume, declared: Declared<VolumeSpec>, action: Action, obstacle: Obstacle,
        at field: String
    ) -> VolumeOutcome {
        let outcome = builder.unavailable(
            ResourceID(.volume, declared.metadata.name), by: obstacle, at: declared.location(of: field), uid: stored.uid
        )
        return action == .update ? .available(stored, after: nil) : outcome
    }

    private mutating func planRevision(
        _ revision: VolumeRevision, declared: Declared<VolumeSpec>, resource: ResourceID, pool: PoolState
    ) -> VolumeOutcome {
        let stored = revision.stored
        var notes = revision.notes + stored.complaints
        if let breakage = stored.breakage {
            return stopStored(
                stored, declared: declared, action: revision.action, obstacle: breakage, at: "metadata.name")
        }
        if revision.isEmpty {
            builder.add(
                PlannedChange(
                    resource, action: .unchanged,
                    summary: "\(stored.size ?? .zero) in pool \(pool.name) (\(stored.location))",
                    location: declared.location, uid: stored.uid, notes: notes))
            return .available(stored, after: nil)
        }
        var obstacle = suspension(of: stored)
        if obstacle == nil, let growth = revision.growth {
            obstacle =
                pool.obstacleToFilling ?? growthObstacle(stored) ?? capacityObstacle(pool, growth.to - growth.from)
        }
        // A relabelled volume rewrites the group's metadata, which a damaged or foreign group must not suffer.
        if obstacle == nil, revision.relabels { obstacle = pool.outageToVolumes }
        if let obstacle {
            let field = revision.growth == nil ? "metadata.name" : "spec.size"
            return stopStored(stored, declared: declared, action: revision.action, obstacle: obstacle, at: field)
        }
        if revision.action == .untrash, let until = stored.marks.until, until < context.now {
            notes.append("its time in the trash was over at \(until); it comes back because it was not purged yet")
        }
        let last = builder.add(
            PlannedChange(
                resource, action: revision.action, summary: revision.summary(in: pool),
                differences: revision.differences,
                risk: .online, location: declared.location(of: revision.growth == nil ? "metadata.name" : "spec.size"),
                uid: stored.uid, notes: notes),
            revision.steps)
        // What comes back incomplete is completed before anybody gets it.
        if stored.marks.isCopying { return .unavailable("its content is not complete yet") }
        return .available(revision.result, after: last)
    }

    private mutating func planCreation(
        _ declared: Declared<VolumeSpec>, resource: ResourceID, pool: PoolState, former: Marks.Role?,
        notes: [String]
    ) -> VolumeOutcome {
        var source: CopySource?
        switch copySource(declared.spec.source, pool) {
        case .success(let found): source = found
        case .failure(let missing):
            let action: Action = missing.obstacle.reason == .notSupportedYet ? .unsupported : .blocked
            return builder.unavailable(
                resource, by: missing.obstacle, as: action, at: declared.location(of: "spec.source"))
        }
        let outside: OutsideContent?
        switch outsideContent(for: declared) {
        case .success(let found): outside = found
        case .failure(let missing):
            // That it is lost is the reason why it is to come back, and the first to be said.
            let obstacle = loss(of: resource) ?? missing.obstacle
            let field = declared.spec.source?.field ?? "metadata.name"
            return builder.unavailable(resource, by: obstacle, at: declared.location(of: field))
        }
        let wanted = declared.spec.size.roundedUp(to: pool.unit)
        let name = declared.metadata.name, role = Marks.Role.volume(name)
        let location: VolumeLocation =
            switch pool.backend {
            case .thinPool(let group, _), .thick(let group): .logicalVolume(group: group, name: role.objectName)
            case .directory(let path): .file(directory: path, name: role.objectName)
            }
        let override = declared.spec.identity
        let iqn = override?.iqn ?? "\(context.config.iqnBase):\(name)"
        var obstacle =
            pool.obstacleToFilling ?? unseen() ?? absorptionObstacle(role)
            ?? adoptionObstacle(declared, isThere: true) ?? loss(of: resource)
            ?? former.flatMap { loss(of: $0.resource) } ?? adoptionObstacle(declared, isThere: false)
            ?? nameObstacle(resource, location: location, iqn: iqn) ?? recognition(
                of: role, iqn: iqn, serial: override?.serial)
            ?? renameObstacle(resource, declared.spec)
        obstacle =
            obstacle ?? source?.obstacle(for: wanted) ?? outside?.obstacle(for: wanted)
            ?? outside.flatMap { writingObstacle($0.content, of: $0.description, into: pool) }
            ?? roomObstacle(toCopy: source, into: pool) ?? capacityObstacle(pool, wanted) ?? temporaryObstacle(source)
        if let obstacle {
            let action: Action = obstacle.reason == .notSupportedYet ? .unsupported : .blocked
            return builder.unavailable(resource, by: obstacle, as: action, at: declared.location(of: "spec.pool"))
        }
        for shape in shapes(of: declared.spec) { newcomers[shape] = resource }
        let uid = outside?.identity ?? context.mintUID(for: resource)
        let marks = Marks(
            uid: uid, role: role, stack: context.stack, iqn: iqn, serial: override?.serial,
            lun: override?.lun.flatMap { $0 == 0 ? nil : $0 }, protect: declared.spec.protect,
            policy: declared.spec.removalPolicy, origin: source?.stored.uid, size: pool.backend.recorded(wanted))
        let stored = StoredVolume(
            marks: marks, backend: pool.backend, location: location, uuid: nil, size: wanted, active: false)
        let notes = notes + likelyRenameNotes(resource, declared.spec) + sectorNotes(source, outside, into: pool)
        if let source, !source.sharesBlocks {
            return planTransfer(of: source, to: stored, declared, pool: pool, notes: notes)
        }
        if let outside { return planFromOutside(outside, to: stored, of: declared, in: pool, notes: notes) }
        if let source { return planCopy(of: source, to: stored, size: wanted, declared, pool: pool, notes: notes) }
        let how: String =
            switch pool.backend {
            case .thinPool: "thin"
            case .thick: pool.wipe == LVMPoolSpec.Wipe.none ? "thick" : "thick, wiped"
            case .directory: "sparse file"
            }
        let allNotes = notes + othersBackupNotes(declared) + formerNotes(marks)
        if let wipe = pool.wipe, wipe != .none {
            return planWiped(stored, declared: declared, pool: pool, wipe: wipe, notes: allNotes)
        }
        let change = PlannedChange(
            resource, action: .create, summary: "create \(wanted) \(how) in pool \(pool.name) (\(location))",
            risk: .online,
            location: declared.location, uid: uid, notes: allNotes)
        return finishCreation(stored, size: wanted, change)
    }

    private mutating func finishCreation(
        _ stored: StoredVolume, size: ByteCount, _ change: PlannedChange
    ) -> VolumeOutcome {
        var marks = stored.marks
        marks.operation = nil
        marks.size = stored.backend.recorded(size)
        var made = stored
        made.marks = marks
        let last = builder.add(change, [made.creation(size)])
        made.size = size
        made.active = !stored.location.traits.activates
        return .available(made, after: last)
    }

    /// A volume is only new when everything it could be in was seen.
    func unseen() -> Obstacle? {
        unseenStorage.map { Obstacle(.unknown, "\($0) could not be observed and may already hold it") }
    }

    private func nameObstacle(_ resource: ResourceID, location: VolumeLocation, iqn: String) -> Obstacle? {
        if index.isTaken(location) {
            let other = index.volumes.first { $0.location == location }
            let cure = other.map { cureIfUnclaimed($0, resource) } ?? ""
            return Obstacle(.nameTaken, "\(location) \(whose(location))\(cure)")
        }
        if let other = index.volumes(withTarget: iqn).first {
            let known =
                "\(other.location) (\(other.marks.role.resource)\(other.marks.until == nil ? "" : ", in the trash"))"
            return Obstacle(
                .nameTaken, "target name \(iqn) belongs to \(known) already\(cureIfUnclaimed(other, resource))")
        }
        // Checked before the name is written on the new volume for good.
        if let error = inventory.value?.fault(target: iqn) {
            return Obstacle(.unknown, "a target named \(iqn) is there and could not be observed: \(error)")
        }
        if let target = targets[iqn], let lun = target.luns.first {
            return Obstacle(
                .nameTaken,
                "a target named \(iqn) exists and hands out '\(lun.backstore ?? "LUN \(lun.number)")', "
                    + "which Tuff did not make; remove it, or choose another name")
        }
        return nil
    }

    /// Tells the owner of the thing that has the name a new volume would get, and the cure.
    func whose(_ location: VolumeLocation) -> String {
        if let twins = index.twins.first(where: { $0.contains { $0.location == location } }) {
            return "is there: \(twins.twinSentence)"
        }
        guard let other = index.volumes.first(where: { $0.location == location }) else {
            return
                "exists and has no \(location.traits.marks) of Tuff's: it is somebody else's, or its marks were lost. Rename it, or choose "
                + "another name; if it was this volume, put its marks back"
        }
        guard other.marks.stack == context.stack else {
            return
                "belongs to stack \(other.marks.stack); plan with --stack \(other.marks.stack), or choose another name"
        }
        return "exists and is Volume/\(other.marks.name), which has another name by its marks; rename one of them"
    }

    /// An object once seen ready and gone since is lost, not new: making it again, blank, under its old address would
    /// hide the loss from everybody. The ledger is asked after everything that could hold the volume was seen.
    ///
    /// - Parameter uid: that of an object which is there under the name, and no loss.
    func loss(of resource: ResourceID, besides uid: UID? = nil) -> Obstacle? {
        guard let entry = observed.ledger.entry(resource, stack: context.stack), entry.standing != .purged,
            !context.consent.recreate.contains(resource)
        else { return nil }
        if let uid, entry.uid == uid || entry.standing == .leaving { return nil }
        // It was not looked for there.
        if let obstacle = door.obstacle(toPlace: entry.place) { return obstacle }
        let how = entry.standing == .live ? "" : ", in the trash or released,"
        let name = resource.name == entry.resource.name && uid == nil ? "it" : resource.description
        return Obstacle(
            .lost,
            "\(name) was last seen at \(entry.seen)\(how) as \(entry.place) and \(remains(of: entry))"
                + (uid == nil ? restoreAdvice(resource, uid: entry.uid) : "")
                + ", or, if the data is given up: tuff forget \(resource), or apply with --recreate \(resource)")
    }

    /// The remains of something lost: its data may be where they were, only not known to be its any more.
    func remains(of entry: Ledger.Entry) -> String {
        let isThere = index.places.contains { $0.description == entry.place }
        guard isThere else { return "is gone; nothing is made in its place. Bring its device back" }
        guard entry.place.hasPrefix("/"), let uid = entry.uid, let slash = entry.place.lastIndex(of: "/") else {
            return "what is there now does not have its tags (tuff:uid=\(entry.uid?.description ?? "")); put them back"
        }
        return
            "the file is there, but its sidecar \(entry.place[..<slash])/.tuff/\(uid).json is missing or damaged. Put a "
            + "copy of it back"
    }

    /// Work of another version that is not complete is not ours to hand out.
    func unfinished(_ stored: StoredVolume) -> Obstacle? {
        guard let operation = stored.marks.operation, operation != Marks.creating, !stored.marks.isMoving,
            stored.marks.lastingOperation == nil
        else { return nil }
        return Obstacle(
            .unfinished,
            "\(stored.location) is marked with unfinished work, tuff:op=\(operation), that this "
                + "version does not know; finish it with the version that began it")
    }
}
