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
    let context: PlanContext
    let observed: ObservedState
    let index: StorageIndex
    let volumes: [String: Declared<VolumeSpec>]
    let inventory: Observation<TargetInventory>
    let targets: [String: ObservedTarget]
    let backstores: [String: ObservedBackstore]
    /// Pools of this node, by name; other nodes' pools are not there.
    var pools: [String: PoolState] = [:]
    /// The first volume group, directory or pool that could not be observed, and so may hold anything.
    var unseenStorage: String?
    var poolsByBackend: [StorageBackend: PoolState] = [:]
    /// How many attachments each volume has.
    var attachmentCount: [String: Int] = [:]
    var builder = PlanBuilder()

    init(desired: DesiredState, observed: ObservedState, context: PlanContext) {
        self.context = context
        self.observed = observed
        volumes = desired.volumes
        index = StorageIndex(observed)
        inventory = observed.targets
        // Names are unique within a stack; where a broken report repeats one, the first counts and nothing traps.
        targets = Dictionary(inventory.value?.targets.map { ($0.iqn, $0) } ?? []) { first, _ in first }
        unseenStorage = Self.unseen(observed)
        backstores = Dictionary(inventory.value?.backstores.map { ($0.name, $0) } ?? []) { first, _ in first }
    }

    /// A group that hangs may hold a volume whose document has just named another pool, declared or not any more.
    private static func unseen(_ observed: ObservedState) -> String? {
        func first<Value>(_ map: ObservationMap<Value>) -> String? {
            map.entries.filter { $0.value.isUnknown }.keys.min()
        }
        return first(observed.volumeGroups).map { "volume group \($0)" }
            ?? first(observed.directories).map { "directory \($0)" }
    }

    mutating func run(_ desired: DesiredState) -> Plan {
        let elsewhere = planPools(desired)
        let names = desired.volumes.keys.sorted()
        var outcomes: [String: VolumeOutcome] = [:]
        for name in names where !isElsewhere(desired.volumes[name]!, elsewhere) {
            outcomes[name] = planVolume(desired.volumes[name]!)
        }
        for attachment in desired.attachments.values { attachmentCount[attachment.spec.volume, default: 0] += 1 }
        for name in desired.attachments.keys.sorted() {
            let declared = desired.attachments[name]!
            planAttachment(declared, outcomes[declared.spec.volume])
        }
        planUnsupported(desired)
        planOrphans(desired)
        return builder.plan(context: context)
    }

    private func isElsewhere(_ volume: Declared<VolumeSpec>, _ elsewhere: Set<String>) -> Bool {
        guard case .pool(let name) = volume.spec.placement else { return false }
        return elsewhere.contains(name)
    }

    /// - Returns: names of pools that another node owns.
    private mutating func planPools(_ desired: DesiredState) -> Set<String> {
        var elsewhere: Set<String> = []
        for name in desired.pools.keys.sorted() {
            let declared = desired.pools[name]!
            if let node = declared.spec.node, node != context.config.node {
                elsewhere.insert(name)
                continue
            }
            let state = PoolState(declared, observed: observed)
            pools[name] = state
            poolsByBackend[state.backend] = state
            if state.obstacle?.reason == .unknown, unseenStorage == nil { unseenStorage = "pool '\(name)'" }
            let resource = ResourceID(.pool, name)
            if let obstacle = state.obstacle {
                let action: Action = obstacle.reason == .notSupportedYet ? .unsupported : .blocked
                builder.add(
                    PlannedChange(
                        resource, action, obstacle.sentence, reason: obstacle.reason, location: declared.location))
            } else {
                builder.add(
                    PlannedChange(
                        resource, .unchanged, state.backend.description, location: declared.location,
                        notes: poolNotes(declared)))
            }
        }
        return elsewhere
    }

    private func poolNotes(_ declared: Declared<PoolSpec>) -> [String] {
        guard declared.spec.autoExtend != nil else { return [] }
        return ["'autoExtend' is not carried out yet: watch the pool's fill level by other means"]
    }

    private mutating func planUnsupported(_ desired: DesiredState) {
        var found: [(ResourceID, SourceLocation)] = []
        found += desired.snapshots.values.map { (ResourceID(.snapshot, $0.metadata.name), $0.location) }
        found += desired.snapshotPolicies.values.map { (ResourceID(.snapshotPolicy, $0.metadata.name), $0.location) }
        found += desired.backupRepositories.values.map {
            (ResourceID(.backupRepository, $0.metadata.name), $0.location)
        }
        found += desired.backupPolicies.values.map { (ResourceID(.backupPolicy, $0.metadata.name), $0.location) }
        found += desired.backups.values.map { (ResourceID(.backup, $0.metadata.name), $0.location) }
        found += desired.restores.values.map { (ResourceID(.restore, $0.metadata.name), $0.location) }
        for (resource, location) in found.sorted(by: { $0.0 < $1.0 }) {
            builder.add(
                PlannedChange(
                    resource, .unsupported, "this version does not carry out \(resource.kind.rawValue) documents yet",
                    reason: .notSupportedYet, location: location))
        }
    }

    /// Objects of this stack that no document declares are listed and left alone.
    private mutating func planOrphans(_ desired: DesiredState) {
        for volume in index.volumes where volume.marks.stack == context.stack {
            guard case .volume(let name) = volume.marks.role, desired.volumes[name] == nil else { continue }
            builder.add(
                PlannedChange(
                    ResourceID(.volume, name), .orphan,
                    "\(volume.location) is ours and no document declares it; nothing is removed",
                    reason: .notDeclared, uid: volume.uid))
        }
        planOrphanedAccess(desired)
        planStrayTargets(desired)
        for (location, sentence) in index.damaged {
            builder.add(
                PlannedChange(
                    ResourceID(.volume, location.objectName), .blocked,
                    "\(location) has marks that cannot be read, it is left alone: \(sentence)", reason: .marksDamaged))
        }
    }
}

