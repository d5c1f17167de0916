import TuffModel

/// Backup bases: snapshots of thin volumes that a backup reads and leaves behind, so that the next one reads only what
/// changed since.
extension PlanningPass {
    // MARK: Making

    /// The way in which a thin volume is read; nil: no base is made of it. A pool that runs low gets none, since it
    /// would be shed by the next pass.
    mutating func baseMoment(of run: BackupRun, in pool: PoolState) -> BackupMoment? {
        let stored = run.stored
        guard stored.uuid != nil, let size = stored.size, let found = thinPool(of: stored),
            pool.obstacleToVolumes == nil, pool.budget.exhausted == nil,
            case .success(let repository) = self.repository(run.task.repository),
            BackupBase.isRepository(repository.id)
        else { return nil }
        let base = BackupBase(
            uid: context.mintUID(for: ResourceID(.snapshot, "base/\(run.resource)/\(stored.uid)/\(repository.id)")),
            stack: context.stack, volume: stored.uid, repository: repository.id)
        let place = stored.location.renamed(base.objectName)
        guard !index.isTaken(place), let chunkSize = found.pool.chunkSize else { return nil }
        let comparison = BaseComparison(
            base, group: found.group.name, pool: found.pool.name, groupUUID: found.group.uuid,
            poolUUID: found.pool.uuid, chunkSize: chunkSize, readsOrigin: found.readsOrigin)
        let ref = VolumeRef(place, uid: base.uid)
        let former = index.bases.filter { $0.purpose == base.purpose && $0.marks.completion != nil }
        var then: [StorageStep] = [.backup(.completeBase(base, place))]
        // A backup of this plan that came before it has given those back.
        if plannedBases[base.purpose] == nil, !isHeld(former) {
            then += former.map { .lvm(.dropBase($0.marks, $0.ref)) }
        }
        let earlier = plannedBases.updateValue((base, ref), forKey: base.purpose)
        if let earlier { then.append(.lvm(.dropBase(earlier.base, earlier.volume))) }
        let verdict = verdict(on: former, for: base.purpose, of: stored, size: size, in: repository)
        return BackupMoment(
            source: ref,
            first: [.lvm(.makeBase(base, of: stored.ref)), .backup(.compare(comparison))],
            last: [.lvm(.deactivate(ref))], made: 0, then: then,
            notes: earlier == nil ? [verdict.note] : [])
    }

    /// The pool of a thin volume, as LVM has it.
    private func thinPool(
        of stored: StoredVolume
    ) -> (group: VolumeGroup, pool: LogicalVolume, readsOrigin: Bool)? {
        guard case .thinPool(let groupName, let poolName) = stored.backend,
            case .known(let group?) = observed.volumeGroups[groupName],
            let pool = group.logicalVolumes.first(where: { $0.name == poolName && $0.layout == .thinPool }),
            let own = group.logicalVolumes.first(where: { $0.uuid == stored.uuid })
        else { return nil }
        return (group, pool, Self.readsOrigin(own, in: poolName, group.logicalVolumes))
    }

    /// True where a thin volume may read an origin outside of its pool: it, or any that it descends from, has one
    /// there, or one that is not seen.
    private static func readsOrigin(_ volume: LogicalVolume, in pool: String, _ all: [LogicalVolume]) -> Bool {
        var volume = volume, seen: Set<String> = [volume.name]
        while let name = volume.origin {
            guard seen.insert(name).inserted, let origin = all.first(where: { $0.name == name }), origin.pool == pool
            else { return true }
            volume = origin
        }
        return false
    }

    private func verdict(
        on bases: [KeptBase], for purpose: KeptBase.Purpose, of stored: StoredVolume, size: ByteCount,
        in repository: RepositoryView
    ) -> BaseVerdict {
        var points: [String: BaseVerdict.Point] = [:]
        for point in repository.points(of: stored.marks.name)
        where point.uid == stored.uid && point.node == context.config.node && point.stack == context.stack
            && !point.isSetAside
        {
            points[point.id] = point.root.map { BaseVerdict.Point(id: point.id, root: $0, size: point.size) }
        }
        return BaseVerdict.judge(bases, for: purpose, in: stored.backend, size: size, points: points)
    }

    /// True where a running job works with one of them.
    private func isHeld(_ bases: [KeptBase]) -> Bool {
        let held = heldObjects
        return bases.contains { held.contains($0.marks.uid) }
    }

    private var heldObjects: Set<UID> {
        Set(observed.jobs?.entries.values.compactMap(\.value).flatMap(\.objects) ?? [])
    }

    // MARK: Dropping

