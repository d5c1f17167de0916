package import TuffModel
package import TuffPlanning

/// Joins declarations, observations and the plan, resource by resource.
/// One for all views of it, which do not change it.
package final class Survey: Sendable {
    package let records: [ResourceRecord]
    /// Objects that belong to other stacks and are not among `records`.
    package let hidden: [ResourceRecord]
    package let observed: ObservedState
    package let context: PlanContext
    /// The documents; nil: none were given, and only existing objects are shown.
    package let desired: DesiredState?
    /// The plan; nil without documents.
    package let plan: Plan?
    /// The error of reading the ledger; nil: it was read.
    package let ledgerError: HostError?

    package init(
        desired: DesiredState?, observed: ObservedState, context: PlanContext, ledgerError: HostError? = nil,
        allStacks: Bool = false
    ) {
        self.ledgerError = ledgerError
        self.observed = observed
        self.context = context
        self.desired = desired
        plan = desired.map { Planner.plan(desired: $0, observed: observed, context: context) }
        let builder = SurveyBuilder(
            desired: desired ?? DesiredState(), observed: observed, context: context, plan: plan)
        let all = builder.records()
        guard !allStacks else {
            records = all
            hidden = []
            return
        }
        let isOther = { (record: ResourceRecord) in record.stack.map { $0 != context.stack } ?? false }
        let foreign = builder.backends(ofOthersThan: context.stack)
        hidden = all.filter(isOther)
        records = all.filter { record in
            if case .pool(let facts) = record.facts, facts.declared == nil { return !foreign.contains(facts.backend) }
            return !isOther(record)
        }
    }

    /// A sentence that counts the objects of other stacks and says how to see them; nil: there are none.
    package func othersSentence(of kind: Kind? = nil) -> String? {
        let others = hidden.filter { kind == nil || $0.id.kind == kind }
        let counts = Dictionary(grouping: others.compactMap(\.stack), by: \.self).mapValues(\.count)
        guard !counts.isEmpty else { return nil }
        let names = counts.inKeyOrder.map { "\($0.key) (\($0.value))" }.joined(separator: ", ")
        return "Other stacks have \(others.count) more: \(names). --all-stacks shows them, --stack NAME one of them."
    }

    package func records(of kind: Kind) -> [ResourceRecord] { records.filter { $0.id.kind == kind } }

    /// The choice of a pool for a declared volume with a `poolSelector`. It costs a plan: ask for one volume only.
    package func placement(of record: ResourceRecord) -> Placement? {
        guard record.id.kind == .volume, let desired else { return nil }
        return Planner.placement(of: record.id.name, desired: desired, observed: observed, context: context)
    }

    package var volumeFacts: [VolumeFacts] {
        records.compactMap { if case .volume(let facts) = $0.facts { facts } else { nil } }
    }

    /// Sources that could not be looked at, as sentences.
    package var unseen: [(source: String, error: HostError)] {
        observed.unseen + (ledgerError.map { [("ledger", $0)] } ?? [])
    }

    /// A sentence on the reason why no source at all could be observed; nil: at least one was, if only to be empty.
    package var blindness: String? {
        guard case .unknown(let targets) = observed.targets, let lvm = observed.volumeGroups.unlisted,
            observed.volumeGroups.entries.isEmpty,
            !observed.directories.entries.values.contains(where: { !$0.isUnknown }),
            !records(of: .pool).contains(where: { $0.ready.status != .unknown })
        else { return nil }
        return "nothing could be looked at: \(lvm); \(targets)"
            + (observed.directories.entries.isEmpty ? "; and no directory pool is known" : "")
    }

    /// A hint for lists of pools: directories are observed only where something names them.
    package static let directoriesNeedNames =
        "Directory pools are known from documents (-f), or once an apply has used them."

    package var knowsDirectories: Bool { !observed.directories.entries.isEmpty }
}

/// Makes the records of a survey, out of tables that all of them are looked up in.
final class SurveyBuilder {
    let desired: DesiredState
    let observed: ObservedState
    let context: PlanContext
    let plan: Plan?
    let index: StorageIndex
    let targets: [String: ObservedTarget]
    let changes: [ResourceID: PlannedChange]
    let backups: BackupSurvey

