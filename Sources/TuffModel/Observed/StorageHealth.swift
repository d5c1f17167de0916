/// The health of the logical volumes of one group: of each by itself, and of all that it stands on, hidden volumes
/// included.
///
/// `lv_health_status` of the visible volume says little: a thin pool on RAID reads well while a leg is out, and
/// `partial` is handed up from any part that is on a missing device, so that a mirror with one leg left reads like a
/// disk that is gone (`vg_mark_partial_lvs` and `_lvhealthstatus_disp` in LVM 2.03.16; measured). So the parts are
/// asked, and RAID bears as many lost legs as its level does.
package struct StorageHealth: Sendable {
    private let group: VolumeGroup
    private let byName: [String: LogicalVolume]
    /// Names of hidden volumes by the volume that they say they are a part of.
    private let children: [String: [String]]
    /// Faults of thin pools, by the pool's name. They are kept, since hundreds of volumes share a pool.
    private var poolFaults: [String: [VolumeFault]] = [:]

    package init(_ group: VolumeGroup) {
        self.group = group
        let hidden = group.hiddenVolumes ?? []
        byName = Dictionary((group.logicalVolumes + hidden).map { ($0.name, $0) }) { first, _ in first }
        children = Dictionary(grouping: hidden.filter { $0.parent != nil }, by: { $0.parent! }).mapValues {
            $0.map(\.name).sorted()
        }
        for pool in group.logicalVolumes where pool.layout == .thinPool {
            poolFaults[pool.name] = faults(of: pool).filter { $0.cause == .itself }.map { fault in
                var fault = fault
                fault.cause = .pool(.thinPool(group: group.name, pool: pool.name))
                return fault
            }
        }
    }

    /// The faults of a volume that people see, the worst first.
    package func faults(of volume: LogicalVolume) -> [VolumeFault] {
        var found: [VolumeFault] = []
        if let pool = volume.pool { found += poolFaults[pool, default: []] }
        if let own = fault(of: volume, seen: volume, depth: 0) { found.append(own) }
        if let fault = writing(volume) { found.append(fault) }
        if found.allSatisfy({ $0.gravity < .impaired }), let missing = missing(volume) { found.append(missing) }
        return found.sorted { $1.gravity < $0.gravity }
    }

    /// The group lacks a device on which this volume has nothing.
    private func missing(_ volume: LogicalVolume) -> VolumeFault? {
        guard group.missingDevices > 0 || group.partial else { return nil }
        return VolumeFault(
            .impaired, .devicesMissing,
            sentence:
                "volume group \(group.name) misses \(group.missingDevices) of its devices; "
                + "\(group.name)/\(volume.name) is on "
                + "others and works, and nothing in the group can be changed", cause: .group(group.name))
    }

    /// The fault of a volume that cannot be written. Thin pools are always read-only when they are opened by name.
    private func writing(_ volume: LogicalVolume) -> VolumeFault? {
        guard volume.layout != .thinPool else { return nil }
        // Texts are made where there is a fault, which few of thousands of volumes have.
        var place: String { "\(group.name)/\(volume.name)" }
        switch volume.permission {
        case .writable: return nil
        case .readOnly:
            return VolumeFault(
                .impaired, .readOnly,
                sentence: "\(place) is read-only in LVM; 'lvchange -prw \(place)' lets it be written")
        case .overridden:
            return VolumeFault(
                .impaired, .readOnly,
                sentence:
                    "the kernel's device of \(place) is read-only, though LVM lets it be written: 'blockdev --setrw "
                    + "/dev/\(place)', unless a device beneath it is, or activation/read_only_volume_list names it")
        }
    }

    /// - Parameters:
    ///   - volume: the volume that is judged, perhaps a hidden part.
    ///   - seen: the visible volume above it, which commands name.
    private func fault(of volume: LogicalVolume, seen: LogicalVolume, depth: Int) -> VolumeFault? {
        // Deeper than LVM stacks them; a report that goes in circles ends here.
        guard depth < 8 else { return nil }
        if let redundancy = Redundancy(volume.layout) {
            return fault(of: volume, with: redundancy, seen: seen, depth: depth)
        }
        let parts = parts(of: volume)
        var found = parts.compactMap { fault(of: $0, seen: seen, depth: depth + 1) }
        if let own = ownFault(volume, seen, hasParts: !found.isEmpty) { found.append(own) }
        return found.worst
    }

    /// The volumes and devices that a volume stands on, its thin pool aside.
    private func parts(of volume: LogicalVolume) -> [LogicalVolume] {
        var names = children[volume.name, default: []] + volume.parts
        // Nothing but its name says whose metadata this is.
        if volume.layout == .integrity { names.append("\(volume.name)_imeta") }
        if let origin = volume.origin, let found = byName[origin], readsBeneath(volume, found) { names.append(origin) }
        return names.filter { $0 != volume.name }.compactMap { byName[$0] }
    }

    /// A thin snapshot shares blocks of its pool and needs no origin; a snapshot of a thick volume, and a thin volume
    /// with an origin outside of its pool, read it.
    private func readsBeneath(_ volume: LogicalVolume, _ origin: LogicalVolume) -> Bool {
        !(volume.layout == .thin && origin.layout == .thin && volume.pool == origin.pool)
    }

    private func describe(_ volume: LogicalVolume, _ seen: LogicalVolume) -> String {
        volume.name == seen.name
            ? "\(group.name)/\(seen.name)" : "\(group.name)/\(volume.name), on which \(group.name)/\(seen.name) stands,"
    }

    private func ownFault(_ volume: LogicalVolume, _ seen: LogicalVolume, hasParts: Bool) -> VolumeFault? {
        if volume.layout == .thinPool { return poolFault(volume, hasParts: hasParts) }
        var what: String { describe(volume, seen) }
        var place: String { "\(group.name)/\(seen.name)" }
        switch volume.health {
        // A leg that is out is counted by the RAID that it belongs to.
        case "", "writemostly", "refresh needed": return nil
        case "partial":
            // A thin volume is partial where its pool is, which says so itself; others where a part is.
            if hasParts || volume.layout == .thin { return nil }
            return VolumeFault(
                .broken, .devicesMissing,
                sentence:
                    "\(what) lies, in part at least, on a device that volume group \(group.name) misses, and cannot "
                    + "be read there; bring the device back")
        case "failed", "error":
            return VolumeFault(
                .broken, .volumeUnhealthy,
                sentence:
                    "\(what) has had an error that it does not get over by itself (LVM says '\(volume.health)'); once "
                    + "what "
                    + "is beneath it works, take \(place) out of use, 'lvchange -an \(place)' and 'lvchange -ay "
                    + "\(place)'"
            )
        default:
            return VolumeFault(.broken, .volumeUnhealthy, sentence: "\(what) is not well, LVM says: \(volume.health)")
        }
    }
}

