package import TuffModel

/// What steps must not do at the same time. Steps of one key run in order, one batch after another.
package enum ExclusiveKey: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    case volumeGroup(String)
    case directory(String)
    case target(String)
    /// One volume's bytes, for work that takes hours and holds up nothing else.
    case data(String)

    package var description: String {
        switch self {
        case .volumeGroup(let name): "vg:\(name)"
        case .directory(let path): "directory:\(path)"
        case .target(let iqn): "target:\(iqn)"
        case .data(let path): "data:\(path)"
        }
    }

    package static func < (lhs: ExclusiveKey, rhs: ExclusiveKey) -> Bool { lhs.description < rhs.description }
}

/// What storage drivers do: thin, thick and directory pools share these rules.
package enum VolumeStep: Hashable, Codable, Sendable {
    /// Makes a blank volume with all its marks in one act, inactive.
    case create(backend: StorageBackend, location: VolumeLocation, size: ByteCount, marks: Marks)
    /// Makes a volume or a snapshot with the content that `source` has at that moment, with all its marks in one act,
    /// inactive. The two share blocks and neither needs the other.
    case copy(source: VolumeLocation, sourceUID: UID, sourceUUID: String?, location: VolumeLocation, marks: Marks)
    /// Makes a snapshot of a thick volume, in use or not, with room of its own for what is written over. Its device comes and
    /// goes with the volume's.
    case snapshotThick(
        source: VolumeLocation, sourceUID: UID, sourceUUID: String?, location: VolumeLocation, reserve: ByteCount,
        marks: Marks)
    /// Grows a volume. `uuid` (nil: made in the same plan) and `from` are re-read immediately before.
    case extend(location: VolumeLocation, uid: UID, uuid: String?, from: ByteCount, to: ByteCount)
    /// Has a volume of its own take the extents by which a thick volume is to grow. What an earlier attempt took is
    /// given back first. `uuid` and `from` are re-read immediately before, here and when they are joined.
    case takeExtents(location: VolumeLocation, uid: UID, uuid: String?, from: ByteCount, to: ByteCount)
    /// Makes what took them, at `location`, read zeros. Takes as long as writing all of it.
    case wipeExtents(location: VolumeLocation, uid: UID, wipe: LVMPoolSpec.Wipe)
    /// Gives them to the volume: these and no others, and only where they were wiped.
    case joinExtents(location: VolumeLocation, uid: UID, uuid: String?, from: ByteCount, to: ByteCount)
    /// Makes an active volume that nobody uses read zeros. Takes as long as writing all of it.
    case wipe(location: VolumeLocation, uid: UID, uuid: String?, wipe: LVMPoolSpec.Wipe)
    /// Marks a volume that nobody uses as being worked on, before the first byte of it is written. Refused where it is
    /// protected or in use by now, or where what it holds was not kept.
    case begin(location: VolumeLocation, uid: UID, uuid: String?, operation: String, kept: KeptContent?)
    /// Makes a volume that bears the mark of `operation` hold what another holds, differing blocks only; the rest of a
    /// larger one reads zeros. Both are active, and nobody uses either.
    case fill(
        location: VolumeLocation, uid: UID, source: VolumeLocation, sourceUID: UID, sourceUUID: String?,
        operation: String)
    /// Makes a volume hold the disk in an image, as far as it differs; the rest of a larger one reads zeros. It bears the
    /// mark of a copy that is not complete, is active, and nobody uses it.
    case fillFromImage(location: VolumeLocation, uid: UID, image: ImageSource)
    /// Refuses when what the same plan made is not there: a command that said it made it is not believed before the users of
    /// what it is filled from pay for that.
    case confirmMade(location: VolumeLocation, uid: UID)
    /// Refuses when an active thick snapshot has overflowed: before what was filled from it is called complete, or before what
    /// is to be written over is marked.
    case confirmWhole(location: VolumeLocation, uid: UID, uuid: String?)
    /// Removes a temporary snapshot, which holds nothing that anybody is to keep. Everything that says that it is one is
    /// re-read immediately before.
    case dropTemporary(TemporarySnapshot)
    /// Takes the device away. Refused while anybody has it open.
    case deactivate(location: VolumeLocation, uid: UID)
    /// Takes the mark of unfinished work off what still has this size, leaving what is to be remembered of it, and then
    /// the device away.
    case complete(location: VolumeLocation, uid: UID, size: ByteCount, operation: String)
    /// Removes what an interrupted growth of a thick volume left.
    case dropGrowth(location: VolumeLocation)
    /// Makes the device appear; a file needs nothing.
    case activate(location: VolumeLocation, uid: UID, uuid: String?)
    /// Changes marks, and the name with them: into the trash, out of it, another name, another policy.
    case relabel(Relabelling)
    /// Writes marks on a logical volume that has none, which its uuid tells. Nothing else of it changes: not its name, not
    /// a byte, not whether it is active or who uses it.
    case adopt(location: VolumeLocation, uuid: String, marks: Marks)
    /// Takes every mark of ours off again; nothing else of it changes.
    case disown(location: VolumeLocation, uuid: String, marks: Marks)
    /// Destroys the data of something in the trash. Its uid and its deadline are re-read immediately before.
    case purge(location: VolumeLocation, uid: UID, uuid: String?, until: Instant)

    /// Whether it reads or writes all of a volume, which may take hours. It can be stopped at any block and gone on with.
    package var movesData: Bool {
        switch self {
        case .wipe, .fill, .fillFromImage, .wipeExtents: true
        default: false
        }
    }

    package var location: VolumeLocation {
        switch self {
        case .create(_, let location, _, _), .copy(_, _, _, let location, _),
            .snapshotThick(_, _, _, let location, _, _), .extend(let location, _, _, _, _),
            .takeExtents(let location, _, _, _, _), .wipeExtents(let location, _, _),
            .joinExtents(let location, _, _, _, _), .wipe(let location, _, _, _), .complete(let location, _, _, _),
            .begin(let location, _, _, _, _), .fill(let location, _, _, _, _, _),
            .fillFromImage(let location, _, _), .deactivate(let location, _), .dropGrowth(let location),
            .confirmMade(let location, _), .confirmWhole(let location, _, _),
            .activate(let location, _, _), .adopt(let location, _, _), .disown(let location, _, _),
            .purge(let location, _, _, _):
            location
        case .relabel(let change): change.from
        case .dropTemporary(let snapshot): snapshot.location
        }
    }
}

