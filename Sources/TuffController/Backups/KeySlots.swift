import TuffHost
package import TuffModel
package import TuffRepository

/// The keys that open an encrypted repository.
package enum KeySlots {
    /// - Parameter label: for people: whose key it is.
    package static func add(
        _ keyFile: String, label: String, to place: RepositoryPlace, listener: any Listener
    ) throws(BackupError) -> KeySlot {
        try add(keyFile, label: label, in: try place.open(listener: listener), listener: listener)
    }

    static func add(
        _ keyFile: String, label: String, in repository: Repository, listener: any Listener
    ) throws(BackupError) -> KeySlot {
        let secret = try KeyFile.forNewSlot(keyFile, listener: listener)
        return try inRepository { () throws(RepositoryError) in
            try repository.addKey(secret, label: label, now: HostFacts.now().description)
        }
    }

    /// - Parameter patience: how long the end of others' work in the repository is waited for; nil: not at all.
    package static func remove(
        _ id: FileID, from place: RepositoryPlace, purpose: String, patience: TimeSpan?, listener: any Listener
    ) throws(BackupError) {
        try remove(
            id, in: try place.open(listener: listener), purpose: purpose, patience: patience, progress: JobProgress())
    }

    static func remove(
        _ id: FileID, in repository: Repository, purpose: String, patience: TimeSpan?, progress: JobProgress
    ) throws(BackupError) {
        let lease = try repository.lease(.exclusive, purpose: purpose, patience: patience, progress: progress)
        defer { lease.giveBack() }
        try inRepository { () throws(RepositoryError) in try repository.removeKey(id) }
    }
}
