package import TuffModel

/// What steps must not do at the same time. Steps of one key run in order, one batch after another.
package enum ExclusiveKey: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    case volumeGroup(String)
    case directory(String)
    case target(String)

    package var description: String {
        switch self {
        case .volumeGroup(let name): "vg:\(name)"
        case .directory(let path): "directory:\(path)"
        case .target(let iqn): "target:\(iqn)"
        }
    }

    package static func < (lhs: ExclusiveKey, rhs: ExclusiveKey) -> Bool { lhs.description < rhs.description }
}

/// What storage drivers do: thin, thick and directory pools share these rules.
package enum VolumeStep: Hashable, Codable, Sendable {
    /// Makes a blank volume with all its marks in one act, inactive.
    case create(backend: StorageBackend, location: VolumeLocation, size: ByteCount, marks: Marks)
    /// Grows a volume. `uuid` and `from` are re-read immediately before.
    case extend(location: VolumeLocation, uid: UID, uuid: String?, from: ByteCount, to: ByteCount)
    /// Makes the device appear; a file needs nothing.
    case activate(location: VolumeLocation, uid: UID, uuid: String?)

    package var location: VolumeLocation {
        switch self {
        case .create(_, let location, _, _), .extend(let location, _, _, _, _), .activate(let location, _, _): location
        }
    }
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
    /// Removes a backstore of ours that no LUN uses, to be made anew.
    case removeBackstore(uid: UID, place: String)
    case createTarget(TargetRef)
    case set(TargetRef, TargetSetting, Bool)
    case addLUN(TargetRef, number: Int, BackstoreSpec)
    case removeLUN(TargetRef, number: Int)
    case createACL(TargetRef, initiator: String)
    /// Sets user and password (and the mutual pair); nil clears them.
    case setCHAP(TargetRef, initiator: String, CHAPCredentials?)
    /// Takes read access to files that hold secrets from everybody but root.
    case protectSecrets(TargetRef, initiator: String)
    case mapLUN(TargetRef, initiator: String, number: Int, lun: Int, readOnly: Bool)
    case unmapLUN(TargetRef, initiator: String, number: Int)
    case setReadOnly(TargetRef, initiator: String, number: Int, readOnly: Bool)
    /// Only without a session, which is re-read immediately before.
    case removeACL(TargetRef, initiator: String, mapped: [Int])
    case addPortal(TargetRef, Portal)
    case removePortal(TargetRef, Portal)
    case enable(TargetRef)

    /// The target concerned; nil for steps on a backstore alone.
    package var target: TargetRef? {
        switch self {
        case .createBackstore, .repairBackstore, .removeBackstore: nil
        case .createTarget(let target), .set(let target, _, _), .addLUN(let target, _, _), .removeLUN(let target, _),
            .createACL(let target, _), .setCHAP(let target, _, _), .protectSecrets(let target, _),
            .mapLUN(let target, _, _, _, _), .unmapLUN(let target, _, _), .setReadOnly(let target, _, _, _),
            .removeACL(let target, _, _), .addPortal(let target, _), .removePortal(let target, _), .enable(let target):
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

    package static func of(_ driver: TargetDriver) -> ExportCapabilities {
        switch driver {
        case .lio:
            ExportCapabilities(
                chap: true, growsDevices: true, growsFiles: false, portalsPerTarget: true, readOnlyPerInitiator: true,
                settings: Set(TargetSetting.allCases), discard: true)
        case .tgt:
            ExportCapabilities(
                chap: false, growsDevices: false, growsFiles: false, portalsPerTarget: false,
                readOnlyPerInitiator: false, settings: [.authentication], discard: true)
        }
    }
}
