package import TuffModel

extension AcceptedExports {
    /// Access that an accepted set grants on this node.
    ///
    /// Access that `former` has and the set does not is kept as undeclared, until a pass that may remove has seen it
    /// gone: a reboot must not withdraw what no plan has withdrawn, nor replace an initiator that is still logged in.
    /// What lies out of reach is granted as `former` has it and not as the set does: it was allowed when it was
    /// accepted, or it is not here.
    /// - Parameter observed: what the pass saw in the end; nil: it has not begun, and everything is kept.
    package init(
        _ desired: DesiredState, context: PlanContext, former: AcceptedExports? = nil, observed: ObservedState? = nil
    ) {
        self.init(stack: context.stack, at: context.now)
        let own = desired.pools.filter { $0.value.spec.node ?? context.config.node == context.config.node }
        let door = ReachDoor(context.config.allow)
        let all = own.values.map { Pool(name: $0.metadata.name, backend: $0.spec.storage, share: $0.spec.share) }
        pools = all.filter {
            door.obstacle(to: $0.backend) == nil && $0.share.map(context.config.allow.permits(nfs:)) != false
                || former?.pools.contains($0) == true
        }
        let isNarrow = all.contains { door.obstacle(to: $0.backend) != nil }
        let index = observed.map(StorageIndex.init)
        for declared in desired.attachments.values {
            let volume = desired.volumes[declared.spec.volume]
            var pool: String?
            if case .pool(let name) = volume?.spec.placement {
                guard own[name] != nil else { continue }
                pool = name
            }
            let kept = former?.access.filter {
                $0.volume == declared.spec.volume && $0.initiator == declared.spec.initiator
            }
            // Where the volume is only the host tells, and before that is known nothing new is granted beside what is
            // out of reach.
            let stored = index?.live(.volume(declared.spec.volume), context.stack).first
            let backend = stored?.backend ?? pool.flatMap { own[$0]?.spec.storage }
            guard door.admits(declared.spec.chap, backend), observed != nil || !isNarrow || kept?.isEmpty == false
            else {
                access += kept ?? []
                continue
            }
            access.append(
                Access(
                    attachment: declared.metadata.name, volume: declared.spec.volume, pool: pool,
                    formerName: volume?.metadata.renamedFrom,
                    initiator: declared.spec.initiator, readOnly: declared.spec.readOnly,
                    onRemove: declared.spec.onRemove, chap: declared.spec.chap, portals: volume?.spec.portals,
                    sharing: volume?.spec.sharing, location: declared.location))
        }
        if let former { keep(former, under: context, seen: observed, index: index) }
        pools.sort { $0.name < $1.name }
        access.sort { $0.attachment < $1.attachment }
    }

    private mutating func keep(
        _ former: AcceptedExports, under context: PlanContext, seen observed: ObservedState?, index: StorageIndex?
    ) {
        let declared = access
        for var kept in former.access {
            // The same access under another name is that access.
            if declared.contains(where: { $0.volume == kept.volume && $0.initiator == kept.initiator }) { continue }
            let namesake = access.firstIndex { $0.attachment == kept.attachment }
            if namesake != nil || context.consent.prune, let observed, let index,
                Self.isGone(kept, from: observed, index: index, under: context)
            {
                continue
            }
            kept.isDeclared = false
            if let namesake { access.remove(at: namesake) }
            access.append(kept)
            if let pool = former.pools.first(where: { $0.name == kept.pool }),
                !pools.contains(where: { $0.name == pool.name })
            {
                pools.append(pool)
            }
        }
        keepCompany(former)
    }

    /// Access that the former set granted side by side stays so until the undeclared part of it is withdrawn.
    private mutating func keepCompany(_ former: AcceptedExports) {
        let granted = former.admitted
        for index in access.indices where access[index].isDeclared {
            let hasCompany = access.contains { !$0.isDeclared && $0.volume == access[index].volume }
            let wasGranted = granted.contains {
                $0.volume == access[index].volume && $0.initiator == access[index].initiator
            }
            if hasCompany, wasGranted { access[index].wasBeside = true }
        }
    }

    /// Access that a boot brings back: what is undeclared was there before and comes first, and whatever its volume's
    /// sharing does not let be beside that waits until it is withdrawn.
    var admitted: [Access] {
        var admitted: [Access] = []
        for one in access.filter({ !$0.isDeclared }) + access.filter(\.isDeclared) {
            let others = admitted.filter { $0.volume == one.volume }.map(\.readOnly)
            let sharing = one.sharing ?? .none
            if !one.isDeclared || one.wasBeside == true || sharing.admits(readOnly: one.readOnly, beside: others) {
                admitted.append(one)
            }
        }
        return admitted
    }

