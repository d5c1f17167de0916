import TuffModel

extension Linker {
    func checkBackups() {
        checkRepositories()
        checkFormats()
        checkBackupSources()
        checkDrills()
    }

    // MARK: Repositories

    private func checkRepositories() {
        var repositories: [BackupPlace: Declared<BackupRepositorySpec>] = [:]
        for repository in inOrder(.backupRepository, state.backupRepositories) {
            checkFields(of: repository)
            let place = BackupPlace(repository.spec.site)
            if let first = repositories[place] {
                error(
                    rule: "duplicate-repository", .backupRepository, repository, at: place.path,
                    complaint: "lies in \(place), as BackupRepository/\(first.metadata.name) does",
                    help: "that repository is declared at \(first.location)")
            } else {
                repositories[place] = repository
            }
        }
        let pools = pools.flatMap { pool in BackupPlace.of(pool.spec).map { ($0, pool) } }
        checkNesting(repositories, Dictionary(pools) { first, _ in first })
    }

    /// A repository that Cinder wrote is only read.
    private func checkFields(of repository: Declared<BackupRepositorySpec>) {
        guard repository.spec.format == .cinder else { return }
        for path in ["spec.create", "spec.encryption", "spec.compression", "spec.prune"]
        where repository.fields[path] != nil && (path != "spec.create" || repository.spec.creates) {
            error(
                rule: "field-without-effect", .backupRepository, repository, at: path,
                complaint: "has \(path), which is for repositories of format tuff",
                help: "remove it: what Cinder wrote is only read")
        }
    }

    /// A repository holds nothing but itself, and a pool nothing but volumes. What Cinder wrote is not changed, and
    /// others may lie beneath it.
    private func checkNesting(
        _ repositories: [BackupPlace: Declared<BackupRepositorySpec>], _ pools: [BackupPlace: Declared<PoolSpec>]
    ) {
        func refuse(_ repository: Declared<BackupRepositorySpec>, _ complaint: String) {
            error(
                rule: "nested-repository", .backupRepository, repository, at: BackupPlace(repository.spec.site).path,
                complaint: complaint, help: "give each a directory of its own")
        }
        for repository in inOrder(.backupRepository, state.backupRepositories) {
            let place = BackupPlace(repository.spec.site)
            let holders = place.parents.lazy.compactMap { repositories[$0] }
            if let outer = holders.first(where: { $0.spec.format == .tuff }) {
                refuse(repository, "lies in \(place), within BackupRepository/\(outer.metadata.name)")
            }
            if let pool = pools[place] ?? place.parents.lazy.compactMap({ pools[$0] }).first {
                refuse(repository, "lies in \(place), among the volumes of Pool/\(pool.metadata.name)")
            }
        }
        for pool in self.pools {
            let inner = BackupPlace.of(pool.spec).lazy.compactMap { place in
                place.parents.lazy.compactMap { repositories[$0] }.first { $0.spec.format == .tuff }
            }
            if let repository = inner.first { refuse(repository, "holds the directory of Pool/\(pool.metadata.name)") }
        }
    }

    /// Only `source.cinderBackup` reads what Cinder wrote, and it reads nothing else.
    private func checkFormats() {
        func check<Spec>(
            _ kind: Kind, _ declared: Declared<Spec>, uses name: String, of wanted: BackupRepositorySpec.Format,
            at path: String, verb: String, help: String
        ) {
            guard let repository = state.backupRepositories[name], repository.spec.format != wanted else { return }
            let found = repository.spec.format.rawValue
            error(
                rule: "wrong-format", kind, declared, at: path,
                complaint: "\(verb) BackupRepository/\(name), which has format: \(found)", help: help)
        }
        for volume in volumes {
            switch volume.spec.source {
            case .backup(let source)?:
                check(
                    .volume, volume, uses: source.repository, of: .tuff, at: "spec.source.backup.repository",
                    verb: "is restored from", help: "a backup that Cinder made is named by source.cinderBackup")
            case .cinderBackup(let name, _)?:
                check(
                    .volume, volume, uses: name, of: .cinder, at: "spec.source.cinderBackup.repository",
                    verb: "reads Cinder's backups in",
                    help: "write format: cinder in a repository of its own; a backup of Tuff's is named by "
                        + "source.backup")
            case .volume?, .snapshot?, .image?, nil: break
            }
        }
        let readOnly = "what Cinder wrote is only read: name a repository of format tuff"
        for policy in inOrder(.backupPolicy, state.backupPolicies) {
            check(
                .backupPolicy, policy, uses: policy.spec.repository, of: .tuff, at: "spec.repository",
                verb: "backs up to",
                help: readOnly)
        }
        for backup in inOrder(.backup, state.backups) {
            check(
                .backup, backup, uses: backup.spec.repository, of: .tuff, at: "spec.repository", verb: "backs up to",
                help: readOnly)
        }
        for restore in inOrder(.restore, state.restores) {
            guard case .backup(let name, _) = restore.spec.from else { continue }
            check(
                .restore, restore, uses: name, of: .tuff, at: "spec.from.backup.repository", verb: "restores from",
                help: "a new volume can have a backup of Cinder's as its source.cinderBackup")
        }
    }

