import TuffModel
import TuffPlanning

/// Repositories, policies and backups beside what was seen of them.
struct BackupSurvey {
    let series: [SeriesFacts]
    let times: [BackupTimes]
    /// Of policies that ask for them.
    let drills: [String: DrillTimes]
    private let now: Instant
    private let byUID: [UID?: [SeriesFacts]]
    private let byVolume: [String: [BackupTimes]]

    init(
        _ desired: DesiredState, in observed: ObservedState, for context: PlanContext, using usable: (String) -> Bool
    ) {
        now = context.now
        times = Planner.backupTimes(desired: desired, observed: observed, context: context)
        drills = Planner.drillTimes(desired: desired, observed: observed, context: context)
        series = desired.backupRepositories.keys.sorted().flatMap { name -> [SeriesFacts] in
            guard usable(name), case .known(let found?)? = observed.repositories?[name] else { return [] }
            return Self.series(of: found, in: name, desired, context)
        }
        byUID = Dictionary(grouping: series.filter(\.isOwn), by: \.uid)
        byVolume = Dictionary(grouping: times, by: \.volume)
    }

    private struct Key: Hashable {
        var volume: String
        var node: String?
        var stack: String?
        var uid: UID?
    }

    private static func series(
        of found: ObservedRepository, in repository: String, _ desired: DesiredState, _ context: PlanContext
    ) -> [SeriesFacts] {
        let policies = desired.backupPolicies.values.filter { $0.spec.repository == repository }
        let all = Dictionary(grouping: found.points) {
            Key(volume: $0.volume, node: $0.node, stack: $0.stack, uid: $0.uid)
        }
        return all.map { key, points in
            let isOwn = key.node == context.config.node && key.stack == context.stack
            let selecting = policies.filter { policy in
                if case .names(let names) = policy.spec.volumes { return names.contains(key.volume) }
                return desired.volumes[key.volume].map { policy.spec.volumes.includes($0.metadata) } ?? false
            }
            return SeriesFacts(
                repository: repository, volume: key.volume, node: key.node, stack: key.stack, uid: key.uid,
                points: points, policies: isOwn ? selecting.map(\.metadata.name).sorted() : [], isOwn: isOwn)
        }.sorted { ($0.volume, $0.name) < ($1.volume, $1.name) }
    }

    /// Of a volume that is here.
    func backups(of name: String, uid: UID) -> VolumeBackups {
        let times = byVolume[name] ?? []
        let practices = times.compactMap { drills[$0.policy]?.last(of: name) }.filter { $0.uid == uid }
        return VolumeBackups(
            series: byUID[uid] ?? [], times: times, drill: practices.max { $0.time < $1.time }, now: now)
    }

    /// Series of this host and stack that no policy selects, without the points of Backup documents.
    func unkept(_ desired: DesiredState) -> [SeriesFacts] {
        series.compactMap { series in
            guard series.isOwn, series.policies.isEmpty else { return nil }
            var rest = series
            rest.points.removeAll { point in
                point.backup.flatMap { desired.backups[$0] }?.spec.repository == series.repository
            }
            return rest.points.isEmpty ? nil : rest
        }
    }
}

extension SurveyBuilder {
    /// True for a repository that the plan can take points of, though nothing may be removed from it now.
    static func isUsable(_ changes: [ResourceID: PlannedChange], _ repository: String) -> Bool {
        guard let change = changes[ResourceID(.backupRepository, repository)] else { return false }
        return [.unchanged, .due, .update].contains(change.action)
            || [.pointsDamaged, .clockAhead].contains(change.reason)
    }

    func backupRecords() -> [ResourceRecord] {
        repositoryRecords() + policyRecords() + documentRecords() + unkeptRecords()
    }

