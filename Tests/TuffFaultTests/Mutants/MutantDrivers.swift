import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

struct MutantGroups: VolumeGroupDriver {
    let mutant: Mutant

    func observe(_ machine: any Machine) async -> ObservationMap<VolumeGroup> {
        var map = await LVMDriver().observe(machine)
        if let tags = mutant.tags {
            map.entries = map.entries.mapValues { entry in
                entry.map { group in
                    var group = group
                    for index in group.logicalVolumes.indices {
                        group.logicalVolumes[index].tags = tags(group.logicalVolumes[index].tags)
                    }
                    return group
                }
            }
        }
        return mutant.groups.map { $0(map) } ?? map
    }

    func observeProfiles(_ machine: any Machine, key: FingerprintKey) async -> ObservationMap<String> {
        await LVMDriver().observeProfiles(machine, key: key)
    }

    func lower(_ steps: [PoolStep]) -> [LoweredBatch] { LVMDriver().lower(steps) }

    func reading(_ volume: VolumeRef) -> ContentReading { LVMDriver().reading(volume) }

    func lower(_ steps: [VolumeStep]) -> [LoweredBatch] { bend(steps.map { .volume($0) }) }

    func lower(_ steps: [LVMStep]) -> [LoweredBatch] { bend(steps.map { .lvm($0) }) }

    private func bend(_ steps: [Step]) -> [LoweredBatch] {
        LVMDriver().lower(mutant.volumeSteps.map { $0(steps) } ?? steps)
    }
}

struct MutantDirectories: DirectoryDriver {
    let mutant: Mutant

    func observe(
        _ paths: [String], on machine: any Machine, key: FingerprintKey
    ) async -> ObservationMap<DirectoryPool> {
        var map = await DirectoryPoolDriver().observe(paths, on: machine, key: key)
        if let tags = mutant.tags {
            map.entries = map.entries.mapValues { entry in
                entry.map { pool in
                    var pool = pool
                    for index in pool.files.indices { pool.files[index].tags = tags(pool.files[index].tags) }
                    return pool
                }
            }
        }
        return mutant.directories.map { $0(map) } ?? map
    }

    func lower(_ steps: [VolumeStep]) -> [LoweredBatch] {
        let all = steps.map { Step.volume($0) }, bent = mutant.volumeSteps.map { $0(all) } ?? all
        return DirectoryPoolDriver().lower(bent.compactMap { if case .volume(let step) = $0 { step } else { nil } })
    }

    func reading(_ volume: VolumeRef) -> ContentReading { DirectoryPoolDriver().reading(volume) }
}

struct MutantExports: ExportDriver {
    let mutant: Mutant

    func observe(_ machine: any Machine, key: FingerprintKey) async -> Observation<TargetInventory> {
        let found = await LIODriver().observe(machine, key: key)
        return mutant.targets.map { $0(found) } ?? found
    }

    func lower(_ steps: [ExportStep]) -> [LoweredBatch] {
        LIODriver().lower(mutant.exportSteps.map { $0(steps) } ?? steps)
    }
}
