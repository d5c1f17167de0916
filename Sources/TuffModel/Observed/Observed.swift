/// Everything one pass saw. Written whole by `tuff inventory`, read back by `plan --inventory`.
package struct ObservedState: Equatable, Codable, Sendable {
    package var takenAt: Instant
    /// The clock, with the readings that it is judged by; nil in inventories without them.
    package var clock: ClockReading?
    /// LVM, by volume group name.
    package var volumeGroups: ObservationMap<VolumeGroup>
    /// Directory pools that the documents name, by path. A path nobody asked about has no entry.
    package var directories: ObservationMap<DirectoryPool>
    /// The mounts at the directories of pools on NFS, by path; one whose server `allow.nfs` does not name has no
    /// entry. Nil: there are no such pools, and in inventories of versions that did not look.
    package var mounts: ObservationMap<ObservedMount>?
    package var targets: Observation<TargetInventory>
    /// Keyed fingerprints of the secret files that the documents name, by path.
    package var secrets: ObservationMap<SecretFingerprint>
    /// Disk images that volumes are to be made from, by `ImageSource.key`.
    package var images: ObservationMap<ObservedImage>
    /// Devices that pools are to be made of, by the path in the document; only while such a pool is not there.
    package var devices: ObservationMap<CandidateDevice>
    /// LVM's metadata profiles of ours, by file name: their texts, without the newline at the end. Only while a pool
    /// asks to grow by itself.
    package var profiles: ObservationMap<String>
    /// The rules of the time zones that policies name, as `/usr/share/zoneinfo` has them, by name.
    package var timeZones: ObservationMap<ZoneFile>
    /// Memory of earlier passes. Passes without a state directory have an empty one.
    package var ledger: Ledger
    /// Jobs that run on this host, by the name of their file. Nil: none, and in inventories of versions that had none.
    package var jobs: ObservationMap<RunningJob>?
    /// Backup repositories that the documents declare, by the documents' names. Nil: none, and in inventories of
    /// versions that did not look.
    package var repositories: ObservationMap<ObservedRepository>?

    package init(
        takenAt: Instant, clock: ClockReading? = nil, volumeGroups: ObservationMap<VolumeGroup> = ObservationMap(),
        directories: ObservationMap<DirectoryPool> = ObservationMap(),
        mounts: ObservationMap<ObservedMount>? = nil,
        targets: Observation<TargetInventory> = .known(TargetInventory()),
        secrets: ObservationMap<SecretFingerprint> = ObservationMap(),
        images: ObservationMap<ObservedImage> = ObservationMap(),
        devices: ObservationMap<CandidateDevice> = ObservationMap(),
        profiles: ObservationMap<String> = ObservationMap(),
        timeZones: ObservationMap<ZoneFile> = ObservationMap(), ledger: Ledger = Ledger(),
        jobs: ObservationMap<RunningJob>? = nil, repositories: ObservationMap<ObservedRepository>? = nil
    ) {
        self.jobs = jobs
        self.repositories = repositories
        self.takenAt = takenAt
        self.clock = clock
        self.volumeGroups = volumeGroups
        self.directories = directories
        self.mounts = mounts
        self.targets = targets
        self.secrets = secrets
        self.images = images
        self.devices = devices
        self.profiles = profiles
        self.timeZones = timeZones
        self.ledger = ledger
    }
}

/// A keyed hash that tells whether two secrets are equal and nothing else: 16 hexadecimal digits of
/// HMAC-SHA-256 under a key that lives as long as one plan context.
///
/// Behind them stands a letter for each thing that may be told of a secret: nothing that helps to guess a good one.
package struct SecretFingerprint: Hashable, Codable, Sendable {
    package enum Trait: String, CaseIterable, Sendable {
        /// Less than 12 bytes, the 96 bits that RFC 7143 section 9.2.1 asks for.
        case short = "s"
        /// More than 255 bytes (`MAX_PASS_LEN` in iscsi_target_core.h of Linux 6.1, with its NUL).
        case tooLong = "l"
        case endsWithBlank = "b"
    }

    package var text: String

    package init(text: String) { self.text = text }

    /// - Parameters:
    ///   - digits: the keyed hash.
    ///   - secret: the secret that it is computed from.
    package init(digits: String, of secret: some BidirectionalCollection<UInt8>) {
        text = digits
        if secret.count < 12 { text += Trait.short.rawValue }
        if secret.count > 255 { text += Trait.tooLong.rawValue }
        if secret.last == 0x20 || secret.last == 0x09 { text += Trait.endsWithBlank.rawValue }
    }

    package var traits: Set<Trait> { Set(text.dropFirst(16).compactMap { Trait(rawValue: String($0)) }) }
}

