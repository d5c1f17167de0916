import TuffModel
import TuffTestSupport

extension Simulation {
    /// Every day at midnight, far from the times at which the simulation's clock stands still.
    mutating func policy(_ edit: Edit, _ name: String, _ backend: Backend) -> Bool {
        let policy = "\(name)-daily"
        switch edit {
        case .removePolicy: return desired.snapshotPolicies.removeValue(forKey: policy) != nil
        case .deselect:
            guard desired.snapshotPolicies[policy]?.spec.volumes == .names([name]) else { return false }
            desired.snapshotPolicies[policy]?.spec.volumes = .names(["another"])
            return true
        case .keepRun: return keepRun(policy, name)
        default: break
        }
        let takesThem = backend == .lvm || machine.world.files.directories[Self.directory]?.sharesBlocks == true
        guard backend != .thick, takesThem, desired.volumes[name] != nil,
            desired.snapshotPolicies[policy]?.spec.volumes != .names([name])
        else { return false }
        var spec = SnapshotPolicySpec(volumes: .names([name]), schedule: Schedule(cron: "0 0 * * *"))
        spec.keep = KeepRule()
        spec.keep?.last = 1
        desired.snapshotPolicies[policy] = Sample.declared(policy, spec)
        return true
    }

    /// Names one of the policy's snapshots in a document, or takes such a document back.
    private mutating func keepRun(_ policy: String, _ name: String) -> Bool {
        if let kept = desired.snapshots.keys.first(where: { $0.hasPrefix(policy) }) {
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
