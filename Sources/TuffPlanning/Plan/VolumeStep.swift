package import TuffModel

/// Steps on volumes that every storage driver carries out: thin and thick pools, and directories.
package enum VolumeStep: Hashable, Codable, Sendable {
    /// Makes a blank volume with all its marks in one act, inactive.
    case create(backend: StorageBackend, location: VolumeLocation, size: ByteCount, marks: Marks)
    /// Makes a volume or a snapshot with the content that `source` has at that moment, with all its marks in one act,
    /// inactive, in the group or directory of `source`. The two share blocks and neither needs the other.
    case copy(source: VolumeRef, location: VolumeLocation, marks: Marks)
    /// Grows a volume. `from` is re-read immediately before.
    case extend(VolumeRef, from: ByteCount, to: ByteCount)
    /// Makes a volume that bears the mark of `operation` hold what another holds, differing blocks only; the rest of a
    /// larger one reads zeros. Both are active, and nobody uses either.
    case fill(VolumeRef, source: VolumeRef, operation: String)
    /// Makes a volume hold the disk in an image, as far as it differs; the rest of a larger one reads zeros. It bears
    /// the mark of a copy that is not complete, is active, and nobody uses it.
    case fillFromImage(VolumeRef, image: ImageSource)
    /// Makes a volume that bears the mark of `operation` hold a restore point, as far as it differs; the rest of a
    /// larger one reads zeros. It is active, and nobody uses it.
    case fillFromBackup(VolumeRef, content: BackupContent, operation: String)
    /// Restores a point to a scratch volume for practice, compares all of it by its digest with the point, and leaves a
    /// receipt of what came of it. The volume is active, and nobody uses it.
    case drill(VolumeRef, DrillTask)
    /// Removes the scratch volume of a drill. All of its marks are re-read immediately before, and whether anybody has
    /// it open.
    case dropScratch(VolumeRef, Marks, isMade: Bool)
    /// Refuses when what the same plan made is not there: a command that said it made it is not believed before the
    /// users of what it is filled from pay for that.
    case confirmMade(VolumeRef)
    /// Changes marks, and the name with them: into the trash, out of it, another name, another policy.
    case relabel(Relabelling)
    /// Destroys the data of something in the trash. Its uid and its deadline are re-read immediately before.
    case purge(VolumeRef, until: Instant)

    package var location: VolumeLocation {
        switch self {
        case .create(_, let location, _, _), .copy(_, let location, _): location
        case .extend(let volume, _, _), .fill(let volume, _, _), .fillFromImage(let volume, _),
            .fillFromBackup(let volume, _, _), .drill(let volume, _), .dropScratch(let volume, _, _),
            .confirmMade(let volume), .purge(let volume, _):
            volume.location
        case .relabel(let change): change.from
        }
    }
}

// Questions about a step. Each answer names every case, so that a new step does not compile before somebody answered.
extension VolumeStep {
    /// True if it reads or writes all of a volume, which may take hours. It can be stopped at any block and gone on
    /// with.
    package var movesData: Bool {
        switch self {
        case .fill, .fillFromImage, .fillFromBackup, .drill: true
        case .create, .copy, .extend, .dropScratch, .confirmMade, .relabel, .purge: false
        }
    }

    /// Moving data needs nothing of the group or directory, whose other steps it must not hold up.
    package var key: ExclusiveKey { movesData ? .data(location.path) : ExclusiveKey(home: location) }

    /// The volume whose bytes it reads.
    package var reads: UID? {
        switch self {
        case .copy(let source, _, _), .fill(_, let source, _): source.uid
        case .create, .extend, .fillFromImage, .fillFromBackup, .drill, .dropScratch, .confirmMade, .relabel, .purge:
            nil
        }
    }

    /// The volume that it goes on filling, where that was begun before.
    package var fills: UID? {
        switch self {
        case .fill(let volume, _, _), .fillFromImage(let volume, _), .fillFromBackup(let volume, _, _):
            volume.uid
        // A drill begins anew.
        case .create, .copy, .extend, .drill, .dropScratch, .confirmMade, .relabel, .purge: nil
        }
    }

    package var company: Step.Company {
        switch self {
        case .create: .creations
        case .copy, .extend, .fill, .fillFromImage, .fillFromBackup, .drill, .dropScratch, .confirmMade, .relabel,
            .purge:
            .none
        }
    }
}