package struct VolumeGroup: Equatable, Codable, Sendable {
    package var name: String
    package var uuid: String
    package var size: ByteCount
    /// Extents that LVM hands out: those on devices that are there and take new volumes.
    package var free: ByteCount
    /// Free extents that LVM does not hand out: on devices that are missing, or closed to new volumes (`pvchange -xn`).
    /// Nil: none.
    package var unallocatable: ByteCount?
    package var extentSize: ByteCount
    package var missingDevices: Int
    /// `vg_lock_type`: empty or `none` for a local volume group; `sanlock`, `dlm` belong to lvmlockd.
    package var lockType: String
    package var partial: Bool
    package var exported: Bool
    package var metadataAreaSize: ByteCount
    package var metadataAreaFree: ByteCount
    package var tags: [String]
    /// `vg_systemid`, lvmsystemid(7): the host that may use it. Nil: any.
    package var systemID: String?
    /// The system ID of this host, where the group is another host's: LVM shows it when asked for all, and changes
    /// nothing in it.
    package var foreignTo: String?
    /// Uuids of its physical volumes, missing ones included.
    package var physicalVolumes: [String]
    package var logicalVolumes: [LogicalVolume]
    /// Paths of its physical volumes that are there. Nil in inventories of versions that did not ask.
    package var devicePaths: [String]?
    /// Bytes of the logical sectors of its volumes, the largest of its devices'. Nil: nobody asked, or it cannot be
    /// told.
    package var sectorSize: Int?
    /// Logical volumes that LVM hides, parts of others: legs of RAID, data and metadata of pools, caches and their
    /// origins. Nil in inventories of versions that did not ask.
    package var hiddenVolumes: [LogicalVolume]?

    package init(
        name: String, uuid: String, size: ByteCount, free: ByteCount, unallocatable: ByteCount? = nil,
        extentSize: ByteCount = ByteCount(4 << 20), missingDevices: Int = 0, lockType: String = "",
        partial: Bool = false,
        exported: Bool = false, metadataAreaSize: ByteCount = ByteCount(16 << 20),
        metadataAreaFree: ByteCount = ByteCount(16 << 20), tags: [String] = [], systemID: String? = nil,
        foreignTo: String? = nil, physicalVolumes: [String] = [], logicalVolumes: [LogicalVolume] = [],
        hiddenVolumes: [LogicalVolume]? = nil
    ) {
        self.hiddenVolumes = hiddenVolumes
        self.unallocatable = unallocatable
        self.systemID = systemID
        self.foreignTo = foreignTo
        self.name = name
        self.uuid = uuid
        self.size = size
        self.free = free
        self.extentSize = extentSize
        self.missingDevices = missingDevices
        self.lockType = lockType
        self.partial = partial
        self.exported = exported
        self.metadataAreaSize = metadataAreaSize
        self.metadataAreaFree = metadataAreaFree
        self.tags = tags
        self.physicalVolumes = physicalVolumes
        self.logicalVolumes = logicalVolumes
    }
}

