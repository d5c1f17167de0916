package import TuffModel

/// Decides. `plan(desired:observed:context:)` is a pure function: no clock, no randomness, no I/O.
package enum Planner {
    package static func plan(desired: DesiredState, observed: ObservedState, context: PlanContext) -> Plan {
        var pass = PlanningPass(desired: desired, observed: observed, context: context)
        return pass.run(desired)
    }
}

/// The state of one planning: what is read, what is promised so far, what is decided.
struct PlanningPass {
    let inputs: PlanningInputs
    /// Repositories of backups, with what is known of each.
    var repositories: [String: RepositoryIndex.Standing]
    /// The steps of this plan that make repositories, by the names of their documents.
    var repositoryMakers: [String: Int] = [:]
    /// Those that store restore points, by the names of their repositories.
    var repositoryWriters: [String: [Int]] = [:]
    /// The same by volume, once somebody asked; and which of them wait.
    var restoresByVolume: [String: [Declared<RestoreSpec>]] = [:]
    var waitingRestores: [String: WaitingRestores] = [:]
    /// Results of the declared volumes and snapshots planned so far.
    var outcomes: [Marks.Role: VolumeOutcome] = [:]
    /// Pools that another node owns, by name.
    var poolsElsewhere: Set<String> = []
    var labelsElsewhere: [[String: String]] = []
    /// Pools of this node, by name; other nodes' pools are not there.
    var pools: [String: PoolState] = [:]
    /// The first volume group, directory or pool that could not be observed, and so may hold anything.
    var unseenStorage: String?
    var poolsByBackend: [StorageBackend: PoolState] = [:]
    /// The last step that reads the bytes of each source: one reader at a time.
    var transfers: [UID: Int] = [:]
    /// The attachments of each volume that may be carried out, by the volume's name.
    var attachments: [String: [Declared<AttachmentSpec>]] = [:]
    /// Sharing of each volume, by name.
    var sharing: [String: VolumeSpec.Sharing]
    /// Exports as the attachments planned so far leave them, by the volume's uid.
    var exports: [UID: ExportProgress] = [:]
    /// Portals that volumes ask for; the others have the controller's.
    var portals: [String: [Portal]]
    /// The targets that listen, or will when this plan is carried out, by portal; at most two targets of each.
    var listening: [Portal: [String]] = [:]
    /// Targets that make room for each other's portals.
    var moves = PortalMoves()
    /// Attachments that use a secret, by its fingerprint.
    var secretUses = SecretUses()
    /// Storage of other nodes' pools, as far as no pool of this node is in it: volumes there are theirs.
    var foreignBackends: Set<StorageBackend> = []
    /// Stored volumes of this stack that are not in another node's pools, once the pools are planned.
    private(set) var ownVolumes: [StoredVolume] = []
    /// Devices that pools of this plan are made of.
    var claimed: [DeviceNumber: String] = [:]
    /// Bases that backups of this plan make, the last of each purpose.
    var plannedBases: [KeptBase.Purpose: (base: BackupBase, volume: VolumeRef)] = [:]
    /// Temporary snapshots that this plan copies from.
    var temporariesInUse: Set<UID> = []
    /// The remains of earlier drills, by the names of their policies.
    var leftScratches: [String: LeftScratches] = [:]
    /// Documents that wait for what others have.
    var waiting = Waiting()
    /// Objects that declared volumes and snapshots stand for, or would if nothing were in the way.
    var meant: Set<UID> = []
    /// Volumes and snapshots in use or in the trash that no document declares or takes over.
    var unclaimed: [StoredVolume] = []
    /// New volumes of this plan by pool and size.
    var newcomers: [Claim: ResourceID] = [:]
    /// Names of policies' snapshots in this plan.
    var runNames: Set<String> = []
    /// Pools made in this plan, by name, and the room that thin pools among them take of groups that are there.
    var creations: [String: PoolCreationPlan] = [:]
    var claimedExtents: [String: ByteCount] = [:]
    /// The volume whose placement somebody asked for, and how it was decided.
    var question: String?
    var answer: Placement?
    /// Withdrawals from volumes' exports, by uid.
    var withdrawals: [UID: Withdrawal] = [:]
    var builder = PlanBuilder()
    /// Of groups whose volumes are adopted, by name.
    var healths: [String: StorageHealth] = [:]
    /// Room of pools that what is being planned has taken.
    var held: [HeldRoom] = []

    init(desired: DesiredState, observed: ObservedState, context: PlanContext) {
        inputs = PlanningInputs(desired: desired, observed: observed, context: context)
        portals = desired.volumes.compactMapValues(\.spec.portals)
        sharing = desired.volumes.mapValues(\.spec.sharing)
        repositories = RepositoryIndex(desired, seen: observed, through: inputs.door, for: context).standings
        unseenStorage = Self.unseen(observed, desired)
        for target in observed.targets.value?.targets ?? [] {
            Self.listen(target.iqn, portals: target.portals, listening: &listening)
        }
        secretUses = SecretUses(desired, observed)
    }

