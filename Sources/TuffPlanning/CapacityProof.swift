import TuffModel

/// Carries a whole plan out on paper, step by step and at its worst, against the room that there really is: data and
/// metadata of thin pools, extents and the metadata area of volume groups, bytes of directories.
///
/// What every change promises was weighed as it was planned (`PoolBudget`); this is about what the steps together write. Only
/// takes are counted and no room that comes free, since steps run side by side and a purge may fail. What initiators write
/// meanwhile is not in it.
struct CapacityProof {
    /// Something that runs out.
    private struct Account {
        /// `data of thin pool vg0/tp0`
        var what: String
        /// What may be taken, beyond the reserve.
        var room: ByteCount
        var reserve: String
        var taken = ByteCount.zero
    }

    /// Where a step takes what.
    private enum Key: Hashable {
        case data(group: String, pool: String)
        case metadata(group: String, pool: String)
        case extents(group: String)
        case area(group: String)
        case directory(String)
    }

    /// What is known of a volume while the plan goes on.
    private struct Extent {
        var size: ByteCount
        /// What it has blocks for, at most.
        var mapped: ByteCount
        var backend: StorageBackend?
    }

    private let observed: ObservedState
    /// Volumes with work that was begun before this plan: it is gone on with whatever room there is by now, since giving it up would
    /// leave them half done, and some of that room it has taken itself. With what they are.
    private let begun: [UID: Marks]
    private var accounts: [Key: Account] = [:]
    private var chunks: [Key: ByteCount] = [:]
    private var volumes: [UID: Extent] = [:]

    /// A thin device costs a block of 4 KiB for the root of its mapping and at most another in the tree of devices
    /// (Documentation/admin-guide/device-mapper/thin-provisioning.rst: metadata blocks have 4 KiB).
    private static let deviceCost = ByteCount(8 << 10)
    /// Metadata for one mapped chunk, bytes: lvmthin(7) and thin_metadata_size(8) reckon with 64.
    private static let chunkCost: Int64 = 64
    /// What LVM writes of a logical volume besides names and tags, bytes of text; 500 were measured of a thin one.
    private static let entryCost: Int64 = 640

    init(_ desired: DesiredState, _ observed: ObservedState, _ index: StorageIndex, node: String) {
        self.observed = observed
        begun = Dictionary(
            index.volumes.lazy.filter { $0.marks.lastingOperation != nil }.map { ($0.uid, $0.marks) },
            uniquingKeysWith: { first, _ in first })
        let pools = desired.pools.values.filter { $0.spec.node ?? node == node }
        for pool in pools.sorted(by: { $0.metadata.name < $1.metadata.name }) { open(pool.spec) }
        let blocks = Blocks(observed)
        for volume in index.volumes + index.temporaries {
            let size = volume.size ?? .zero
            // What nobody knows of unfinished work counts as not written: the more is to come.
            let unknown = begun[volume.uid] != nil ? ByteCount.zero : blocks.bound(on: volume)
            volumes[volume.uid] = Extent(
                size: size, mapped: min(size, blocks.of(volume) ?? unknown), backend: volume.backend)
        }
    }

    /// What volumes have blocks for, as far as it was seen.
    private struct Blocks {
        private var used: [String: Double] = [:]
        private var allocated: [VolumeLocation: ByteCount] = [:]
        private var pools: [StorageBackend: ByteCount] = [:]

