/// How LVM is told when a thin pool grows: a metadata profile, which is a file with a name that is stored with the pool.
///
/// lvmthin(7), "Automatically extend thin pool": dmeventd runs `lvextend --use-policies`, which reads
/// `activation/thin_pool_autoextend_threshold` and `_percent` from the pool's profile, for data and for metadata.
extension AutoExtendSpec {
    package static let profilePrefix = "tuff-autoextend-"
    package static let profileSuffix = ".profile"

    /// Says what is in it, so that pools share it and another setting has another name.
    package var profile: String { "\(Self.profilePrefix)\(threshold.percent)-\(by.percent)" }
    package var profileFile: String { profile + Self.profileSuffix }

    package var profileText: String {
        """
        # Written by Tuff for pools with autoExtend: {threshold: \(threshold), by: \(by)}.
        activation {
        \tthin_pool_autoextend_threshold=\(threshold.percent)
        \tthin_pool_autoextend_percent=\(by.percent)
        }

        """
    }
}