    init(desired: DesiredState, observed: ObservedState, context: PlanContext, plan: Plan?) {
        self.desired = desired
        self.observed = observed
        self.context = context
        self.plan = plan
        index = StorageIndex(observed)
        targets = Dictionary((observed.targets.value?.targets ?? []).map { ($0.iqn, $0) }) { first, _ in first }
        // Two lines about one resource happen (an orphan's access, two objects of one name, a repository that is to be
        // pruned): the one that acts or complains tells more than the other, but for one that is merely due beside a
        // reason.
        let changes = Dictionary((plan?.changes ?? []).map { ($0.resource, $0) }) { first, second in
            let tellsLess = second.action == .due && first.reason != nil
            return [.unchanged, .orphan].contains(first.action) && !tellsLess ? second : first
        }
        self.changes = changes
        backups = BackupSurvey(desired, in: observed, for: context) { Self.isUsable(changes, $0) }
    }

    func records() -> [ResourceRecord] {
        let all = pools() + volumes() + snapshots() + attachments() + backupRecords() + others()
        let arrears = arrears()
        return all.map { record in
            var record = record
            record.conditions += arrears[record.id] ?? []
            if record.location != nil { record.notes = changes[record.id]?.notes ?? [] }
            return record
        }.sorted { $0.id < $1.id }
    }

    /// Storage that holds objects of other stacks only.
    func backends(ofOthersThan stack: String) -> Set<StorageBackend> {
        let own = Set(index.volumes.lazy.filter { $0.marks.stack == stack }.map(\.backend))
        return Set(index.volumes.map(\.backend)).subtracting(own)
    }

    private func others() -> [ResourceRecord] {
        let handled: Set<Kind> = [
            .pool, .volume, .snapshot, .attachment, .backupRepository, .backupPolicy, .backup,
        ]
        return changes.values.filter { !handled.contains($0.resource.kind) }.map { change in
            let id = change.resource
            let policy = id.kind == .snapshotPolicy ? desired.snapshotPolicies[id.name] : nil
            return ResourceRecord(
                id: id, location: change.location, labels: [:],
                conditions: conditions(change, observed: nil) + (policy.map { emptySelection($0.spec.volumes) } ?? []),
                facts: .other)
        }
    }

    // MARK: Volumes

    private func volumes() -> [ResourceRecord] {
        var records: [ResourceRecord] = []
        var seen: Set<String> = []
        for (name, declared) in desired.volumes {
            let stored = index.live(.volume(name), context.stack).first
            seen.insert(name)
            records.append(record(name, facts(declared, stored), stack: context.stack))
        }
        for stored in index.volumes {
            // The trash has a list of its own.
            guard case .volume(let name) = stored.marks.role, stored.standing != .trashed else { continue }
            if stored.marks.stack == context.stack, seen.contains(name) { continue }
            records.append(record(name, facts(nil, stored), stack: stored.marks.stack))
        }
        return records
    }

    private func facts(_ declared: Declared<VolumeSpec>?, _ stored: StoredVolume?) -> VolumeFacts {
        VolumeFacts(
            declared: declared, stored: stored,
            target: stored?.marks.iqn.flatMap { targets[$0] },
            firstLUN: context.config.exportCapabilities.firstLUN,
            bases: stored.map { stored in index.bases.filter { $0.marks.volume == stored.uid } } ?? [],
            backups: stored.map { backups.backups(of: $0.marks.name, uid: $0.uid) } ?? VolumeBackups())
    }

    private func record(_ name: String, _ facts: VolumeFacts, stack: String) -> ResourceRecord {
        let id = ResourceID(.volume, name)
        return ResourceRecord(
            id: id, location: facts.declared?.location, labels: facts.declared?.metadata.labels ?? [:],
            conditions: Self.judge(
                conditions(
                    stack == context.stack ? changes[id] : nil,
                    observed: facts.stored.map(state) ?? elsewhere(volume: name)) + degradation(facts),
                by: facts.stored?.faults ?? []), facts: .volume(facts))
    }

    private func degradation(_ facts: VolumeFacts) -> [Condition] {
        guard let stored = facts.stored, let target = facts.target,
            let since = Handover.overdue(
                stored, target, sharing: facts.declared?.spec.sharing, ledger: observed.ledger, now: context.now)
        else { return [] }
        return [
            Condition(
                "Degraded", .yes, reason: "HandoverLong", message: Handover.sentence(target, since: since))
        ]
    }

