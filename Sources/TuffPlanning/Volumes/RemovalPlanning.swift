import TuffModel

extension PlanningPass {
    /// Volumes of this stack that no document declares, and those whose time in the trash is over.
    mutating func planRemovals() {
        for volume in ownVolumes {
            if let obstacle = door.obstacle(to: volume.backend) {
                listOutside(volume, obstacle)
                continue
            }
            // Without any pool the documents are wrong, which is told instead.
            guard isAtHome(volume) || pools.isEmpty else {
                listStranger(volume)
                continue
            }
            switch volume.standing {
            case .released: break
            case .live where isKeptByPolicy(volume): break
            case .live where custody(of: volume) == .volumeUnseen: list(volume, abandonment(of: volume))
            case .live where !isDeclared(volume.marks.role) && !isBeingRenamed(volume.marks.role):
                planRemoval(of: volume)
            case .live: break
            case .trashed: planTrashed(volume)
            }
        }
    }

    /// What is ours and in no pool of this node is told, where no document's line tells it, and left as it is: not even
    /// its way into the trash is finished.
    private mutating func listStranger(_ stored: StoredVolume) {
        let role = stored.marks.role
        switch stored.standing {
        case .released: return
        case .live where isDeclared(role) || isBeingRenamed(role): return
        case .trashed where meant.contains(stored.uid): return
        case .live, .trashed: break
        }
        list(
            stored,
            "\(stored.location) has marks of this stack, and \(stored.backend) is no pool that this node has; nothing is "
                + "taken from there")
    }

    /// An object out of reach is told, where no document's line tells it, and left as it is.
    private mutating func listOutside(_ stored: StoredVolume, _ obstacle: Obstacle) {
        let role = stored.marks.role
        switch stored.standing {
        case .released: return
        case .live where isDeclared(role) || isBeingRenamed(role) || isKeptByPolicy(stored): return
        case .trashed where meant.contains(stored.uid) || stored.marks.until.map({ $0 >= context.now }) ?? true: return
        case .live, .trashed: break
        }
        builder.add(
            PlannedChange(
                role.resource, action: .blocked, summary: "\(stored.location): \(obstacle.sentence)",
                reason: obstacle.reason,
                uid: stored.uid))
    }

    private mutating func list(_ stored: StoredVolume, _ sentence: String) {
        builder.add(
            PlannedChange(
                stored.marks.role.resource, action: .orphan, summary: sentence, reason: removalReason(stored),
                uid: stored.uid))
    }

    /// Why nothing at all may be removed in this pass.
    func removalObstacle() -> Obstacle? {
        if pools.isEmpty, !observed.ledger.entries.isEmpty || !index.volumes.isEmpty {
            return Obstacle(
                .noPools,
                "the documents give this node (\(context.config.node)) no pool, while it has held volumes; nothing is "
                    + "removed. Is this the right set of documents, and the right node name?")
        }
        if let obstacle = clockObstacle() { return obstacle }
        guard observed.clock.flatMap(observed.ledger.doubt) == .settling, let last = observed.ledger.clock?.civil else {
            return nil
        }
        return Obstacle(
            .clockAhead,
            "this host started a short while ago, and by its clock (\(context.now)) the last pass was more than a day ago "
                + "(\(last)); nothing is removed before it has been up for an hour, in case the clock is yet to be set. If "
                + "it is right: tuff forget clock")
    }

    /// Five minutes are a correction of the clock, not a fault; in seconds.
    static var clockTolerance: Int64 { 300 }

    /// Deadlines mean nothing to a clock that runs backwards, or was set ahead.
    func clockObstacle() -> Obstacle? {
        if case .jumped(let seconds)? = observed.clock.flatMap(observed.ledger.doubt) {
            return Obstacle(
                .clockAhead,
                "the clock says \(context.now), and was set ahead by \(TimeSpan(seconds: seconds)) since the last pass that "
                    + "could believe it; no deadline counts until it is right. If it is right now: tuff forget clock")
        }
        guard let last = observed.ledger.lastPass,
            context.now.secondsSince1970 + Self.clockTolerance < last.secondsSince1970
        else { return nil }
        return Obstacle(
            .clockBehind,
            "the clock says \(context.now), and an earlier pass ran at \(last); nothing is removed until it is right. If it was ahead then and is right now: tuff forget clock"
        )
    }

    /// True if a document takes over what has this name, which therefore is no longer declared and yet in use.
    func isBeingRenamed(_ role: Marks.Role) -> Bool {
        heirs[role].map { index.live($0, context.stack).isEmpty } ?? false
    }

