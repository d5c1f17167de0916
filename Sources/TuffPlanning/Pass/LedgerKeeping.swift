package import TuffModel

/// The ledger follows what is seen and what is done. Pure.
extension Ledger {
    /// Seconds for which something that left on purpose is remembered: a later use of its name is told.
    private static let farewell: Int64 = 30 * 86400

    /// The ledger after a pass saw `observed`.
    package func after(_ observed: ObservedState, desired: DesiredState, context: PlanContext) -> Ledger {
        var next = self
        let index = StorageIndex(observed)
        var bearers = Bearers(next)
        for volume in index.volumes { next.see(volume, at: context.now, &bearers) }
        next.seeNewcomers(since: self, index, desired: desired, context: context)
        next.seeWaits(index, desired: desired, context: context)
        next.watchHandovers(index, observed: observed, desired: desired, context: context)
        for declared in desired.pools.values where declared.spec.node ?? context.config.node == context.config.node {
            next.see(declared, in: observed, context)
        }
        next.dropFormerPools(of: desired, in: observed, under: context)
        next.seeRepositories(in: observed, by: index, of: desired, context)
        // A clock that is in doubt ends nothing, the guard's day included.
        guard next.believe(observed.clock) else { return next }
        next.seeArrears(in: observed, desired: desired, context)
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
                if !plan.context.consent.allowBlank.isEmpty { next.settle(change.uid) }
                next.entries[index].standing = destroys ? .purged : .leaving
            }
            guard change.isGuarded else { continue }
            next.removals.append(
                Removal(stack: plan.context.stack, resource: change.resource, at: plan.context.now))
        }
        return next
    }

    /// It goes on a person's word that what was made beside it is another one.
    private mutating func settle(_ uid: UID?) {
        for index in entries.indices {
            entries[index].beside?.removeAll { $0 == uid }
            if entries[index].beside?.isEmpty == true { entries[index].beside = nil }
        }
    }

    /// A pool that no document names and that held nothing we remember need not be looked for.
    private mutating func dropFormerPools(
        of desired: DesiredState, in observed: ObservedState, under context: PlanContext
    ) {
        let volumes = entries.filter { $0.resource.kind != .pool }
        entries.removeAll { pool in
            guard pool.resource.kind == .pool, pool.stack == context.stack, desired.count > 0,
                desired.pools[pool.resource.name] == nil
            else { return false }
            if pool.share != nil {
                // Until it is unmounted. What was purged there is no reason to go on looking.
                if case .known(let mount?)? = observed.mounts?[pool.place], mount.isUsable { return false }
                return !volumes.contains { $0.standing != .purged && $0.place.hasPrefix(pool.place + "/") }
            }
            let home = pool.place.hasPrefix("/") ? pool.place : String(pool.place.prefix { $0 != "/" })
            return !volumes.contains { $0.place.hasPrefix(home + "/") }
        }
    }

    /// Entries by the uid that they had at some time of a pass, since each of thousands of volumes asks for its own.
    private struct Bearers {
        private var names: [UID: [(stack: String, resource: ResourceID)]] = [:]

        init(_ ledger: Ledger) {
            for entry in ledger.entries { note(entry) }
        }

        mutating func note(_ entry: Entry) {
            guard let uid = entry.uid else { return }
            names[uid, default: []].append((entry.stack, entry.resource))
        }

        /// The entries of `ledger` that have this uid now, in its order.
        func entries(of uid: UID, in ledger: Ledger) -> [Entry] {
            guard let names = names[uid] else { return [] }
            let found = names.compactMap { ledger.entry($0.resource, stack: $0.stack) }.filter { $0.uid == uid }
            return found.count < 2 ? found : found.sorted { ($0.stack, $0.resource) < ($1.stack, $1.resource) }
        }
    }

    private mutating func see(_ volume: StoredVolume, at now: Instant, _ bearers: inout Bearers) {
        guard volume.size != nil, volume.marks.operation != Marks.creating else { return }
        let resource = volume.marks.role.resource, stack = volume.marks.stack
        let same = bearers.entries(of: volume.uid, in: self)
        let known = same.first { $0.stack == stack && $0.resource.kind == resource.kind }
        let present = volume.marks.lastingOperation == nil && !volume.isThickSnapshot ? volume.size : nil
        // A volume that was renamed is not lost under its old name.
        if same.contains(where: { $0.resource != resource || $0.stack != stack }) {
            entries.removeAll { $0.uid == volume.uid && ($0.resource != resource || $0.stack != stack) }
        }
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
        next.iqn = volume.marks.iqn
        next.serial = volume.marks.serial
        next.beside = known?.beside
        var names = known?.formerly ?? []
        if let known, known.resource != resource { names.append(known.resource.name) }
        names.removeAll { $0 == resource.name }
        next.formerly = names.isEmpty ? nil : names.suffix(Self.mostFormerNames)
        next.size = [known?.size, present].compactMap(\.self).max()
        record(next)
        bearers.note(next)
    }

    /// Forgets that a logical volume was larger: a person gives its end up. A file's own marks say it too, and it is
    /// made as long as they say by hand.
    /// - Returns: false where it is not shorter than the ledger remembers, and nothing changes.
    package mutating func acceptSize(of stored: StoredVolume) -> Bool {
        guard stored.isTruncated, !stored.location.traits.recordsSize else { return false }
        for index in entries.indices where entries[index].uid == stored.uid { entries[index].size = stored.size }
        return true
    }

    /// Number of former names of a volume that are remembered.
    private static let mostFormerNames = 4

    /// Volumes that were made since the last pass although something that nobody declares has their pool and size.
    /// Where there was no pass, everything would be new.
    private mutating func seeNewcomers(
        since former: Ledger, _ index: StorageIndex, desired: DesiredState, context: PlanContext
    ) {
        guard former.lastPass != nil else { return }
        let volumes = index.volumes.filter {
            $0.standing == .live && $0.marks.stack == context.stack && $0.marks.kind == .volume && !$0.marks.adopted
        }
        let heirs = Set(desired.volumes.values.compactMap(\.metadata.renamedFrom))
        let strays = volumes.filter { desired.volumes[$0.marks.name] == nil && !heirs.contains($0.marks.name) }
        guard !strays.isEmpty else { return }
        let known = Set(former.entries.compactMap(\.uid))
        for volume in volumes where !known.contains(volume.uid) && desired.volumes[volume.marks.name] != nil {
            let resource = volume.marks.role.resource
            let beside = strays.filter {
                $0.backend == volume.backend && $0.size == volume.size && known.contains($0.uid)
            }
            guard !beside.isEmpty, let position = entries.firstIndex(where: { $0.uid == volume.uid }),
                !context.consent.allowBlank.contains(resource), !context.consent.recreate.contains(resource)
            else { continue }
            entries[position].beside = beside.map(\.uid).sorted()
        }
    }

    /// Documents of this stack whose volume is not there, while another stack's has its place or its target.
    private mutating func seeWaits(_ index: StorageIndex, desired: DesiredState, context: PlanContext) {
        // An order by hand has no documents.
        guard desired.count > 0 else { return }
        let others = index.volumes.filter { $0.marks.stack != context.stack && $0.standing != .released }
        var found = (waits ?? []).filter { $0.stack != context.stack && $0.isCurrent(at: context.now.secondsSince1970) }
        if !others.isEmpty {
            for (name, declared) in desired.volumes.inKeyOrder
            where index.live(.volume(name), context.stack).isEmpty {
                let iqn = declared.spec.identity?.iqn ?? "\(context.config.iqnBase):\(name)"
                let object = Marks.Role.volume(name).objectName
                found += others.filter { $0.marks.iqn == iqn || $0.location.objectName == object }.map {
                    Wait(stack: context.stack, resource: ResourceID(.volume, name), uid: $0.uid, seen: context.now)
                }
            }
        }
        waits = found.isEmpty ? nil : found
    }

    /// A handover is timed from the pass that first saw two initiators, and ends when one of them is gone or a document
    /// says that they may share. What cannot be seen now, and what no document speaks of, goes on.
    private mutating func watchHandovers(
        _ index: StorageIndex, observed: ObservedState, desired: DesiredState, context: PlanContext
    ) {
        guard case .known(let inventory) = observed.targets else { return }
        let targets = Dictionary(inventory.targets.map { ($0.iqn, $0) }) { first, _ in first }
        let live = entries.enumerated().compactMap { position, entry in
            entry.standing == .live ? entry.uid.map { ($0, position) } : nil
        }
        let positions = Dictionary(live) { first, _ in first }
        for volume in index.volumes where volume.standing == .live && volume.marks.stack == context.stack {
            guard case .volume(let name) = volume.marks.role, let iqn = volume.marks.iqn,
                inventory.fault(target: iqn) == nil,
                let position = positions[volume.uid]
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
        var seen = Entry(stack: context.stack, resource: resource, uuid: state.uuid, place: place, seen: context.now)
        seen.share = pool.spec.share
        record(seen)
    }
}
