import TuffModel

/// Content that a volume is rolled back to.
enum RestoreOrigin {
    case snapshot(CopySource)
    case point(BackupContent, of: ObservedPoint, warnings: [String])

    var size: ByteCount {
        switch self {
        case .snapshot(let source): source.size
        case .point(let content, _, _): content.size
        }
    }

    /// The object on this host that holds it; nil: it comes from elsewhere.
    var stored: StoredVolume? {
        switch self {
        case .snapshot(let source): source.stored
        case .point: nil
        }
    }

    /// The step that makes it, or changes it.
    var after: Int? {
        switch self {
        case .snapshot(let source): source.after
        case .point: nil
        }
    }

    var warnings: [String] {
        switch self {
        case .snapshot: []
        case .point(_, _, let warnings): warnings
        }
    }

    var word: String {
        switch self {
        case .snapshot: "the snapshot"
        case .point: "the restore point"
        }
    }

    var description: String {
        switch self {
        case .snapshot(let source): "\(source.resource)"
        case .point(let content, let point, _):
            "restore point \(point.id.prefix(8)) of \(point.time) in BackupRepository/\(content.repository)"
        }
    }

    func filling(_ volume: VolumeRef, _ operation: String) -> StorageStep {
        switch self {
        case .snapshot(let source): .volume(.fill(volume, source: source.stored.ref, operation: operation))
        case .point(let content, _, _): .volume(.fillFromBackup(volume, content: content, operation: operation))
        }
    }

    /// Why it does not fit. A snapshot is never larger than what it was taken of.
    func obstacle(in stored: StoredVolume) -> Obstacle? {
        guard case .point = self, let room = stored.size, size > room else { return nil }
        return Obstacle(
            .tooSmall,
            "the \(description) has \(size), and \(stored.location) has \(room); make the volume as large first, or "
                + "restore it as another one (source.backup)")
    }
}

extension ObservedPoint {
    /// Why nothing is restored from it: a restore would end at the block that it lacks, over half of a volume.
    func obstacle(in repository: String) -> Obstacle? {
        guard isHurt == true else { return nil }
        return Obstacle(
            .noRestorePoint,
            "restore point \(id.prefix(8)) of \(time) in BackupRepository/\(repository) lacks data, as a check found; "
                + "name another one by its id (at:), or see 'tuff backup check'")
    }
}

/// The points and snapshots that a Restore names.
extension PlanningPass {
    mutating func restoreOrigin(
        _ spec: RestoreSpec, _ stored: StoredVolume
    ) -> Result<RestoreOrigin, MissingSource> {
        switch spec.from {
        case .snapshot(let name): snapshotOrigin(name, of: stored)
        case .backup(let name, let at): pointOrigin(name, at, of: stored)
        }
    }

    private mutating func snapshotOrigin(
        _ name: String, of stored: StoredVolume
    ) -> Result<RestoreOrigin, MissingSource> {
        guard case .available(let snapshot, let after)? = outcome(of: .snapshot(name)), let size = snapshot.size,
            snapshot.marks.origin == stored.uid
        else {
            let place = isDeclared(.snapshot(name)) ? ", see its own line" : ""
            return missing(.dependencyBlocked, "Snapshot/\(name) is not available\(place)")
        }
        return .success(
            .snapshot(
                CopySource(
                    resource: ResourceID(.snapshot, name), stored: snapshot, size: size, after: after,
                    sharesBlocks: true)))
    }

    /// A point of the same volume: of its uid's series of this host and stack, under whatever name it had.
    ///
    /// One that was begun may be finished with another point, where `latest` means another one by now: all of the
    /// volume is compared with it.
    private func pointOrigin(
        _ name: String, _ at: RestorePointName, of stored: StoredVolume
    ) -> Result<RestoreOrigin, MissingSource> {
        let repository: RepositoryView
        switch self.repository(name) {
        case .success(let found): repository = found
        case .failure(let missing): return .failure(missing)
        }
        let series = repository.names.flatMap(repository.points).filter {
            $0.uid == stored.uid && $0.node == context.config.node && $0.stack == context.stack
        }.sorted { $0.time < $1.time }
        var fitting = series
        switch at {
        case .id(let prefix):
            fitting.removeAll { !$0.id.hasPrefix(prefix) }
            guard fitting.count < 2 else {
                return missing(.noRestorePoint, "\(fitting.count) restore points of it begin with \(prefix)")
            }
        case .latest, .notAfter:
            if let doubt = doubt(of: repository) { return .failure(doubt) }
            fitting.removeAll(where: \.isSetAside)
        }
        if case .notAfter(let time) = at { fitting.removeAll { $0.time > time } }
        guard let point = fitting.last else {
            let which =
                switch at {
                case .latest: ""
                case .notAfter(let time): " that is not after \(time)"
                case .id(let prefix): " whose id begins with \(prefix)"
                }
            return missing(
                .noRestorePoint,
                "BackupRepository/\(name) has no restore point\(which) of the volume with uid \(stored.uid)"
                    + (series.isEmpty ? "" : ", and \(series.count) others of it"))
        }
        if let obstacle = point.obstacle(in: name) { return .failure(MissingSource(obstacle: obstacle)) }
        let content = BackupContent(
            repository: name, access: repository.access, point: point.id, size: point.size, content: point.content)
        return .success(
            .point(content, of: point, warnings: repository.rollback.map { [$0.warning(in: name)] } ?? []))
    }

    /// Bytes that it has blocks for, as far as that is known, and otherwise all.
    func content(of origin: RestoreOrigin) -> ByteCount {
        switch origin {
        case .snapshot(let source): occupied(source.stored)
        case .point(let content, _, _): min(content.size, content.content)
        }
    }

    private func missing(_ reason: Reason, _ sentence: String) -> Result<RestoreOrigin, MissingSource> {
        .failure(MissingSource(obstacle: Obstacle(reason, sentence)))
    }
}