    private mutating func planRemoval(of stored: StoredVolume) {
        let resource = stored.marks.role.resource
        guard context.consent.prune else {
            return list(stored, "\(abandonment(of: stored)); \(fate(of: stored))\(resemblance(of: stored))")
        }
        let obstacle =
            removalObstacle(of: stored) ?? standingObstacle(stored) ?? accessObstacle(stored)
        if let obstacle {
            builder.block(resource, by: obstacle, uid: stored.uid)
            return
        }
        let removal = VolumeRemoval(stored, now: context.now, destroys: context.consent.allowDestroy)
        if index.isTaken(removal.relabelling.to), removal.relabelling.to != stored.location {
            builder.add(
                PlannedChange(
                    resource, action: .blocked,
                    summary: "\(removal.relabelling.to) exists and is not this volume; rename it",
                    reason: .nameTaken, uid: stored.uid))
            return
        }
        if removal.risk == .destroysData, let obstacle = snapshotObstacle(stored) {
            builder.block(resource, by: obstacle, uid: stored.uid)
            return
        }
        let after = withdrawals[stored.uid]?.after.map { [$0] } ?? []
        builder.add(
            PlannedChange(
                resource, action: removal.action, summary: removal.summary, risk: removal.risk,
                reason: removalReason(stored),
                uid: stored.uid),
            removal.steps, after: after)
    }

    private func fate(of stored: StoredVolume) -> String {
        if stored.marks.protect { return "it is protected and stays" }
        if let obstacle = waitObstacle(of: stored) { return "it stays: \(obstacle.sentence)" }
        return switch stored.marks.policy.deletion {
        case .retain: "--prune lets it go, its data stays"
        case .trash: "--prune puts it in the trash for \(stored.marks.policy.keepFor)"
        }
    }

    /// The volume's own state that forbids taking it out of use.
    func standingObstacle(_ stored: StoredVolume) -> Obstacle? {
        if stored.marks.protect {
            return Obstacle(
                .protected,
                "\(stored.location) is protected; declare it with 'protect: false', or: tuff unprotect "
                    + stored.marks.name)
        }
        return stateObstacle(stored)
    }

    /// The state of the volume and its group that forbids any change to it.
    func stateObstacle(_ stored: StoredVolume) -> Obstacle? {
        if let obstacle = barrier(of: stored, in: poolsByBackend[stored.backend]) ?? unfinished(stored) {
            return obstacle
        }
        if case .logicalVolume(let name, _) = stored.location, case .known(let group?) = observed.volumeGroups[name],
            let obstacle = PoolState.obstacle(of: group)
        {
            return obstacle
        }
        return suspension(of: stored)
    }

    /// LVM removes with a volume its copy-on-write snapshots, and thin ones where a thick volume is their external
    /// origin; thin snapshots of a thin volume live on.
    private func snapshotObstacle(_ stored: StoredVolume) -> Obstacle? {
        guard case .logicalVolume(let name, let volume) = stored.location,
            let group = observed.volumeGroups.entries[name]?.value,
            let snapshot = group.logicalVolumes.first(where: {
                $0.origin == volume && !(stored.backend.isThin && $0.layout == .thin)
            })
        else { return nil }
        return Obstacle(
            .inUse,
            "\(group.name)/\(snapshot.name) is a snapshot of \(stored.location) and would go with it; remove it first")
    }

    /// The safety snapshot is all there is of a volume's former content, until rolling back is done.
    private func safetyObstacle(_ stored: StoredVolume) -> Obstacle? {
        guard let key = stored.marks.safety, let origin = stored.marks.origin.flatMap({ index.volume($0) }),
            origin.marks.restoration == key
        else { return nil }
        return Obstacle(
            .unfinished, "\(stored.location) is what \(origin.location) held, and rolling that back is not finished yet"
        )
    }

    /// Everything that forbids destroying a volume in the trash.
    func purgeObstacle(_ stored: StoredVolume) -> Obstacle? {
        standingObstacle(stored) ?? accessObstacle(stored) ?? snapshotObstacle(stored) ?? safetyObstacle(stored)
    }

    /// The obstacle that somebody uses it, or may.
    func accessObstacle(_ stored: StoredVolume) -> Obstacle? {
        if let obstacle = exportObstacle(stored) { return obstacle }
        if stored.open, backstores[stored.uid.backstoreName] == nil {
            return Obstacle(
                .inUse, "\(stored.location) is in use on this host itself: mounted, or part of another device")
        }
        return nil
    }

    /// The obstacle that Tuff hands it out, or may.
    func exportObstacle(_ stored: StoredVolume) -> Obstacle? {
        guard case .known = inventory else {
            return Obstacle(.unknown, "the targets could not be observed, so somebody may be using \(stored.location)")
        }
        if let error = fault(stored) {
            return Obstacle(.unknown, "whether somebody uses \(stored.location) could not be observed: \(error)")
        }
        if let obstacle = withdrawals[stored.uid]?.obstacle { return obstacle }
        let export = ObservedExport(stored, targets: targets, backstores: backstores)
        if export.target != nil || export.backstore != nil, withdrawals[stored.uid] == nil {
            return Obstacle(.inUse, "\(stored.location) is handed out; its attachments must go first")
        }
        return nil
    }