    /// Gives back what bases hold that serve no more. They are a cache, so nobody is asked.
    mutating func planBases(_ desired: DesiredState) {
        let bases = index.bases.filter { base in
            base.marks.stack == context.stack && !foreignBackends.contains(base.pool)
                && poolsByBackend[base.pool]?.obstacle == nil && poolsByBackend[base.pool] != nil
        }
        // Whether a job has one cannot be told then.
        guard !bases.isEmpty, observed.jobs?.unlisted == nil else { return }
        var known = BaseDropping.Knowledge(
            stacks: [context.stack], pairings: [:], standings: [:], points: [:],
            lowPools: Set(poolsByBackend.values.filter(\.runsLow).map(\.backend)), busy: heldObjects)
        // They go when the backup that takes their place is complete.
        for base in bases where plannedBases[base.purpose] != nil && base.marks.completion != nil {
            known.busy.insert(base.marks.uid)
        }
        for volume in Set(bases.map(\.marks.volume)) {
            let (standing, pairing) = knowledge(of: volume, desired)
            known.standings[volume] = standing
            known.pairings?[volume] = pairing
        }
        // Another repository at the place of the one that is known tells nothing of that.
        for case .readable(let view) in repositories.values where view.damaged == 0 && !view.id.isEmpty {
            known.points[view.id] = Set(view.names.flatMap(view.points).map(\.id))
        }
        for drop in BaseDropping.drops(of: bases, knowing: known) { plan(drop) }
    }

    private mutating func plan(_ drop: BaseDropping.Drop) {
        let base = drop.base
        guard let pool = poolsByBackend[base.pool] else { return }
        let resource = ResourceID(.pool, pool.name)
        let whose = index.volume(base.marks.volume).map { "\($0.marks.role.resource)" } ?? "uid \(base.marks.volume)"
        guard !base.isOpen else {
            builder.add(
                PlannedChange(
                    resource, action: .blocked,
                    summary: "\(base.location), a base of backups of \(whose), serves no more and somebody has it open",
                    reason: .inUse, uid: base.marks.uid))
            return
        }
        builder.add(
            PlannedChange(
                resource, action: .update,
                summary:
                    "give back what \(base.location) holds, a base of backups of \(whose): \(drop.reason.sentence)",
                risk: .online, uid: base.marks.uid),
            [.lvm(.dropBase(base.marks, base.ref))])
    }

    private typealias Knowledge = BaseDropping.Knowledge

    private func knowledge(of volume: UID, _ desired: DesiredState) -> (Knowledge.Standing, Knowledge.Pairing) {
        guard let stored = index.volume(volume) else {
            let isGone = unseenStorage == nil && index.damaged.isEmpty && index.bearer(of: volume) == nil
            let standing: Knowledge.Standing =
                inputs.rememberedUIDs.contains(volume) ? .lost : isGone ? .gone : .unknown
            return (standing, Knowledge.Pairing([], isComplete: false))
        }
        let standing: Knowledge.Standing = stored.standing == .trashed ? .trashed : .used
        let role = heirs[stored.marks.role] ?? stored.marks.role
        var names = Set(desired.backups.values.filter { .volume($0.spec.volume) == role }.map(\.spec.repository))
        if case .volume(let name) = role, let metadata = volumes[name]?.metadata {
            names.formUnion(
                desired.backupPolicies.values.filter { $0.spec.volumes.includes(metadata) }.map(\.spec.repository))
        }
        let ids = names.map { name -> String? in
            guard case .readable(let view)? = repositories[name], !view.id.isEmpty else { return nil }
            return view.id
        }
        return (standing, Knowledge.Pairing(Set(ids.compactMap(\.self)), isComplete: !ids.contains(nil)))
    }
}

extension PoolState {
    /// It has less room than its document keeps free.
    fileprivate var runsLow: Bool { budget.exhausted?.reason == .insufficientCapacity }
}

extension KeptBase {
    var ref: VolumeRef { VolumeRef(location, uid: marks.uid, uuid: identity.uuid) }
}

extension BaseVerdict {
    /// The sentence of a plan's line.
    fileprivate var note: String {
        switch self {
        case .serves(let base):
            "it reads what changed since restore point \(base.marks.completion?.point.prefix(8) ?? "")"
        case .full(let reason): "it reads all that has blocks: \(reason.sentence) (\(reason.reason.rawValue))"
        }
    }
}

extension BaseDropping.Reason {
    fileprivate var sentence: String {
        switch self {
        case .poolLow: "the pool runs low, and the next backup reads all of the volume instead"
        case .unfinished: "the backup that made it was cut off"
        case .superseded: "a later one is complete"
        case .unpaired: "no document backs that volume up to its repository"
        case .volumeGone: "the volume is in the trash, or no more"
        case .pointGone: "its restore point is not in the repository any more"
        }
    }
}
