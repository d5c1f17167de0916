import TuffModel
import TuffTestSupport

/// Snapshots and clones in a random history, within pools and across them.
extension Walk {
    static let pools = ["fast", "dir", "slow"]

    /// A volume group without a thin pool, whose volumes in use are copied from temporary snapshots.
    mutating func addThickPool() {
        var lvm = LVMPoolSpec(volumeGroup: "vg0")
        lvm.tempSnapshotReserve = Percentage(20)
        var pool = PoolSpec(backend: .lvm(lvm))
        pool.reserve = Percentage(0)
        desired.pools["slow"] = Sample.declared("slow", pool)
    }

    mutating func snapshot(_ volume: String) {
        let name = "\(volume)-snap"
        guard desired.snapshots[name] == nil else { return }
        var spec = SnapshotSpec(volume: volume)
        if isThick(volume) { spec.reserve = ByteCount(8 << 20) }
        desired.snapshots[name] = Sample.declared(name, spec)
    }

    /// From the volume or from its snapshot, into the same pool or another one. What is in use goes elsewhere from a
    /// snapshot only.
    mutating func clone(_ volume: String) {
        let name = "\(volume)c"
        guard let origin = desired.volumes[volume], desired.volumes[name] == nil, name.utf8.count < 8,
            let pool = Self.pools.randomElement(using: &generator)
        else { return }
        if origin.spec.placement != .pool(pool) { snapshot(volume) }
        var spec = VolumeSpec(size: origin.spec.size + ByteCount(4 << 20), placement: .pool(pool))
        spec.source = desired.snapshots["\(volume)-snap"] == nil ? .volume(volume) : .snapshot("\(volume)-snap")
        desired.volumes[name] = Sample.declared(name, spec)
    }

    /// LVM grows no origin of a thick snapshot while it is active; such a change would wait, and not be carried out.
    func mayGrow(_ volume: String) -> Bool { !isThick(volume) || desired.snapshots["\(volume)-snap"] == nil }

    private func isThick(_ volume: String) -> Bool { desired.volumes[volume]?.spec.placement == .pool("slow") }
}
