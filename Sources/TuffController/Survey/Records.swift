package import TuffModel

/// One statement about a resource, as Kubernetes' API conventions have them: `Ready` always, others only when true.
package struct Condition: Hashable, Sendable {
    package enum Status: String, Sendable {
        case yes = "True"
        case no = "False"
        case unknown = "Unknown"
    }

    package var type: String
    package var status: Status
    /// The reason in one word.
    package var reason: String
    package var message: String
    /// The object that causes it, where that has a line of its own: `thin pool vg0/tp0`.
    package var cause: String?
    /// When it began, where that is known.
    package var since: Instant?

    package init(_ type: String, _ status: Status, reason: String, message: String) {
        self.type = type
        self.status = status
        self.reason = reason
        self.message = message
    }
}

/// Declaration and observation of one resource, side by side.
package struct ResourceRecord: Sendable {
    package enum Facts: Sendable {
        case pool(PoolFacts)
        case volume(VolumeFacts)
        case snapshot(SnapshotFacts)
        case attachment(AttachmentFacts)
        case repository(RepositoryFacts)
        case backupPolicy(BackupPolicyFacts)
        case backup(BackupFacts)
        /// A kind this version does not carry out.
        case other
    }

    package var id: ResourceID
    package var location: SourceLocation?
    package var labels: [String: String]
    package var conditions: [Condition]
    package var facts: Facts
    /// Notes of the plan: the reason for a pool, or a setting that is not carried out.
    package var notes: [String] = []

    package var ready: Condition {
        conditions.first { $0.type == "Ready" } ?? Condition("Ready", .unknown, reason: "Unknown", message: "")
    }

    /// Backups that are late, or that fail.
    package var arrears: [Condition] { conditions.filter { $0.type == "Overdue" || $0.type == "Failing" } }

    /// The condition of a resource that is in use and must be repaired before long.
    package var degraded: Condition? { conditions.first { $0.type == "Degraded" } }
}

extension ResourceRecord {
    /// The stack of the existing object; nil: it is only declared, or belongs to none.
    package var stack: String? {
        switch facts {
        case .volume(let facts): facts.stored?.marks.stack
        case .snapshot(let facts): facts.stored?.marks.stack
        case .attachment(let facts): facts.volume?.stored?.marks.stack
        case .pool, .repository, .backupPolicy, .backup, .other: nil
        }
    }
}

package struct PoolFacts: Sendable {
    package var declared: Declared<PoolSpec>?
    package var backend: StorageBackend
    package var size: ByteCount?
    package var free: ByteCount?
    package var dataPercent: Double?
    package var metadataPercent: Double?
    /// Bytes of the logical sectors of its volumes, where it was asked for.
    package var sectorSize: Int?
    package var volumes: Int
    package var provisioned: ByteCount
}

/// One initiator as the target knows it.
package struct AccessFacts: Sendable {
    package var initiator: String
    package var readOnly: Bool?
    package var chapUser: String?
    package var mutualUser: String?
    package var sessions: [ObservedSession]

    package init(_ acl: ObservedACL) {
        initiator = acl.initiator
        readOnly = acl.mappedLUNs.first?.readOnly
        chapUser = acl.chap.user
        mutualUser = acl.chap.mutualUser
        sessions = acl.sessions
    }
}

package struct VolumeFacts: Sendable {
    package var declared: Declared<VolumeSpec>?
    package var stored: StoredVolume?
    package var target: ObservedTarget?
    /// The LUN that initiators see for number 0.
    package var firstLUN = 0
    /// Snapshots that incremental backups of it are relative to.
    package var bases: [KeptBase] = []
    package var backups = VolumeBackups()

    package var access: [AccessFacts] { (target?.acls ?? []).map(AccessFacts.init) }
    package var sessions: Int { access.reduce(0) { $0 + $1.sessions.count } }
    package var serial: String? { stored.map { $0.marks.serial ?? $0.uid.serial } }
    package var iqn: String? { stored?.marks.iqn }
    /// The LUN that initiators see.
    package var lun: Int? { stored.map { ($0.marks.lun ?? 0) + firstLUN } }

    package var declaredPool: String? {
        switch declared?.spec.placement {
        case .pool(let name): name
        case .selector(let selector): LabelText.text(selector.matchLabels)
        case nil: nil
        }
    }
}

package struct SnapshotFacts: Sendable {
    package var declared: Declared<SnapshotSpec>?
    package var stored: StoredVolume?
    /// Name of the volume it was taken of, by the document, or by the origin's uid among existing volumes.
    package var volumeName: String?
}

package struct AttachmentFacts: Sendable {
    package var declared: Declared<AttachmentSpec>?
    /// Name of the volume, from the document or from the marks.
    package var volumeName: String
    package var volume: VolumeFacts?
    /// The target's record of this initiator; nil: it has none.
    package var access: AccessFacts?
    package var initiator: String
    /// Portals of the target: observed ones, else declared ones, else the controller's.
    package var portals: [Portal]
    package var driver: TargetDriver
    package var node: String
}

package enum LabelText {
    /// `backup=nightly,tier=db`
    package static func text(_ labels: [String: String]) -> String {
        labels.inKeyOrder.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }

    /// Parses `-l tier=db,backup=nightly`; nil for anything else.
    package static func parse(_ text: String) -> LabelSelector? {
        var labels: [String: String] = [:]
        for pair in text.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = pair.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, isPlain(parts[0], and: "._-/"), isPlain(parts[1], and: "._-"),
                labels.updateValue(String(parts[1]), forKey: String(parts[0])) == nil
            else { return nil }
        }
        return labels.isEmpty ? nil : LabelSelector(matchLabels: labels)
    }
}

extension LabelText {
    /// Operators such as `!=` are not part of a label.
    private static func isPlain(_ text: Substring, and more: String) -> Bool {
        text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || more.contains($0)) }
    }
}

/// The device name Linux initiators give the disk, from its NAA designator.
package enum DiskName {
    /// LIO answers `6001405` and the first 25 hexadecimal digits of the serial, zero filled
    /// (`spc_parse_naa_6h_vendor_specific` in drivers/target/target_core_spc.c); udev's 60-persistent-storage.rules
    /// makes `wwn-0x…` of it.
    package static func byID(serial: String) -> String {
        let digits = serial.lowercased().filter(\.isHexDigit).prefix(25)
        return "/dev/disk/by-id/wwn-0x6001405" + digits + String(repeating: "0", count: 25 - digits.count)
    }
}