    private func elsewhere(volume name: String) -> Condition? {
        guard let node = desired.node(ofVolume: name), node != context.config.node else { return nil }
        return .elsewhere(node)
    }

    // MARK: Snapshots

    private func snapshots() -> [ResourceRecord] {
        var records: [ResourceRecord] = []
        for (name, declared) in desired.snapshots {
            let stored = index.live(.snapshot(name), context.stack).first
            records.append(
                record(
                    name, SnapshotFacts(declared: declared, stored: stored, volumeName: declared.spec.volume),
                    stack: context.stack))
        }
        for stored in index.volumes {
            guard case .snapshot(let name) = stored.marks.role, stored.standing != .trashed else { continue }
            if stored.marks.stack == context.stack, desired.snapshots[name] != nil { continue }
            let volume = stored.marks.origin.flatMap { index.volume($0)?.marks.name }
            records.append(
                record(
                    name, SnapshotFacts(declared: nil, stored: stored, volumeName: volume), stack: stored.marks.stack))
        }
        return records + index.temporaries.map { TemporaryRecord.of($0, index) }
    }

    private func record(_ name: String, _ facts: SnapshotFacts, stack: String) -> ResourceRecord {
        let id = ResourceID(.snapshot, name)
        // A policy's snapshot shows the place of the policy's document.
        let policy = stack == context.stack ? changes[id]?.location : nil
        return ResourceRecord(
            id: id, location: facts.declared?.location ?? policy, labels: facts.declared?.metadata.labels ?? [:],
            conditions: Self.judge(
                conditions(
                    stack == context.stack ? changes[id] : nil,
                    observed: facts.stored.map(state) ?? facts.volumeName.flatMap(elsewhere(volume:))),
                by: facts.stored?.faults ?? []), facts: .snapshot(facts))
    }

    // MARK: Attachments

    private func attachments() -> [ResourceRecord] {
        var records: [ResourceRecord] = []
        var shown: Set<String> = []
        for (name, declared) in desired.attachments {
            let volumeName = declared.spec.volume
            let volume = facts(
                desired.volumes[volumeName], index.live(.volume(volumeName), context.stack).first)
            let acl = volume.target?.acls.first { $0.initiator == declared.spec.initiator }
            if let iqn = volume.target?.iqn { shown.insert("\(iqn) \(declared.spec.initiator)") }
            let id = ResourceID(.attachment, name)
            records.append(
                ResourceRecord(
                    id: id, location: declared.location, labels: declared.metadata.labels,
                    conditions: Self.judge(
                        conditions(changes[id], observed: elsewhere(volume: volumeName)), of: volume),
                    facts: attachment(
                        declared, name: volumeName, volume: volume, acl: acl, initiator: declared.spec.initiator)))
        }
        for stored in index.volumes {
            guard case .volume(let name) = stored.marks.role else { continue }
            let declared = stored.marks.stack == context.stack ? desired.volumes[name] : nil
            let volume = facts(declared, stored)
            for acl in volume.target?.acls ?? [] where !shown.contains("\(volume.iqn ?? "") \(acl.initiator)") {
                let seen = Condition("Ready", .yes, reason: "Exists", message: "\(acl.initiator) may log in")
                let undeclared = Condition(
                    "Ready", .yes, reason: "NotDeclared", message: "no document declares this access")
                records.append(
                    ResourceRecord(
                        id: ResourceID(.attachment, acl.mark?.attachment ?? "\(name)@\(acl.initiator)"), location: nil,
                        labels: [:],
                        conditions: Self.judge([plan == nil ? seen : undeclared], of: volume),
                        facts: attachment(nil, name: name, volume: volume, acl: acl, initiator: acl.initiator)))
            }
        }
        return records
    }

    private func attachment(
        _ declared: Declared<AttachmentSpec>?, name: String, volume: VolumeFacts, acl: ObservedACL?,
        initiator: String
    ) -> ResourceRecord.Facts {
        let seen = volume.target?.portals ?? []
        let portals = seen.isEmpty ? volume.declared?.spec.portals ?? context.config.portals : seen
        return .attachment(
            AttachmentFacts(
                declared: declared, volumeName: name, volume: volume, access: acl.map(AccessFacts.init),
                initiator: initiator, portals: portals.sorted(), driver: context.config.targetDriver,
                node: context.config.node))
    }