package struct LogicalVolume: Equatable, Codable, Sendable {
    /// Layout of a volume, from `lv_layout`. `striped` may have linear parts beside; `cachePool` is a cache itself, of
    /// either sort.
    package enum Layout: String, Codable, Sendable {
        case thinPool, thin, linear, striped, mirror, raid0, raid1, raid4, raid5, raid6, raid10
        case cache, writecache, cachePool, integrity, vdo, vdoPool, other
    }

    /// Whether its device may be written.
    package enum Permission: String, Codable, Sendable {
        case writable
        /// LVM's metadata forbid it (`lvchange -pr`).
        case readOnly
        /// The metadata allow it and the kernel's device does not.
        case overridden
    }

    package var name: String
    package var uuid: String
    package var size: ByteCount
    package var tags: [String]
    package var layout: Layout
    package var active: Bool
    package var suspended: Bool
    /// The device is held open: exported, mounted, or in use by another mapping.
    package var open: Bool
    /// Thin pool this thin volume is in. LVM's `pool_lv` names the cache of a cached volume too, which is among
    /// `parts`.
    package var pool: String?
    /// The volume that it is a snapshot of, thin or not; for a thin volume perhaps a volume outside of its pool, whose
    /// blocks it reads.
    package var origin: String?
    /// Thin pools and snapshots: used share of data, 0 to 100; nil while inactive.
    package var dataPercent: Double?
    package var metadataPercent: Double?
    package var metadataSize: ByteCount?
    package var chunkSize: ByteCount?
    /// `lv_health_status`, empty when well.
    package var health: String
    /// The metadata profile that governs it, which for a thin pool says when it grows.
    package var profile: String?
    /// Thin pools: percent of data or metadata above which LVM makes no new volume in it; 100 is never. Nil: nobody
    /// asked, since it is far from any such value, or it cannot be told.
    package var autoextendThreshold: Int?
    /// Thin pools: `error` or `queue`.
    package var whenFull: String?
    /// Thin pools: the kernel wants `thin_check` before it lets anything be written to the metadata.
    package var needsCheck: Bool
    /// Thin pools: whether dmeventd watches it; nil elsewhere.
    package var isMonitored: Bool?
    /// Thin pools: whether a new chunk reads zeros where nothing was written to it yet. Nil elsewhere, and in
    /// inventories of versions that did not ask.
    package var zeroesChunks: Bool?
    /// Nil while inactive.
    package var device: DeviceNumber?
    package var permission = Permission.writable
    /// Backup bases: what tells it among all that its pool ever had; nil elsewhere.
    package var thinIdentity: ThinIdentity?
    /// Hidden volumes: the volume that this one is a part of, where LVM names it (`lv_parent`).
    package var parent: String?
    /// Hidden volumes it stands on that name no parent: its cache, and the volume beneath a cache or integrity.
    package var parts: [String] = []

    package init(
        name: String, uuid: String, size: ByteCount, tags: [String] = [], layout: Layout = .thin, active: Bool = false,
        suspended: Bool = false, open: Bool = false, pool: String? = nil, origin: String? = nil,
        dataPercent: Double? = nil, metadataPercent: Double? = nil, metadataSize: ByteCount? = nil,
        chunkSize: ByteCount? = nil, health: String = "", profile: String? = nil, whenFull: String? = nil,
        needsCheck: Bool = false, isMonitored: Bool? = nil, zeroesChunks: Bool? = nil, device: DeviceNumber? = nil
    ) {
        self.name = name
        self.uuid = uuid
        self.size = size
        self.tags = tags
        self.layout = layout
        self.active = active
        self.suspended = suspended
        self.open = open
        self.pool = pool
        self.origin = origin
        self.dataPercent = dataPercent
        self.metadataPercent = metadataPercent
        self.metadataSize = metadataSize
        self.chunkSize = chunkSize
        self.health = health
        self.profile = profile
        self.whenFull = whenFull
        self.needsCheck = needsCheck
        self.isMonitored = isMonitored
        self.zeroesChunks = zeroesChunks
        self.device = device
    }

    /// Whether it is a copy-on-write snapshot, which keeps overwritten blocks of its origin in extents of its own;
    /// `size` counts these. Its device comes and goes with the origin's. LVM's own word is `lv_role` `thicksnapshot`.
    package var isThickSnapshot: Bool { origin != nil && (layout == .linear || layout == .striped) }
    /// Whether that room is full, so that its content is lost, or will be with the next write. Known while it is active
    /// only (`data_percent` 100.00 with attribute 5 `I`, measured).
    package var isOverflowed: Bool { isThickSnapshot && (dataPercent ?? 0) >= 100 }

    /// Refuses percentages that are none: an inventory file is not checked by the decoder of LVM's report.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func percent(_ key: CodingKeys) throws -> Double? {
            guard let value = try container.decodeIfPresent(Double.self, forKey: key) else { return nil }
            guard (0...100).contains(value) else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: container, debugDescription: "\(value) is not between 0 and 100")
            }
            return value
        }
        self.init(
            name: try container.decode(String.self, forKey: .name),
            uuid: try container.decode(String.self, forKey: .uuid),
            size: try container.decode(ByteCount.self, forKey: .size),
            tags: try container.decode([String].self, forKey: .tags),
            layout: try container.decode(Layout.self, forKey: .layout),
            active: try container.decode(Bool.self, forKey: .active),
            suspended: try container.decode(Bool.self, forKey: .suspended),
            open: try container.decode(Bool.self, forKey: .open),
            pool: try container.decodeIfPresent(String.self, forKey: .pool),
            origin: try container.decodeIfPresent(String.self, forKey: .origin),
            dataPercent: try percent(.dataPercent), metadataPercent: try percent(.metadataPercent),
            metadataSize: try container.decodeIfPresent(ByteCount.self, forKey: .metadataSize),
            chunkSize: try container.decodeIfPresent(ByteCount.self, forKey: .chunkSize),
            health: try container.decode(String.self, forKey: .health),
            profile: try container.decodeIfPresent(String.self, forKey: .profile),
            whenFull: try container.decodeIfPresent(String.self, forKey: .whenFull),
            needsCheck: try container.decodeIfPresent(Bool.self, forKey: .needsCheck) ?? false,
            isMonitored: try container.decodeIfPresent(Bool.self, forKey: .isMonitored),
            zeroesChunks: try container.decodeIfPresent(Bool.self, forKey: .zeroesChunks),
            device: try container.decodeIfPresent(DeviceNumber.self, forKey: .device))
        autoextendThreshold = try container.decodeIfPresent(Int.self, forKey: .autoextendThreshold)
        permission = try container.decodeIfPresent(Permission.self, forKey: .permission) ?? .writable
        thinIdentity = try container.decodeIfPresent(ThinIdentity.self, forKey: .thinIdentity)
        parent = try container.decodeIfPresent(String.self, forKey: .parent)
        parts = try container.decodeIfPresent([String].self, forKey: .parts) ?? []
    }
}