    /// True if the initiator is seen to have no access to the volume any more. What cannot be seen is not gone.
    private static func isGone(
        _ access: Access, from observed: ObservedState, index: StorageIndex, under context: PlanContext
    ) -> Bool {
        guard case .known(let inventory) = observed.targets else { return false }
        let names = [access.volume, access.formerName].compactMap { $0 }
        let volumes = index.volumes.filter {
            $0.marks.stack == context.stack && names.contains($0.marks.name)
        }
        guard !volumes.isEmpty else { return false }
        return volumes.allSatisfy { volume in
            guard let iqn = volume.marks.iqn, inventory.fault(target: iqn) == nil else { return false }
            let target = inventory.targets.first { $0.iqn == iqn }
            return target?.acls.contains { $0.initiator == access.initiator } != true
        }
    }

    /// As documents: what an observation has to look at, and what attachments are planned from. It has no volumes,
    /// since nothing is to be done to any.
    package var sources: DesiredState {
        var state = DesiredState()
        let origin = SourceLocation(file: "accepted", line: 1, column: 1)
        for pool in pools {
            state.pools[pool.name] = Declared(
                metadata: Metadata(name: pool.name), spec: PoolSpec(pool), location: origin)
        }
        for access in access {
            var spec = AttachmentSpec(volume: access.volume, initiator: access.initiator)
            spec.readOnly = access.readOnly
            spec.onRemove = access.onRemove
            spec.chap = access.chap
            state.attachments[access.attachment] = Declared(
                metadata: Metadata(name: access.attachment), spec: spec, location: access.location)
        }
        return state
    }
}

extension PoolSpec {
    fileprivate init(_ pool: AcceptedExports.Pool) {
        switch pool.backend {
        case .thinPool(let group, let pool): self.init(backend: .lvm(LVMPoolSpec(volumeGroup: group, thinPool: pool)))
        case .thick(let group): self.init(backend: .lvm(LVMPoolSpec(volumeGroup: group)))
        case .directory(let path):
            var directory = DirectoryPoolSpec(path: path)
            directory.nfs = pool.share
            self.init(backend: .directory(directory))
        }
    }
}

extension Reason {
    /// True if time alone may end what is in the way of an export: devices, mounts and secrets that come late.
    package var mayPass: Bool {
        [
            .unknown, .dependencyBlocked, .poolMissing, .notMounted, .wrongMount, .poolUnhealthy, .devicesMissing,
            .foreignGroup, .lost,
            .secretUnavailable, .suspended, .jobRunning,
        ]
        .contains(self)
    }
}

extension PlanningPass {
    /// Attachments as last accepted, onto volumes as they are: what is not here is not made, what is unfinished is not
    /// finished, and names and sizes stay.
    mutating func planExports(of accepted: AcceptedExports) {
        let sources = accepted.sources
        for (name, declared) in sources.pools {
            var state = PoolState(declared, observed: observed)
            state.compare(with: observed.ledger.entry(ResourceID(.pool, name), stack: context.stack))
            if let share = declared.spec.share { planMountAtBoot(declared, of: share, &state) }
            pools[name] = state
            poolsByBackend[state.backend] = state
        }
        for access in accepted.access { portals[access.volume] = access.portals }
        let admitted = accepted.admitted
        for access in admitted {
            attachments[access.volume, default: []].append(sources.attachments[access.attachment]!)
            // What was granted side by side before fits by that, and not by what the documents say now.
            let wasBeside = admitted.contains { $0.volume == access.volume && $0.wasBeside == true }
            sharing[access.volume] = wasBeside ? .writers : access.sharing ?? .none
        }
        for access in accepted.access where !admitted.contains(access) { block(access, beside: admitted) }
        for access in admitted {
            guard let declared = sources.attachments[access.attachment] else { continue }
            switch volume(of: access, accepted) {
            case .failure(let missing): block(access, missing.obstacle)
            case .success(let stored): planAttachment(declared, .available(stored, after: nil))
            }
        }
    }

