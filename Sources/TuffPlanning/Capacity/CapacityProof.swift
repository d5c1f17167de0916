import TuffModel

/// Carries a whole plan out on paper, step by step and at its worst, against the room that there really is: data and
/// metadata of thin pools, extents and the metadata area of volume groups, bytes of directories.
///
/// What every change promises was weighed as it was planned (`PoolBudget`); this is about what the steps together
/// write. Only takes are counted and no room that comes free, since steps run side by side and a purge may fail. What
/// initiators write meanwhile is not in it.
struct CapacityProof {
    /// Something that runs out.
    struct Account {
        /// `data of thin pool vg0/tp0`
        var what: String
        /// Room that may be taken, beyond the reserve.
        var room: ByteCount
        /// Room kept free besides, which only the making of a pool may take.
        var kept = ByteCount.zero
        var reserve: String
        var taken = ByteCount.zero
        /// Room that work begun before may take.
        var owed = ByteCount.zero
        var creditors: [ResourceID] = []
    }

    /// Room that a step takes. Some steps may take of the reserve.
    struct Take {
        var key: Key
        var amount: ByteCount
        var ofReserve = false

        init(_ key: Key, _ amount: ByteCount, ofReserve: Bool = false) {
            self.key = key
            self.amount = amount
            self.ofReserve = ofReserve
        }
    }

    /// Where a step takes what.
    enum Key: Hashable {
        case data(group: String, pool: String)
        case metadata(group: String, pool: String)
        case extents(group: String)
        case area(group: String)
        case directory(String)
    }

    /// A volume as the steps so far leave it.
    private struct Extent {
        var size: ByteCount
        /// Bytes it has blocks for, at most.
        var mapped: ByteCount
        var backend: StorageBackend?
    }

    private let observed: ObservedState
    /// Volumes with work that was begun before this plan: it is gone on with whatever room there is by now, since
    /// giving it up would leave them half done, and some of that room it has taken itself. With what they are.
    let begun: [UID: Marks]
    var accounts: [Key: Account] = [:]
    private var chunks: [Key: ByteCount] = [:]
    private var volumes: [UID: Extent] = [:]

    /// A thin device costs a block of 4 KiB for the root of its mapping and at most another in the tree of devices
    /// (Documentation/admin-guide/device-mapper/thin-provisioning.rst: metadata blocks have 4 KiB).
    private static let deviceCost = ByteCount(8 << 10)
    /// Metadata for one mapped chunk, bytes: lvmthin(7) and thin_metadata_size(8) reckon with 64.
    private static let chunkCost: Int64 = 64
    /// Bytes of text that LVM writes of a logical volume besides names and tags; 500 were measured of a thin one.
    private static let entryCost: Int64 = 640

    /// - Parameter creations: what pools made in the plan come to, by name.
    init(
        _ desired: DesiredState, observed: ObservedState, index: StorageIndex,
        creations: [String: PoolCreationPlan],
        node: String
    ) {
        self.observed = observed
        begun = Dictionary(
            index.volumes.lazy.filter { $0.marks.lastingOperation != nil }.map { ($0.uid, $0.marks) },
            uniquingKeysWith: { first, _ in first })
        let pools = desired.pools.values.filter { $0.spec.node ?? node == node }
        for pool in pools.sorted(by: { $0.metadata.name < $1.metadata.name }) {
            if let creation = creations[pool.metadata.name] {
                open(pool.spec, creation)
            } else {
                open(pool.spec)
            }
        }
        let blocks = Blocks(observed)
        for volume in index.volumes + index.temporaries {
            let size = volume.size ?? .zero
            // What nobody knows of an unfinished copy counts as not written: the more is to come.
            let unknown = volume.marks.isCopying ? ByteCount.zero : blocks.bound(on: volume)
            volumes[volume.uid] = Extent(
                size: size, mapped: min(size, blocks.of(volume) ?? unknown), backend: volume.backend)
        }
    }

    /// Bytes that volumes have blocks for, as far as it was seen.
    private struct Blocks {
        private var used: [String: Double] = [:]
        private var allocated: [VolumeLocation: ByteCount] = [:]
        private var pools: [StorageBackend: ByteCount] = [:]

        init(_ observed: ObservedState) {
            for group in observed.volumeGroups.entries.values.lazy.compactMap(\.value) {
                for volume in group.logicalVolumes {
                    if volume.layout == .thin { used[volume.uuid] = volume.dataPercent }
                    if volume.layout == .thinPool {
                        pools[.thinPool(group: group.name, pool: volume.name)] =
                            volume.dataPercent.map { CapacityProof.share(volume.size, $0, roundedUp: true) }
                    }
                }
            }
            for directory in observed.directories.entries.values.lazy.compactMap(\.value) {
                for file in directory.files {
                    allocated[.file(directory: directory.path, name: file.name)] = file.allocated
                }
            }
        }

