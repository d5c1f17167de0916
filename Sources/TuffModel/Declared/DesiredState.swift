package struct Metadata: Hashable, Sendable {
    package var name: String
    package var labels: [String: String]
    package var annotations: [String: String]

    package init(name: String, labels: [String: String] = [:], annotations: [String: String] = [:]) {
        self.name = name
        self.labels = labels
        self.annotations = annotations
    }
}

extension Metadata {
    /// Annotation of a Volume or Snapshot: the name that its document had before.
    package static let renamedFromKey = "tuff.dev/renamed-from"

    package var renamedFrom: String? { annotations[Self.renamedFromKey] }
}

/// A resource as declared, with the places of its fields for messages.
///
/// A set has ten thousand, each of dozens of texts, and linking and planning hand them on at every turn: copies share
/// one value, and one that is changed gets its own.
package struct Declared<Spec: Hashable & Sendable>: Hashable, Sendable {
    @usableFromInline
    package final class Content: Sendable {
        @usableFromInline let metadata: Metadata
        @usableFromInline let spec: Spec
        @usableFromInline let location: SourceLocation
        @usableFromInline let fields: FieldPlaces

        @usableFromInline
        init(metadata: Metadata, spec: Spec, location: SourceLocation, fields: FieldPlaces) {
            self.metadata = metadata
            self.spec = spec
            self.location = location
            self.fields = fields
        }
    }

    @usableFromInline var content: Content

    package init(
        metadata: Metadata, spec: Spec, location: SourceLocation, fields: FieldPlaces = [:]
    ) {
        content = Content(metadata: metadata, spec: spec, location: location, fields: fields)
    }

    package var metadata: Metadata {
        @inlinable get { content.metadata }
        set { self = Declared(metadata: newValue, spec: spec, location: location, fields: fields) }
    }

    package var spec: Spec {
        @inlinable get { content.spec }
        set { self = Declared(metadata: metadata, spec: newValue, location: location, fields: fields) }
    }

    /// Place of the document's name.
    package var location: SourceLocation {
        @inlinable get { content.location }
        set { self = Declared(metadata: metadata, spec: spec, location: newValue, fields: fields) }
    }

    /// Places of the fields. Missing fields have none.
    package var fields: FieldPlaces {
        @inlinable get { content.fields }
        set { self = Declared(metadata: metadata, spec: spec, location: location, fields: newValue) }
    }

    package static func == (lhs: Self, rhs: Self) -> Bool {
        lhs.content === rhs.content
            || lhs.metadata == rhs.metadata && lhs.spec == rhs.spec && lhs.location == rhs.location
                && lhs.fields == rhs.fields
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(metadata)
        hasher.combine(spec)
        hasher.combine(location)
        hasher.combine(fields)
    }

    /// The place of `path`, or of its nearest parent that was written.
    package func location(of path: String) -> SourceLocation {
        var candidate = Substring(path)
        while true {
            if let place = fields[String(candidate)] { return place }
            guard let dot = candidate.lastIndex(of: ".") else { return location }
            candidate = candidate[..<dot]
        }
    }
}

/// Everything a set of documents declares, decoded, defaulted, and linked: every reference in it resolves.
package struct DesiredState: Hashable, Sendable {
    package var pools: [String: Declared<PoolSpec>] = [:]
    package var volumes: [String: Declared<VolumeSpec>] = [:]
    package var attachments: [String: Declared<AttachmentSpec>] = [:]
    package var snapshots: [String: Declared<SnapshotSpec>] = [:]
    package var snapshotPolicies: [String: Declared<SnapshotPolicySpec>] = [:]
    package var backupRepositories: [String: Declared<BackupRepositorySpec>] = [:]
    package var backupPolicies: [String: Declared<BackupPolicySpec>] = [:]
    package var backups: [String: Declared<BackupSpec>] = [:]
    package var restores: [String: Declared<RestoreSpec>] = [:]

    package init() {}

    /// Number of declared resources.
    package var count: Int {
        pools.count + volumes.count + attachments.count + snapshots.count + snapshotPolicies.count
            + backupRepositories.count + backupPolicies.count + backups.count + restores.count
    }
}

/// Which implementation of iSCSI targets the controller drives.
package enum TargetDriver: String, CaseIterable, Codable, Sendable {
    /// The kernel's target (LIO), through configfs.
    case lio
    /// The user-space target daemon tgtd, through tgtadm.
    case tgt
}

/// The controller's own configuration (`/etc/tuff/config.yaml`), part of every inventory since plans depend on it.
package struct ControllerConfig: Hashable, Codable, Sendable {
    /// This host's name in `Pool.spec.node`.
    package var node: String
    /// Addresses where targets listen unless a volume names others. Empty: each volume must name its own.
    package var portals: [Portal]
    /// Prefix of the IQNs of our targets, followed by `:` and the volume's name.
    package var iqnBase: String
    /// The paths, groups and exports that documents may name.
    package var allow: Reach
    package var targetDriver: TargetDriver
    /// Control port of tgtd (`tgtadm -C`), 0 by default; only read with `targetDriver: tgt`.
    package var tgtControlPort: Int
    package var guardLimits: GuardLimits

    package init(
        node: String, portals: [Portal] = [], iqnBase: String = "iqn.2026-01.dev.tuff",
        allow: Reach = Reach(), targetDriver: TargetDriver = .lio, tgtControlPort: Int = 0,
        guardLimits: GuardLimits = GuardLimits()
    ) {
        self.node = node
        self.portals = portals
        self.iqnBase = iqnBase
        self.allow = allow
        self.targetDriver = targetDriver
        self.tgtControlPort = tgtControlPort
        self.guardLimits = guardLimits
    }

    private enum FormerKeys: String, CodingKey { case allowedRoots }

    /// Inventories and plans of earlier versions have roots for paths of all sorts in the place of `allow`.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        node = try container.decode(String.self, forKey: .node)
        portals = try container.decode([Portal].self, forKey: .portals)
        iqnBase = try container.decode(String.self, forKey: .iqnBase)
        let former = try decoder.container(keyedBy: FormerKeys.self)
        let roots = try former.decodeIfPresent([String].self, forKey: .allowedRoots)
        allow =
            try container.decodeIfPresent(Reach.self, forKey: .allow) ?? roots.map(Reach.init(everythingBeneath:))
            ?? Reach()
        targetDriver = try container.decode(TargetDriver.self, forKey: .targetDriver)
        tgtControlPort = try container.decode(Int.self, forKey: .tgtControlPort)
        guardLimits = try container.decode(GuardLimits.self, forKey: .guardLimits)
    }
}
