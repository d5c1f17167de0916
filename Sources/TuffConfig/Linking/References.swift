import TuffModel

/// A field that names another resource of the set.
struct Reference: Sendable {
    /// Dotted path of the field.
    var path: String
    var target: ResourceID

    init(_ path: String, _ kind: Kind, _ name: String) {
        self.path = path
        target = ResourceID(kind, name)
    }
}

/// A spec whose fields may name other resources.
protocol Referring {
    var references: [Reference] { get }
}

extension PoolSpec: Referring {
    var references: [Reference] { [] }
}

extension VolumeSpec: Referring {
    var references: [Reference] {
        var result: [Reference] = []
        if case .pool(let name) = placement { result.append(Reference("spec.pool", .pool, name)) }
        switch source {
        case .volume(let name)?: result.append(Reference("spec.source.volume", .volume, name))
        case .snapshot(let name)?: result.append(Reference("spec.source.snapshot", .snapshot, name))
        case .backup(let backup)?:
            result.append(Reference("spec.source.backup.repository", .backupRepository, backup.repository))
        case .cinderBackup(let repository, _)?:
            result.append(Reference("spec.source.cinderBackup.repository", .backupRepository, repository))
        case .image?, nil: break
        }
        return result
    }
}

extension AttachmentSpec: Referring {
    var references: [Reference] { [Reference("spec.volume", .volume, volume)] }
}

extension SnapshotSpec: Referring {
    var references: [Reference] { [Reference("spec.volume", .volume, volume)] }
}

extension VolumeSelection {
    fileprivate var references: [Reference] {
        guard case .names(let names) = self else { return [] }
        return names.enumerated().map { Reference("spec.volumes.names.\($0.offset)", .volume, $0.element) }
    }
}

extension SnapshotPolicySpec: Referring {
    var references: [Reference] { volumes.references }
}

extension BackupRepositorySpec: Referring {
    var references: [Reference] { [] }
}

extension BackupPolicySpec: Referring {
    var references: [Reference] { volumes.references + [Reference("spec.repository", .backupRepository, repository)] }
}

extension BackupSpec: Referring {
    var references: [Reference] {
        [Reference("spec.volume", .volume, volume), Reference("spec.repository", .backupRepository, repository)]
    }
}

extension RestoreSpec: Referring {
    var references: [Reference] {
        let source =
            switch from {
            case .snapshot(let name): Reference("spec.from.snapshot", .snapshot, name)
            case .backup(let backup): Reference("spec.from.backup.repository", .backupRepository, backup.repository)
            }
        return [Reference("spec.volume", .volume, volume), source]
    }
}