/// A snapshot of what a step is about to write over.
package struct KeptContent: Hashable, Codable, Sendable {
    package var location: VolumeLocation
    package var uid: UID

    package init(location: VolumeLocation, uid: UID) {
        self.location = location
        self.uid = uid
    }
}

/// A volume's marks and name, before and after. The marks go first and the name follows, so that a crash between the
/// two leaves an object that says what it is and only has an old name, which the next pass mends.
package struct Relabelling: Hashable, Codable, Sendable {
    /// LVM's own uuid; nil for files.
    package var uuid: String?
    package var from: VolumeLocation
    /// In the same group or directory.
    package var to: VolumeLocation
    package var before: Marks
    package var after: Marks
    /// Its device is its origin's affair, and neither goes nor comes with it.
    package var isThickSnapshot: Bool

    package init(
        uuid: String?, from: VolumeLocation, to: VolumeLocation, before: Marks, after: Marks,
        isThickSnapshot: Bool = false
    ) {
        self.isThickSnapshot = isThickSnapshot
        self.uuid = uuid
        self.from = from
        self.to = to
        self.before = before
        self.after = after
    }

    package var uid: UID { before.uid }
    /// Its device goes away first, and does not come back by itself at boot.
    package var goesOutOfService: Bool { after.until != nil && !isThickSnapshot }
    /// Its device may appear at boot again.
    package var comesIntoService: Bool { before.until != nil && after.until == nil }
    package var addedTags: [String] { Set(after.tags).subtracting(before.tags).sorted() }
    package var removedTags: [String] { Set(before.tags).subtracting(after.tags).sorted() }
}

/// One volume's device as a target hands it out.
package struct BackstoreSpec: Hashable, Codable, Sendable {
    package var uid: UID
    package var location: VolumeLocation
    /// What the device mapper calls the device, read again right before it is handed out. Nil for files, and for a
    /// volume made in the same plan: that one is identified when it is activated.
    package var deviceUUID: String?
    package var size: ByteCount
    package var identity: DiskIdentity
    /// Pass discard through: thin volumes and sparse files.
    package var discard: Bool
    /// Where the observer found it; empty: where the driver makes it.
    package var place: String
    /// Its LUN is there and lacks nothing but its name and settings (tgt, which makes and names a LUN in two acts).
    package var isBegun = false

    package init(
        uid: UID, location: VolumeLocation, deviceUUID: String? = nil, size: ByteCount, identity: DiskIdentity,
        discard: Bool, place: String = ""
    ) {
        self.uid = uid
        self.location = location
        self.deviceUUID = deviceUUID
        self.size = size
        self.identity = identity
        self.discard = discard
        self.place = place
    }

    package var name: String { uid.backstoreName }
}

/// A target as steps address it: `place` is what the observer reported (tgt's tid), empty where it is not made yet.
package struct TargetRef: Hashable, Codable, Sendable {
    package var iqn: String
    package var place: String

    package init(iqn: String, place: String) {
        self.iqn = iqn
        self.place = place
    }
}

