import TuffModel

extension Shape where Value == BackupRepositorySpec {
    static let backupRepository = object(
        exactlyOne(
            choice("nfs", .nfs, doc: "On an NFS server, mounted by Tuff.") { BackupRepositorySpec.Location.nfs($0) },
            choice("directory", .repositoryDirectory, doc: "In a directory of the host.") { .directory($0) }),
        optional("encryption", .encryption, doc: "Without it the repository is not encrypted."),
        defaulted("compression", .compression, to: "zstd", doc: "`zstd` (level 1), `zstd:LEVEL` or `none`.")
    ) { location, encryptionKey, compression in
        var spec = BackupRepositorySpec(location: location)
        spec.encryptionKey = encryptionKey
        spec.compression = compression
        return spec
    }
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
            choice("backup", .restorePoint, doc: "A restore point of this volume.") { .backup($0) })
    ) { $0 }
}
