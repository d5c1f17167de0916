/// A backup repository as the worker is told of it that does all its I/O: where it is, and the file of a key that opens
/// it. The key itself is read by that worker.
package struct RepositoryAccess: Hashable, Codable, Sendable {
    package var site: BackupRepositorySpec.Site
    package var key: SecretReference?
    /// Nil: Tuff's own, and in plan files of versions that knew no other.
    package var format: BackupRepositorySpec.Format?

    package init(
        _ site: BackupRepositorySpec.Site, key: SecretReference? = nil, format: BackupRepositorySpec.Format? = nil
    ) {
        self.site = site
        self.key = key
        self.format = format
    }
}

extension BackupRepositorySpec {
    package var access: RepositoryAccess {
        RepositoryAccess(site, key: key, format: format == .tuff ? nil : format)
    }
}

/// A repository that is there and could be read.
package struct ObservedRepository: Hashable, Codable, Sendable {
    /// Its own id, which stays for its life.
    package var id: String
    /// Restore points that can be read, oldest first.
    package var points: [ObservedPoint]
    /// Number of restore points that cannot be read. One of them may be the newest of its series.
    package var damaged: Int
    /// Work of hosts in it, oldest first; nil: nobody left a receipt. Of each sort the newest alone.
    package var receipts: [ObservedReceipt]?

    package init(
        id: String, points: [ObservedPoint] = [], damaged: Int = 0, receipts: [ObservedReceipt] = []
    ) {
        self.id = id
        self.points = points
        self.damaged = damaged
        self.receipts = receipts.isEmpty ? nil : receipts
    }
}

/// A restore point as a repository lists it.
package struct ObservedPoint: Hashable, Codable, Sendable {
    package var id: String
    /// Series: name of the volume, and stack, node and uid of one that a document declared.
    package var volume: String
    package var stack: String?
    package var node: String?
    package var uid: UID?
    /// Time of the snapshot that was read.
    package var time: Instant
    package var size: ByteCount
    /// Bytes that are not zero: what a restore into a blank volume writes.
    package var content: ByteCount
    /// Bytes that it added to the repository. Nil in inventories of versions that did not ask.
    package var added: ByteCount?
    /// Names of the volume and the backup in OpenStack, where Cinder wrote it.
    package var cinder: CinderNames?
    /// The policy that made it.
    package var policy: String?
    /// The Backup document that it was made for.
    package var backup: String?
    /// Its time is not believed: a person said so, and `latest` passes it over.
    package var isSetAside: Bool
    /// A check found that it lacks something; nil: none did.
    package var isHurt: Bool?
    /// Name of its tree, which is a hash of all of its content. Nil in inventories of versions that did not ask.
    package var root: String?
    /// Bytes that were read to make it.
    package var read: ByteCount?
    /// Why more was read than what had changed; nil: only that was, or nobody wrote it down.
    package var fullRead: FullRead?

    package init(
        id: String, volume: String, stack: String? = nil, node: String? = nil, uid: UID? = nil, time: Instant,
        size: ByteCount, content: ByteCount, policy: String? = nil, backup: String? = nil, isSetAside: Bool = false
    ) {
        self.id = id
        self.volume = volume
        self.stack = stack
        self.node = node
        self.uid = uid
        self.time = time
        self.size = size
        self.content = content
        self.policy = policy
        self.backup = backup
        self.isSetAside = isSetAside
    }
}

/// The names of a backup in OpenStack.
package struct CinderNames: Hashable, Codable, Sendable {
    /// Cinder's id of the volume.
    package var volume: String
    package var volumeName: String?
    /// The backup's own name.
    package var name: String?

    package init(volume: String, volumeName: String? = nil, name: String? = nil) {
        self.volume = volume
        self.volumeName = volumeName
        self.name = name
    }
}

/// One restore point as the content of a volume.
package struct BackupContent: Hashable, Codable, Sendable {
    /// Name of the BackupRepository.
    package var repository: String
    package var access: RepositoryAccess
    /// The restore point's id, as the plan chose it.
    package var point: String
    package var size: ByteCount
    /// Bytes of it that are not zero.
    package var content: ByteCount

    package init(
        repository: String, access: RepositoryAccess, point: String, size: ByteCount, content: ByteCount
    ) {
        self.repository = repository
        self.access = access
        self.point = point
        self.size = size
        self.content = content
    }
}

extension BackupRepositorySpec.Site: CustomStringConvertible {
    package var description: String {
        switch self {
        case .directory(let path): path
        case .nfs(let share): share.description
        }
    }
}