    /// A group that hangs may hold a volume whose document has just named another pool, declared or not any more. A
    /// directory that is looked at only because the ledger names it does not: the ledger names its volumes too.
    private static func unseen(_ observed: ObservedState, _ desired: DesiredState) -> String? {
        let declared = desired.pools.values.compactMap { pool in
            if case .directory(let directory) = pool.spec.backend { directory.path } else { nil }
        }
        let directories = observed.directories.entries.filter { $0.value.isUnknown }.keys
        if let error = observed.volumeGroups.unlisted, error.code != .notFound { return "LVM" }
        if let group = observed.volumeGroups.entries.filter({ $0.value.isUnknown }).keys.min() {
            return "volume group \(group)"
        }
        return directories.filter { desired.count == 0 || declared.contains($0) }.min().map { "directory \($0)" }
    }

    mutating func run(_ desired: DesiredState) -> Plan {
        // Tables that get one entry for each document are not moved again and again while they grow.
        outcomes.reserveCapacity(volumes.count + snapshots.count)
        exports.reserveCapacity(attachedVolumes.count)
        builder.reserve(changes: desired.count)
        poolsElsewhere = planPools(desired)
        planFormerMounts(desired)
        planRepositories(desired)
        unclaimed = ownVolumes.filter { $0.standing != .released && isUnclaimed($0) && isAtHome($0) }
        for name in namesByPriority { _ = outcome(of: .volume(name)) }
        for name in snapshots.keys.sorted() { _ = outcome(of: .snapshot(name)) }
        findWaiting(desired)
        attachments = Dictionary(grouping: desired.attachments.values, by: \.spec.volume)
        planWithdrawals()
        planRestores(desired)
        planAttachments(Self.inTurn(desired.attachments))
        planPolicies()
        planBackups(desired)
        planLeftScratches()
        planDrills(desired)
        planPrunes(desired)
        planVerifications(desired)
        planRemovals()
        planLeftGrowths()
        planLeftTemporaries()
        planBases(desired)
        planStrayTargets(desired)
        planDamaged()
        planTwins()
        planDepartures(desired)
        var (plan, left) = builder.finish(context: context).besides(observed.jobs)
        var unproven: Refusal?
        if !plan.steps.isEmpty {
            var proof = CapacityProof(
                desired, observed: observed, index: index, creations: creations, node: context.config.node)
            proof.owe(left)
            (plan, unproven) = proof.proven(plan)
        }
        plan.refusal = unknownRepository ?? Guard(changes: plan.changes, pass: self).refusal ?? unproven
        return plan
    }

    /// Volumes in the order in which they are planned, and so made and filled: those of higher priority first.
    private var namesByPriority: [String] {
        let ranks = volumes.mapValues { -$0.spec.priority }
        guard ranks.values.contains(where: { $0 != 0 }) else { return ranks.keys.sorted() }
        return ranks.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
    }

    /// The role under its former name, unless a document still has that name.
    func former(_ role: Marks.Role, _ metadata: Metadata) -> Marks.Role? {
        metadata.renamedFrom.map(role.named).flatMap { isDeclared($0) ? nil : $0 }
    }

    func isDeclared(_ role: Marks.Role) -> Bool {
        switch role {
        case .volume(let name): volumes[name] != nil
        case .snapshot(let name): snapshots[name] != nil
        case .temporary, .scratch: false
        }
    }

    /// Plans a declared volume or snapshot, once, and before it whatever it is made from. Nil: it is another node's.
    ///
    /// Documents choose how long such a chain is, so it is gone through here and not by calls within calls.
    mutating func outcome(of role: Marks.Role) -> VolumeOutcome? {
        if let known = outcomes[role] { return known }
        // Most are made from nothing, and no circle goes through them.
        guard origin(of: role) != nil else {
            let outcome = plan(role)
            outcomes[role] = outcome
            return outcome
        }
        var chain: [Marks.Role] = []
        var next: Marks.Role? = role
        while let link = next {
            chain.append(link)
            // Documents that refer to each other in a circle are refused when they are read; this ends one all the
            // same.
            outcomes[link] = .unavailable("\(link.resource) is made from itself")
            next = origin(of: link).flatMap { outcomes[$0] == nil ? $0 : nil }
        }
        for link in chain.reversed() { outcomes[link] = plan(link) }
        return outcomes[role]
    }

    /// The resource that has to be planned before a declared volume or snapshot; nil: nothing.
    func origin(of role: Marks.Role) -> Marks.Role? {
        switch role {
        case .volume(let name):
            guard let spec = volumes[name]?.spec, !isElsewhere(spec.placement) else { return nil }
            return spec.source?.role
        case .snapshot(let name): return snapshots[name].map { .volume($0.spec.volume) }
        case .temporary, .scratch: return nil
        }
    }

