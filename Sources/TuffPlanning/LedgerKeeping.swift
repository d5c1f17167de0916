package import TuffModel

/// How the ledger follows what is seen and what is done. Pure.
extension Ledger {
    /// How long something that left on purpose is remembered, for a word when its name is used again.
    private static let farewell: Int64 = 30 * 86400

    /// The ledger after a pass saw `observed`.
    package func after(_ observed: ObservedState, desired: DesiredState, context: PlanContext) -> Ledger {
        var next = self
        let index = StorageIndex(observed)
        for volume in index.volumes { next.see(volume, at: context.now) }
        next.watchHandovers(index, observed, desired, context)
        for declared in desired.pools.values where declared.spec.node ?? context.config.node == context.config.node {
            next.see(declared, in: observed, context)
        }
        next.dropFormerPools(desired, context)
        // A clock that is in doubt ends nothing, the guard's day included.
        guard next.believe(observed.clock) else { return next }
        let horizon = context.now.secondsSince1970 - Self.farewell
        next.entries.removeAll { $0.standing == .purged && $0.seen.secondsSince1970 < horizon }
        next.removals.removeAll { $0.at.secondsSince1970 <= context.now.secondsSince1970 - Self.removalWindow }
        next.lastPass = max(lastPass ?? context.now, context.now)
        return next
    }

    /// The ledger before `plan` is carried out: what it takes away is no loss, and counts for the guard, even if
    /// nobody lives to write down that it happened.
    package func before(_ plan: Plan) -> Ledger {
        var next = self
        for change in plan.changes where change.action.removes || change.action == .purge {
            if let index = next.entries.firstIndex(where: {
                $0.resource == change.resource && $0.stack == plan.context.stack && $0.uid == change.uid
            }) {
                // Its name has a time in it and never comes again; there may be hundreds of them in a day.
                if change.reason == .expired {
                    next.entries.remove(at: index)
                    continue
                }
                let destroys = change.action == .purge || change.risk == .destroysData
                next.entries[index].standing = destroys ? .purged : .leaving
            }
            guard change.isGuarded else { continue }
            next.removals.append(
                Removal(stack: plan.context.stack, resource: change.resource, at: plan.context.now))
        }
        return next
    }

    /// A pool that no document names and that held nothing we remember need not be looked for.
    private mutating func dropFormerPools(_ desired: DesiredState, _ context: PlanContext) {
        let volumes = entries.filter { $0.resource.kind != .pool }
        entries.removeAll { pool in
            guard pool.resource.kind == .pool, pool.stack == context.stack, desired.count > 0,
                desired.pools[pool.resource.name] == nil
            else { return false }
            let home = pool.place.hasPrefix("/") ? pool.place : String(pool.place.prefix { $0 != "/" })
            return !volumes.contains { $0.place.hasPrefix(home + "/") }
        }
    }

    private mutating func see(_ volume: StoredVolume, at now: Instant) {
        guard volume.size != nil, volume.marks.operation != Marks.creating else { return }
        let resource = volume.marks.role.resource, stack = volume.marks.stack
        // A volume that was renamed is not lost under its old name.
        entries.removeAll { $0.uid == volume.uid && ($0.resource != resource || $0.stack != stack) }
        let isLive = volume.standing == .live
        // What is in the trash beside a live namesake, or beside one that is lost, does not speak for the name.
        if !isLive, let entry = entry(resource, stack: stack), entry.uid != volume.uid, entry.standing != .purged {
            return
        }
        // Nor does a live one that took the name of another which vanished: `Planner` says so before it comes to that.
        let former = entry(resource, stack: stack)
        var next = Entry(
            stack: stack, resource: resource, standing: isLive ? .live : .leaving, uid: volume.uid,
            uuid: volume.uuid, place: volume.location.description, seen: now, sharedSince: former?.sharedSince)
        if !volume.active, former?.uid == volume.uid { next.activationFault = former?.activationFault }
        record(next)
    }

    /// A handover is timed from the pass that first saw two initiators, and ends when one of them is gone or a document
    /// says that they may share. What cannot be seen now, and what no document speaks of, goes on.
    private mutating func watchHandovers(
        _ index: StorageIndex, _ observed: ObservedState, _ desired: DesiredState, _ context: PlanContext
    ) {
        guard case .known(let inventory) = observed.targets else { return }
        let targets = Dictionary(inventory.targets.map { ($0.iqn, $0) }) { first, _ in first }
        for volume in index.volumes where volume.standing == .live && volume.marks.stack == context.stack {
            guard case .volume(let name) = volume.marks.role, let iqn = volume.marks.iqn,
                inventory.fault(target: iqn) == nil,
                let position = entries.firstIndex(where: { $0.uid == volume.uid && $0.standing == .live })
            else { continue }
            let sharing = desired.volumes[name]?.spec.sharing
            if (targets[iqn]?.acls.count ?? 0) < 2 || (sharing ?? .handover) != .handover {
                entries[position].sharedSince = nil
            } else if sharing == .handover, entries[position].sharedSince == nil {
                entries[position].sharedSince = context.now
            }
        }
    }

    private mutating func see(_ pool: Declared<PoolSpec>, in observed: ObservedState, _ context: PlanContext) {
        let state = PoolState(pool, observed: observed)
        guard state.obstacle == nil, ReachDoor(context.config.allow).obstacle(to: state.backend) == nil else { return }
        let resource = ResourceID(.pool, pool.metadata.name)
        let place = state.backend.description
        // Another group under the old name is not the pool that was seen; that stays to be told.
        if let entry = entry(resource, stack: context.stack), entry.uuid != state.uuid, entry.place == place { return }
        record(Entry(stack: context.stack, resource: resource, uuid: state.uuid, place: place, seen: context.now))
    }
}
