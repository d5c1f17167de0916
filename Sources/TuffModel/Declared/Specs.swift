/// A place for volumes: `kind: Pool`.
package struct PoolSpec: Hashable, Sendable {
    package enum Backend: Hashable, Sendable {
        case lvm(LVMPoolSpec)
        case directory(DirectoryPoolSpec)
    }

    /// The host that owns the pool; other hosts ignore it.
    package var node: String?
    package var backend: Backend
    /// Sum of virtual sizes / physical size that placement may reach, at least 1.
    package var overprovision: Double = 1
    /// Left free by placement, snapshots and restores.
    package var reserve = Percentage(10)
    package var autoExtend: AutoExtendSpec?

    package init(backend: Backend) { self.backend = backend }
}

package struct LVMPoolSpec: Hashable, Sendable {
    package enum Wipe: String, CaseIterable, Codable, Sendable { case zero, discard, none }

    package var volumeGroup: String
    /// Present: thin volumes in this thin pool. Absent: thick volumes in the volume group.
    package var thinPool: String?
    package var wipe = Wipe.zero
    package var tempSnapshotReserve: Percentage?
    package var create: PoolCreation?

    package init(volumeGroup: String, thinPool: String? = nil) {
        self.volumeGroup = volumeGroup
        self.thinPool = thinPool
    }
}

package struct PoolCreation: Hashable, Sendable {
    package enum WhenFull: String, CaseIterable, Sendable { case error, queue }

    package var devices: [String]
    package var thinPoolSize = Percentage(90)
    package var chunkSize = ByteCount(64 << 10)
    package var whenFull = WhenFull.error

    package init(devices: [String]) { self.devices = devices }
}

package struct DirectoryPoolSpec: Hashable, Sendable {
    /// Absolute path beneath one of the controller's `allow.directories`.
    package var path: String
    /// Mounted there (hard) by Tuff; without a path beneath the export.
    package var nfs: NFSShare?

    package init(path: String) { self.path = path }
}

package struct AutoExtendSpec: Hashable, Sendable {
    package var threshold: Percentage
    package var by: Percentage

    package init(threshold: Percentage, by: Percentage) {
        self.threshold = threshold
        self.by = by
    }
}

/// Equality of labels, all of which must match. Never empty.
package struct LabelSelector: Hashable, Codable, Sendable {
    package var matchLabels: [String: String]

    package init(matchLabels: [String: String]) { self.matchLabels = matchLabels }

    package func matches(_ labels: [String: String]) -> Bool {
        matchLabels.allSatisfy { labels[$0.key] == $0.value }
    }
}

/// A block device for initiators: `kind: Volume`.
package struct VolumeSpec: Hashable, Sendable {
    package enum Placement: Hashable, Sendable {
        case pool(String)
        case selector(LabelSelector)
    }
    package enum Sharing: String, CaseIterable, Codable, Sendable { case none, handover, readers, writers }
    package enum DeletionPolicy: String, CaseIterable, Codable, Sendable {
        case trash = "Trash"
        case retain = "Retain"
    }

    package var size: ByteCount
    package var placement: Placement
    package var source: VolumeSource?
    package var sharing = Sharing.none
    /// Portals of this volume's target; nil: the controller's.
    package var portals: [Portal]?
    package var identity: IdentityOverride?
    package var deletionPolicy = DeletionPolicy.trash
    package var trashFor = TimeSpan(seconds: 7 * 86400)
    /// Where several volumes are restored, those with a higher one are first.
    package var priority = 0
    package var protect = false

    package init(size: ByteCount, placement: Placement) {
        self.size = size
        self.placement = placement
    }
}

/// Content that a new volume starts with; read only when the volume is created.
package enum VolumeSource: Hashable, Sendable {
    case volume(String)
    case snapshot(String)
    case backup(BackupSource)
    /// - Parameter backup: Cinder's id of it, a UUID in lower case.
    case cinderBackup(repository: String, backup: String)
    case image(ImageSource)
}

extension VolumeSource {
    /// The field of the document that it is written in.
    package var field: String {
        switch self {
        case .volume: "spec.source.volume"
        case .snapshot: "spec.source.snapshot"
        case .backup: "spec.source.backup"
        case .cinderBackup: "spec.source.cinderBackup"
        case .image: "spec.source.image"
        }
    }

    /// True where its content comes from elsewhere than a volume or snapshot of this host.
    package var isOutside: Bool {
        switch self {
        case .image, .backup, .cinderBackup: true
        case .volume, .snapshot: false
        }
    }
}

package struct ImageSource: Hashable, Codable, Sendable {
    package enum Format: String, CaseIterable, Codable, Sendable { case raw, qcow2 }

    package var path: String
    package var format: Format
    /// Lower-case hexadecimal SHA-256 the file must have.
    package var sha256: String?

    package init(path: String, format: Format) {
        self.path = path
        self.format = format
    }
}

/// Identity taken over from an existing disk; only read when the volume is created.
package struct IdentityOverride: Hashable, Sendable {
    package var iqn: String?
    package var serial: String?
    package var lun: Int?

    package init() {}
}

/// `passwordFrom: {file: …}`: the file from which a secret is read at the moment it is needed. The path is no secret;
/// the file's content never enters desired state, observed state or a plan.
package struct SecretReference: Hashable, Codable, Sendable, Comparable {
    package var file: String

    package init(file: String) { self.file = file }

    package static func < (lhs: SecretReference, rhs: SecretReference) -> Bool { lhs.file < rhs.file }
}

package struct CHAPCredential: Hashable, Codable, Sendable {
    package var user: String
    package var password: SecretReference

    package init(user: String, password: SecretReference) {
        self.user = user
        self.password = password
    }
}

package struct CHAPSpec: Hashable, Codable, Sendable {
    /// Proof that the initiator gives to the target.
    package var initiator: CHAPCredential
    /// Proof that the target gives to the initiator.
    package var mutual: CHAPCredential?

    package init(initiator: CHAPCredential, mutual: CHAPCredential? = nil) {
        self.initiator = initiator
        self.mutual = mutual
    }
}

/// One volume seen by one initiator: `kind: Attachment`.
package struct AttachmentSpec: Hashable, Sendable {
    package enum OnRemove: String, CaseIterable, Codable, Sendable {
        case waitForLogout = "WaitForLogout"
        case disconnect = "Disconnect"
    }

    package var volume: String
    package var readOnly = false
    package var onRemove = OnRemove.waitForLogout
    package var initiator: String
    package var chap: CHAPSpec?

    package init(volume: String, initiator: String) {
        self.volume = volume
        self.initiator = initiator
    }
}

extension PoolSpec {
    /// The NFS share that is mounted at its directory.
    package var share: NFSShare? {
        if case .directory(let directory) = backend { directory.nfs } else { nil }
    }

    /// The storage in which volumes of this pool are made.
    package var storage: StorageBackend {
        switch backend {
        case .lvm(let lvm):
            lvm.thinPool.map { .thinPool(group: lvm.volumeGroup, pool: $0) } ?? .thick(group: lvm.volumeGroup)
        case .directory(let directory): .directory(path: directory.path)
        }
    }
}
