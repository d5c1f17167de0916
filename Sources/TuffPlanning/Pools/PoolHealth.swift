import TuffModel

/// Faults of a pool: those that stop it, and those with which it can be used all the same.
extension PoolState {
    /// From here on chunks are coarse: LVM takes 512 KiB by itself from 1 TiB on.
    private static let coarseChunk = ByteCount(512 << 10)

    /// The obstacle of a pool that hands out chunks with what earlier volumes wrote there. A filling leaves out what
    /// reads zeros already, and a chunk reads zeros only as long as nothing is written to it: with the first block the
    /// rest of it would appear, in the middle of what is then called complete (dm-thin, `schedule_zero`).
    ///
    /// Writing whole chunks would mend the filling alone, and not what an initiator reads in a blank volume.
    static func staleness(of pool: LogicalVolume, in group: VolumeGroup) -> Obstacle? {
        guard pool.zeroesChunks == false else { return nil }
        let place = "\(group.name)/\(pool.name)"
        return Obstacle(
            .notZeroed,
            "thin pool \(place) does not zero new chunks (zero is off), so that a volume there may show what earlier volumes "
                + "held; 'lvchange --zero y \(place)' switches it on")
    }

    /// The faults of the thin pool itself, and of what it stands on. While a leg of its RAID is out nothing is
    /// made or grown there, and what is there serves.
    mutating func examine(_ pool: LogicalVolume, in group: VolumeGroup) {
        faults = StorageHealth(group).faults(of: pool)
        guard obstacle == nil, let fault = faults.worst, fault.gravity >= .impaired, fault.cause == .itself else {
            return
        }
        obstacle = Obstacle(fault)
        stillServes = fault.gravity == .impaired
    }

    /// Faults that a person should know and act on.
    mutating func complain(
        _ pool: LogicalVolume, in group: VolumeGroup, spec: PoolSpec, observed: ObservedState
    ) {
        let place = "\(group.name)/\(pool.name)"
        if let exhausted = budget.exhausted, exhausted.reason == .insufficientCapacity {
            let limit = Double(100 - spec.reserve.percent)
            let lvm = ThinPoolLimit.of(pool, metadata: true)
            let isMetadata = pool.metadataPercent.map { $0 >= limit || lvm?.isPassed(by: $0) == true } ?? false
            complaints.append(Obstacle(isMetadata ? .metadataFull : .dataFull, exhausted.sentence))
        }
        if let stale { complaints.append(stale) }
        if let chunk = pool.chunkSize, chunk >= Self.coarseChunk {
            complaints.append(
                Obstacle(
                    .coarseChunks,
                    "thin pool \(place) has chunks of \(chunk), for ever: a small write to a snapshotted volume copies a "
                        + "whole one, and backups read whole ones; a pool made by Tuff has 64 KiB"))
        }
        guard let autoExtend = spec.autoExtend else { return }
        if let fault = Self.autoExtendFault(pool, in: group, wanted: autoExtend, observed: observed) {
            complaints.append(Obstacle(.autoExtendOff, "thin pool \(place) does not grow by itself: \(fault)"))
        }
        let step = autoExtend.by.of(pool.size)
        if group.free < step {
            complaints.append(
                Obstacle(
                    .cannotGrow,
                    "thin pool \(place) grows by \(autoExtend.by), \(step), and volume group \(group.name) has "
                        + "\(group.free) free"))
        }
    }

    /// Why growth by itself cannot be switched on, or not be told.
    static func autoExtendFault(
        _ pool: LogicalVolume, in group: VolumeGroup, wanted: AutoExtendSpec, observed: ObservedState
    ) -> String? {
        let place = "\(group.name)/\(pool.name)"
        if let profile = pool.profile, !profile.hasPrefix(AutoExtendSpec.profilePrefix) {
            return
                "it has the metadata profile '\(profile)', which Tuff did not set; 'lvchange --detachprofile \(place)' "
                + "takes it off"
        }
        if case .unknown(let error) = observed.profiles[wanted.profileFile] {
            return "its profile cannot be read: \(error)"
        }
        // LVM watches, and tells of, active pools only.
        return pool.active ? nil : "it is inactive; 'lvchange -ay \(place)' activates it"
    }
}

/// Growth that LVM's own monitoring does, and whether it would.
extension PlanningPass {
    /// - Returns: false where nothing has to be done about it.
    mutating func planAutoExtend(_ declared: Declared<PoolSpec>) -> Bool {
        guard case .lvm(let lvm) = declared.spec.backend, let name = lvm.thinPool,
            case .known(let group?) = observed.volumeGroups[lvm.volumeGroup],
            let pool = group.logicalVolumes.first(where: { $0.name == name && $0.layout == .thinPool })
        else { return false }
        guard let wanted = declared.spec.autoExtend else {
            guard let profile = pool.profile, profile.hasPrefix(AutoExtendSpec.profilePrefix) else { return false }
            return setAutoExtend(
                declared, group: group, pool: pool, wanted: nil,
                differences: [FieldDifference("autoExtend", from: profile, to: nil)],
                summary: "let thin pool \(group.name)/\(name) grow no more by itself")
        }
        guard PoolState.autoExtendFault(pool, in: group, wanted: wanted, observed: observed) == nil else {
            return false
        }
        var differences: [FieldDifference] = []
        if pool.profile != wanted.profile {
            differences.append(FieldDifference("profile", from: pool.profile, to: wanted.profile))
        }
        if case .known(let text) = observed.profiles[wanted.profileFile], text != Self.trimmed(wanted.profileText) {
            differences.append(
                FieldDifference(wanted.profileFile, from: text == nil ? nil : "(changed)", to: "(as it should be)"))
        }
        if pool.isMonitored != true {
            differences.append(FieldDifference("monitoring", from: "off", to: "on, by dmeventd"))
        }
        guard !differences.isEmpty else { return false }
        return setAutoExtend(
            declared, group: group, pool: pool, wanted: wanted, differences: differences,
            summary: "let thin pool \(group.name)/\(name) grow by \(wanted.by) when it is \(wanted.threshold) full")
    }

    /// A file is read without the newline that ends it.
    private static func trimmed(_ text: String) -> String { text.hasSuffix("\n") ? String(text.dropLast()) : text }

    private mutating func setAutoExtend(
        _ declared: Declared<PoolSpec>, group: VolumeGroup, pool: LogicalVolume, wanted: AutoExtendSpec?,
        differences: [FieldDifference], summary: String
    ) -> Bool {
        builder.add(
            PlannedChange(
                ResourceID(.pool, declared.metadata.name), action: .update, summary: summary, differences: differences,
                risk: .online,
                location: declared.location(of: "spec.autoExtend")),
            [
                .pool(
                    .setAutoExtend(group: group.name, pool: pool.name, uuid: pool.uuid, wanted.map(AutoExtend.init)))
            ])
        return true
    }
}
