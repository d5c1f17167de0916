/// The kernel's number of a block device. It tells devices apart by more than a name, which a rename changes; nobody
/// else gets the number as long as somebody holds the device open.
package struct DeviceNumber: Hashable, Codable, Sendable, CustomStringConvertible {
    package var major: Int
    package var minor: Int

    package init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    package var description: String { "\(major):\(minor)" }
}

/// Place of a volume's bytes.
package enum VolumeLocation: Hashable, Codable, Sendable, CustomStringConvertible {
    case logicalVolume(group: String, name: String)
    case file(directory: String, name: String)

    /// Path that a target or a program opens.
    package var path: String {
        switch self {
        case .logicalVolume(let group, let name): "/dev/\(group)/\(name)"
        case .file(let directory, let name): "\(directory)/\(name)"
        }
    }

    package var description: String {
        switch self {
        case .logicalVolume(let group, let name): "\(group)/\(name)"
        case .file: path
        }
    }

    /// The group or directory that it is in.
    package var home: String {
        switch self {
        case .logicalVolume(let home, _), .file(let home, _): home
        }
    }

    /// The object's own name within its group or directory.
    package var objectName: String {
        switch self {
        case .logicalVolume(_, let name), .file(_, let name): name
        }
    }

    /// Whether a target hands out a device rather than a file.
    package var isBlockDevice: Bool {
        if case .logicalVolume = self { true } else { false }
    }
}

/// Storage that a volume is made in.
package enum StorageBackend: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    case thinPool(group: String, pool: String)
    case thick(group: String)
    case directory(path: String)

    package var description: String {
        switch self {
        case .thinPool(let group, let pool): "\(group)/\(pool)"
        case .thick(let group): group
        case .directory(let path): path
        }
    }

    /// The volume group that it is in; nil for directories.
    package var group: String? {
        switch self {
        case .thinPool(let group, _), .thick(let group): group
        case .directory: nil
        }
    }

    package var isThin: Bool {
        if case .thick = self { false } else { true }
    }

    /// The size that goes into the marks of something that is made here (`Marks.size`).
    package func recorded(_ size: ByteCount) -> ByteCount? {
        traits.recordsSize ? size : nil
    }

    package static func < (lhs: StorageBackend, rhs: StorageBackend) -> Bool { lhs.description < rhs.description }
}

/// An object of ours, or adopted by us, as it is stored: the drivers' common view.
package struct StoredVolume: Hashable, Sendable {
    @usableFromInline var sharedMarks: Shared<Marks>
    /// Shared by copies, which planning hands on by the thousand: marks are a dozen texts.
    package var marks: Marks {
        @inlinable get { sharedMarks.value }
        set { sharedMarks = Shared(newValue) }
    }
    package var backend: StorageBackend
    package var location: VolumeLocation
    /// LVM's own uuid; nil for files.
    package var uuid: String?
    /// LVM's uuid of the volume group; nil for files, and for volumes that are not made yet.
    package var groupUUID: String?
    /// Nil: marks without data (a sidecar whose file is gone).
    package var size: ByteCount?
    package var active: Bool
    package var suspended: Bool
    /// The device is held open: exported, mounted, or in use by another mapping. Nobody can tell for a file.
    package var open: Bool
    /// Number of the device while it is there.
    package var device: DeviceNumber?
    /// The reason why others could change its file; nil: they cannot. A volume with one is not used.
    package var exposure: String?
    /// Size that it had once, by its own marks or the ledger; nil: neither tells.
    package var formerSize: ByteCount?
    /// See `LogicalVolume`. Here `size` is that of its origin, which its readers see.
    package var isThickSnapshot = false
    package var isOverflowed = false
    /// The known faults of it and of everything that it stands on, the worst first.
    package var faults: [VolumeFault] = []

    package init(
        marks: Marks, backend: StorageBackend, location: VolumeLocation, uuid: String?, groupUUID: String? = nil,
        size: ByteCount?, active: Bool, suspended: Bool = false, open: Bool = false, device: DeviceNumber? = nil,
        exposure: String? = nil
    ) {
        sharedMarks = Shared(marks)
        self.backend = backend
        self.location = location
        self.uuid = uuid
        self.groupUUID = groupUUID
        self.size = size
        self.active = active
        self.suspended = suspended
        self.open = open
        self.device = device
        self.exposure = exposure
    }

    package var uid: UID { marks.uid }

    /// It has fewer bytes than it had, though Tuff never makes a volume smaller. A volume that is being made or filled
    /// is never truncated, since its end is not written yet.
    package var isTruncated: Bool {
        guard let size, let formerSize, !isThickSnapshot,
            marks.operation == nil || marks.operation == Marks.moving || marks.restoration != nil
        else { return false }
        return size < formerSize
    }

    /// The device mapper's uuid of its device; nil for files, and for volumes that are not made yet.
    package var deviceUUID: String? {
        guard let groupUUID, let uuid else { return nil }
        return DeviceMapper.uuid(group: groupUUID, volume: uuid)
    }
}

/// The kernel's names of logical volumes, which no renaming changes.
package enum DeviceMapper {
    /// Characters of such a name; those of the layers beneath a volume have a suffix (`-real`, `-tpool`).
    package static let length = 68

    /// `LVM-`, the group's uuid and the volume's, without their hyphens (`build_dm_uuid` in lib/activate/dev_manager.c
    /// of LVM); `dm/uuid` of the block device reads it.
    package static func uuid(group: String, volume: String = "") -> String {
        "LVM-" + String((group + volume).filter { $0 != "-" })
    }
}
