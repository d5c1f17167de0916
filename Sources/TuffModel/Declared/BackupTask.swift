/// One restore point that is to be made: of which volume, where, and what is to be said of it.
package struct BackupTask: Hashable, Codable, Sendable {
    /// Name of the BackupRepository.
    package var repository: String
    package var access: RepositoryAccess
    /// Level of zstd; nil: nothing is compressed.
    package var level: Int?
    /// The series: name, stack, node and uid of the volume.
    package var volume: String
    package var stack: String
    package var node: String
    package var uid: UID
    /// Time of the snapshot that is read; nil: when reading begins.
    package var time: Instant?
    package var policy: String?
    /// The Backup document.
    package var backup: String?
    package var labels: [String: String]
    /// The volume as a document, to have it again where nothing else is left.
    package var document: String?
    /// The parts of the source that have to be read, as far as they are known when it is carried out; nil: all.
    package var reading: BackupReading?

    package init(
        of volume: String, stack: String, node: String, uid: UID, to repository: String, _ access: RepositoryAccess,
        level: Int? = 1
    ) {
        self.repository = repository
        self.access = access
        self.level = level
        self.volume = volume
        self.stack = stack
        self.node = node
        self.uid = uid
        labels = [:]
    }
}