        init(_ observed: ObservedState) {
            for group in observed.volumeGroups.entries.values.lazy.compactMap(\.value) {
                for volume in group.logicalVolumes {
                    switch volume.layout {
                    case .thin: used[volume.uuid] = volume.dataPercent
                    case .thinPool:
                        pools[.thinPool(group: group.name, pool: volume.name)] =
                            volume.dataPercent.map { CapacityProof.share(volume.size, $0, roundedUp: true) }
                    default: break
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

        /// What it may have at most: no more than all of its pool together.
        func bound(on volume: StoredVolume) -> ByteCount { pools[volume.backend] ?? volume.size ?? .zero }
    }

    private static func share(_ size: ByteCount, _ percent: Double, roundedUp: Bool) -> ByteCount {
        let bytes = Double(size.bytes) * min(max(percent, 0), 100) / 100
        return ByteCount(Int64(exactly: bytes.rounded(roundedUp ? .up : .down)) ?? size.bytes)
    }

    private mutating func open(_ spec: PoolSpec) {
        let reserve = "\(spec.reserve) is kept free"
        switch spec.storage {
        case .directory(let path):
            guard let directory = observed.directories.entries[path]?.value else { return }
            accounts[.directory(path)] = Account(
                what: "the file system of \(path)", room: directory.free - spec.reserve.of(directory.size),
                reserve: reserve)
        case .thick(let name):
            guard let group = observed.volumeGroups.entries[name]?.value else { return }
            openArea(group)
            accounts[.extents(group: name)] = Account(
                what: "volume group \(name)", room: group.free - spec.reserve.of(group.size), reserve: reserve)
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
                accounts[key] = Account(
                    what: "\(what) of thin pool \(name)/\(poolName)",
                    room: size - Self.share(size, used, roundedUp: true) - spec.reserve.of(size), reserve: reserve)
            }
            if let chunk = pool.chunkSize, chunk > .zero { chunks[.data(group: name, pool: poolName)] = chunk }
        }
    }

    private mutating func openArea(_ group: VolumeGroup) {
        guard group.metadataAreaSize > .zero else { return }
        accounts[.area(group: group.name)] = Account(
            what: "the metadata area of volume group \(group.name)",
            room: group.metadataAreaFree - ByteCount(group.metadataAreaSize.bytes / 5), reserve: "20% is kept free")
    }

    // MARK: The plan

    /// Why the plan must not be begun, by its worst moment: the first step at which something would run out.
    mutating func refusal(of plan: Plan) -> Refusal? {
        var new: [(step: PlannedStep, key: Key, amount: ByteCount)] = []
        for planned in plan.steps {
            guard case .volume(let step) = planned.step else { continue }
            for (key, amount) in takes(step) where amount > .zero {
                if goesOn(step) {
                    // Others find less room for it, and it is never itself why nothing begins.
                    accounts[key].map { accounts[key]?.taken = min(max($0.room, $0.taken), $0.taken + amount) }
                } else {
                    new.append((planned, key, amount))
                }
            }
        }
        for (planned, key, amount) in new {
            guard var account = accounts[key] else { continue }
            account.taken = account.taken + amount
            accounts[key] = account
            guard account.taken > account.room else { continue }
            let change = plan.changes[planned.change]
            let place = change.location.map { ", \($0)" } ?? ""
            return Refusal(
                .insufficientCapacity,
                "at its worst moment, \(change.resource) (\(change.summary)\(place)), the plan has taken "
                    + "\(account.taken) of \(account.what), which has \(max(account.room, .zero)); \(account.reserve)",
                help: "make room there, or leave \(change.resource) out and apply the rest; what initiators write "
                    + "meanwhile is not counted")
        }
        return nil
    }

    /// Whether it goes on with what was begun before.
    private func goesOn(_ step: VolumeStep) -> Bool {
        switch step {
        case .fill(_, let uid, _, _, _, _), .fillFromImage(_, let uid, _): begun[uid] != nil
        default: false
        }
    }

    /// What one step takes at most.
    private mutating func takes(_ step: VolumeStep) -> [(Key, ByteCount)] {
        switch step {
        case .create(let backend, _, let size, let marks):
            volumes[marks.uid] = Extent(size: size, mapped: .zero, backend: backend)
            switch backend {
            case .thinPool(let group, let pool):
                return [(.metadata(group: group, pool: pool), Self.deviceCost), entry(marks, in: group)]
            case .thick(let group):
                return [(.extents(group: group), size), entry(marks, in: group)]
            case .directory: return []
            }
        case .copy(_, let source, _, let location, let marks):
            guard let from = volumes[source] else { return [] }
            // Files that share blocks take none; what is written to either later does.
            volumes[marks.uid] = from
            guard case .thinPool(let group, let pool)? = from.backend else { return [] }
            guard case .logicalVolume = location else { return [] }
            return [(.metadata(group: group, pool: pool), Self.deviceCost), entry(marks, in: group)]
        case .snapshotThick(_, let source, _, let location, let reserve, let marks):
            guard case .logicalVolume(let group, _) = location else { return [] }
            volumes[marks.uid] = volumes[source]
            return [(.extents(group: group), reserve), entry(marks, in: group)]
        case .extendThick(.logicalVolume(let group, _), let uid, _, let from, let to, _):
            volumes[uid]?.size = to
            return [(.extents(group: group), to - from)]
        case .extend(_, let uid, _, let from, let to):
            volumes[uid]?.size = to
            guard case .thick(let group)? = volumes[uid]?.backend else { return [] }
            return [(.extents(group: group), to - from)]
        case .fill(_, let uid, _, let source, _, _):
            return write(volumes[source]?.mapped ?? .zero, to: uid)
        case .fillFromImage(_, let uid, let image):
            guard case .known(.usable(let size, let content)?) = observed.images[image] else { return [] }
            return write(content ?? size, to: uid)
        default: return []
        }
    }

    /// Every block that is written may differ from what is there, and what is there may be shared with a snapshot.
    private mutating func write(_ amount: ByteCount, to uid: UID) -> [(Key, ByteCount)] {
        guard let target = volumes[uid] else { return [] }
        let mapped = min(target.size, amount + target.mapped)
        volumes[uid]?.mapped = mapped
        // What an unfinished copy has is its own, and counted among what its pool has used.
        let worst = begun[uid]?.isCopying == true ? mapped - target.mapped : mapped
        switch target.backend {
        case .thinPool(let group, let pool)?:
            let data = Key.data(group: group, pool: pool)
            let chunk = chunks[data] ?? ByteCount(64 << 10)
            let metadata = ByteCount((worst.bytes + chunk.bytes - 1) / chunk.bytes * Self.chunkCost)
            return [(data, worst.roundedUp(to: chunk)), (.metadata(group: group, pool: pool), metadata)]
        case .directory(let path)?: return [(.directory(path), worst)]
        case .thick?, nil: return []
        }
    }

    private func entry(_ marks: Marks, in group: String) -> (Key, ByteCount) {
        let tags = marks.tags.reduce(0) { $0 + $1.utf8.count + 4 }
        return (.area(group: group), ByteCount(Self.entryCost + Int64(tags)))
    }
}