    /// Why it is not certain what there is of a volume's export.
    func fault(_ stored: StoredVolume) -> HostError? {
        guard case .known(let inventory) = inventory else { return nil }
        return stored.marks.iqn.flatMap { inventory.fault(target: $0) }
            ?? inventory.fault(backstore: stored.uid.backstoreName)
    }

    private mutating func planTrashed(_ stored: StoredVolume) {
        let resource = stored.marks.role.resource
        // That is told with the document.
        if meant.contains(stored.uid) { return }
        guard let until = stored.marks.until else { return }
        // What expires is over from the moment at which it comes here.
        let isOver = until < context.now || (until == context.now && isExpiring(stored))
        if isOver, stored.marks.operation == stored.marks.lastingOperation {
            return planPurge(of: stored, resource, until)
        }
        var finished = stored.marks
        finished.operation = stored.marks.lastingOperation
        let home = stored.location(under: finished)
        // Somebody activated it by hand, or the host did at its start.
        let isUp = stored.location.traits.activates && stored.active && !stored.isThickSnapshot
        guard stored.size != nil, isUp || home != stored.location || finished != stored.marks else { return }
        var obstacle = stateObstacle(stored)
        if home != stored.location, index.isTaken(home) {
            obstacle = obstacle ?? Obstacle(.nameTaken, "\(home) exists and is not this volume; rename that one")
        }
        if isUp { obstacle = obstacle ?? accessObstacle(stored) }
        if let obstacle {
            builder.block(resource, by: obstacle, uid: stored.uid)
            return
        }
        let step = VolumeStep.relabel(
            Relabelling(
                uuid: stored.uuid, from: stored.location, to: home, before: stored.marks, after: finished,
                isThickSnapshot: stored.isThickSnapshot))
        builder.add(
            PlannedChange(
                resource, action: .update, summary: "finish putting \(stored.location) in the trash (\(home))",
                risk: .online,
                reason: .notDeclared, uid: stored.uid),
            [.volume(step)], after: withdrawals[stored.uid]?.after.map { [$0] } ?? [])
    }

    private mutating func planPurge(of stored: StoredVolume, _ resource: ResourceID, _ until: Instant) {
        guard context.consent.prune || isExpiring(stored) else {
            let fate = waitObstacle(of: stored)?.sentence ?? "--prune destroys it"
            builder.add(
                PlannedChange(
                    resource, action: .orphan,
                    summary: "\(stored.location) was to be kept in the trash until \(until); \(fate)",
                    reason: .notDeclared, uid: stored.uid))
            return
        }
        if let obstacle = removalObstacle(of: stored) ?? purgeObstacle(stored) {
            builder.block(resource, by: obstacle, uid: stored.uid)
            return
        }
        builder.add(
            PlannedChange(
                resource, action: .purge,
                summary: "destroy \(stored.size ?? .zero) kept in the trash until \(until) (\(stored.location))",
                risk: .destroysData, uid: stored.uid),
            [.volume(.purge(stored.ref, until: until))])
    }
}

/// The way a volume leaves use, by the policy stored on it.
struct VolumeRemoval {
    let relabelling: Relabelling
    let action: Action
    let risk: Risk
    let summary: String
    let steps: [StorageStep]

    /// - Parameter destroys: consent to destroy at once what may be kept for no time.
    init(_ stored: StoredVolume, now: Instant, destroys: Bool) {
        var after = stored.marks
        after.operation = stored.marks.lastingOperation
        let size = stored.size ?? .zero
        switch stored.marks.policy.deletion {
        case .retain:
            after.released = true
            relabelling = Relabelling(
                uuid: stored.uuid, from: stored.location, to: stored.location, before: stored.marks, after: after,
                isThickSnapshot: stored.isThickSnapshot)
            action = .release
            risk = .online
            summary = "let go of \(size), the data stays (\(stored.location))"
            steps = [.volume(.relabel(relabelling))]
        case .trash:
            let until = now.advanced(by: stored.marks.policy.keepFor)
            after.until = until
            // Marks whose data is gone, or was never made, have no name to change.
            let home = stored.size == nil ? stored.location : stored.location(under: after)
            relabelling = Relabelling(
                uuid: stored.uuid, from: stored.location, to: home, before: stored.marks, after: after,
                isThickSnapshot: stored.isThickSnapshot)
            action = .trash
            if destroys, stored.marks.policy.keepFor.seconds == 0 {
                risk = .destroysData
                summary = "destroy \(size) at once, as trashFor: 0s says (\(stored.location))"
                steps = [
                    .volume(.relabel(relabelling)),
                    .volume(.purge(VolumeRef(relabelling.to, uid: stored.uid, uuid: stored.uuid), until: until)),
                ]
            } else {
                risk = .online
                let keeping = stored.marks.policy.keepFor.seconds
                summary =
                    keeping == 0
                    ? "put \(size) in the trash, which the next --prune empties, since trashFor is 0s (\(stored.location))"
                    : "put \(size) in the trash until \(until) (\(stored.location))"
                steps = [.volume(.relabel(relabelling))]
            }
        }
    }
}