        /// LVM tells it of active volumes only.
        func of(_ volume: StoredVolume) -> ByteCount? {
            volume.uuid.flatMap { used[$0] }.map { CapacityProof.share(volume.size ?? .zero, $0, roundedUp: true) }
                ?? allocated[volume.location]
        }

        /// Bytes it may have at most: no more than all of its pool together.
        func bound(on volume: StoredVolume) -> ByteCount { pools[volume.backend] ?? volume.size ?? .zero }
    }

    private static func share(_ size: ByteCount, _ percent: Double, roundedUp: Bool) -> ByteCount {
        let bytes = Double(size.bytes) * min(max(percent, 0), 100) / 100
        return ByteCount(Int64(exactly: bytes.rounded(roundedUp ? .up : .down)) ?? size.bytes)
    }

    private mutating func open(_ spec: PoolSpec) {
        switch spec.storage {
        case .directory(let path):
            guard let directory = observed.directories.entries[path]?.value else { return }
            open(
                .directory(path), what: "the file system of \(path)", free: directory.free, of: directory.size,
                reserve: spec.reserve)
        case .thick(let name):
            guard let group = observed.volumeGroups.entries[name]?.value else { return }
            openArea(group)
            open(
                .extents(group: name), what: "volume group \(name)", free: group.free, of: group.size,
                reserve: spec.reserve)
        case .thinPool(let name, let poolName):
            guard let group = observed.volumeGroups.entries[name]?.value,
                let pool = group.logicalVolumes.first(where: { $0.name == poolName && $0.layout == .thinPool })
            else { return }
            openArea(group)
            let sides: [(Key, String, ByteCount?, Double?)] = [
                (.data(group: name, pool: poolName), "data", pool.size, pool.dataPercent),
                (.metadata(group: name, pool: poolName), "metadata", pool.metadataSize, pool.metadataPercent),
            ]
            for (key, what, size, used) in sides {
                // A pool whose fill level is not known takes nothing; its volumes say so.
                guard let size, let used else { continue }
                let free = size - Self.share(size, used, roundedUp: true)
                let limit = ThinPoolLimit.of(
                    pool, metadata: what == "metadata", threshold: !ThinPoolLimit.isExtended(pool, in: group))
                open(
                    key, what: "\(what) of thin pool \(name)/\(poolName)", free: free, of: size, reserve: spec.reserve,
                    limit: limit)
            }
            if let chunk = pool.chunkSize, chunk > .zero { chunks[.data(group: name, pool: poolName)] = chunk }
        }
    }

    /// A pool that is made in the same plan is empty, and as large as it will be.
    private mutating func open(_ spec: PoolSpec, _ creation: PoolCreationPlan) {
        switch spec.storage {
        case .directory: return
        case .thick(let name):
            open(
                .extents(group: name), what: "volume group \(name)", free: creation.size, of: creation.size,
                reserve: spec.reserve)
        case .thinPool(let name, let poolName):
            guard let pool = creation.thinPool else { return }
            let data = Key.data(group: name, pool: poolName)
            open(
                data, what: "data of thin pool \(name)/\(poolName)", free: pool.size, of: pool.size,
                reserve: spec.reserve)
            open(
                .metadata(group: name, pool: poolName), what: "metadata of thin pool \(name)/\(poolName)",
                free: pool.metadataSize, of: pool.metadataSize, reserve: spec.reserve)
            chunks[data] = pool.chunkSize
            // A group that is there has extents to run out of, whether or not a thick pool says so.
            if let group = observed.volumeGroups.entries[name]?.value {
                openArea(group)
                if accounts[.extents(group: name)] == nil {
                    open(
                        .extents(group: name), what: "volume group \(name)", free: group.free, of: group.size,
                        reserve: Percentage(0))
                }
            }
        }
    }

    private mutating func open(
        _ key: Key, what: String, free: ByteCount, of size: ByteCount, reserve: Percentage,
        limit: ThinPoolLimit? = nil
    ) {
        var kept = reserve.of(size), rule = "\(reserve) is kept free"
        // LVM makes no volume beyond its own limit, where that is the lower one.
        if let limit, case let refused = Self.share(size, 100 - limit.percent, roundedUp: true), refused > kept {
            (kept, rule) = (refused, "LVM makes no new volume beyond \(limit.rule)")
        }
        accounts[key] = Account(what: what, room: free - kept, kept: kept, reserve: rule)
    }

    private mutating func openArea(_ group: VolumeGroup) {
        guard group.metadataAreaSize > .zero else { return }
        accounts[.area(group: group.name)] = Account(
            what: "the metadata area of volume group \(group.name)",
            room: group.metadataAreaFree - ByteCount(group.metadataAreaSize.bytes / 5), reserve: "20% is kept free")
    }

    // MARK: The plan