extension StorageHealth {
    private func poolFault(_ pool: LogicalVolume, hasParts: Bool) -> VolumeFault? {
        let place = "\(group.name)/\(pool.name)"
        if pool.needsCheck {
            return VolumeFault(
                .broken, .needsCheck,
                sentence:
                    "the kernel asks for a check of the metadata of thin pool \(place) before anything more is "
                    + "written to it: "
                    + "with its volumes out of use and inactive, 'lvchange -an \(place)', and then \(checking(place)) "
                    + "(it runs thin_check; where that finds damage, 'lvconvert --repair \(place)' goes before it)")
        }
        switch pool.health {
        case "", "partial":
            if pool.health == "partial", !hasParts {
                return VolumeFault(
                    .broken, .devicesMissing,
                    sentence:
                        "thin pool \(place) lies, in part at least, on a device that volume group \(group.name) "
                        + "misses; bring the device back")
            }
            // A pool that runs for its volumes alone reads inactive, and its fill levels are told (measured).
            guard !pool.active, pool.dataPercent == nil else { return nil }
            return VolumeFault(
                .untold, .inactive,
                sentence:
                    "thin pool \(place) is not active, so nobody can tell how it is and how full; 'lvchange -ay "
                    + "\(place)' activates it, or says why it cannot be")
        case "out_of_data":
            return VolumeFault(
                .broken, .dataFull,
                sentence: "thin pool \(place) has no space left, and writes to it "
                    + (pool.whenFull == "queue" ? "wait" : "fail") + "; 'lvextend -L+SIZE \(place)' gives it some")
        case "metadata_read_only":
            return VolumeFault(
                .broken, .metadataFull,
                sentence:
                    "the metadata of thin pool \(place) is read-only: it is full or damaged; 'lvextend "
                    + "--poolmetadatasize +SIZE "
                    + "\(place)' makes room, also while its volumes are in use, and 'lvconvert --repair \(place)' mends"
            )
        case "failed":
            return VolumeFault(
                .broken, .poolUnhealthy,
                sentence:
                    "thin pool \(place) has failed: nothing in it can be read or written. Once what is beneath it "
                    + "works, take "
                    + "its volumes out of use and deactivate them, 'lvchange -an \(place)', and then 'lvchange -ay "
                    + "\(place)', "
                    + "which runs thin_check; where that finds damage, 'lvconvert --repair \(place)' goes before it")
        default:
            return VolumeFault(.broken, .poolUnhealthy, sentence: "thin pool \(place) reports '\(pool.health)'")
        }
    }

