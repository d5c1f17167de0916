/// A question to a thin pool: what a new base holds that the base of the last time does not.
package struct BaseComparison: Hashable, Codable, Sendable {
    /// The snapshot that is to be backed up, which the same plan makes.
    package var base: BackupBase
    /// The group and the thin pool that it is in, and LVM's uuids of both.
    package var group: String
    package var pool: String
    package var groupUUID: String
    package var poolUUID: String
    package var chunkSize: ByteCount
    /// The volume has an origin outside of the pool: where it has no blocks it reads that, and not zeros.
    package var readsOrigin: Bool

    package init(
        _ base: BackupBase, group: String, pool: String, groupUUID: String, poolUUID: String, chunkSize: ByteCount,
        readsOrigin: Bool = false
    ) {
        self.base = base
        self.group = group
        self.pool = pool
        self.groupUUID = groupUUID
        self.poolUUID = poolUUID
        self.chunkSize = chunkSize
        self.readsOrigin = readsOrigin
    }

    package var backend: StorageBackend { .thinPool(group: group, pool: pool) }

    package var location: VolumeLocation { .logicalVolume(group: group, name: base.objectName) }
}

/// The parts of a snapshot that a backup has to read.
package struct BackupReading: Hashable, Codable, Sendable {
    /// Byte ranges outside of which the snapshot holds what a restore point holds.
    package struct Changes: Hashable, Codable, Sendable {
        /// ID of the point, and the digest of its content as the base was marked with it.
        package var point: String
        package var digest: String
        package var ranges: [Range<UInt64>]

        package init(since point: String, digest: String, ranges: [Range<UInt64>]) {
            self.point = point
            self.digest = digest
            self.ranges = ranges
        }
    }

    package var changes: Changes?
    /// Byte ranges outside of which it reads zeros; nil: not known.
    package var mapped: [Range<UInt64>]?
    /// Why more is read than what changed; nil: only that is.
    package var full: FullRead?

    package init(changes: Changes? = nil, mapped: [Range<UInt64>]? = nil, full: FullRead? = nil) {
        self.changes = changes
        self.mapped = mapped
        self.full = full
    }
}

/// The outcome of a comparison.
package struct ComparedBase: Hashable, Sendable {
    package var reading: BackupReading
    /// The new base's; nil: LVM did not tell, and so it is marked for nobody's use.
    package var identity: ThinIdentity?

    package init(_ reading: BackupReading, identity: ThinIdentity?) {
        self.reading = reading
        self.identity = identity
    }
}
