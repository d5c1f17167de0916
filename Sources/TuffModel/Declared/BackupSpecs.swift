/// A place for backups: `kind: BackupRepository`.
package struct BackupRepositorySpec: Hashable, Codable, Sendable {
    package enum Site: Hashable, Codable, Sendable {
        /// Absolute path beneath one of the controller's `allow.directories`.
        case directory(String)
        /// Mounted by Tuff for as long as it is used.
        case nfs(NFSShare)
    }

    package enum Format: String, CaseIterable, Codable, Sendable {
        case tuff
        /// Containers that OpenStack Cinder wrote: read only, and only for `source.cinderBackup`.
        case cinder
    }

    package enum Compression: Hashable, Codable, Sendable {
        case zstd(level: Int)
        case none
    }

    /// The removal of points that no rule keeps, and of packs, where the document does not say when.
    package static let standardPrune = Schedule(cron: "0 12 * * *", jitter: TimeSpan(seconds: 1800))

    package var site: Site
    package var format = Format.tuff
    /// True where it may be made in an empty place. That needs somebody's consent besides.
    package var creates = false
    /// Opens one of its key slots; nil: it is not encrypted.
    package var key: SecretReference?
    package var compression = Compression.zstd(level: 1)
    /// In UTC. The first host that is due does it for all.
    package var prune = Self.standardPrune

    package init(site: Site) { self.site = site }
}

/// Times of reading back what was stored, in the time zone of the policy.
package struct VerificationSpec: Hashable, Codable, Sendable {
    package var cron: String
    /// Share of the stored data that is read each time; nil: all of it.
    package var sample: Percentage?

    package init(cron: String) { self.cron = cron }
}

/// Times of restoring the newest point to a volume that is compared and removed, in the time zone of the policy.
package struct DrillSpec: Hashable, Codable, Sendable {
    package var cron: String
    /// The pool where that volume is made.
    package var pool: String

    package init(cron: String, pool: String) {
        self.cron = cron
        self.pool = pool
    }
}

/// Backups on a schedule: `kind: BackupPolicy`.
package struct BackupPolicySpec: Hashable, Codable, Sendable {
    package var volumes: VolumeSelection
    package var repository: String
    package var schedule: Schedule
    /// Which of this policy's points stay; nil: all.
    package var keep: KeepRule?
    package var verify: VerificationSpec?
    package var drill: DrillSpec?

    package init(volumes: VolumeSelection, repository: String, schedule: Schedule) {
        self.volumes = volumes
        self.repository = repository
        self.schedule = schedule
    }
}

/// One backup, made once and outside every keep rule: `kind: Backup`. Its point carries the document's name.
package struct BackupSpec: Hashable, Codable, Sendable {
    package var volume: String
    package var repository: String

    package init(volume: String, repository: String) {
        self.volume = volume
        self.repository = repository
    }
}

/// A restore point of one series as a document names it: `at`.
package enum RestorePointName: Hashable, Codable, Sendable, CustomStringConvertible {
    case latest
    /// The newest that is not after this.
    case notAfter(Instant)
    /// Its id, or at least eight leading digits of it, in lower-case hexadecimal.
    case id(String)

    /// As a document would write it.
    package var description: String {
        switch self {
        case .latest: "latest"
        case .notAfter(let time): time.description
        case .id(let digits): digits
        }
    }
}

/// The restore point that a new volume starts with.
package struct BackupSource: Hashable, Codable, Sendable {
    package enum Identity: String, CaseIterable, Codable, Sendable {
        /// A new disk to initiators.
        case new
        /// The same disk, which continues the series; refused while its uid exists here.
        case keep
    }

    package var repository: String
    /// The volume that was backed up, which need not exist any more.
    package var volume: String
    package var at = RestorePointName.latest
    package var identity = Identity.new
    /// The host whose series it is; nil: the one where the volume is made.
    package var node: String?
    /// The stack whose series it is; nil: the one that the volume is declared in.
    package var stack: String?
    /// The volume's uid, where several volumes had the name; nil: there is one.
    package var uid: UID?
    /// Blank where no such series exists. Never where that could not be seen.
    package var orBlank = false
    /// It may be attached at once, and its content arrives behind.
    package var instant = false

    package init(repository: String, volume: String) {
        self.repository = repository
        self.volume = volume
    }
}

/// A volume rolled back in place, once: `kind: Restore`.
package struct RestoreSpec: Hashable, Codable, Sendable {
    package enum Source: Hashable, Codable, Sendable {
        case snapshot(String)
        /// A point of the same volume: of this host's, this stack's and this uid's series.
        case backup(repository: String, at: RestorePointName)
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
