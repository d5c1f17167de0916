package import TuffHost
package import TuffModel
package import TuffPlanning

/// Steps that are carried out together, and the actions that do so.
package struct LoweredBatch: Hashable, Sendable {
    /// Indices into the steps handed to `lower`.
    package var steps: [Int]
    package var actions: [HostAction]

    package init(steps: [Int], actions: [HostAction]) {
        self.steps = steps
        self.actions = actions
    }
}

/// The things that an observation has to look at, besides those that it always looks at.
package struct ObservationRequest: Sendable {
    package var config: ControllerConfig
    /// Paths of declared directory pools.
    package var directories: [String]
    package var secrets: [SecretReference]
    package var key: FingerprintKey

    package init(
        config: ControllerConfig, directories: [String] = [], secrets: [SecretReference] = [], key: FingerprintKey
    ) {
        self.config = config
        self.directories = directories
        self.secrets = secrets
        self.key = key
    }
}

/// The way to the bytes of a volume, for reading.
package struct ContentReading: Hashable, Sendable {
    /// Conditions that must hold right before.
    package var conditions: [HostAction]
    package var place: BytesPlace

    package init(conditions: [HostAction], place: BytesPlace) {
        self.conditions = conditions
        self.place = place
    }
}

/// LVM: observes all volume groups with one report, lowers volume steps. Lowering is pure.
package protocol VolumeGroupDriver: Sendable {
    func observe(_ machine: any Machine) async -> ObservationMap<VolumeGroup>
    /// Groups of these names that are there though `observe` saw none, and why; or that nobody can tell of.
    func find(_ names: Set<String>, on machine: any Machine) async -> [String: HostError]
    /// The profiles by which thin pools grow, by file name.
    func observeProfiles(_ machine: any Machine, key: FingerprintKey) async -> ObservationMap<String>
    /// Bytes of the logical sectors of each group's volumes, by its name; one that cannot be told is left out. It takes
    /// a command of its own, so only who copies between pools asks.
    func sectorSizes(of groups: [VolumeGroup], on machine: any Machine) async -> [String: Int]
    /// All ready steps in one volume group. Batches run in order.
    func lower(_ steps: [VolumeStep]) -> [LoweredBatch]
    /// The way to the bytes of a volume there that nobody changes.
    func reading(_ volume: VolumeRef) -> ContentReading
    /// Those that only LVM has.
    func lower(_ steps: [LVMStep]) -> [LoweredBatch]
    /// Steps that make a pool.
    func lower(_ steps: [PoolStep]) -> [LoweredBatch]
    /// The parts of a new base that a backup has to read. A conversation rather than a list of actions: what is asked
    /// next depends on the answer before. It changes nothing for good, and is done under the host lock.
    func compare(_ comparison: BaseComparison, on machine: any Machine) async -> ComparedBase
    /// Marks a base with the restore point that was made of it in this process.
    func complete(_ base: BackupBase, at location: VolumeLocation, identity: ThinIdentity) -> [HostAction]
    /// Gives back what a process that died had reserved to compare bases.
    /// - Returns: what stays as it is, for people.
    func settleHolds(on machine: any Machine) async -> [HostError]
}

/// A driver that tells no changes.
extension VolumeGroupDriver {
    package func compare(_ comparison: BaseComparison, on machine: any Machine) async -> ComparedBase {
        ComparedBase(BackupReading(full: FullRead(.deltaUnknown, "the driver tells no changes")), identity: nil)
    }

    package func complete(_ base: BackupBase, at location: VolumeLocation, identity: ThinIdentity) -> [HostAction] {
        []
    }

    package func settleHolds(on machine: any Machine) async -> [HostError] { [] }
}

extension VolumeGroupDriver {
    package func sectorSizes(of groups: [VolumeGroup], on machine: any Machine) async -> [String: Int] { [:] }
}

/// Directory pools: observes the given paths, lowers volume steps. Lowering is pure.
package protocol DirectoryDriver: Sendable {
    func observe(_ paths: [String], on machine: any Machine, key: FingerprintKey) async -> ObservationMap<DirectoryPool>
    /// All ready steps in one directory. Batches run in order.
    func lower(_ steps: [VolumeStep]) -> [LoweredBatch]
    /// The way to the bytes of a file there that nobody changes.
    func reading(_ volume: VolumeRef) -> ContentReading
}

/// A target stack: observes all backstores and targets, lowers export steps. Lowering is pure.
package protocol ExportDriver: Sendable {
    func observe(_ machine: any Machine, key: FingerprintKey) async -> Observation<TargetInventory>
    /// The same inventory with what is behind other people's backstores, as far as it can be told: device, path, serial
    /// number. It costs reads that no plan needs; `tuff import` asks.
    func detailed(_ inventory: TargetInventory, on machine: any Machine) async -> TargetInventory
    /// All ready steps of one target, in order.
    func lower(_ steps: [ExportStep]) -> [LoweredBatch]
}

extension VolumeGroupDriver {
    /// A driver that hides nothing.
    package func find(_ names: Set<String>, on machine: any Machine) async -> [String: HostError] { [:] }
}

extension ExportDriver {
    /// A stack whose lists tell it anyway.
    package func detailed(_ inventory: TargetInventory, on machine: any Machine) async -> TargetInventory { inventory }
}
