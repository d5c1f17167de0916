package import TuffModel

/// LVM as a value: volume groups with thin pools, thin and linear volumes, and the rules of LVM 2.03.16 that were
/// measured on a real kernel (refusals, rounding to extents, skip-activation flags, exit statuses).
///
/// The methods of this file are what a person at the machine does, without any of Tuff's care; `run` (in
/// `FakeLVM+Commands.swift`) is what the product's command lines do.
package struct FakeLVM: Equatable, Sendable {
    package struct Volume: Equatable, Sendable {
        package enum Kind: Equatable, Sendable {
            case thinPool(metadataSize: ByteCount, chunkSize: ByteCount)
            case thin(pool: String, origin: String?)
            case linear
            /// A snapshot of a linear volume: `size` is that of the room it has for what is written over.
            case copyOnWrite(origin: String)
        }

        package var name: String
        package var uuid: String
        package var size: ByteCount
        package var kind: Kind
        package var tags: [String] = []
        package var active = false
        /// Minor number of its device, 0 while inactive.
        package internal(set) var minor = 0
        package var suspended = false
        /// The flag "skip activation", which snapshots get.
        package var skipsActivation = false
        /// The number of times it is held open by something that is not in this world: a mount, a human's target.
        package var opens = 0
        package var health = ""
        /// Pools and snapshots of linear volumes: used shares, told while active.
        package var dataPercent = 0.0
        package var metadataPercent = 10.0
        package var profile: String?
        package var whenFull = "queue"
        package var needsCheck = false
        package var isMonitored = true
        package var zeroesChunks = true
        /// Thin volumes: its pool has no such device any more.
        package var isLost = false
        /// `lvchange -pr`.
        package var isReadOnly = false
        /// Stands for the bytes: unique when made, and again after each write. An oracle compares it.
        package var content: UInt64
        /// The image whose disk it holds, every byte of it, until somebody writes.
        package internal(set) var image: UInt64?
        /// Thin volumes: what they have blocks for, from their beginning on.
        var runs: [Run] = []
        /// Some of its extents hold what earlier volumes left there.
        package var showsEarlierData = false

        package var pool: String? {
            if case .thin(let pool, _) = kind { pool } else { nil }
        }

        package var mapped: ByteCount { runs.reduce(.zero) { $0 + $1.length } }
    }

    package struct Group: Equatable, Sendable {
        package var name: String
        package var uuid: String
        package var size: ByteCount
        package var extentSize: ByteCount
        package var volumes: [String: Volume] = [:]
        package var missingDevices = 0
        package var lockType = ""
        package var exported = false
        /// The host whose group it is; empty: anybody's.
        package var systemID = ""
        /// `pvchange -xn` of all its devices.
        package var isClosed = false
        /// A filter keeps LVM from its devices.
        package var isHidden = false
        package var metadataAreaSize = ByteCount(16 << 20)
        package var tags: [String] = []
        /// Somebody holds its lock: every command that needs it hangs.
        package var isLocked = false

        /// Extents taken by linear volumes, pools and the spare for a pool's repair.
        package var free: ByteCount {
            var used = ByteCount.zero
            var spare = ByteCount.zero
            for volume in volumes.values {
                switch volume.kind {
                case .linear, .copyOnWrite: used += volume.size
                case .thinPool(let metadata, _):
                    used += volume.size + metadata
                    spare = max(spare, metadata)
                case .thin: break
                }
            }
            return size - used - spare
        }

        /// The room that the metadata area has left: LVM keeps two copies of the text, each rounded up to sectors.
        package var metadataAreaFree: ByteCount {
            let text = volumes.values.reduce(1024) { sum, volume in
                sum + 500 + volume.tags.reduce(0) { $0 + $1.utf8.count + 4 }
            }
            return ByteCount(max(0, metadataAreaSize.bytes / 2 - Int64(text)))
        }
    }

    /// The refusal of a person's command.
    package struct Refusal: Error, Equatable {
        package var sentence: String
    }

    /// Two groups may have one name, as after a disk was copied.
    package var groups: [Group] = []
    /// `lvm systemid`.
    package var systemID = ""
    /// activation/thin_pool_autoextend_threshold of lvm.conf.
    package var autoextendThreshold = 100
    /// By path.
    package var devices: [String: Device] = [:]
    /// Metadata of thin pools, by `GROUP/POOL`.
    package var metadata: [String: Metadata] = [:]
    /// Minor numbers given out to devices.
    var minors = 0
    /// Uuids and contents given out, so that none is ever given out again.
    var minted: UInt64 = 0

    package init() {}

    /// vg0 of `size` with an active thin pool tp0 of 90 % of it, and nothing else.
    package static func sample(size: ByteCount = ByteCount(100 << 30)) -> FakeLVM {
        var lvm = FakeLVM()
        lvm.addGroup("vg0", size: size)
        do {
            try lvm.addThinPool("tp0", in: "vg0", size: ByteCount(size.bytes / 100 * 90))
        } catch {
            preconditionFailure("a group of \(size) has no room for the thin pool of the sample: \(error)")
        }
        return lvm
    }

    /// The first group of that name.
    package subscript(group: String) -> Group? {
        get { groups.first { $0.name == group } }
        set {
            guard let index = groups.firstIndex(where: { $0.name == group }) else {
                if let newValue { groups.append(newValue) }
                return
            }
            if let newValue { groups[index] = newValue } else { groups.remove(at: index) }
        }
    }

    package subscript(group: String, name: String) -> Volume? {
        get { self[group]?.volumes[name] }
        set { self[group]?.volumes[name] = newValue }
    }

    mutating func mint() -> UInt64 {
        minted += 1
        return minted
    }

    /// In LVM's form: 38 characters in groups of 6, 4, 4, 4, 4, 4 and 6.
    mutating func mintUUID() -> String {
        let digits = String(mint())
        let all = "Fake" + String(repeating: "0", count: 28 - digits.count) + digits
        var rest = Substring(all)
        return [6, 4, 4, 4, 4, 4, 6].map { length in
            defer { rest = rest.dropFirst(length) }
            return String(rest.prefix(length))
        }.joined(separator: "-")
    }

    // MARK: What a person does

    package mutating func addGroup(
        _ name: String, size: ByteCount = ByteCount(100 << 30), extentSize: ByteCount = ByteCount(4 << 20)
    ) {
        let whole = ByteCount(size.bytes / extentSize.bytes * extentSize.bytes)
        let uuid = mintUUID()
        groups.append(Group(name: name, uuid: uuid, size: whole, extentSize: extentSize))
    }

    /// `lvcreate --type thin-pool`.
    package mutating func addThinPool(
        _ name: String, in group: String, size: ByteCount, metadataSize: ByteCount = ByteCount(128 << 20),
        chunkSize: ByteCount = ByteCount(64 << 10)
    ) throws(Refusal) {
        try add(name, to: group, size: size, kind: .thinPool(metadataSize: metadataSize, chunkSize: chunkSize))
        switchOn(name, in: group)
    }

    /// `lvchange -ay -K`, for its pool too.
    mutating func switchOn(_ name: String, in group: String) {
        guard let volume = self[group, name], !volume.active else { return }
        if let pool = volume.pool { switchOn(pool, in: group) }
        minors += 1
        let number = minors
        self[group, name]?.active = true
        self[group, name]?.minor = number
        for snapshot in snapshots(of: name, in: group) { switchOn(snapshot, in: group) }
    }

    /// Those whose devices come and go with this one's.
    func snapshots(of name: String, in group: String) -> [String] {
        (self[group]?.volumes.values.filter { $0.kind == .copyOnWrite(origin: name) } ?? []).map(\.name).sorted()
    }

    mutating func switchOff(_ name: String, in group: String) {
        self[group, name]?.active = false
        self[group, name]?.suspended = false
        self[group, name]?.minor = 0
        for snapshot in snapshots(of: name, in: group) { switchOff(snapshot, in: group) }
    }

    /// `lvcreate -V` or `lvcreate -L`: made and activated, as LVM does by default.
    package mutating func create(
        _ name: String, in group: String, pool: String? = nil, size: ByteCount, tags: [String] = []
    ) throws(Refusal) {
        if let pool {
            guard case .thinPool? = self[group, pool]?.kind else { throw Refusal(sentence: "Pool \(pool) not found") }
        }
        try add(name, to: group, size: size, kind: pool.map { .thin(pool: $0, origin: nil) } ?? .linear)
        self[group, name]?.tags = tags
        switchOn(name, in: group)
    }

    /// `lvcreate -s` of a thin volume: no tags, inactive, with the skip-activation flag, the origin's bytes.
    package mutating func snapshot(_ name: String, of origin: String, in group: String) throws(Refusal) {
        guard let source = self[group, origin], let pool = source.pool else {
            throw Refusal(sentence: "Failed to find logical volume \(group)/\(origin)")
        }
        try add(name, to: group, size: source.size, kind: .thin(pool: pool, origin: origin))
        self[group, name]?.skipsActivation = true
        self[group, name]?.content = source.content
        self[group, name]?.runs = source.runs
    }

    /// `lvcreate -s -L` of a linear volume: its device is there if the origin's is.
    package mutating func snapshot(
        _ name: String, of origin: String, in group: String, room: ByteCount
    ) throws(Refusal) {
        guard let source = self[group, origin], source.kind == .linear else {
            throw Refusal(sentence: "Snapshots of \(group)/\(origin) are not supported.")
        }
        try add(name, to: group, size: room, kind: .copyOnWrite(origin: origin))
        self[group, name]?.content = source.content
        if source.active { switchOn(name, in: group) }
    }

    /// More is written to its origin than it has room for.
    package mutating func overflow(_ name: String, in group: String) {
        guard case .copyOnWrite? = self[group, name]?.kind, self[group, name]?.active == true else { return }
        self[group, name]?.dataPercent = 100
        write(to: name, in: group)
    }

    mutating func add(_ name: String, to group: String, size: ByteCount, kind: Volume.Kind) throws(Refusal) {
        guard let found = self[group] else { throw Refusal(sentence: "Volume group \"\(group)\" not found") }
        guard found.volumes[name] == nil else {
            throw Refusal(sentence: "Logical Volume \"\(name)\" already exists in volume group \"\(group)\"")
        }
        if case .thin(let pool, _) = kind, found.volumes[pool]?.needsCheck == true {
            throw Refusal(sentence: "Failed to suspend \(group)/\(pool) with queued messages.")
        }
        if case .thin(let pool, _) = kind, isFull(pool, in: group) {
            throw Refusal(
                sentence: "Cannot create new thin volume, free space in thin pool \(group)/\(pool) reached threshold.")
        }
        let uuid = mintUUID()
        var volume = Volume(
            name: name, uuid: uuid, size: size.roundedUp(to: found.extentSize), kind: kind, content: mint())
        volume.showsEarlierData = kind == .linear
        var changed = found
        changed.volumes[name] = volume
        guard changed.free >= .zero else {
            throw Refusal(sentence: "Volume group \"\(group)\" has insufficient free space")
        }
        guard !found.isClosed || changed.free == found.free else {
            throw Refusal(sentence: "Insufficient free space: \(size) needed, but only 0 extents available")
        }
        guard changed.metadataAreaFree > .zero else {
            throw Refusal(sentence: "VG \(group) metadata is too large for its metadata area")
        }
        self[group] = changed
        if case .thin(let pool, _) = kind { number(uuid, in: "\(group)/\(pool)") }
    }

    /// `lvremove --yes`, which deactivates first and is refused for a volume in use.
    package mutating func remove(_ name: String, in group: String, isOpen: Bool = false) throws(Refusal) {
        guard let volume = self[group, name] else {
            throw Refusal(sentence: "Failed to find logical volume \"\(group)/\(name)\"")
        }
        guard !isOpen, volume.opens == 0 else {
            throw Refusal(sentence: "Logical volume \(group)/\(name) in use.")
        }
        if case .thinPool = volume.kind, self[group]!.volumes.values.contains(where: { $0.pool == name }) {
            throw Refusal(sentence: "Thin pool \(group)/\(name) has volumes")
        }
        for snapshot in snapshots(of: name, in: group) { self[group, snapshot] = nil }
        self[group, name] = nil
        if let pool = volume.pool { forget(volume.uuid, in: "\(group)/\(pool)") }
    }

    /// `lvrename`, which works on an exported volume too.
    package mutating func rename(_ name: String, to other: String, in group: String) throws(Refusal) {
        guard var volume = self[group, name] else {
            throw Refusal(sentence: "Existing logical volume \"\(name)\" not found in volume group \"\(group)\"")
        }
        guard self[group, other] == nil else {
            throw Refusal(sentence: "Logical volume \"\(other)\" already exists in volume group \"\(group)\"")
        }
        volume.name = other
        self[group, name] = nil
        self[group, other] = volume
        for (key, snapshot) in self[group]!.volumes {
            if case .thin(let pool, origin: name) = snapshot.kind {
                self[group, key]?.kind = .thin(pool: pool, origin: other)
            }
            if snapshot.kind == .copyOnWrite(origin: name) { self[group, key]?.kind = .copyOnWrite(origin: other) }
        }
    }

    /// `lvextend -L`, to a size that is larger.
    package mutating func extend(_ name: String, in group: String, to size: ByteCount) throws(Refusal) {
        guard let found = self[group], let volume = found.volumes[name] else {
            throw Refusal(sentence: "Failed to find logical volume \"\(group)/\(name)\"")
        }
        guard !volume.active || snapshots(of: name, in: group).isEmpty else {
            throw Refusal(sentence: "Snapshot origin volumes can be resized only while inactive: try lvchange -an.")
        }
        let wanted = size.roundedUp(to: found.extentSize)
        guard wanted > volume.size else {
            throw Refusal(sentence: "New size given not larger than existing size")
        }
        var changed = found
        changed.volumes[name]?.size = wanted
        if volume.kind == .linear { changed.volumes[name]?.showsEarlierData = true }
        guard changed.free >= .zero, !found.isClosed || changed.free == found.free else {
            throw Refusal(sentence: "Insufficient free space")
        }
        self[group] = changed
    }

    /// Every byte of it reads zero from now on.
    mutating func wipe(_ name: String, in group: String) {
        let content = mint()
        self[group, name]?.content = content
        self[group, name]?.image = nil
        self[group, name]?.showsEarlierData = false
    }

    /// Somebody writes to the volume: its content changes for good, as far as its pool has blocks.
    package mutating func write(to name: String, in group: String) {
        spoil(name, in: group)
        occupy(name, in: group)
    }

    /// Some of its bytes become others, all of them where it had blocks already.
    mutating func spoil(_ name: String, in group: String) {
        let content = mint()
        self[group, name]?.content = content
        self[group, name]?.image = nil
    }

    /// Leaves what a reboot leaves: thin pools are activated as lvm2's rules do at boot, nothing else is active or
    /// open.
    mutating func reboot() {
        for index in groups.indices {
            groups[index].isLocked = false
            for name in groups[index].volumes.keys {
                // Nothing is active at boot but the pools, which LVM's own units bring up.
                if case .thinPool = groups[index].volumes[name]!.kind {
                    groups[index].volumes[name]!.active = true
                } else {
                    groups[index].volumes[name]!.active = false
                    groups[index].volumes[name]!.minor = 0
                }
                groups[index].volumes[name]!.suspended = false
                groups[index].volumes[name]!.opens = 0
            }
        }
    }
}
