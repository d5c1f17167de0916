import TuffModel
import TuffPlanning

/// Backups that are late or fail, as conditions of their policies and repositories.
extension SurveyBuilder {
    func arrears() -> [ResourceID: [Condition]] {
        var found: [ResourceID: [Condition]] = [:]
        let late = BackupArrears(desired, seen: observed, context).overdue(by: observed.ledger)
        for (resource, backups) in Dictionary(grouping: late, by: \.backup.resource) {
            guard let since = backups.map(\.since).min() else { continue }
            found[resource, default: []].append(
                Condition(
                    since: since, reason: "Overdue",
                    message: Self.some(backups.map { $0.backup.sentence(since: $0.since) })))
        }
        let declared =
            desired.backupPolicies.keys.map { ResourceID(.backupPolicy, $0) }
            + desired.backupRepositories.keys.map { ResourceID(.backupRepository, $0) }
        for (name, policy) in desired.backupPolicies {
            guard let fault = fault(of: name, in: policy.spec.repository) else { continue }
            found[ResourceID(.backupPolicy, name), default: []].append(
                Condition(since: fault.since, reason: "Failing", message: "since \(fault.since): \(fault.sentence)"))
        }
        // The receipt of a verification has its findings, which are said once.
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