/// A directory of sparse files, each with a sidecar `.tuff/<uid>.json` that carries its marks.
package struct DirectoryPool: Equatable, Codable, Sendable {
    package var path: String
    /// Size and free space of the file system, in bytes (statvfs).
    package var size: ByteCount
    package var free: ByteCount
    package var files: [DirectoryFile]
    /// A sentence on how others than root and the user we run as could change what is in the directory; nil: they
    /// cannot.
    package var exposure: String?
    /// Files share blocks there (reflink), so that a copy takes a moment and no room. Nil: not known, hence not relied
    /// on.
    package var sharesBlocks: Bool?

    package init(
        path: String, size: ByteCount, free: ByteCount, files: [DirectoryFile] = [], exposure: String? = nil,
        sharesBlocks: Bool? = nil
    ) {
        self.sharesBlocks = sharesBlocks
        self.path = path
        self.size = size
        self.free = free
        self.files = files
        self.exposure = exposure
    }
}

/// One sidecar with its data file, or either without the other.
package struct DirectoryFile: Equatable, Codable, Sendable {
    /// Name of the data file in the pool's directory.
    package var name: String
    /// Marks from the sidecar; empty: a file without a sidecar, somebody else's.
    package var tags: [String]
    /// Nil: the sidecar is there, the data file is not.
    package var size: ByteCount?
    /// Bytes allocated on disk.
    package var allocated: ByteCount
    /// Why others than root and the user we run as could change the file or its sidecar, in a sentence.
    package var exposure: String?
    /// Why its sidecar cannot be understood, in a sentence; nil where there is none or it can.
    package var fault: String?

    package init(
        name: String, tags: [String], size: ByteCount?, allocated: ByteCount = .zero, exposure: String? = nil,
        fault: String? = nil
    ) {
        self.fault = fault
        self.name = name
        self.tags = tags
        self.size = size
        self.allocated = allocated
        self.exposure = exposure
    }
}
