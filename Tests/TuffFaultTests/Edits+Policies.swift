import TuffModel
import TuffTestSupport

extension Simulation {
    /// Every day at midnight, far from the times at which the simulation's clock stands still.
    mutating func policy(_ edit: Edit, _ name: String, _ backend: Backend) -> Bool {
        let policy = "\(name)-daily"
        guard edit == .declarePolicy else { return desired.snapshotPolicies.removeValue(forKey: policy) != nil }
        guard backend == .lvm, desired.volumes[name] != nil, desired.snapshotPolicies[policy] == nil else {
            return false
        }
        var spec = SnapshotPolicySpec(volumes: .names([name]), schedule: Schedule(cron: "0 0 * * *"))
        spec.keep = KeepRule()
        spec.keep?.last = 1
        desired.snapshotPolicies[policy] = Sample.declared(policy, spec)
        return true
    }
}
