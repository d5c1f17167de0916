/// The metadata profile that tells LVM when a thin pool grows: a file whose name is stored with the pool.
///
/// lvmthin(7), "Automatically extend thin pool": dmeventd runs `lvextend --use-policies`, which reads
/// `activation/thin_pool_autoextend_threshold` and `_percent` from the pool's profile, for data and for metadata.
extension AutoExtendSpec {
    package static let profilePrefix = "tuff-autoextend-"
    package static let profileSuffix = ".profile"

    /// The profile's name. It states the settings, so that pools with equal settings share a profile.
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