extension PlanningPass {
    /// Initiators that may use a volume of this stack which no attachment declares at all. Access beside a declared
    /// attachment is told with that attachment.
    private mutating func planOrphanedAccess(_ desired: DesiredState) {
        guard case .known(let inventory) = inventory else { return }
        let attached = Set(desired.attachments.values.map(\.spec.volume))
        for target in inventory.targets.sorted(by: { $0.iqn < $1.iqn }) where !target.acls.isEmpty {
            let uids = Set(target.luns.compactMap { $0.backstore.flatMap { UID(backstoreName: $0) } })
            guard let uid = uids.first, uids.count == 1,
                let volume = index.volume(uid), volume.marks.stack == context.stack,
                case .volume(let name) = volume.marks.role, !attached.contains(name)
            else { continue }
            let initiators = target.acls.map(\.initiator).sorted().joined(separator: ", ")
            builder.add(
                PlannedChange(
                    ResourceID(.attachment, name), .orphan,
                    "\(initiators) may use volume \(name) through \(target.iqn) and no document says so; "
                        + "nothing is withdrawn", reason: .notDeclared, uid: uid))
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
        for target in inventory.targets.sorted(by: { $0.iqn < $1.iqn }) {
            guard target.iqn.hasPrefix(prefix), !coming.contains(target.iqn),
                index.volumes(withTarget: target.iqn).isEmpty
            else { continue }
            builder.add(
                PlannedChange(
                    ResourceID(.attachment, String(target.iqn.dropFirst(prefix.count))), .orphan,
                    "target \(target.iqn) is under our base and belongs to no volume of ours; it is left alone",
                    reason: .notOurs))
        }
    }
}

extension VolumeLocation {
    /// The object's own name, for a line about something that has no document.
    fileprivate var objectName: String {
        switch self {
        case .logicalVolume(_, let name), .file(_, let name): name
        }
    }
}
