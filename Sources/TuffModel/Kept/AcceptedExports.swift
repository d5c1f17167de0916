/// Access that the last accepted set of one stack grants. It is enough to bring the exports of existing objects back
/// after a reboot, and says nothing by which an object could be made, grown, named or removed.
///
/// It does not hold the documents themselves, for two reasons: a later version with stricter rules for documents must
/// still know at boot what was granted; and access that was removed from the documents without consent to withdraw it
/// is still granted.
package struct AcceptedExports: Hashable, Codable, Sendable {
    package static let currentVersion = 1

    /// A pool of this node, where volumes are looked for.
    package struct Pool: Hashable, Codable, Sendable {
        package var name: String
        package var backend: StorageBackend
        /// Of a directory: the NFS share that is mounted there before anything is looked for. Nil: none, and in records
        /// of versions that mounted none.
        package var share: NFSShare?

        package init(name: String, backend: StorageBackend, share: NFSShare? = nil) {
            self.name = name
            self.backend = backend
            self.share = share
        }
    }

    /// One initiator's access to one volume. Secrets only by the file they are read from.
    package struct Access: Hashable, Codable, Sendable {
        package var attachment: String
        package var volume: String
        /// The pool that the volume's document names.
        package var pool: String?
        /// The name that a volume may still have until its renaming is carried out (`tuff.dev/renamed-from`).
        package var formerName: String?
        package var initiator: String
        package var readOnly: Bool
        package var onRemove: AttachmentSpec.OnRemove
        package var chap: CHAPSpec?
        /// Nil: the controller's.
        package var portals: [Portal]?
        /// The volume's `sharing` when this was accepted. Nil, in records of earlier versions: none.
        package var sharing: VolumeSpec.Sharing?
        /// The access was used beside other access to the same volume before that lost its document. A reboot withdraws
        /// nothing, so both come back, whatever the volume's sharing has become since.
        package var wasBeside: Bool?
        package var location: SourceLocation
        /// False: the last set does not have it any more, and nobody consented to withdraw it.
        package var isDeclared: Bool

        package init(
            attachment: String, volume: String, pool: String? = nil, formerName: String? = nil, initiator: String,
            readOnly: Bool = false, onRemove: AttachmentSpec.OnRemove = .waitForLogout, chap: CHAPSpec? = nil,
            portals: [Portal]? = nil, sharing: VolumeSpec.Sharing? = nil, location: SourceLocation,
            isDeclared: Bool = true
        ) {
            self.attachment = attachment
            self.volume = volume
            self.pool = pool
            self.formerName = formerName
            self.initiator = initiator
            self.readOnly = readOnly
            self.onRemove = onRemove
            self.chap = chap
            self.portals = portals
            self.sharing = sharing
            self.location = location
            self.isDeclared = isDeclared
        }
    }

    package var version = Self.currentVersion
    package var stack: String
    /// When the set was accepted.
    package var at: Instant
    /// Sorted by name.
    package var pools: [Pool] = []
    /// Sorted by attachment.
    package var access: [Access] = []

    package init(stack: String, at: Instant) {
        self.stack = stack
        self.at = at
    }

    /// Forgets the access that a person took away by hand (`tuff detach`).
    /// - Parameter volumes: the name may be a volume's, or `VOLUME@INITIATOR`, as it is where access cannot be marked
    ///   (tgt).
    package mutating func strike(_ attachment: String, volumes: Bool) {
        access.removeAll {
            AccessMark(attachment: $0.attachment, onRemove: $0.onRemove).isOf(attachment)
                || (volumes && [$0.volume, "\($0.volume)@\($0.initiator)"].contains(attachment))
        }
    }
}
