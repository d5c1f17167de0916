import TuffModel
import TuffTestSupport

/// Named Backups, Restores from them, and a repository that goes away and comes back.
extension Simulation {
    static let repository = "/srv/backups/nas"
    private static let elsewhere = "/mnt/elsewhere"

    mutating func editBackups(_ edit: Edit, _ name: String) -> Bool {
        let backup = "\(name)-kept"
        switch edit {
        case .declareBackup:
            guard desired.volumes[name] != nil, desired.backups[backup] == nil else { return false }
            if desired.backupRepositories["nas"] == nil {
                var spec = BackupRepositorySpec(site: .directory(Self.repository))
                spec.creates = true
                desired.backupRepositories["nas"] = Sample.declared("nas", spec)
            }
            desired.backups[backup] = Sample.declared(backup, BackupSpec(volume: name, repository: "nas"))
        case .dropPoint:
            guard machine.world.repositories[Self.repository]?.points.isEmpty == false else { return false }
            meddle { $0.repositories[Self.repository]?.points.removeAll { $0.backup == backup } }
        case .loseRepository:
            let (from, to) =
                machine.world.repositories[Self.repository] == nil
                ? (Self.elsewhere, Self.repository) : (Self.repository, Self.elsewhere)
            guard let repository = machine.world.repositories[from] else { return false }
            meddle { world in
                world.repositories[to] = repository
                world.repositories[from] = nil
            }
        default: return restoreBackup(name)
        }
        return true
    }

    private mutating func restoreBackup(_ name: String) -> Bool {
        let undo = "\(name)-back"
        let tags = OracleView(machine.world).objects.first { $0.tags.contains("tuff:vol=\(name)") }?.tags
        guard desired.volumes[name] != nil, desired.backupRepositories["nas"] != nil, desired.restores[undo] == nil,
            case .ours(let marks)? = tags.map({ Marks.read($0) })
        else { return false }
        desired.restores[undo] = Sample.declared(
            undo, RestoreSpec(volume: name, volumeUID: marks.uid, from: .backup(repository: "nas", at: .latest)))
        return true
    }

    /// Documents that name a volume which none declares any more.
    mutating func forgetBackups(of name: String) {
        for (key, backup) in desired.backups where backup.spec.volume == name { desired.backups[key] = nil }
        for (key, restore) in desired.restores where restore.spec.volume == name {
            if case .backup = restore.spec.from { desired.restores[key] = nil }
        }
    }

    /// What stands for the content of each restore point of a volume.
    func stamps(ofPointsOf uid: String) -> Set<UInt64> {
        Set(
            machine.world.repositories.values.flatMap { repository in
                repository.points.filter { $0.uid?.description == uid }.compactMap { repository.stamps[$0.id] }
            })
    }
}