    // MARK: Volumes

    private func checkBackupSources() {
        var keepers: [KeptSeries: Declared<VolumeSpec>] = [:]
        for volume in volumes {
            guard case .backup(let source)? = volume.spec.source else { continue }
            checkBlank(volume, source)
            guard source.identity == .keep else { continue }
            if volume.spec.identity != nil {
                error(
                    rule: "identity-twice", .volume, volume, at: "spec.identity",
                    complaint: "has an identity of its own, but keeps that of its backup",
                    help: "remove spec.identity, or write identity: new in spec.source.backup")
            }
            let series = KeptSeries(source, of: possiblePools(volume.spec.placement).first?.spec.node)
            if let first = keepers[series] {
                error(
                    rule: "duplicate-identity", .volume, volume, at: "spec.source.backup.identity",
                    complaint: "keeps the identity that Volume/\(first.metadata.name) keeps: \(series)",
                    help: "one disk cannot be there twice: write identity: new in one of them, or the uid of each")
            } else {
                keepers[series] = volume
            }
        }
    }

    /// A blank disk in the place of one that is named would be taken for it.
    private func checkBlank(_ volume: Declared<VolumeSpec>, _ source: BackupSource) {
        guard source.orBlank else { return }
        let isPoint = if case .id = source.at { true } else { false }
        guard isPoint || source.uid != nil else { return }
        error(
            rule: "blank-or-point", .volume, volume, at: "spec.source.backup.orBlank",
            complaint: "is blank where there is no backup, but names one by \(isPoint ? "its id" : "the volume's uid")",
            help: "remove orBlank, or \(isPoint ? "at" : "uid")")
    }

    // MARK: Policies

    /// A host restores and compares the volumes of its own pools.
    private func checkDrills() {
        for policy in inOrder(.backupPolicy, state.backupPolicies) {
            guard let drill = policy.spec.drill, let scratch = state.pools[drill.pool] else { continue }
            let isElsewhere = { (pool: Declared<PoolSpec>) in pool.spec.node != scratch.spec.node }
            for volume in selected(policy.spec.volumes) {
                guard let pool = possiblePools(volume.spec.placement).first(where: isElsewhere) else { continue }
                error(
                    rule: "drill-on-another-node", .backupPolicy, policy, at: "spec.drill.pool",
                    complaint: "drills Volume/\(volume.metadata.name) of \(pool.spec.node ?? "no node") in "
                        + "Pool/\(drill.pool) of \(scratch.spec.node ?? "no node")",
                    help: "name a pool of the volume's node, and write a policy for each node")
                break
            }
        }
    }

    private func selected(_ selection: VolumeSelection) -> [Declared<VolumeSpec>] {
        switch selection {
        case .names(let names): names.compactMap { state.volumes[$0] }
        case .labels(let selector): volumes.filter { selector.matches($0.metadata.labels) }
        }
    }
}

/// A directory that a repository or a pool has for itself: of this host, or of a server.
private struct BackupPlace: Hashable, CustomStringConvertible {
    var server: String?
    var directory: String

    init(server: String?, directory: String) {
        self.server = server
        self.directory = directory
    }

    init(_ site: BackupRepositorySpec.Site) {
        switch site {
        case .directory(let path): self.init(server: nil, directory: path)
        case .nfs(let share):
            self.init(server: share.server, directory: share.path.map { "\(share.export)/\($0)" } ?? share.export)
        }
    }

    static func of(_ pool: PoolSpec) -> [BackupPlace] {
        guard case .directory(let directory) = pool.backend else { return [] }
        let local = BackupPlace(server: nil, directory: directory.path)
        return [local] + (directory.nfs.map { [BackupPlace(.nfs($0))] } ?? [])
    }

    /// The directories that hold it, the nearest first.
    var parents: some Sequence<BackupPlace> {
        sequence(state: directory) { path -> BackupPlace? in
            guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return nil }
            path = String(path[..<slash])
            return BackupPlace(server: server, directory: path)
        }
    }

    /// The field of a repository that names it.
    var path: String { server == nil ? "spec.directory.path" : "spec.nfs" }

    var description: String {
        server.map { NFSShare(server: $0, export: directory).source } ?? directory
    }
}

/// The volume whose identity a source keeps, as far as documents tell: one of several that had the name, without a uid.
private struct KeptSeries: Hashable, CustomStringConvertible {
    var node: String?
    var stack: String?
    var volume: String
    var uid: UID?

    /// - Parameter home: the node of the volume's pool, whose series it is without `node`.
    init(_ source: BackupSource, of home: String?) {
        // A uid is one volume's in whatever repository, and under whatever name.
        uid = source.uid
        node = uid == nil ? source.node ?? home : nil
        stack = uid == nil ? source.stack : nil
        volume = uid == nil ? source.volume : ""
    }

    var description: String { uid.map { "that of uid \($0)" } ?? "that of '\(volume)'" }
}
