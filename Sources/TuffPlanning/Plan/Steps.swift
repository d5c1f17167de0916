package import TuffModel

/// The thing that steps must not work on at the same time. Steps of one key run in order, one batch after another.
package enum ExclusiveKey: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    case volumeGroup(String)
    case directory(String)
    case target(String)
    /// One volume's bytes, for work that takes hours and holds up nothing else.
    case data(String)
    /// A repository of backups, by the name of its document.
    case repository(String)

    package var description: String {
        switch self {
        case .volumeGroup(let name): "vg:\(name)"
        case .directory(let path): "directory:\(path)"
        case .target(let iqn): "target:\(iqn)"
        case .data(let path): "data:\(path)"
        case .repository(let name): "repository:\(name)"
        }
    }

    package static func < (lhs: ExclusiveKey, rhs: ExclusiveKey) -> Bool { lhs.description < rhs.description }
}

extension ExclusiveKey {
    /// Of everything that has to do with the group or directory of a volume.
    package init(home location: VolumeLocation) {
        switch location {
        case .logicalVolume(let group, _): self = .volumeGroup(group)
        case .file(let directory, _): self = .directory(directory)
        }
    }
}

/// One thing to be done, by the role of who does it. What is asked of steps is answered beside the declaration of each
/// role.
///
/// Indirect, since a plan may have a hundred thousand of them, which are handed from list to list: then a reference is
/// copied instead of the largest payload.
package indirect enum Step: Hashable, Codable, Sendable {
    case volume(VolumeStep)
    case lvm(LVMStep)
    case pool(PoolStep)
    case mount(MountStep)
    case export(ExportStep)
    case backup(BackupStep)
}

extension Step {
    /// With what a step is handed to its driver.
    package enum Company: Hashable, Sendable {
        /// Alone, so that it is told as it ends.
        case none
        /// Other creations, of which one process makes as many as it is told to.
        case creations
        /// Other activations, of which one command makes all.
        case activations
        /// Everything else that is done to its target.
        case target
    }

    package var company: Company {
        switch self {
        case .volume(let step): step.company
        case .lvm(let step): step.company
        case .pool, .mount, .backup: .none
        case .export: .target
        }
    }

    /// True if it reads or writes all of a volume, which may take hours. It can be stopped at any block and gone on
    /// with.
    package var movesData: Bool {
        switch self {
        case .volume(let step): step.movesData
        case .lvm(let step): step.movesData
        case .backup(let step): step.movesData
        case .pool, .mount, .export: false
        }
    }

    /// The volume whose bytes it reads.
    package var reads: UID? {
        switch self {
        case .volume(let step): step.reads
        case .lvm(let step): step.reads
        case .backup(let step): step.reads
        case .pool, .mount, .export: nil
        }
    }

    /// The volume that it goes on filling, where that was begun before.
    package var fills: UID? {
        switch self {
        case .volume(let step): step.fills
        case .lvm, .pool, .mount, .export, .backup: nil
        }
    }

    /// The thick volume that takes extents to grow.
    package var gathers: UID? {
        switch self {
        case .lvm(let step): step.gathers
        case .volume, .pool, .mount, .export, .backup: nil
        }
    }

    /// True if the device of a volume must work for it: somebody opens it, or is let in.
    package var needsDevice: Bool {
        switch self {
        case .lvm(let step): step.isActivation
        case .export(let step): step.needsDevice
        case .volume, .pool, .mount, .backup: false
        }
    }

    /// True if it does anything but make a device appear or add to an export.
    package var takesAway: Bool {
        switch self {
        case .lvm(let step): !step.isActivation
        case .export(let step): step.takesAway
        case .mount(let step): step.takesAway
        case .volume, .pool, .backup: true
        }
    }
}

/// A step on volumes, pools or repositories. Unlike that of an export it names its own key.
enum StorageStep {
    case volume(VolumeStep)
    case lvm(LVMStep)
    case pool(PoolStep)
    case mount(MountStep)
    case backup(BackupStep)

    var step: Step {
        switch self {
        case .volume(let step): .volume(step)
        case .lvm(let step): .lvm(step)
        case .pool(let step): .pool(step)
        case .mount(let step): .mount(step)
        case .backup(let step): .backup(step)
        }
    }

    var key: ExclusiveKey {
        switch self {
        case .volume(let step): step.key
        case .lvm(let step): step.key
        case .pool(let step): step.key
        case .mount(let step): step.key
        case .backup(let step): step.key
        }
    }
}