    private mutating func plan(_ role: Marks.Role) -> VolumeOutcome? {
        switch role {
        case .volume(let name):
            guard let declared = volumes[name] else { return .unavailable("no document declares \(role.resource)") }
            return isElsewhere(declared.spec.placement) ? nil : holdingRoom { $0.planVolume(declared) }
        case .snapshot(let name):
            return snapshots[name].map { s in holdingRoom { $0.planSnapshot(s) } } ?? policySnapshot(name)
        case .temporary, .scratch: return nil
        }
    }

    private func isElsewhere(_ placement: VolumeSpec.Placement) -> Bool {
        switch placement {
        case .pool(let name): poolsElsewhere.contains(name)
        case .selector(let selector): isElsewhere(selector)
        }
    }

    /// - Returns: names of pools that another node owns.
    private mutating func planPools(_ desired: DesiredState) -> Set<String> {
        var elsewhere: Set<String> = []
        for name in desired.pools.keys.sorted() {
            let declared = desired.pools[name]!
            if let node = declared.spec.node, node != context.config.node {
                elsewhere.insert(name)
                labelsElsewhere.append(declared.metadata.labels)
                foreignBackends.insert(declared.spec.storage)
                continue
            }
            var state = PoolState(declared, observed: observed)
            let refusal = state.judge(declared.spec, by: door)
            state.compare(with: observed.ledger.entry(ResourceID(.pool, name), stack: context.stack))
            let isPlanned = refusal == nil && (planMissing(declared, &state) || planMount(declared, state))
            pools[name] = state
            poolsByBackend[state.backend] = state
            if state.obstacle?.reason == .unknown, unseenStorage == nil { unseenStorage = "pool '\(name)'" }
            let resource = ResourceID(.pool, name)
            if isPlanned { continue }
            if let obstacle = state.obstacle ?? refusal?.obstacle {
                let action: Action = obstacle.reason == .notSupportedYet ? .unsupported : .blocked
                builder.block(
                    resource, by: obstacle, as: action,
                    at: declared.location(of: obstacle == refusal?.obstacle ? refusal?.field ?? "" : ""))
            } else if !planAutoExtend(declared) {
                builder.add(
                    PlannedChange(
                        resource, action: .unchanged, summary: state.backend.description, location: declared.location,
                        notes: state.complaints.map(\.sentence)))
            }
        }
        foreignBackends.subtract(poolsByBackend.keys)
        ownVolumes = index.volumes.filter {
            $0.marks.stack == context.stack && !foreignBackends.contains($0.backend)
        }
        for (group, taken) in claimedExtents {
            for name in pools.keys where pools[name]?.backend == .thick(group: group) {
                pools[name]?.budget.give(taken)
            }
        }
        return elsewhere
    }

    /// True if it lives in a pool of this node: one that a document declares, or that the ledger remembers and that is
    /// still the same. Anything else is somebody's copy or another host's disks, plugged in to save what is on them.
    func isAtHome(_ stored: StoredVolume) -> Bool {
        guard !formerPools.isEmpty, let known = formerPools[stored.backend.description] else {
            return poolsByBackend.index(forKey: stored.backend) != nil
        }
        return known.contains { pool in
            guard let uuid = pool.uuid, let group = stored.groupUUID else { return true }
            return uuid.prefix { $0 != "/" } == group
        }
    }

    private mutating func planDamaged() {
        for (location, sentence) in index.damaged {
            builder.add(
                PlannedChange(
                    ResourceID(.volume, location.objectName), action: .blocked,
                    summary: "\(location) has marks of Tuff's and is left alone: \(sentence)", reason: .marksDamaged))
        }
    }
}

extension PlanningPass {
    /// Targets under our base that belong to no volume we know: reported and left alone.
    private mutating func planStrayTargets(_ desired: DesiredState) {
        // A volume that cannot be seen now may be theirs.
        guard case .known(let inventory) = inventory, unseenStorage == nil else { return }
        let prefix = "\(context.config.iqnBase):"
        let coming = Set(
            desired.volumes.values.map { $0.spec.identity?.iqn ?? "\(prefix)\($0.metadata.name)" })
        let strays = inventory.targets.map(\.iqn).sorted().filter { iqn in
            iqn.hasPrefix(prefix) && !coming.contains(iqn) && index.volumes(withTarget: iqn).isEmpty
        }
        // Another program's hundred targets must not bury what is ours.
        for iqn in strays.prefix(strays.count > 2 ? 1 : 2) {
            let others = strays.count > 2 ? ", like \(strays.count - 1) more" : ""
            builder.add(
                PlannedChange(
                    ResourceID(.attachment, String(iqn.dropFirst(prefix.count))), action: .orphan,
                    summary:
                        "target \(iqn) is under our base and belongs to no volume of ours\(others); it is left alone",
                    reason: .notOurs))
        }
    }
}