/// What target drivers do: LIO and tgt share these rules. Each step is idempotent where the object it makes is ours.
package enum ExportStep: Hashable, Codable, Sendable {
    case createBackstore(BackstoreSpec)
    /// Sets `discard` on a backstore; `enable`: configures and enables it first, which LIO refuses to do twice.
    case repairBackstore(BackstoreSpec, enable: Bool)
    /// Sets what a disk answers to some commands to the value that Tuff holds it at, while it is in use.
    case resetBackstore(BackstoreSpec, BackstoreSetting)
    /// Writes where its device is now, which is the one it holds already: the volume was renamed.
    case relabelBackstore(BackstoreSpec)
    /// Removes a backstore of ours that no LUN uses, to be made anew.
    case removeBackstore(uid: UID, place: String)
    /// Has persistent reservations of the disk outlive the kernel. `restoring`: also reads back what was kept of it, right
    /// after its backstore was made.
    case keepReservations(BackstoreSpec, restoring: Bool)
    case createTarget(TargetRef)
    case set(TargetRef, TargetSetting, Bool)
    case addLUN(TargetRef, number: Int, BackstoreSpec)
    case removeLUN(TargetRef, number: Int)
    /// Has initiators reach a LUN again that was put on standby, offline, or in a group of ports that Tuff did not
    /// make.
    case reactivateLUN(TargetRef, number: Int, BackstoreSpec)
    /// Offers the ways to log in that the target's setting `authentication` implies.
    case resetLoginMethods(TargetRef, demanding: Bool)
    case createACL(TargetRef, initiator: String)
    /// Sets user and password (and the mutual pair); nil clears them.
    case setCHAP(TargetRef, initiator: String, CHAPCredentials?)
    /// Takes read access to files that hold secrets from everybody but root.
    case protectSecrets(TargetRef, initiator: String)
    case mapLUN(TargetRef, initiator: String, number: Int, lun: Int, readOnly: Bool)
    case unmapLUN(TargetRef, initiator: String, number: Int)
    case setReadOnly(TargetRef, initiator: String, number: Int, readOnly: Bool)
    /// Writes whose access it is; only where the stack has room for it (`ExportCapabilities.marksAccess`).
    case markACL(TargetRef, initiator: String, AccessMark)
    /// Only without a session, which is re-read immediately before, unless `disconnecting`.
    case removeACL(TargetRef, initiator: String, mapped: [Int], disconnecting: Bool)
    case addPortal(TargetRef, Portal)
    case removePortal(TargetRef, Portal)
    case enable(TargetRef)
    /// Lets nobody log in any more.
    case disable(TargetRef)
    /// Removes a target without LUNs, ACLs and portals. One that still has any stays, which is a failure.
    case removeTarget(TargetRef)

    /// The target concerned; nil for steps on a backstore alone.
    package var target: TargetRef? {
        switch self {
        case .createBackstore, .repairBackstore, .resetBackstore, .relabelBackstore, .removeBackstore,
            .keepReservations:
            nil
        case .createTarget(let target), .set(let target, _, _), .addLUN(let target, _, _), .removeLUN(let target, _),
            .reactivateLUN(let target, _, _), .resetLoginMethods(let target, _),
            .createACL(let target, _), .setCHAP(let target, _, _), .protectSecrets(let target, _),
            .mapLUN(let target, _, _, _, _), .unmapLUN(let target, _, _), .setReadOnly(let target, _, _, _),
            .markACL(let target, _, _), .removeACL(let target, _, _, _), .addPortal(let target, _),
            .removePortal(let target, _), .enable(let target), .disable(let target), .removeTarget(let target):
            target
        }
    }
}

/// CHAP names, and where their secrets are read at the write.
package struct CHAPCredentials: Hashable, Codable, Sendable {
    package var user: String
    package var password: SecretReference
    package var mutualUser: String?
    package var mutualPassword: SecretReference?

    package init(
        user: String, password: SecretReference, mutualUser: String? = nil, mutualPassword: SecretReference? = nil
    ) {
        self.user = user
        self.password = password
        self.mutualUser = mutualUser
        self.mutualPassword = mutualPassword
    }
}

package enum Step: Hashable, Codable, Sendable {
    case volume(VolumeStep)
    case export(ExportStep)
    case pool(PoolStep)
}

/// What an iSCSI target stack can do; what it cannot is `Blocked(DriverCannot)`, never attempted.
package struct ExportCapabilities: Hashable, Sendable {
    /// CHAP without secrets in argv.
    package var chap: Bool
    /// A block device grows under a live export.
    package var growsDevices: Bool
    /// A file grows under a live export.
    package var growsFiles: Bool
    /// Portals per target rather than for the whole daemon.
    package var portalsPerTarget: Bool
    /// Read-only per initiator rather than per LUN.
    package var readOnlyPerInitiator: Bool
    package var settings: Set<TargetSetting>
    package var discard: Bool
    /// An initiator's access can say that it is ours, and for which attachment.
    package var marksAccess: Bool
    /// Persistent reservations can outlive the target stack.
    package var keepsReservations: Bool
    /// What initiators see as the volume numbered 0: tgtd keeps LUN 0 for its own controller.
    package var firstLUN = 0

    package static func of(_ driver: TargetDriver) -> ExportCapabilities {
        switch driver {
        case .lio:
            ExportCapabilities(
                chap: true, growsDevices: true, growsFiles: false, portalsPerTarget: true, readOnlyPerInitiator: true,
                settings: Set(TargetSetting.allCases), discard: true, marksAccess: true,
                keepsReservations: true)
        case .tgt:
            ExportCapabilities(
                chap: false, growsDevices: false, growsFiles: false, portalsPerTarget: false,
                readOnlyPerInitiator: false, settings: [.authentication], discard: true, marksAccess: false,
                keepsReservations: false, firstLUN: 1)
        }
    }
}
