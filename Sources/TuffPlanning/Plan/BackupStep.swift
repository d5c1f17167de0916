package import TuffModel

/// Steps in repositories of backups. What fills a volume from one is a step on that volume (`VolumeStep`).
package enum BackupStep: Hashable, Codable, Sendable {
    /// Makes a repository of this name where there is none.
    case makeRepository(String, RepositoryAccess)
    /// Makes a restore point of a volume or snapshot that does not change meanwhile: a snapshot, or a volume that
    /// nobody uses.
    case backUp(VolumeRef, BackupTask)
    /// Removes restore points that no rule keeps, and what then nothing needs.
    case prune(PruneTask)
    /// Reads a share of what is stored back.
    case verify(VerifyTask)
    /// Asks a thin pool which parts of the base that is to be backed up have to be read.
    case compare(BaseComparison)
    /// Marks a base with the restore point that was made of it, so that the next backup reads what changed since.
    case completeBase(BackupBase, VolumeLocation)
}

// Questions about a step. Each answer names every case, so that a new step does not compile before somebody answered.
extension BackupStep {
    package var movesData: Bool {
        switch self {
        case .makeRepository, .compare, .completeBase: false
        case .backUp, .prune, .verify: true
        }
    }

    package var key: ExclusiveKey {
        switch self {
        case .makeRepository(let name, _): .repository(name)
        case .prune(let task): .repository(task.repository)
        case .verify(let task): .repository(task.repository)
        case .backUp(let source, _): .data(source.location.path)
        // Of the group: LVM changes nothing in the pool while its metadata are held.
        case .compare(let comparison): ExclusiveKey(home: comparison.location)
        case .completeBase(_, let location): ExclusiveKey(home: location)
        }
    }

    /// The volume that is backed up.
    package var location: VolumeLocation? {
        switch self {
        case .makeRepository, .prune, .verify: nil
        case .backUp(let source, _): source.location
        case .compare(let comparison): comparison.location
        case .completeBase(_, let location): location
        }
    }

    /// The volume whose bytes it reads.
    package var reads: UID? {
        switch self {
        case .makeRepository, .prune, .verify, .compare, .completeBase: nil
        case .backUp(let source, _): source.uid
        }
    }
}