    // MARK: Pools

    private func pools() -> [ResourceRecord] {
        var records: [ResourceRecord] = []
        var seen: Set<StorageBackend> = []
        for (name, declared) in desired.pools {
            if let node = declared.spec.node, node != context.config.node { continue }
            let state = PoolState(declared, observed: observed), backend = state.backend
            seen.insert(backend)
            let id = ResourceID(.pool, name)
            records.append(
                ResourceRecord(
                    id: id, location: declared.location, labels: declared.metadata.labels,
                    conditions: Self.judge(
                        conditions(changes[id], observed: nil) + Self.degradation(state), by: state.faults),
                    facts: .pool(poolFacts(declared, backend))))
        }
        for backend in Set(index.volumes.map(\.backend)).subtracting(seen) {
            records.append(
                ResourceRecord(
                    id: ResourceID(.pool, backend.description), location: nil, labels: [:],
                    conditions: Self.judge([undeclaredState(of: backend)], by: faults(of: backend)),
                    facts: .pool(poolFacts(nil, backend))))
        }
        return records
    }

    private func poolFacts(_ declared: Declared<PoolSpec>?, _ backend: StorageBackend) -> PoolFacts {
        let stored = index.volumes.filter { $0.backend == backend && $0.marks.kind == .volume }
        var facts = PoolFacts(
            declared: declared, backend: backend, volumes: stored.count,
            provisioned: stored.reduce(.zero) { $0 + ($1.size ?? .zero) })
        facts.sectorSize = backend.group.flatMap { observed.volumeGroups.entries[$0]?.value?.sectorSize }
        switch backend {
        case .thinPool(let group, let pool):
            let found = observed.volumeGroups.entries[group]?.value?.logicalVolumes.first { $0.name == pool }
            facts.size = found?.size
            facts.dataPercent = found?.dataPercent
            facts.metadataPercent = found?.metadataPercent
            if let found, let used = found.dataPercent {
                facts.free = ByteCount(
                    Int64(exactly: (Double(found.size.bytes) * max(0, 100 - used) / 100).rounded()) ?? .max)
            }
        case .thick(let group):
            facts.size = observed.volumeGroups.entries[group]?.value?.size
            facts.free = observed.volumeGroups.entries[group]?.value?.free
        case .directory(let path):
            facts.size = observed.directories.entries[path]?.value?.size
            facts.free = observed.directories.entries[path]?.value?.free
        }
        return facts
    }

    // MARK: Conditions

    /// The plan decides where there is one: a resource that it would not touch is ready.
    func conditions(_ change: PlannedChange?, observed: Condition?) -> [Condition] {
        guard let change else {
            return [observed ?? Condition("Ready", .unknown, reason: "Unknown", message: "not observed")]
        }
        switch change.action {
        case .unchanged:
            var condition = Condition("Ready", .yes, reason: "AsDeclared", message: change.summary)
            if let reason = change.reason { condition.reason = reason.rawValue }
            return [condition]
        case .create: return [Condition("Ready", .no, reason: "Missing", message: change.summary)]
        case .untrash: return [Condition("Ready", .no, reason: "InTrash", message: change.summary)]
        case .adopt: return [Condition("Ready", .no, reason: "Released", message: change.summary)]
        case .withdraw, .takeDown, .release, .trash, .purge, .update:
            return [Condition("Ready", .no, reason: "Differs", message: change.summary)]
        case .due: return [Condition("Ready", .yes, reason: "Due", message: change.summary)]
        case .orphan:
            var condition = observed ?? Condition("Ready", .yes, reason: "NotDeclared", message: change.summary)
            if condition.status == .yes { condition.reason = "NotDeclared" }
            return [condition]
        case .blocked, .unsupported:
            let reason = change.reason?.rawValue ?? "Blocked"
            let isUnknown = change.reason == .unknown || change.reason == .repositoryUnreachable
            let status: Condition.Status = isUnknown ? .unknown : .no
            return [
                Condition("Ready", status, reason: reason, message: change.summary),
                Condition(
                    change.reason == .overflowed ? "Degraded" : "Stalled", .yes, reason: reason,
                    message: change.summary),
            ]
        }
    }
}