    /// Room that one step takes at most.
    mutating func takes(_ step: Step) -> [Take] {
        switch step {
        case .volume(let step): takes(step)
        case .lvm(let step): takes(step)
        case .pool(let step): takes(step)
        case .mount, .export, .backup: []
        }
    }

    private func takes(_ step: PoolStep) -> [Take] {
        switch step {
        case .createThinPool(let pool):
            [
                Take(.extents(group: pool.group), pool.extents, ofReserve: true),
                // The pool, its two parts and the spare are volumes in LVM's text.
                Take(.area(group: pool.group), ByteCount(4 * Self.entryCost)),
            ]
        case .prepare, .createGroup, .complete, .setAutoExtend: []
        }
    }

    private mutating func takes(_ step: VolumeStep) -> [Take] {
        switch step {
        case .create(let backend, _, let size, let marks):
            volumes[marks.uid] = Extent(size: size, mapped: .zero, backend: backend)
            switch backend {
            case .thinPool(let group, let pool):
                return [Take(.metadata(group: group, pool: pool), Self.deviceCost), entry(marks, in: group)]
            case .thick(let group):
                return [Take(.extents(group: group), size), entry(marks, in: group)]
            case .directory: return []
            }
        case .copy(let source, let location, let marks):
            guard let from = volumes[source.uid] else { return [] }
            // Files that share blocks take none; what is written to either later does.
            volumes[marks.uid] = from
            guard case .thinPool(let group, let pool)? = from.backend else { return [] }
            guard case .logicalVolume = location else { return [] }
            return [Take(.metadata(group: group, pool: pool), Self.deviceCost), entry(marks, in: group)]
        case .extend(let volume, let from, let to):
            volumes[volume.uid]?.size = to
            guard case .thick(let group)? = volumes[volume.uid]?.backend else { return [] }
            return [Take(.extents(group: group), to - from)]
        case .fill(let volume, let source, _):
            return write(volumes[source.uid]?.mapped ?? .zero, to: volume.uid)
        case .fillFromImage(let volume, let image):
            guard case .known(.usable(let size, let content)?) = observed.images[image] else { return [] }
            return write(content ?? size, to: volume.uid)
        case .fillFromBackup(let volume, let content, _): return write(content.content, to: volume.uid)
        case .drill(let volume, let task): return write(task.content.content, to: volume.uid)
        case .dropScratch, .confirmMade, .relabel, .purge: return []
        }
    }

    private mutating func takes(_ step: LVMStep) -> [Take] {
        guard case .logicalVolume(let group, _) = step.location else { return [] }
        switch step {
        case .snapshotThick(let source, _, let reserve, let marks):
            volumes[marks.uid] = volumes[source.uid]
            return [Take(.extents(group: group), reserve), entry(marks, in: group)]
        case .takeExtents(let volume, let from, let to):
            volumes[volume.uid]?.size = to
            // For a while there is a volume more in LVM's text.
            return [Take(.extents(group: group), to - from), Take(.area(group: group), ByteCount(Self.entryCost))]
        case .makeBase(let base, let volume):
            guard case .thinPool(_, let pool)? = volumes[volume.uid]?.backend else { return [] }
            // Written over, what it holds stays taken: by writes of initiators, which the plan does not know.
            return [
                Take(.metadata(group: group, pool: pool), Self.deviceCost),
                entry(base.tags + BackupBase.longestCompletion, in: group),
            ]
        case .wipeExtents, .joinExtents, .wipe, .begin, .confirmWhole, .dropTemporary, .activate, .deactivate,
            .complete,
            .dropBase, .dropGrowth, .adopt, .disown:
            return []
        }
    }

    /// Every block that is written may differ from what is there, and what is there may be shared with a snapshot.
    private mutating func write(_ amount: ByteCount, to uid: UID) -> [Take] {
        guard let target = volumes[uid] else { return [] }
        let mapped = min(target.size, amount + target.mapped)
        volumes[uid]?.mapped = mapped
        // What an unfinished copy has is its own, and counted among what its pool has used.
        let worst = begun[uid]?.isCopying == true ? mapped - target.mapped : mapped
        switch target.backend {
        case .thinPool(let group, let pool)?:
            let data = Key.data(group: group, pool: pool)
            let chunk = chunks[data] ?? ByteCount(64 << 10)
            let metadata = ByteCount(Self.chunkCost) * worst.pieces(of: chunk)
            return [Take(data, worst.roundedUp(to: chunk)), Take(.metadata(group: group, pool: pool), metadata)]
        case .directory(let path)?: return [Take(.directory(path), worst)]
        case .thick?, nil: return []
        }
    }

    private func entry(_ marks: Marks, in group: String) -> Take { entry(marks.tags, in: group) }

    private func entry(_ tags: [String], in group: String) -> Take {
        let tags = tags.reduce(0) { $0 + $1.utf8.count + 4 }
        return Take(.area(group: group), ByteCount(Self.entryCost + Int64(tags)))
    }
}
