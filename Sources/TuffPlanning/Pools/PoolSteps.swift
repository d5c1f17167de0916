package import TuffModel

/// Steps that make a pool of LVM, in this order. Every step can be cut off and found again: by the uuid of a physical
/// volume (`PhysicalVolumeMark`), then by the marks of the group (`PoolMarks`).
package enum PoolStep: Hashable, Codable, Sendable {
    /// Makes a blank device a physical volume with this uuid. That it is blank is asked again right before, and by LVM
    /// itself once more.
    case prepare(BlankDevice, group: String, uuid: String)
    /// Makes the volume group of physical volumes of ours, with its marks in the same act.
    case createGroup(String, [PreparedDevice], PoolMarks)
    /// Makes the thin pool, with all its settings in one act.
    case createThinPool(NewThinPool)
    /// Takes the mark of unfinished work off the group, in which the thin pool must be found.
    case complete(group: String, thinPool: String, PoolMarks)
    /// Lets LVM's monitoring extend a thin pool, or (nil) no more.
    case setAutoExtend(group: String, pool: String, uuid: String, AutoExtend?)

    package var group: String {
        switch self {
        case .prepare(_, let group, _), .createGroup(let group, _, _), .complete(let group, _, _),
            .setAutoExtend(let group, _, _, _):
            group
        case .createThinPool(let pool): pool.group
        }
    }

    package var key: ExclusiveKey { .volumeGroup(group) }
}

/// A profile of LVM's and what is in it.
package struct AutoExtend: Hashable, Codable, Sendable {
    package var profile: String
    package var file: String
    package var text: String

    package init(_ spec: AutoExtendSpec) {
        profile = spec.profile
        file = spec.profileFile
        text = spec.profileText
    }
}

/// A physical volume that waits to be part of a group.
package struct PreparedDevice: Hashable, Codable, Sendable {
    package var path: String
    package var uuid: String

    package init(path: String, uuid: String) {
        self.path = path
        self.uuid = uuid
    }
}

package struct NewThinPool: Hashable, Codable, Sendable {
    package var group: String
    /// Nil: the group is made in the same plan.
    package var groupUUID: String?
    /// Marks that the group must still have; nil: it was made by somebody else.
    package var marks: PoolMarks?
    package var name: String
    package var size: ByteCount
    package var metadataSize: ByteCount
    package var chunkSize: ByteCount
    package var failsWhenFull: Bool
    package var autoExtend: AutoExtend?

    package init(
        group: String, groupUUID: String?, marks: PoolMarks?, name: String, sizes: ThinPoolSizes,
        chunkSize: ByteCount, failsWhenFull: Bool, autoExtend: AutoExtend?
    ) {
        self.autoExtend = autoExtend
        self.group = group
        self.groupUUID = groupUUID
        self.marks = marks
        self.name = name
        size = sizes.data
        metadataSize = sizes.metadata
        self.chunkSize = chunkSize
        self.failsWhenFull = failsWhenFull
    }
}

/// Sizes of a new thin pool's two parts.
package struct ThinPoolSizes: Hashable, Sendable {
    package var data: ByteCount
    package var metadata: ByteCount

    /// Of a physical volume that Tuff makes: the label and an area of metadata of 16 MiB, which holds some 20,000
    /// volumes where LVM's own of 1 MiB is full at a thousand. Data begins at the next MiB.
    package static let metadataArea = ByteCount(16 << 20)
    package static let dataStart = ByteCount(17 << 20)
    /// LVM's own extent size.
    package static let extent = ByteCount(4 << 20)
    /// LVM's DM_THIN_MAX_METADATA_SIZE: 255 bitmap blocks of 2^14 blocks of 4 KiB, less 128 MiB.
    private static let largestMetadata = ByteCount((255 << 26) - (128 << 20))
    private static let smallestMetadata = ByteCount(16 << 20)

    /// Metadata is 64 bytes for each chunk, which is what LVM itself takes by default (`_estimate_metadata_size`), and
    /// twice what `thin_metadata_size` (thin-provisioning-tools) says of as many mappings: a mapping is 16 bytes in
    /// nodes that are half full, and snapshots that went apart from their origin have mappings of their own. The
    /// kernel's documentation says 48 (thin-provisioning.rst). Not below 16 MiB, since many small changes cost room
    /// before they cost chunks. lvmthin(7): a spare of the same size is kept for repair, so it counts twice.
    ///
    /// - Returns: nil where `free` does not hold what is asked for.
    package init?(share: Percentage, of total: ByteCount, free: ByteCount, chunk: ByteCount, extent: ByteCount) {
        func metadata(for data: ByteCount) -> ByteCount {
            let wanted = min(max(ByteCount(64) * data.pieces(of: chunk), Self.smallestMetadata), Self.largestMetadata)
            return wanted.roundedUp(to: extent)
        }
        let wanted = extent * (share.of(total).bytes / max(extent.bytes, 1))
        let metadata = metadata(for: wanted)
        // 100 % means what is left beside the metadata.
        let room = share.percent == 100 ? min(wanted, free - metadata - metadata) : wanted
        guard room >= extent, room + metadata + metadata <= free else { return nil }
        data = room
        self.metadata = metadata
    }

    /// Bytes that a device brings to a group. One extent less than it could be: a device that prefers another alignment
    /// has its data begin later.
    package static func room(on device: ByteCount) -> ByteCount {
        extent * max(0, (device - dataStart).bytes / extent.bytes - 1)
    }
}
