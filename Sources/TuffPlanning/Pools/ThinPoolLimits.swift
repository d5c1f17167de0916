import TuffModel

/// The fill level of a thin pool's data or metadata up to which LVM makes another volume in it.
///
/// `pool_below_threshold` in lib/metadata/thin_manip.c of LVM 2.03.16, which `lvcreate` asks before anything else:
/// neither may be above activation/thin_pool_autoextend_threshold (of lvm.conf or the pool's profile), whether or not
/// the group has room to extend the pool; and 4 MiB of the metadata must be free, a quarter of them where they have
/// less than 16 MiB.
struct ThinPoolLimit {
    /// Percent used.
    var percent: Double
    /// True if exactly so much is too much.
    var isExclusive: Bool
    /// The setting that it comes from, for a sentence.
    var rule: String

    func isPassed(by used: Double) -> Bool { isExclusive ? used >= percent : used > percent }

    /// The lower of those that hold; nil: none below full.
    static func of(_ pool: LogicalVolume, metadata: Bool, threshold: Bool = true) -> ThinPoolLimit? {
        var limits: [ThinPoolLimit] = []
        if threshold, let percent = pool.autoextendThreshold, percent < 100 {
            limits.append(
                ThinPoolLimit(
                    percent: Double(max(0, percent)), isExclusive: false,
                    rule: "its autoextend threshold of \(percent) %"
                        + (pool.profile.map { " (profile \($0))" } ?? " (lvm.conf)")))
        }
        if metadata, let size = pool.metadataSize, size > .zero {
            let free = min(25, Double(4 << 20) / Double(size.bytes) * 100)
            limits.append(
                ThinPoolLimit(
                    percent: 100 - free, isExclusive: true, rule: "what LVM keeps free of metadata of \(size)"))
        }
        return limits.min { $0.percent < $1.percent }
    }

    /// True if dmeventd makes the pool larger before it matters: LVM's own step is a fifth of the pool where nobody
    /// says otherwise (activation/thin_pool_autoextend_percent).
    static func isExtended(_ pool: LogicalVolume, in group: VolumeGroup) -> Bool {
        pool.isMonitored == true && group.free.bytes >= pool.size.bytes / 5
    }
}
