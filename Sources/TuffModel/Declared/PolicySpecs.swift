package struct SnapshotSpec: Hashable, Sendable {
    package var volume: String
    /// Copy-on-write space; thick pools only.
    package var reserve: ByteCount?

    package init(volume: String) { self.volume = volume }
}

/// Selection of the volumes that a policy concerns.
package enum VolumeSelection: Hashable, Sendable {
    case labels(LabelSelector)
    case names([String])
}

/// Times of a job: five-field cron, in a time zone, spread by up to `jitter`.
package struct Schedule: Hashable, Sendable {
    package var cron: String
    package var timeZone: String?
    package var jitter: TimeSpan?

    package init(cron: String) { self.cron = cron }
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

package struct BackupRepositorySpec: Hashable, Sendable {
    package enum Location: Hashable, Sendable {
        case nfs(NFSSource)
        case directory(String)
    }

    package enum Compression: Hashable, Sendable {
        case zstd(level: Int)
        case none
    }

    package var location: Location
    package var encryptionKey: SecretReference?
    package var compression = Compression.zstd(level: 1)

    package init(location: Location) { self.location = location }
}

package struct VerificationSpec: Hashable, Sendable {
    package var cron: String
    package var sample: Percentage?

    package init(cron: String) { self.cron = cron }
}

package struct BackupPolicySpec: Hashable, Sendable {
    package var volumes: VolumeSelection
    package var repository: String
    package var schedule: Schedule
    package var keep: KeepRule?
    package var verify: VerificationSpec?

    package init(volumes: VolumeSelection, repository: String, schedule: Schedule) {
        self.volumes = volumes
        self.repository = repository
        self.schedule = schedule
    }
}

package struct BackupSpec: Hashable, Sendable {
    package var volume: String
    package var repository: String

    package init(volume: String, repository: String) {
        self.volume = volume
        self.repository = repository
    }
}

package struct RestoreSpec: Hashable, Sendable {
    package enum Source: Hashable, Sendable {
        case snapshot(String)
        case backup(BackupSource)
    }

    package var volume: String
    package var volumeUID: UID
    package var from: Source

    package init(volume: String, volumeUID: UID, from: Source) {
        self.volume = volume
        self.volumeUID = volumeUID
        self.from = from
    }
}
