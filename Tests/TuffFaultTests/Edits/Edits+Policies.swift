import TuffModel
import TuffTestSupport

extension Simulation {
    /// Its midnight is not UTC's, and its clocks never change.
    private static let zone = (name: "Asia/Kolkata", offset: Int64(19800))
    private static let label = "policy"

    /// Every day at midnight, far from the times at which the simulation's clock stands still.
    mutating func policy(_ edit: Edit, _ name: String, _ backend: Backend) -> Bool {
        let policy = "\(name)-daily"
        switch edit {
        case .removePolicy: return desired.snapshotPolicies.removeValue(forKey: policy) != nil
        case .deselect: return deselect(policy, name)
        case .keepRun: return keepRun(policy, name)
        default: break
        }
        let takesThem = backend == .lvm || machine.world.files.directories[Self.directory]?.sharesBlocks == true
        guard backend != .thick, takesThem, desired.volumes[name] != nil, !selects(policy, name) else { return false }
        var spec = SnapshotPolicySpec(volumes: .names([name]), schedule: Schedule(cron: "0 0 * * *"))
        if edit == .declareZonedPolicy {
            spec.volumes = .labels(LabelSelector(matchLabels: [Self.label: name]))
            spec.schedule.timeZone = Self.zone.name
            spec.schedule.jitter = TimeSpan(seconds: 3 * 3600)
            desired.volumes[name]?.metadata.labels[Self.label] = name
        }
        spec.keep = KeepRule()
        spec.keep?.last = 1
        desired.snapshotPolicies[policy] = Sample.declared(policy, spec)
        return true
    }

    private func selects(_ policy: String, _ name: String) -> Bool {
        desired.snapshotPolicies[policy].map { selected($0.spec).contains(name) } ?? false
    }

    private func selected(_ spec: SnapshotPolicySpec) -> Set<String> {
        switch spec.volumes {
        case .names(let names): Set(names)
        case .labels(let selector):
            Set(desired.volumes.values.filter { selector.matches($0.metadata.labels) }.map(\.metadata.name))
        }
    }

    /// Their selections in names, and their times in seconds beside UTC.
    func policyIntents() -> [String: Oracle.Intent.Policy] {
        desired.snapshotPolicies.mapValues { declared in
            var policy = Oracle.Intent.Policy(volumes: selected(declared.spec), keep: declared.spec.keep?.last)
            policy.offset = declared.spec.schedule.timeZone == Self.zone.name ? Self.zone.offset : 0
            policy.jitter = declared.spec.schedule.jitter?.seconds ?? 0
            return policy
        }
    }

    private mutating func deselect(_ policy: String, _ name: String) -> Bool {
        guard selects(policy, name) else { return false }
        if case .names? = desired.snapshotPolicies[policy]?.spec.volumes {
            desired.snapshotPolicies[policy]?.spec.volumes = .names(["another"])
        } else {
            desired.volumes[name]?.metadata.labels[Self.label] = nil
        }
        return true
    }

    /// Names one of the policy's snapshots in a document, or takes such a document back.
    private mutating func keepRun(_ policy: String, _ name: String) -> Bool {
        if let kept = desired.snapshots.keys.sorted().first(where: { $0.hasPrefix(policy) }) {
            desired.snapshots[kept] = nil
            return true
        }
        for object in OracleView(machine.world).objects.sorted(by: { $0.name < $1.name }) {
            guard case .ours(let marks) = Marks.read(object.tags), marks.until == nil,
                marks.occasion?.policy == policy, desired.volumes[name] != nil
            else { continue }
            desired.snapshots[marks.name] = Sample.declared(marks.name, SnapshotSpec(volume: name))
            return true
        }
        return false
    }
}
