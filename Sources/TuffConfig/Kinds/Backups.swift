import TuffModel

extension Shape where Value == BackupRepositorySpec {
    static let backupRepository = object(
        exactlyOne(
            choice("nfs", .nfsDirectory, doc: "On an NFS server, mounted by Tuff.") {
                BackupRepositorySpec.Site.nfs($0)
            },
            choice("directory", .repositoryDirectory, doc: "In a directory of the host.") { .directory($0) }),
        defaulted(
            "format", .word, to: "tuff",
            doc: "`cinder`: what OpenStack Cinder wrote, only read, and only for `source.cinderBackup`."),
        defaulted(
            "create", .truth, to: "false",
            doc: "Make it where nothing is, with `--allow-repository-create`; never beside one that is damaged."),
        optional("encryption", .encryption, doc: "Without it the repository is not encrypted."),
        defaulted("compression", .compression, to: "zstd", doc: "`zstd` (level 1), `zstd:LEVEL` or `none`."),
        optional("prune", .prune, doc: "Removal of points that no rule keeps, and of packs; daily without.")
    ) { site, format, creates, key, compression, prune in
        var spec = BackupRepositorySpec(site: site)
        spec.format = format
        spec.creates = creates
        spec.key = key
        spec.compression = compression
        if let prune { spec.prune = prune }
        return spec
    }
}

extension Shape where Value == Schedule {
    fileprivate static let prune = object(
        defaulted(
            "schedule", .cron, to: BackupRepositorySpec.standardPrune.cron,
            doc: "When, in UTC; the first host that is due does it for all."),
        defaulted("jitter", .duration, to: "30m", doc: "Spreads the start by up to this much.")
    ) { Schedule(cron: $0, jitter: $1) }
}

extension Shape where Value == String {
    fileprivate static let repositoryDirectory = object(
        required("path", .path, doc: "The directory, beneath one of the controller's `allow.directories`.")
    ) { $0 }
}

extension Shape where Value == SecretReference {
    fileprivate static let encryption = object(
        required("keyFrom", .secretReference, doc: "Opens one of the repository's key slots."),
        reserved: ReservedWord.inlineSecrets
    ) { $0 }
}

extension Shape where Value == BackupRepositorySpec.Compression {
    static let compression = text(
        "zstd, zstd:LEVEL with a level from 1 to 19, or none", rule: "invalid-compression",
        pattern: "^(none|zstd(:([1-9]|1[0-9]))?)$"
    ) { text in
        switch text {
        case "none": return BackupRepositorySpec.Compression.none
        case "zstd": return .zstd(level: 1)
        default:
            let levels = (1...19).first { text == "zstd:\($0)" }
            return levels.map { .zstd(level: $0) }
        }
    }
}

extension Shape where Value == BackupSpec {
    static let backup = object(
        required("volume", .name, doc: "The volume that is backed up, once."),
        required("repository", .name, doc: "The BackupRepository."),
        build: BackupSpec.init(volume:repository:))
}

private let pointDoc = "`latest`, an RFC 3339 time (the newest point not after it), or a restore point id."

extension Shape where Value == RestoreSpec {
    static let restore = object(
        required("volume", .name, doc: "The detached volume that is rolled back, once."),
        required(
            "volumeUID", .uid,
            doc: "Its uid (`tuff get volumes -o wide`): for another disk of the same name it does nothing."),
        required("from", .restoreSource, doc: "What it is rolled back to."),
        build: RestoreSpec.init(volume:volumeUID:from:))
}

extension Shape where Value == RestoreSpec.Source {
    static let restoreSource = object(
        exactlyOne(
            choice("snapshot", .name, doc: "A snapshot of this volume.") { RestoreSpec.Source.snapshot($0) },
            choice("backup", .backupOfThis, doc: "A restore point of this volume.") { $0 })
    ) { $0 }

    private static let backupOfThis = object(
        required("repository", .name, doc: "The BackupRepository."),
        defaulted("at", .restorePoint, to: "latest", doc: pointDoc)
    ) { RestoreSpec.Source.backup(repository: $0, at: $1) }
}

extension Shape where Value == BackupSource {
    static let backupOfVolume = object(
        required("repository", .name, doc: "The BackupRepository."),
        required("volume", .name, doc: "The volume that was backed up; it need not exist any more."),
        defaulted("at", .restorePoint, to: "latest", doc: pointDoc),
        defaulted(
            "identity", .word, to: "new",
            doc: "`keep`: the same disk for initiators, refused while its uid exists here."),
        optional("node", .name, doc: "The host whose series it is; this one without."),
        optional("stack", .name, doc: "The stack whose series it is; this one without."),
        optional("uid", .uid, doc: "The volume's uid, where several volumes had the name."),
        defaulted("orBlank", .truth, to: "false", doc: "Blank where no such series exists: for the first creation."),
        defaulted("instant", .truth, to: "false", doc: "May be attached at once; its content arrives behind.")
    ) { repository, volume, at, identity, node, stack, uid, orBlank, instant in
        var source = BackupSource(repository: repository, volume: volume)
        source.at = at
        source.identity = identity
        source.node = node
        source.stack = stack
        source.uid = uid
        source.orBlank = orBlank
        source.instant = instant
        return source
    }
}
