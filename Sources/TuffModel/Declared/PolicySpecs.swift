package struct SnapshotSpec: Hashable, Sendable {
    package var volume: String
    /// Copy-on-write space; thick pools only.
    package var reserve: ByteCount?

    package init(volume: String) { self.volume = volume }
}

/// Selection of the volumes that a policy concerns.
package enum VolumeSelection: Hashable, Codable, Sendable {
    case labels(LabelSelector)
    case names([String])
}

/// Times of a job: five-field cron, in a time zone, spread by up to `jitter`.
package struct Schedule: Hashable, Codable, Sendable {
    package var cron: String
    package var timeZone: String?
    package var jitter: TimeSpan?

    package init(cron: String, timeZone: String? = nil, jitter: TimeSpan? = nil) {
        self.cron = cron
        self.timeZone = timeZone
        self.jitter = jitter
    }
}

/// Numbers of points to keep, by bucket. An absent bucket keeps none; without any rule everything is kept.
package struct KeepRule: Hashable, Codable, Sendable {
    package var last: Int?
    package var hourly: Int?
    package var daily: Int?
    package var weekly: Int?
    package var monthly: Int?
    package var yearly: Int?

    package init() {}
}

package struct SnapshotPolicySpec: Hashable, Sendable {
    package var volumes: VolumeSelection
    package var schedule: Schedule
    package var keep: KeepRule?

    package init(volumes: VolumeSelection, schedule: Schedule) {
        self.volumes = volumes
        self.schedule = schedule
    }
}
