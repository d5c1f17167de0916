package import TuffController
package import TuffModel

/// A table of resources of one kind, or their names.
package struct GetView: View {
    package var records: [ResourceRecord]
    package var of: Kind
    package var wide: Bool
    /// Each line says whose it is.
    package var showsStacks: Bool

    package init(_ records: [ResourceRecord], of kind: Kind, wide: Bool = false, showsStacks: Bool = false) {
        self.showsStacks = showsStacks
        self.records = records
        self.of = kind
        self.wide = wide
    }

    package var kind: String { "\(of.rawValue)List" }

    package var body: [String: Tree] { ["items": .list(records.map(RecordTree.tree))] }

    /// `Volume/db-data`, a line each.
    package var names: String { records.map { PrintedText.oneLine("\($0.id)") + "\n" }.joined() }

    package func text(_ style: Style) -> String {
        guard !records.isEmpty else { return "" }
        let (head, tail) = columns
        let stacks = showsStacks ? ["STACK"] : []
        let header = stacks + ["NAME", "READY", "REASON"] + head + (wide ? tail : [])
        let rows = records.map { record in
            (showsStacks ? [record.stack ?? "-"] : [])
                + [record.id.name, Self.ready(record), Self.reason(record)] + cells(record)
        }
        return Layout.table([header] + rows)
    }

    private static func ready(_ record: ResourceRecord) -> String {
        switch record.ready.status {
        case .yes: "yes"
        case .no: "no"
        case .unknown: record.isElsewhere ? "-" : "unknown"
        }
    }

    private static func reason(_ record: ResourceRecord) -> String {
        guard ["AsDeclared", "Exists"].contains(record.ready.reason) else { return record.ready.reason }
        return record.degraded?.reason ?? "-"
    }

    private var columns: ([String], [String]) {
        switch of {
        case .pool: (["BACKEND", "SIZE", "FREE", "DATA", "METADATA", "VOLUMES", "PROVISIONED"], ["DECLARED AT"])
        case .volume:
            (
                ["SIZE", "DECLARED", "POOL", "ATTACHED TO"],
                ["SESSIONS", "UID", "SERIAL", "LOCATION", "TARGET", "STACK", "BASES"]
            )
        case .attachment:
            (["VOLUME", "INITIATOR", "ACCESS", "SESSIONS"], ["CHAP", "PORTALS", "TARGET"])
        case .snapshot: (["VOLUME", "SIZE"], ["POLICY", "UID", "LOCATION", "STACK", "DECLARED AT"])
        case .backupRepository, .backupPolicy, .backup, .snapshotPolicy, .restore:
            BackupRows.columns(of: of) ?? (["DECLARED AT"], [])
        }
    }

    private func cells(_ record: ResourceRecord) -> [String] {
        switch record.facts {
        case .pool(let facts): cells(facts) + (wide ? [Self.text(record.location)] : [])
        case .volume(let facts): cells(facts)
        case .snapshot(let facts): cells(facts) + (wide ? [Self.text(record.location)] : [])
        case .attachment(let facts): cells(facts)
        case .repository(let facts): BackupRows.cells(facts, wide: wide)
        case .backupPolicy(let facts): BackupRows.cells(facts, wide: wide)
        case .backup(let facts): BackupRows.cells(facts, wide: wide)
        case .other: [Self.text(record.location)]
        }
    }

    private func cells(_ facts: PoolFacts) -> [String] {
        [
            facts.backend.description, Self.text(facts.size), Self.text(facts.free), Self.percent(facts.dataPercent),
            Self.percent(facts.metadataPercent), "\(facts.volumes)", facts.provisioned.description,
        ]
    }

    private func cells(_ facts: VolumeFacts) -> [String] {
        let initiators = facts.access.map(\.initiator).sorted().joined(separator: ",")
        let narrow = [
            Self.text(facts.stored?.size), Self.text(facts.declared?.spec.size),
            facts.stored?.backend.description ?? facts.declaredPool ?? "-", initiators.isEmpty ? "-" : initiators,
        ]
        guard wide else { return narrow }
        return narrow + [
            "\(facts.sessions)", Self.text(facts.stored?.uid), facts.serial ?? "-", Self.text(facts.stored?.location),
            facts.iqn ?? "-", facts.stored?.marks.stack ?? "-", Self.bases(facts.bases),
        ]
    }

    private func cells(_ facts: SnapshotFacts) -> [String] {
        let narrow = [facts.volumeName ?? "-", Self.text(facts.stored?.size)]
        guard wide else { return narrow }
        return narrow + [
            facts.stored?.marks.occasion?.policy ?? "-", Self.text(facts.stored?.uid),
            Self.text(facts.stored?.location), facts.stored?.marks.stack ?? "-",
        ]
    }

    private func cells(_ facts: AttachmentFacts) -> [String] {
        let readOnly = facts.access?.readOnly ?? facts.declared?.spec.readOnly
        let narrow = [
            facts.volumeName, facts.initiator, readOnly.map { $0 ? "read-only" : "read-write" } ?? "-",
            facts.access.map { "\($0.sessions.count)" } ?? "-",
        ]
        guard wide else { return narrow }
        let portals = facts.portals.map(\.description).joined(separator: ",")
        return narrow + [
            facts.access?.chapUser ?? facts.declared?.spec.chap?.initiator.user ?? "-",
            portals.isEmpty ? "-" : portals, facts.volume?.iqn ?? "-",
        ]
    }

    /// Bytes that backup bases have blocks for, most of which they share with the volume: `2: up to 3 GiB`.
    static func bases(_ bases: [KeptBase]) -> String {
        guard !bases.isEmpty else { return "-" }
        let held = bases.reduce(ByteCount.zero) { $0 + ($1.mapped ?? $1.size) }
        return "\(bases.count): up to \(held)"
    }

    static func text(_ value: (some CustomStringConvertible)?) -> String { value?.description ?? "-" }

    static func percent(_ value: Double?) -> String { value.map { "\(Int($0.rounded())) %" } ?? "-" }
}