    private mutating func block(_ access: AcceptedExports.Access, beside admitted: [AcceptedExports.Access]) {
        let holder = admitted.first { $0.volume == access.volume }
        let sharing = access.sharing ?? .none
        block(
            access,
            Obstacle(
                .inUse,
                "attachment '\(holder?.attachment ?? "?")' gives this volume to \(holder?.initiator ?? "?"), and only "
                    + "apply --prune withdraws it; sharing: \(sharing.rawValue) lets the volume have \(sharing.limit)"))
    }

    private mutating func block(_ access: AcceptedExports.Access, _ obstacle: Obstacle) {
        builder.block(ResourceID(.attachment, access.attachment), by: obstacle, at: access.location)
    }

    private struct Missing: Error {
        var obstacle: Obstacle

        init(_ reason: Reason, _ sentence: String) { obstacle = Obstacle(reason, sentence) }
    }

    /// The volume as it is, if it may be handed out.
    private func volume(
        of access: AcceptedExports.Access, _ accepted: AcceptedExports
    ) -> Result<StoredVolume, Missing> {
        if let obstacle = twinObstacle(.volume(access.volume), [.live]) {
            return .failure(Missing(obstacle.reason, obstacle.sentence))
        }
        var found = index.live(.volume(access.volume), context.stack)
        if found.isEmpty, let former = access.formerName, !accepted.access.contains(where: { $0.volume == former }) {
            found = index.live(.volume(former), context.stack)
        }
        guard let stored = found.first else { return .failure(absence(of: access)) }
        guard found.count == 1 else {
            let places = found.map(\.location.description).sorted().joined(separator: " and ")
            return .failure(Missing(.nameTaken, "\(places) both say they are volume '\(access.volume)'"))
        }
        guard stored.size != nil else {
            return .failure(Missing(.dataMissing, "\(stored.location) is gone; its marks are still there"))
        }
        if let obstacle = barrier(of: stored, in: poolsByBackend[stored.backend]) ?? truncation(of: stored) {
            return .failure(Missing(obstacle.reason, obstacle.sentence))
        }
        if let operation = stored.marks.operation, operation != Marks.moving {
            return .failure(
                Missing(
                    .unfinished, "work on \(stored.location) was interrupted (\(operation)); tuff apply finishes it"))
        }
        if stored.location.objectName == "t-\(stored.uid)" {
            return .failure(
                Missing(
                    .unfinished,
                    "its way out of the trash was interrupted (\(stored.location)); tuff apply finishes it"))
        }
        return .success(stored)
    }

    private func absence(of access: AcceptedExports.Access) -> Missing {
        let name = access.volume
        let pool = access.pool.flatMap { pools[$0] }
        if let obstacle = pool?.obstacle {
            return Missing(obstacle.reason, "volume '\(name)' is not here: \(obstacle.sentence)")
        }
        if let unseenStorage {
            return Missing(.unknown, "\(unseenStorage) could not be observed and may hold volume '\(name)'")
        }
        if let trashed = index.trashed(.volume(name), context.stack).first {
            return Missing(.volumeMissing, "volume '\(name)' is in the trash (\(trashed.location))")
        }
        if let released = index.released(.volume(name), context.stack).first {
            return Missing(.volumeMissing, "volume '\(name)' was released (\(released.location))")
        }
        if case .directory(let path) = pool?.backend {
            // Perhaps the place of a mount that is still to come.
            return Missing(.dependencyBlocked, "volume '\(name)' is not in \(path), and nothing is made in its place")
        }
        return Missing(.volumeMissing, "volume '\(name)' is not on this host, and nothing is made in its place")
    }
}

extension Plan {
    /// The plan without the changes that take something from an export as it is, which become blocked: bringing back
    /// does not ask, so it only adds.
    func withoutTakingAway() -> Plan {
        let taking = Set(steps.filter(\.step.takesAway).map(\.change)).union(
            changes.indices.filter { changes[$0].action.acts && changes[$0].risk != .online })
        guard !taking.isEmpty else { return self }
        var result = Plan(context: context, changes: changes, steps: [])
        for index in taking {
            result.changes[index].action = .blocked
            result.changes[index].reason = .consentNeeded
            result.changes[index].risk = nil
            result.changes[index].summary += "; that takes something away from it as it is, which tuff apply does"
        }
        var place: [Int: Int] = [:]
        for var step in steps where !taking.contains(step.change) {
            place[step.id] = result.steps.count
            step.id = result.steps.count
            step.after = step.after.compactMap { place[$0] }
            step.behind = step.behind.compactMap { place[$0] }
            result.steps.append(step)
        }
        return result
    }
}
