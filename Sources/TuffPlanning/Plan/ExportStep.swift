package import TuffModel

/// One volume's device as a target hands it out.
package struct BackstoreSpec: Hashable, Codable, Sendable {
    package var uid: UID
    package var location: VolumeLocation
    /// The device mapper's name of the device, read again right before it is handed out. Nil for files, and for a
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

/// The acts of target drivers; LIO and tgt share these rules. A step may be repeated where the object it makes is ours.
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
    /// Has persistent reservations of the disk outlive the kernel. `restoring`: also reads back what was kept of it,
    /// right after its backstore was made.
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

// Questions about a step. Each answer names every case, so that a new step does not compile before somebody answered.
extension ExportStep {
    /// True if the device of a volume must work for it: it is opened, or somebody new is let in.
    package var needsDevice: Bool {
        switch self {
        case .createBackstore, .createACL: true
        case .repairBackstore(_, let enable): enable
        case .resetBackstore, .relabelBackstore, .removeBackstore, .keepReservations, .createTarget, .set, .addLUN,
            .removeLUN, .reactivateLUN, .resetLoginMethods, .setCHAP, .protectSecrets, .mapLUN, .unmapLUN, .setReadOnly,
            .markACL, .removeACL, .addPortal, .removePortal, .enable, .disable, .removeTarget:
            false
        }
    }

    /// True if somebody has less after it.
    package var takesAway: Bool {
        switch self {
        case .removeBackstore, .removeLUN, .unmapLUN, .removeACL, .removePortal, .disable, .removeTarget: true
        case .createBackstore, .repairBackstore, .resetBackstore, .reactivateLUN, .resetLoginMethods, .relabelBackstore,
            .keepReservations, .createTarget, .set, .addLUN, .createACL, .setCHAP, .protectSecrets, .mapLUN,
            .setReadOnly, .markACL, .addPortal, .enable:
            false
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
