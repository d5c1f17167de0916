import TuffModel
import TuffPlanning

/// Backups that are late or fail, as conditions of their policies and repositories.
extension SurveyBuilder {
    func arrears() -> [ResourceID: [Condition]] {
        var found: [ResourceID: [Condition]] = [:]
        let late = BackupArrears(desired, seen: observed, context).overdue(by: observed.ledger).map {
            (resource: $0.backup.resource, since: $0.since, sentence: $0.backup.sentence(since: $0.since))
        }
        for (resource, works) in Dictionary(grouping: late + lateDrills, by: \.resource) {
            guard let since = works.map(\.since).min() else { continue }
            found[resource, default: []].append(
                Condition(since: since, reason: "Overdue", message: Self.some(works.map(\.sentence))))
        }
        let declared =
            desired.backupPolicies.keys.map { ResourceID(.backupPolicy, $0) }
            + desired.backupRepositories.keys.map { ResourceID(.backupRepository, $0) }
        for (name, policy) in desired.backupPolicies {
            let faults = [fault(of: name, in: policy.spec.repository)].compactMap(\.self) + drillFaults(of: policy)
            guard let since = faults.map(\.since).min() else { continue }
            found[ResourceID(.backupPolicy, name), default: []].append(
                Condition(
                    since: since, reason: "Failing", message: "since \(since): " + Self.some(faults.map(\.sentence))))
        }
        // The receipt of a verification or drill has its findings, which are said once.
        for resource in declared where found[resource]?.contains(where: { $0.type == "Failing" }) != true {
            let failures = observed.ledger.failures(of: resource, in: context.stack)
            guard let since = failures.map(\.since).min() else { continue }
            let sentences = failures.map { failure in
                let volume = failure.work.uid.flatMap { index.volume($0)?.marks.name }.map { "Volume/\($0): " } ?? ""
                return volume + (failure.error ?? "it failed when it was last tried")
            }
            found[resource, default: []].append(
                Condition(since: since, reason: "Failing", message: "since \(since): " + Self.some(sentences)))
        }
        return found
    }

    /// Drills that were to be done a while ago.
    private var lateDrills: [(resource: ResourceID, since: Instant, sentence: String)] {
        backups.drills.values.compactMap { times in
            guard let since = times.missedSince,
                context.now.secondsSince1970 - since.secondsSince1970 > BackupArrears.grace
            else { return nil }
            let history = times.lastGood.map { "the last one that went well is of \($0.time)" } ?? "none went well yet"
            return (
                ResourceID(.backupPolicy, times.policy), since,
                "a volume was to be restored for practice at \(since), and \(history)"
            )
        }
    }

    /// Findings of the last drills of volumes that the policy still selects.
    private func drillFaults(of policy: Declared<BackupPolicySpec>) -> [(since: Instant, sentence: String)] {
        let selected = Set(
            desired.volumes.values.filter { policy.spec.volumes.includes($0.metadata) }.map(\.metadata.name))
        return (backups.drills[policy.metadata.name]?.faults ?? []).filter { selected.contains($0.volume ?? "") }
            .map { ($0.time, $0.fault ?? "") }
    }

    /// The fault that the newest verification for a policy of this host found, and when.
    private func fault(of policy: String, in repository: String) -> (since: Instant, sentence: String)? {
        guard case .known(let seen?)? = observed.repositories?[repository] else { return nil }
        let newest = seen.receipts?.last {
            $0.work == .verify && $0.policy == policy && $0.node == context.config.node && $0.stack == context.stack
        }
        return newest.flatMap { receipt in receipt.fault.map { (receipt.time, "what is stored is not whole: \($0)") } }
    }

    /// A policy may have a hundred volumes, and one line.
    private static func some(_ sentences: [String]) -> String {
        let more = sentences.count > 3 ? "; and \(sentences.count - 3) more" : ""
        return sentences.prefix(3).joined(separator: "; ") + more
    }
}

extension Condition {
    /// One whose type is its reason.
    fileprivate init(since: Instant, reason: String, message: String) {
        self.init(reason, .yes, reason: reason, message: message)
        self.since = since
    }
}