    /// Activation runs thin_check(8), which alone takes the flag off, and that only when told: `lvconvert --repair`
    /// copies it (LVM 2.03.16, thin-provisioning-tools 0.9.0).
    private func checking(_ place: String) -> String {
        "lvchange -ay --config 'global/thin_check_options=\"--clear-needs-check-flag\"' \(place)"
    }
}

// MARK: RAID

extension StorageHealth {
    /// Number of legs that a RAID level can lose.
    private struct Redundancy {
        var level: String
        /// Nil: all but one.
        var bears: Int?

        init?(_ layout: LogicalVolume.Layout) {
            switch layout {
            case .raid0: (level, bears) = ("RAID 0", 0)
            case .raid1, .mirror: (level, bears) = ("RAID 1", nil)
            case .raid4: (level, bears) = ("RAID 4", 1)
            case .raid5: (level, bears) = ("RAID 5", 1)
            case .raid6: (level, bears) = ("RAID 6", 2)
            // Two that mirror each other may not be out together, and a report does not say which do.
            case .raid10: (level, bears) = ("RAID 10", 1)
            case .thinPool, .thin, .linear, .striped, .cache, .writecache, .cachePool, .integrity, .vdo, .vdoPool,
                .other:
                return nil
            }
        }
    }

    /// A leg is an image and its own metadata: `NAME_rimage_N` and `NAME_rmeta_N`.
    private func fault(
        of volume: LogicalVolume, with redundancy: Redundancy, seen: LogicalVolume, depth: Int
    ) -> VolumeFault? {
        let legs = Dictionary(grouping: parts(of: volume)) { $0.name.split(separator: "_").last.map(String.init) ?? "" }
            .filter { Int($0.key) != nil }
        let what = describe(volume, seen), place = "\(group.name)/\(seen.name)"
        let lost = legs.values.count { $0.contains { fault(of: $0, seen: seen, depth: depth + 1)?.gravity == .broken } }
        let stale = legs.values.count { leg in
            leg.contains { $0.health == "refresh needed" }
        }
        let bears = redundancy.bears ?? max(legs.count - 1, 0)
        let kind = "\(what) is \(redundancy.level) of \(legs.count) legs"
        if lost + stale > bears, lost > 0 {
            return VolumeFault(
                .broken, .devicesMissing,
                sentence: "\(kind), \(lost + stale) out, more than it bears; bring the missing devices back")
        }
        // Integrity is not activated without all legs (LVM: "No degraded or partial activation for raid with
        // integrity").
        if lost > 0, !volume.active, legs.values.contains(where: { $0.contains { $0.layout == .integrity } }) {
            return VolumeFault(
                .broken, .devicesMissing,
                sentence:
                    "\(kind) with integrity, \(lost) on missing devices: LVM does not activate it like that; bring "
                    + "the devices back"
            )
        }
        if lost > 0 {
            return VolumeFault(
                .impaired, .redundancyLost,
                sentence: "\(kind), \(lost) on missing devices: it works, with less behind it. Bring the devices back, "
                    + "or 'lvconvert --repair \(group.name)/\(volume.name)' puts new legs on others")
        }
        if stale > 0 || volume.health == "refresh needed" {
            return VolumeFault(
                stale > bears ? .broken : .impaired, .refreshNeeded,
                sentence:
                    "\(kind), \(max(stale, 1)) out of use since it failed, though the device is there; 'lvchange "
                    + "--refresh \(place)' takes it back")
        }
        return raidFault(volume, what, hasLegs: !legs.isEmpty)
    }

    private func raidFault(_ volume: LogicalVolume, _ what: String, hasLegs: Bool) -> VolumeFault? {
        switch volume.health {
        case "", "writemostly", "refresh needed": return nil
        case "mismatches exist":
            return VolumeFault(
                .impaired, .volumeUnhealthy,
                sentence:
                    "the legs of \(what) differ from each other (LVM says 'mismatches exist'); 'lvchange --syncaction "
                    + "repair \(group.name)/\(volume.name)' makes them alike, though nothing tells which one is right")
        case "partial":
            return VolumeFault(
                hasLegs ? .impaired : .broken, .devicesMissing,
                sentence:
                    "\(what) lies in part on a device that volume group \(group.name) misses; bring the device back")
        default:
            return VolumeFault(.broken, .volumeUnhealthy, sentence: "\(what) is not well, LVM says: \(volume.health)")
        }
    }
}
