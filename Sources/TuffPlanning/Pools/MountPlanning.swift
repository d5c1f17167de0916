import TuffModel

extension PoolState {
    /// Compares what is mounted at the directory of a pool with its share.
    /// - Returns: why nothing in it can be looked at or used; and what is wrong with the mount otherwise.
    static func judgeMount(
        of share: NFSShare, at path: String, in observed: ObservedState
    ) -> (obstacle: Obstacle?, fault: Obstacle?) {
        guard let mounts = observed.mounts else {
            return (Obstacle(.unknown, "nobody looked at what is mounted at \(path)"), nil)
        }
        switch mounts[path] {
        case .unknown(let error):
            return (Obstacle(.unknown, "what is mounted at \(path) could not be observed: \(error)"), nil)
        case .known(let mount?) where mount.share == share: return judge(mount, at: path)
        case .known:
            return (Obstacle(.unknown, "nobody looked whether NFS share \(share.source) is mounted at \(path)"), nil)
        }
    }

    private static func judge(_ mount: ObservedMount, at path: String) -> (obstacle: Obstacle?, fault: Obstacle?) {
        switch mount.state {
        case .mounted: return (nil, nil)
        case .differing(let how):
            return (nil, Obstacle(.wrongMount, "\(path) \(how)"))
        case .absent(.missing), .absent(.empty):
            return (Obstacle(.notMounted, "NFS share \(mount.share.source) is not mounted at \(path)"), nil)
        case .absent(.filled):
            return (
                Obstacle(
                    .wrongMount,
                    "NFS share \(mount.share.source) is not mounted at \(path), which is not empty: mounting would "
                        + "hide what is in it. Move that away, or name another directory"), nil
            )
        case .foreign(let found):
            return (
                Obstacle(
                    .wrongMount,
                    "\(path) \(found): nothing there is looked at or written. Unmount it, and the share is mounted; or "
                        + "correct the document"), nil
            )
        case .hidden: return (Obstacle(.unknown, mount.fault(at: path) ?? ""), nil)
        }
    }
}

/// Mounts of directory pools on NFS.
extension PlanningPass {
    /// Mounts the share of a declared pool, or mounts it again as it is declared where nobody uses it. What the pool
    /// holds is known only afterwards, so nothing else is planned in it.
    /// - Returns: whether anything was said about the pool.
    mutating func planMount(_ declared: Declared<PoolSpec>, _ state: PoolState) -> Bool {
        guard case .directory(let directory) = declared.spec.backend, let share = directory.nfs else { return false }
        let path = directory.path
        if state.obstacle?.reason == .notMounted {
            addMount(
                of: declared, as: .create, saying: "mount NFS share \(share.source) at \(path)",
                .mount(share, at: path, anew: false),
                notes: ["what is in it is seen then, and what is missing is made after that"])
            return true
        }
        guard state.obstacle == nil, let fault = state.mountFault, !isServed(from: path) else { return false }
        addMount(
            of: declared, as: .update, saying: "mount it again: \(fault.sentence)",
            .mount(share, at: path, anew: true))
        return true
    }

    /// The same of a pool of the last accepted set. No packet goes to a server that is not named any more, not even for
    /// what was accepted.
    mutating func planMountAtBoot(_ declared: Declared<PoolSpec>, of share: NFSShare, _ state: inout PoolState) {
        let resource = ResourceID(.pool, declared.metadata.name)
        if let refusal = door.refusal(of: share, at: "") { state.obstacle = refusal.obstacle }
        guard let obstacle = state.obstacle else {
            builder.add(
                PlannedChange(resource, action: .unchanged, summary: "\(share.source) is mounted at \(state.backend)"))
            return
        }
        if obstacle.reason == .notMounted, planMount(declared, state) { return }
        builder.block(resource, by: obstacle)
    }

    private mutating func addMount(
        of declared: Declared<PoolSpec>, as action: Action, saying summary: String, _ step: MountStep,
        notes: [String] = []
    ) {
        builder.add(
            PlannedChange(
                ResourceID(.pool, declared.metadata.name), action: action, summary: summary, risk: .online,
                location: declared.location(of: "spec.directory.nfs"), notes: notes),
            [.mount(step)])
    }

    /// True where a target hands out a volume of this directory, whose file it has open; or where that cannot be told.
    private func isServed(from path: String) -> Bool {
        guard case .known(let inventory) = inventory, inventory.unseen == nil else { return true }
        let names = Set(index.volumes.filter { $0.backend == .directory(path: path) }.map(\.uid.backstoreName))
        return inventory.backstores.contains {
            names.contains($0.name) || $0.path.map { Reach.holds(path, $0) } == true
        }
    }

    /// Unmounts the shares of pools that no document names any more, with consent and once nothing of ours is there.
    mutating func planFormerMounts(_ desired: DesiredState) {
        let declared = Set(
            desired.pools.values.compactMap { pool in
                if case .directory(let directory) = pool.spec.backend { directory.path } else { nil }
            })
        for entry in observed.ledger.entries
        where entry.resource.kind == .pool && entry.stack == context.stack && !declared.contains(entry.place) {
            guard let share = entry.share, desired.pools[entry.resource.name] == nil,
                case .known(let mount?)? = observed.mounts?[entry.place], mount.isUsable, mount.share == share
            else { continue }
            planUnmount(entry, share)
        }
    }

    private mutating func planUnmount(_ entry: Ledger.Entry, _ share: NFSShare) {
        let path = entry.place
        var stays: String?
        if case .known(let directory?) = observed.directories[path] {
            let ours = directory.files.count { !$0.tags.isEmpty }
            if ours > 0 { stays = "\(ours) of its volumes \(ours == 1 ? "is" : "are") there" }
        } else {
            stays = "what is there could not be observed"
        }
        let others = observed.ledger.entries.contains {
            $0.resource.kind == .pool && $0.stack != context.stack && $0.place == path
        }
        if others { stays = "a pool of another stack is there" }
        if stays == nil, !context.consent.prune { stays = "--prune unmounts it" }
        if let stays {
            builder.block(
                entry.resource,
                by: Obstacle(
                    .notDeclared,
                    "no document declares it; NFS share \(share.source) stays mounted at \(path), since \(stays)"),
                as: .orphan)
            return
        }
        builder.add(
            PlannedChange(
                entry.resource, action: .takeDown,
                summary: "unmount NFS share \(share.source) from \(path); what lies on the server stays",
                risk: .online),
            [.mount(.unmount(share, at: path))])
    }
}
