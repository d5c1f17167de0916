package import TuffModel
package import TuffPlanning
package import TuffReconcile

extension Plan {
    /// Its steps on volumes, of whatever storage.
    package var storageSteps: [Step] {
        steps.map(\.step).filter { $0.location != nil }
    }
}

extension Step {
    /// Of a step on a volume.
    package var location: VolumeLocation? {
        switch self {
        case .volume(let step): step.location
        case .lvm(let step): step.location
        case .backup(let step): step.location
        case .pool, .mount, .export: nil
        }
    }
}

extension VolumeGroupDriver {
    /// Lowers steps of every role that it has, as the executor hands them over: those that go together follow each
    /// other.
    package func lower(_ steps: [Step]) -> [LoweredBatch] {
        var batches: [LoweredBatch] = [], rest = steps[...]
        while let first = rest.first {
            let run = rest.prefix { $0.company == first.company }.prefix(first.company == .none ? 1 : rest.count)
            var lowered: [LoweredBatch] =
                switch first {
                case .volume: lower(run.compactMap { if case .volume(let step) = $0 { step } else { nil } })
                case .lvm: lower(run.compactMap { if case .lvm(let step) = $0 { step } else { nil } })
                case .pool: lower(run.compactMap { if case .pool(let step) = $0 { step } else { nil } })
                case .mount, .export, .backup: []
                }
            for index in lowered.indices { lowered[index].steps = lowered[index].steps.map { $0 + run.startIndex } }
            batches += lowered
            rest = rest.dropFirst(run.count)
        }
        return batches
    }
}

/// In a pattern: the volume of this place and uid, whether or not the step says LVM's uuid of it.
package struct AnyUUID {
    var location: VolumeLocation
    var uid: UID

    package init(_ location: VolumeLocation, _ uid: UID) {
        self.location = location
        self.uid = uid
    }
}

package func ~= (pattern: AnyUUID, volume: VolumeRef) -> Bool {
    pattern.location == volume.location && pattern.uid == volume.uid
}

package func ~= (location: VolumeLocation, volume: VolumeRef) -> Bool { location == volume.location }

package func ~= (uid: UID, volume: VolumeRef) -> Bool { uid == volume.uid }
