import TuffModel
import TuffSchedule

/// The restore points that a policy's keep rule lets go, as the repository's listing tells.
///
/// Only points that this policy made of volumes of this host and stack which it selects, one series after the other, of
/// volumes that are gone too. Points of named Backups, points that are set aside and points that a document names are
/// outside of every rule.
extension PlanningPass {
    /// The verdict of keep rules on one repository.
    struct KeepJudgement {
        var expired: [ObservedPoint] = []
        /// A sentence for each volume of which points go.
        var notes: [String] = []
    }

    /// - Parameter view: of the repository with this name, which could be read.
    mutating func judgeByKeep(_ name: String, in view: RepositoryView, of desired: DesiredState) -> KeepJudgement {
        let named = pointsInDocuments(of: desired, about: name, in: view).union(builder.restoredPoints)
        var judgement = KeepJudgement()
        for (policy, declared) in desired.backupPolicies.inKeyOrder
        where declared.spec.repository == name && declared.spec.keep != nil {
            // A time zone that is not known is said on the policy's own line, and nothing is judged by it.
            guard case .success(let calendar) = calendar(of: declared.spec.schedule) else { continue }
            let selected = selected(by: declared.spec.volumes).filter { outcome(of: .volume($0)) != nil }
            for volume in selected {
                let own = view.points(of: volume).filter { isJudged($0, by: policy) }
                let series = Dictionary(grouping: own, by: \.uid).values.sorted { $0[0].time < $1[0].time }
                for points in series where !points.contains(where: { isOfFuture($0.time) }) {
                    let leaving = Self.leaving(points, by: declared.spec.keep, in: calendar.zone, now: context.now)
                        .filter { !named.contains($0.id) }
                    guard let last = leaving.last else { continue }
                    judgement.expired += leaving
                    judgement.notes.append(
                        "BackupPolicy/\(policy) keeps \(points.count - leaving.count) of \(points.count) of "
                            + "Volume/\(volume); those that go are of \(last.time) and older")
                }
            }
        }
        judgement.expired.sort { ($0.time, $0.id) < ($1.time, $1.id) }
        return judgement
    }

    /// Made by this policy, of a volume of this host and stack, and no Backup document's.
    func isJudged(_ point: ObservedPoint, by policy: String) -> Bool {
        point.policy == policy && point.backup == nil && point.uid != nil && !point.isSetAside
            && point.node == context.config.node && point.stack == context.stack
    }

    /// Later than the clock by more than a correction of it. One that this plan made itself is not.
    func isOfFuture(_ time: Instant) -> Bool {
        time.secondsSince1970 > max(context.now, observed.takenAt).secondsSince1970 + Self.clockTolerance
    }

    private static func leaving(
        _ points: [ObservedPoint], by rule: KeepRule?, in zone: ZoneRules, now: Instant
    ) -> [ObservedPoint] {
        let judged = points.map { RetentionPoint(id: $0.id, time: min($0.time, now), isUsable: $0.isHurt != true) }
        let leaving = Retention.leaving(of: judged, by: rule, in: zone, now: now)
        return points.filter { leaving.contains($0.id) }
    }

    /// Points that documents of this set name by id or by time: whoever waits for one still finds it.
    private func pointsInDocuments(
        of desired: DesiredState, about name: String, in view: RepositoryView
    ) -> Set<String> {
        var named: Set<String> = []
        // Sorting them costs more than judging them, and only restores ask for it.
        let all = desired.restores.isEmpty ? [] : view.names.flatMap(view.points).sorted { $0.time < $1.time }
        func keep(_ at: RestorePointName, among points: [ObservedPoint]) {
            switch at {
            case .latest: break
            case .id(let prefix): named.formUnion(points.map(\.id).filter { $0.hasPrefix(prefix) })
            case .notAfter(let time):
                // Of each series, since nothing tells here which is meant.
                let earlier = points.filter { $0.time <= time && !$0.isSetAside }
                let newest = Dictionary(grouping: earlier) { [$0.node, $0.stack, $0.uid?.description] }.values
                named.formUnion(newest.compactMap { $0.last?.id })
            }
        }
        for volume in desired.volumes.values {
            guard case .backup(let source)? = volume.spec.source, source.repository == name else { continue }
            keep(source.at, among: view.points(of: source.volume))
        }
        for restore in desired.restores.values {
            guard case .backup(name, let at) = restore.spec.from else { continue }
            // Under whatever name it was made, as the Restore finds it.
            keep(at, among: all.filter { $0.uid == restore.spec.volumeUID })
        }
        return named
    }
}
