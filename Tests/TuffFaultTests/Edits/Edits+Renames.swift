import TuffModel
import TuffPlanning
import TuffTestSupport

/// Documents that get another name: said or not, and taken back or not.
extension Simulation {
    /// - Returns: false where there is no document to rename, or the new name is taken.
    mutating func editName(_ edit: Edit, _ name: String) -> Bool {
        let longer = "\(name)x"
        switch edit {
        case .rename: return retitle(name, longer, isSaid: true)
        // Nobody renames a name for ever.
        case .renamePlainly: return name.hasSuffix("y") ? false : retitle(name, "\(name)y", isSaid: false)
        default:
            let present = desired.volumes[longer] == nil ? name : longer
            guard present.hasSuffix("x") else { return false }
            return retitle(present, String(present.dropLast()), isSaid: edit == .renameBack)
        }
    }

    private mutating func retitle(_ name: String, _ other: String, isSaid: Bool) -> Bool {
        guard desired.volumes[other] == nil, var declared = desired.volumes.removeValue(forKey: name) else {
            return false
        }
        declared.metadata = Metadata(name: other, annotations: isSaid ? ["tuff.dev/renamed-from": name] : [:])
        desired.volumes[other] = declared
        for (key, attachment) in desired.attachments where attachment.spec.volume == name {
            desired.attachments[key]!.spec.volume = other
        }
        for (key, snapshot) in desired.snapshots where snapshot.spec.volume == name {
            desired.snapshots[key]!.spec.volume = other
        }
        for (key, volume) in desired.volumes where volume.spec.source == .volume(name) {
            desired.volumes[key]!.spec.source = .volume(other)
        }
        for (key, restore) in desired.restores where restore.spec.volume == name {
            desired.restores[key]!.spec.volume = other
        }
        for (key, backup) in desired.backups where backup.spec.volume == name {
            desired.backups[key]!.spec.volume = other
        }
        return true
    }

    /// The name that a volume's document has now, if it may have been renamed.
    func place(_ name: String) -> String { desired.volumes["\(name)x"] == nil ? name : "\(name)x" }

    /// Names of the volumes and snapshots that documents have in this moment, as a person says of all that they are
    /// new.
    var declaredNames: [ResourceID] {
        let volumes = desired.volumes.keys.map { ResourceID(.volume, $0) }
        return (volumes + desired.snapshots.keys.map { ResourceID(.snapshot, $0) }).sorted()
    }

    /// Resources of which the plan says that they are new though something of their identity was there before.
    static func announced(_ plan: Plan?) -> Set<String> {
        Set(
            (plan?.changes ?? []).filter { $0.notes.contains { $0.contains("this is a new one") } }.map(\.resource.name)
        )
    }

    /// From this stack's documents to another's, and back.
    mutating func move(_ name: String, away: Bool) -> Bool {
        guard away else {
            guard desired.volumes[name] == nil, let declared = other.volumes.removeValue(forKey: name) else {
                return false
            }
            desired.volumes[name] = declared
            return true
        }
        guard let declared = desired.volumes[name], other.volumes[name] == nil, declared.spec.source == nil,
            case .pool = declared.spec.placement
        else { return false }
        withdrawDocument(name)
        other.volumes[name] = declared
        return true
    }
}

/// The documents of a second stack on the host, and what they could not have.
struct OtherStack: Sendable {
    static let name = "lab"

    var volumes: [String: Declared<VolumeSpec>] = [:]
    /// Volumes that were not there after its last pass, and when that was.
    var waits: [String: Int64] = [:]
    var isActing = false

    func documents(pools: [String: Declared<PoolSpec>]) -> DesiredState {
        var desired = DesiredState()
        desired.pools = pools
        desired.volumes = volumes
        return desired
    }

    mutating func noteWaits(_ outcome: Simulation.Outcome, _ view: OracleView, now: Int64) {
        guard outcome.error == nil, outcome.refusal == nil else { return }
        waits = [:]
        for name in volumes.keys
        where !view.objects.contains(where: { $0.stack == Self.name && $0.label == name && $0.isLive }) {
            waits[name] = now
        }
    }
}