/// The JSON of one resource, shared by `get` and `describe`.
package enum RecordTree {
    package static func tree(_ record: ResourceRecord) -> Tree {
        let (declared, observed) = sides(record.facts)
        return .object([
            "kind": .text(record.id.kind.rawValue),
            "name": .text(record.id.name),
            "labels": record.labels.isEmpty ? .null : .map(record.labels.mapValues { .text($0) }),
            "location": .place(record.location),
            "conditions": .list(
                record.conditions.map {
                    .object([
                        "type": .text($0.type), "status": .text($0.status.rawValue), "reason": .text($0.reason),
                        "message": .text($0.message), "since": .text($0.since),
                    ])
                }),
            "declared": declared, "observed": observed,
            "notes": record.notes.isEmpty ? .null : .list(record.notes.map { .text($0) }),
        ])
    }

    private static func sides(_ facts: ResourceRecord.Facts) -> (Tree, Tree) {
        switch facts {
        case .pool(let pool): (declared(pool), observed(pool))
        case .volume(let volume): (declared(volume), observed(volume))
        case .snapshot(let snapshot): (declared(snapshot), observed(snapshot))
        case .attachment(let attachment): (declared(attachment), observed(attachment))
        case .repository(let repository): BackupTrees.sides(repository)
        case .backupPolicy(let policy): BackupTrees.sides(policy)
        case .backup(let backup): BackupTrees.sides(backup)
        case .other: (.null, .null)
        }
    }

    private static func bytes(_ value: ByteCount?) -> Tree { value.map { .int($0.bytes) } ?? .null }

    private static func declared(_ facts: PoolFacts) -> Tree {
        guard let spec = facts.declared?.spec else { return .null }
        return .object([
            "node": .text(spec.node), "backend": .text(facts.backend), "overprovision": .number(spec.overprovision),
            "reserve": .text(spec.reserve),
        ])
    }

    private static func observed(_ facts: PoolFacts) -> Tree {
        .object([
            "backend": .text(facts.backend), "sizeBytes": bytes(facts.size), "freeBytes": bytes(facts.free),
            "dataPercent": facts.dataPercent.map { .number($0) } ?? .null,
            "metadataPercent": facts.metadataPercent.map { .number($0) } ?? .null,
            "sectorBytes": facts.sectorSize.map { .int($0) } ?? .null, "volumes": .int(facts.volumes),
            "provisionedBytes": bytes(facts.provisioned),
        ])
    }

    private static func declared(_ facts: VolumeFacts) -> Tree {
        guard let spec = facts.declared?.spec else { return .null }
        return .object([
            "sizeBytes": bytes(spec.size), "pool": .text(facts.declaredPool), "sharing": .text(spec.sharing.rawValue),
            "protect": .bool(spec.protect), "deletionPolicy": .text(spec.deletionPolicy.rawValue),
            "trashFor": .text(spec.trashFor),
            "portals": spec.portals.map { .list($0.map { .text($0.description) }) } ?? .null,
        ])
    }

    private static func observed(_ facts: VolumeFacts) -> Tree {
        guard let stored = facts.stored else { return .null }
        return .object([
            "uid": .text(stored.uid), "stack": .text(stored.marks.stack), "sizeBytes": bytes(stored.size),
            "backend": .text(stored.backend), "location": .text(stored.location), "path": .text(stored.location.path),
            "active": .bool(stored.active), "suspended": .bool(stored.suspended),
            "protect": .bool(stored.marks.protect), "iqn": .text(facts.iqn), "serial": .text(facts.serial),
            "lun": facts.lun.map { .int($0) } ?? .null,
            "portals": facts.target.map { .list($0.portals.sorted().map { .text($0.description) }) } ?? .null,
            "access": .list(facts.access.map(access)), "backups": BackupTrees.tree(facts.backups),
        ])
    }

    private static func declared(_ facts: SnapshotFacts) -> Tree {
        guard let spec = facts.declared?.spec else { return .null }
        return .object(["volume": .text(spec.volume), "reserveBytes": bytes(spec.reserve)])
    }

    private static func observed(_ facts: SnapshotFacts) -> Tree {
        guard let stored = facts.stored else { return .null }
        return .object([
            "uid": .text(stored.uid), "stack": .text(stored.marks.stack), "sizeBytes": bytes(stored.size),
            "volume": .text(facts.volumeName), "volumeUID": .text(stored.marks.origin),
            "location": .text(stored.location),
            "path": .text(stored.location.path), "active": .bool(stored.active),
            "policy": .text(stored.marks.occasion?.policy), "dueAt": .text(stored.marks.occasion?.time),
        ])
    }

    private static func access(_ access: AccessFacts) -> Tree {
        .object([
            "initiator": .text(access.initiator), "readOnly": access.readOnly.map { .bool($0) } ?? .null,
            "chapUser": .text(access.chapUser), "mutualUser": .text(access.mutualUser),
            "sessions": .list(
                access.sessions.map {
                    .map(["state": .text($0.state), "addresses": .list($0.addresses.map { .text($0) })])
                }),
        ])
    }

    private static func declared(_ facts: AttachmentFacts) -> Tree {
        guard let spec = facts.declared?.spec else { return .null }
        return .object([
            "volume": .text(spec.volume), "initiator": .text(spec.initiator), "readOnly": .bool(spec.readOnly),
            "onRemove": .text(spec.onRemove.rawValue), "chapUser": .text(spec.chap?.initiator.user),
            "mutualUser": .text(spec.chap?.mutual?.user),
        ])
    }

    private static func observed(_ facts: AttachmentFacts) -> Tree {
        guard let seen = facts.access, case .map(var entries) = access(seen) else { return .null }
        entries["volume"] = .text(facts.volumeName)
        entries["iqn"] = .text(facts.volume?.iqn)
        entries["lun"] = facts.volume?.lun.map { .int($0) } ?? .null
        entries["portals"] = .list(facts.portals.map { .text($0.description) })
        return .object(entries)
    }
}