    private func repositoryRecords() -> [ResourceRecord] {
        desired.backupRepositories.map { name, declared in
            let id = ResourceID(.backupRepository, name), change = changes[id]
            var facts = RepositoryFacts(declared: declared, series: backups.series.filter { $0.repository == name })
            if Self.isUsable(changes, name), case .known(let found?)? = observed.repositories?[name] {
                facts.seen = found
            }
            var conditions = conditions(change, observed: nil)
            if change?.action == .unchanged, change?.reason == .rolledBack {
                conditions[0].reason = "AsDeclared"
                facts.rollback = rollback(of: name, declared.spec, facts.seen)
                conditions.append(
                    Condition(
                        "Degraded", .yes, reason: Reason.rolledBack.rawValue,
                        message: change?.notes.first ?? "it is older than this host remembers"))
            } else if let damaged = facts.seen?.damaged, damaged > 0 {
                // Beside them nothing is told as late or missing: one of them may be the newest.
                conditions.append(
                    Condition(
                        "Degraded", .yes, reason: Reason.pointsDamaged.rawValue,
                        message: PrintedText.count(damaged, "restore point")
                            + " cannot be read, so whether backups are late or missing is not known; see "
                            + "'tuff backup check'"))
            }
            return ResourceRecord(
                id: id, location: declared.location, labels: declared.metadata.labels, conditions: conditions,
                facts: .repository(facts))
        }
    }

    private func rollback(
        of name: String, _ spec: BackupRepositorySpec, _ seen: ObservedRepository?
    ) -> RepositoryMemory.Rollback? {
        let place = spec.site.description
        guard let seen,
            let known = observed.ledger.repository(name, stack: context.stack, at: place, id: seen.id),
            known.id == seen.id
        else { return nil }
        return RepositoryMemory(
            of: seen, named: name, at: spec.site, since: known, node: context.config.node, stack: context.stack,
            now: context.now
        ).rollback
    }

    /// A policy that selects no volume does nothing and fails at nothing, and is nearly always a mistake.
    func emptySelection(_ selection: VolumeSelection) -> [Condition] {
        guard !desired.volumes.values.contains(where: { selection.includes($0.metadata) }) else { return [] }
        return [
            Condition(
                "Degraded", .yes, reason: "SelectsNothing",
                message: "no volume has the labels of spec.volumes: it does nothing")
        ]
    }

    private func policyRecords() -> [ResourceRecord] {
        desired.backupPolicies.compactMap { name, declared in
            let id = ResourceID(.backupPolicy, name)
            // Another node's has no line.
            guard let change = changes[id] else { return nil }
            return ResourceRecord(
                id: id, location: declared.location, labels: declared.metadata.labels,
                conditions: conditions(change, observed: nil) + emptySelection(declared.spec.volumes),
                facts: .backupPolicy(
                    BackupPolicyFacts(
                        declared: declared, volumes: backups.times.filter { $0.policy == name },
                        drills: backups.drills[name], now: context.now)))
        }
    }

    private func documentRecords() -> [ResourceRecord] {
        desired.backups.compactMap { name, declared in
            let id = ResourceID(.backup, name)
            guard let change = changes[id] else { return nil }
            var facts = BackupFacts(
                declared: declared, repository: declared.spec.repository, volume: declared.spec.volume)
            if change.action == .unchanged {
                facts.point = backups.series.filter { $0.isOwn && $0.repository == facts.repository }
                    .flatMap(\.points).first { $0.backup == name }
            }
            return ResourceRecord(
                id: id, location: declared.location, labels: declared.metadata.labels,
                conditions: conditions(change, observed: nil), facts: .backup(facts))
        }
    }

    private func unkeptRecords() -> [ResourceRecord] {
        backups.unkept(desired).map { series in
            let points = series.points.count == 1 ? "1 restore point" : "\(series.points.count) restore points"
            return ResourceRecord(
                id: ResourceID(.backup, series.name), location: nil, labels: [:],
                conditions: [
                    Condition(
                        "Ready", .yes, reason: "NotKept",
                        message: "\(points) of '\(series.volume)' in BackupRepository/\(series.repository), which no "
                            + "policy keeps or lets go; they stay")
                ],
                facts: .backup(
                    BackupFacts(
                        repository: series.repository, volume: series.volume, point: series.newest,
                        count: series.points.count)))
        }
    }
}
