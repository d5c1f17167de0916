import TuffModel
import TuffPlanning

/// The judgement of an observation on things that were to go. Not seen is not gone.
struct Aftermath {
    private let observed: ObservedState
    private let index: StorageIndex

    init(_ observed: ObservedState) {
        self.observed = observed
        index = StorageIndex(observed)
    }

    /// The first thing of these steps that is still there, or that nobody could look at; nil: all of it is gone.
    func left(of steps: [Step]) -> String? {
        // A volume that is destroyed at once goes through the trash; only its end counts.
        let purged = Set(
            steps.compactMap { step in
                if case .volume(.purge(let volume, _)) = step { volume.uid } else { nil }
            })
        for step in steps {
            let left: String? =
                switch step {
                case .volume(let step): left(of: step, purged)
                case .lvm(let step): left(of: step)
                case .export(let step): left(of: step)
                case .mount(let step): left(of: step)
                case .pool, .backup: nil
                }
            if let left { return left }
        }
        return nil
    }

    private func left(of step: MountStep) -> String? {
        guard case .unmount(let share, let path) = step else { return nil }
        switch observed.mounts?[path] {
        case .unknown(let error): return "what is mounted at \(path) could not be observed afterwards: \(error)"
        case .known(let mount?) where mount.isUsable: return "\(share.source) is still mounted at \(path)"
        case .known, nil: return nil
        }
    }

    private func left(of step: VolumeStep, _ purged: Set<UID>) -> String? {
        switch step {
        case .purge(let volume, _): unseen(volume.location) ?? stillThere(volume.uid)
        case .relabel(let change): purged.contains(change.uid) ? nil : left(of: change)
        case .create, .copy, .extend, .fill, .fillFromImage, .fillFromBackup, .drill, .dropScratch, .confirmMade: nil
        }
    }

    private func left(of step: LVMStep) -> String? {
        switch step {
        case .disown(let location, _, let marks):
            unseen(location) ?? (index.bearer(of: marks.uid) == nil ? nil : "\(location) still has marks of ours")
        case .snapshotThick, .takeExtents, .wipeExtents, .joinExtents, .wipe, .begin, .confirmWhole, .dropTemporary,
            .activate, .deactivate, .complete, .makeBase, .dropBase, .dropGrowth, .adopt:
            nil
        }
    }

    private func stillThere(_ uid: UID) -> String? {
        index.bearer(of: uid).map { "\($0.location) is still there" }
    }

    /// The first temporary snapshot or scratch volume that these steps were to remove and that is still there, or that
    /// nobody could look for.
    func leftCache(of steps: [Step]) -> String? {
        for step in steps {
            let cache: (VolumeLocation, UID)? =
                switch step {
                case .lvm(.dropTemporary(let snapshot)): (snapshot.location, snapshot.uid)
                case .volume(.dropScratch(let volume, _, _)): (volume.location, volume.uid)
                case .volume, .lvm, .pool, .mount, .export, .backup: nil
                }
            if let (location, uid) = cache, let left = unseen(location) ?? stillThere(uid) { return left }
        }
        return nil
    }

    private func left(of change: Relabelling) -> String? {
        if let fault = unseen(change.to) { return fault }
        guard let there = index.volume(change.uid) else { return "\(change.from) is not there any more" }
        if there.marks != change.after || there.location != change.to {
            return "\(there.location) is not as it was to be (\(change.to))"
        }
        return nil
    }

    private func left(of step: ExportStep) -> String? {
        guard case .known(let inventory) = observed.targets else {
            return "the targets could not be observed afterwards"
        }
        func target(_ reference: TargetRef) -> (ObservedTarget?, String?) {
            if let error = inventory.fault(target: reference.iqn) {
                return (nil, "\(reference.iqn) could not be observed afterwards: \(error)")
            }
            return (inventory.targets.first { $0.iqn == reference.iqn }, nil)
        }
        switch step {
        case .removeACL(let reference, let initiator, _, _):
            let (found, fault) = target(reference)
            if let fault { return fault }
            return found?.acls.contains { $0.initiator == initiator } == true
                ? "\(initiator) may still use \(reference.iqn)" : nil
        case .removeTarget(let reference):
            let (found, fault) = target(reference)
            return fault ?? (found == nil ? nil : "target \(reference.iqn) is still there")
        case .removeBackstore(let uid, _):
            if let error = inventory.fault(backstore: uid.backstoreName) {
                return "backstore \(uid.backstoreName) could not be observed afterwards: \(error)"
            }
            return inventory.backstores.contains { $0.name == uid.backstoreName }
                ? "backstore \(uid.backstoreName) is still there" : nil
        case .createBackstore, .repairBackstore, .resetBackstore, .relabelBackstore, .keepReservations, .createTarget,
            .set,
            .addLUN, .removeLUN, .reactivateLUN, .resetLoginMethods, .createACL, .setCHAP, .protectSecrets, .mapLUN,
            .unmapLUN, .setReadOnly, .markACL, .addPortal, .removePortal, .enable, .disable:
            return nil
        }
    }

    private func unseen(_ location: VolumeLocation) -> String? {
        switch location {
        case .logicalVolume(let group, _):
            guard case .unknown(let error) = observed.volumeGroups[group] else { return nil }
            return "volume group \(group) could not be observed afterwards: \(error)"
        case .file(let directory, _):
            guard case .unknown(let error) = observed.directories[directory] else { return nil }
            return "directory \(directory) could not be observed afterwards: \(error)"
        }
    }
}

extension Executor.Result {
    /// Changes with work in repositories: the first error of each, and those whose steps were all carried out.
    func upkeep(of plan: Plan) -> (failures: [Int: String], done: Set<Int>) {
        var failures: [Int: String] = [:], begun: Set<Int> = [], left: Set<Int> = []
        for step in plan.steps {
            if step.step.isUpkeep { begun.insert(step.change) }
            switch outcomes[step.id] {
            case .finished: break
            case .failed(let error, _):
                left.insert(step.change)
                if failures[step.change] == nil { failures[step.change] = error.description }
            case .skipped, .notStarted: left.insert(step.change)
            }
        }
        return (failures.filter { begun.contains($0.key) }, begun.subtracting(left))
    }

    /// Volumes that could not be activated, and what was said.
    func failedActivations(in plan: Plan, seen: ObservedState) -> [(UID, HostError)] {
        let failed: [(UID, HostError)] = plan.steps.compactMap { step in
            guard case .lvm(.activate(let volume)) = step.step, case .failed(let error, _) = outcomes[step.id]
            else {
                return nil
            }
            return (volume.uid, error)
        }
        guard !failed.isEmpty else { return [] }
        // One command activates many, and fails if one of them does.
        let active = Set(StorageIndex(seen).volumes.filter(\.active).map(\.uid))
        return failed.filter { !active.contains($0.0) }
    }
}

extension Step {
    /// Work in a repository that a schedule may ask for.
    fileprivate var isUpkeep: Bool {
        switch self {
        case .backup, .volume(.drill): true
        case .volume, .lvm, .pool, .mount, .export: false
        }
    }
}
