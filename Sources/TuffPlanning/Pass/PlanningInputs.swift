import TuffModel

/// All that a planning reads: documents, what was observed, and tables of both. It does not change while a plan is
/// made, and every copy of the planning has the same one.
final class PlanningInputs: Sendable {
    let context: PlanContext
    let observed: ObservedState
    let index: StorageIndex
    /// Decides what the documents may reach.
    let door: ReachDoor
    let volumes: [String: Declared<VolumeSpec>]
    let snapshots: [String: Declared<SnapshotSpec>]
    let snapshotPolicies: [String: Declared<SnapshotPolicySpec>]
    let restores: [String: Declared<RestoreSpec>]
    let backupRepositories: [String: Declared<BackupRepositorySpec>]
    /// Roles that take over a former name, by that name: the annotation `tuff.dev/renamed-from`.
    let heirs: [Marks.Role: Marks.Role]
    let inventory: Observation<TargetInventory>
    let targets: [String: ObservedTarget]
    let backstores: [String: ObservedBackstore]
    /// The targets that hand out each backstore, sorted.
    let users: [String: [String]]
    /// Volumes that documents attach to anybody.
    let attachedVolumes: Set<String>
    /// Pools that were seen here once, by their place.
    let formerPools: [String: [Ledger.Entry]]
    /// The ledger's memory of objects that were renamed, or made beside something of their pool and size.
    let histories: [UID: Ledger.Entry]
    /// Names of targets that the ledger remembers, of whatever stack.
    let formerTargets: Set<String>
    /// Number of this stack's volumes that the ledger knows, and the uids of all objects that nobody destroyed.
    let rememberedVolumes: Int
    let rememberedUIDs: Set<UID>

    init(desired: DesiredState, observed: ObservedState, context: PlanContext) {
        self.context = context
        self.observed = observed
        volumes = desired.volumes
        snapshots = desired.snapshots
        snapshotPolicies = desired.snapshotPolicies
        restores = desired.restores
        backupRepositories = desired.backupRepositories
        heirs = Self.heirs(desired)
        attachedVolumes = Set(desired.attachments.values.map(\.spec.volume))
        index = StorageIndex(observed)
        door = ReachDoor(context.config, desired: desired, ledger: observed.ledger)
        formerPools = Dictionary(
            grouping: observed.ledger.entries.filter { $0.resource.kind == .pool && $0.stack == context.stack },
            by: \.place)
        histories = Dictionary(
            observed.ledger.entries.compactMap { entry in
                entry.uid.flatMap { entry.formerly == nil && entry.beside == nil ? nil : ($0, entry) }
            }
        ) { first, _ in first }
        formerTargets = Set(observed.ledger.entries.lazy.compactMap(\.iqn))
        rememberedVolumes = observed.ledger.entries.count {
            $0.stack == context.stack && $0.resource.kind == .volume
        }
        rememberedUIDs = Set(observed.ledger.entries.lazy.filter { $0.standing != .purged }.compactMap(\.uid))
        inventory = observed.targets
        // Names are unique within a stack; where a broken report repeats one, the first counts and nothing traps.
        targets = Dictionary(inventory.value?.targets.map { ($0.iqn, $0) } ?? []) { first, _ in first }
        users = Self.users(targets)
        backstores = Dictionary(inventory.value?.backstores.map { ($0.name, $0) } ?? []) { first, _ in first }
    }

    private static func users(_ targets: [String: ObservedTarget]) -> [String: [String]] {
        var users: [String: [String]] = [:]
        for iqn in targets.keys.sorted() {
            for name in Set(targets[iqn]!.luns.compactMap(\.backstore)) { users[name, default: []].append(iqn) }
        }
        return users
    }

    private static func heirs(_ desired: DesiredState) -> [Marks.Role: Marks.Role] {
        var heirs: [Marks.Role: Marks.Role] = [:]
        func add(_ metadata: Metadata, _ role: Marks.Role, isDeclared: (String) -> Bool) {
            if let former = metadata.renamedFrom, !isDeclared(former) { heirs[role.named(former)] = role }
        }
        for declared in desired.volumes.values {
            add(declared.metadata, .volume(declared.metadata.name)) { desired.volumes[$0] != nil }
        }
        for declared in desired.snapshots.values {
            add(declared.metadata, .snapshot(declared.metadata.name)) { desired.snapshots[$0] != nil }
        }
        return heirs
    }
}

extension PlanningPass {
    var context: PlanContext { inputs.context }
    var observed: ObservedState { inputs.observed }
    var index: StorageIndex { inputs.index }
    var door: ReachDoor { inputs.door }
    var volumes: [String: Declared<VolumeSpec>] { inputs.volumes }
    var snapshots: [String: Declared<SnapshotSpec>] { inputs.snapshots }
    var snapshotPolicies: [String: Declared<SnapshotPolicySpec>] { inputs.snapshotPolicies }
    var restores: [String: Declared<RestoreSpec>] { inputs.restores }
    var backupRepositories: [String: Declared<BackupRepositorySpec>] { inputs.backupRepositories }
    var heirs: [Marks.Role: Marks.Role] { inputs.heirs }
    var inventory: Observation<TargetInventory> { inputs.inventory }
    var targets: [String: ObservedTarget] { inputs.targets }
    var backstores: [String: ObservedBackstore] { inputs.backstores }
    var users: [String: [String]] { inputs.users }
    var attachedVolumes: Set<String> { inputs.attachedVolumes }
    var formerPools: [String: [Ledger.Entry]] { inputs.formerPools }
    var histories: [UID: Ledger.Entry] { inputs.histories }
    var formerTargets: Set<String> { inputs.formerTargets }
}
