package import TuffModel

/// Steps on volumes that only LVM has: devices that come and go, extents that show what earlier volumes left,
/// copy-on-write snapshots, and marks of work that are taken off by a selection. A sparse file holds nothing of others,
/// it is there without being activated, and its work begins and ends with a `VolumeStep.relabel`.
package enum LVMStep: Hashable, Codable, Sendable {
    /// Makes a snapshot of a thick volume, in use or not, with room of its own for what is written over. Its device
    /// comes and goes with the volume's.
    case snapshotThick(source: VolumeRef, location: VolumeLocation, reserve: ByteCount, marks: Marks)
    /// Has a volume of its own take the extents by which a thick volume is to grow. What an earlier attempt took is
    /// given back first. `from` is re-read immediately before, here and when they are joined.
    case takeExtents(VolumeRef, from: ByteCount, to: ByteCount)
    /// Makes what took them read zeros: `holder` is where it is, and the uid of the volume that grows. Takes as long as
    /// writing all of it.
    case wipeExtents(holder: VolumeRef, wipe: LVMPoolSpec.Wipe)
    /// Gives them to the volume: these and no others, and only where they were wiped.
    case joinExtents(VolumeRef, from: ByteCount, to: ByteCount)
    /// Makes an active volume that nobody uses read zeros. Takes as long as writing all of it.
    case wipe(VolumeRef, wipe: LVMPoolSpec.Wipe)
    /// Marks a volume that nobody uses as being worked on, before the first byte of it is written. Refused where it is
    /// protected or in use by now, or where what it holds was not kept: `kept` is a snapshot of that.
    case begin(VolumeRef, operation: String, kept: VolumeRef?)
    /// Refuses when an active thick snapshot has overflowed: before what was filled from it is called complete, or
    /// before what is to be written over is marked.
    case confirmWhole(VolumeRef)
    /// Removes a temporary snapshot, which holds nothing that anybody is to keep. Everything that says that it is one
    /// is re-read immediately before.
    case dropTemporary(TemporarySnapshot)
    /// Makes the device appear.
    case activate(VolumeRef)
    /// Takes the device away. Refused while anybody has it open.
    case deactivate(VolumeRef)
    /// Takes the mark of unfinished work off what still has this size, leaving what is to be remembered of it, and then
    /// the device away.
    case complete(VolumeRef, size: ByteCount, operation: String)
    /// Takes the snapshot of a thin volume that a backup reads, and that is kept so that the next one reads only what
    /// changed since. It bears the mark of unfinished work until its restore point is listed.
    case makeBase(BackupBase, of: VolumeRef)
    /// Removes such a snapshot, which is a cache. Its uuid and marks are re-read immediately before.
    case dropBase(BackupBase, VolumeRef)
    /// Removes what an interrupted growth of a thick volume left, which bears no mark of a volume.
    case dropGrowth(location: VolumeLocation)
    /// Writes marks on a logical volume that has none, which its uuid tells. Nothing else of it changes: not its name,
    /// not a byte, not whether it is active or who uses it.
    case adopt(location: VolumeLocation, uuid: String, marks: Marks)
    /// Takes every mark of ours off again; nothing else of it changes.
    case disown(location: VolumeLocation, uuid: String, marks: Marks)

    package var location: VolumeLocation {
        switch self {
        case .snapshotThick(_, let location, _, _), .dropGrowth(let location), .adopt(let location, _, _),
            .disown(let location, _, _):
            location
        case .takeExtents(let volume, _, _), .wipeExtents(let volume, _), .joinExtents(let volume, _, _),
            .wipe(let volume, _), .begin(let volume, _, _), .confirmWhole(let volume), .activate(let volume),
            .deactivate(let volume), .complete(let volume, _, _):
            volume.location
        case .dropTemporary(let snapshot): snapshot.location
        case .makeBase(let base, let volume): volume.location.renamed(base.objectName)
        case .dropBase(_, let volume): volume.location
        }
    }
}

// Questions about a step. Each answer names every case, so that a new step does not compile before somebody answered.
extension LVMStep {
    /// True if it reads or writes all of a volume, which may take hours. It can be stopped at any block and gone on
    /// with.
    package var movesData: Bool {
        switch self {
        case .wipe, .wipeExtents: true
        case .snapshotThick, .takeExtents, .joinExtents, .begin, .confirmWhole, .dropTemporary, .activate, .deactivate,
            .complete, .makeBase, .dropBase, .dropGrowth, .adopt, .disown:
            false
        }
    }

    /// Moving data needs nothing of the group, whose other steps it must not hold up.
    package var key: ExclusiveKey { movesData ? .data(location.path) : ExclusiveKey(home: location) }

    /// The volume whose bytes it reads.
    package var reads: UID? {
        switch self {
        case .snapshotThick(let source, _, _, _), .makeBase(_, let source): source.uid
        case .takeExtents, .wipeExtents, .joinExtents, .wipe, .begin, .confirmWhole, .dropTemporary, .activate,
            .deactivate, .complete, .dropBase, .dropGrowth, .adopt, .disown:
            nil
        }
    }

    /// The thick volume that takes extents to grow: what an interrupted growth of it left goes with that.
    package var gathers: UID? {
        switch self {
        case .takeExtents(let volume, _, _): volume.uid
        case .snapshotThick, .wipeExtents, .joinExtents, .wipe, .begin, .confirmWhole, .dropTemporary, .activate,
            .deactivate, .complete, .makeBase, .dropBase, .dropGrowth, .adopt, .disown:
            nil
        }
    }

    /// True if it makes a device appear, and does nothing else.
    package var isActivation: Bool {
        switch self {
        case .activate: true
        case .snapshotThick, .takeExtents, .wipeExtents, .joinExtents, .wipe, .begin, .confirmWhole, .dropTemporary,
            .deactivate, .complete, .makeBase, .dropBase, .dropGrowth, .adopt, .disown:
            false
        }
    }

    package var company: Step.Company { isActivation ? .activations : .none }
}
