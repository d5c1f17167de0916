import TuffModel

/// Volumes that begin with a backup of OpenStack Cinder's: filled as from a restore point, by the same step, out of a
/// share that is only read.
extension PlanningPass {
    /// Names of the repositories that hold restore points of Tuff's.
    var ownRepositories: [String] { repositories.keys.filter { backupRepositories[$0]?.spec.format != .cinder } }

    /// The backup that `source.cinderBackup` names by Cinder's id.
    func cinderBackup(_ id: String, in name: String) -> Result<OutsideContent?, MissingSource> {
        func missing(_ reason: Reason, _ sentence: String) -> Result<OutsideContent?, MissingSource> {
            .failure(MissingSource(obstacle: Obstacle(reason, sentence)))
        }
        let repository: RepositoryView
        switch self.repository(name) {
        case .success(let found): repository = found
        case .failure(let missing): return .failure(missing)
        }
        guard let point = repository.names.flatMap(repository.points).first(where: { $0.id == id }) else {
            let others =
                repository.damaged == 0
                ? "" : ", and \(repository.damaged) that are not whole; 'tuff backup ls --cinder' says why"
            return missing(
                .noRestorePoint, "BackupRepository/\(name) has no whole backup \(id) of Cinder's\(others)")
        }
        let content = BackupContent(
            repository: name, access: repository.access, point: point.id, size: point.size, content: point.content)
        var result = OutsideContent(
            origin: .point(content, of: point), size: point.size, content: min(point.size, point.content))
        if let cinder = point.cinder {
            let volume = cinder.volumeName.map { "'\($0)', " } ?? ""
            let backup = cinder.name.map { ", backup '\($0)'" } ?? ""
            result.notes = ["in OpenStack it is the volume \(volume)\(cinder.volume)\(backup)"]
        }
        return .success(result)
    }
}
