package import TuffModel

/// A request to a worker that does all I/O of a backup repository. This module knows the words only: the handlers are
/// in TuffController, which knows repositories (`JobHandlers.ours`).
package protocol RepositoryRequest: JobRequest {
    var access: RepositoryAccess { get }
}

extension RepositoryRequest {
    package var servers: [String] { access.servers }
    /// An index of many millions of blocks is read before the first block is.
    package var silence: Duration? { .seconds(120) }
}

/// Asks for the restore points of a repository. It changes nothing, holds nobody up, and so has no file.
package struct RepositoryListing: RepositoryRequest {
    package static let kind = "points"
    package static let recording = JobRecording.none

    /// Name of the BackupRepository.
    package var repository: String
    package var access: RepositoryAccess

    package init(of repository: String, _ access: RepositoryAccess) {
        self.repository = repository
        self.access = access
    }

    package var summary: String { "listing the restore points of BackupRepository/\(repository)" }
    package var keys: [String] { [] }

    /// The repository; nil: there is none at that place.
    package typealias Outcome = ObservedRepository?
}

/// Makes a repository in an empty directory, which is made if it is not there. Refused beside one that is damaged.
package struct RepositoryCreation: RepositoryRequest {
    package static let kind = "repository"

    package var repository: String
    package var access: RepositoryAccess

    package init(of repository: String, _ access: RepositoryAccess) {
        self.repository = repository
        self.access = access
    }

    package var summary: String { "making BackupRepository/\(repository)" }
    package var keys: [String] { ["repository:\(repository)"] }

    /// Id of the repository.
    package typealias Outcome = String
}

/// Makes a volume begin with the bytes of a restore point, and read zeros after them; only what differs is written, so
/// that doing it again is cheap. Every block is proven by its name before a byte of it is written.
package struct RestoreIntoVolume: RepositoryRequest {
    package static let kind = "restore"

    package var content: BackupContent
    /// The volume, with the device that it was identified as. Nobody has it open.
    package var target: BytesPlace
    package var path: String

    package init(_ content: BackupContent, to target: BytesPlace, path: String) {
        self.content = content
        self.target = target
        self.path = path
    }

    package var access: RepositoryAccess { content.access }
    package var summary: String { "restoring \(path) from BackupRepository/\(content.repository)" }
    package var keys: [String] { ["data:\(path)"] }
    package var objects: [UID] { target.uid.map { [$0] } ?? [] }

    /// Bytes that were written.
    package typealias Outcome = ByteCount
}

/// Makes a restore point of a volume or snapshot that does not change meanwhile.
package struct BackupOfVolume: RepositoryRequest {
    package static let kind = "backup"

    package var backup: BackupTask
    /// The volume or snapshot that is read, with the device that it was identified as.
    package var source: BytesPlace
    package var path: String

    package init(_ backup: BackupTask, from source: BytesPlace, path: String) {
        self.backup = backup
        self.source = source
        self.path = path
    }

    package var access: RepositoryAccess { backup.access }
    package var summary: String {
        "backing up Volume/\(backup.volume) to BackupRepository/\(backup.repository)"
    }
    package var keys: [String] { ["data:\(path)"] }
    /// The source alone: the volume of which it is a snapshot may change and go.
    package var objects: [UID] { source.uid.map { [$0] } ?? [] }

    /// The restore point.
    package typealias Outcome = ObservedPoint
}

/// Removes restore points that no keep rule holds, and what then nothing needs. It waits for the end of others' work
/// for ten minutes, and gives way to backups then.
package struct RepositoryPrune: RepositoryRequest {
    package static let kind = "prune"

    package var prune: PruneTask

    package init(_ prune: PruneTask) { self.prune = prune }

    package var access: RepositoryAccess { prune.access }
    package var summary: String { "pruning BackupRepository/\(prune.repository)" }
    package var keys: [String] { ["repository:\(prune.repository)"] }

    /// The work that was done.
    package typealias Outcome = ObservedReceipt
}

/// Reads a share of what is stored back, and all of the index and the trees. It changes nothing but that it leaves a
/// receipt, and fails where something is wrong.
package struct RepositoryVerification: RepositoryRequest {
    package static let kind = "verify"

    package var verification: VerifyTask

    package init(_ verification: VerifyTask) { self.verification = verification }

    package var access: RepositoryAccess { verification.access }
    package var summary: String { "reading back what BackupRepository/\(verification.repository) holds" }
    package var keys: [String] { ["repository:\(verification.repository)"] }
    /// The trees of all points are walked after the packs are read.
    package var silence: Duration? { .seconds(900) }

    /// The work that was done.
    package typealias Outcome = ObservedReceipt
}

/// Restores a point to a scratch volume for practice, compares all of it, and leaves a receipt. It fails where the
/// point is gone or does not come back as it was, and the receipt says so.
package struct DrillOnVolume: RepositoryRequest {
    package static let kind = "drill"

    package var drill: DrillTask
    /// The scratch volume, with the device that it was identified as. Nobody has it open.
    package var target: BytesPlace
    package var path: String

    package init(_ drill: DrillTask, on target: BytesPlace, path: String) {
        self.drill = drill
        self.target = target
        self.path = path
    }

    package var access: RepositoryAccess { drill.content.access }
    package var summary: String {
        "restoring Volume/\(drill.volume) from BackupRepository/\(drill.content.repository) for practice"
    }
    package var keys: [String] { ["data:\(path)"] }
    package var objects: [UID] { target.uid.map { [$0] } ?? [] }

    /// The work that was done.
    package typealias Outcome = ObservedReceipt
}

/// Sets the restore points of one host aside whose time is yet to come, on a person's word that the clock is right.
package struct SettingAside: RepositoryRequest {
    package static let kind = "aside"

    package var repository: String
    package var access: RepositoryAccess
    package var node: String
    package var stack: String

    package init(in repository: String, _ access: RepositoryAccess, of node: String, stack: String) {
        self.repository = repository
        self.access = access
        self.node = node
        self.stack = stack
    }

    package var summary: String { "setting restore points of BackupRepository/\(repository) aside" }
    package var keys: [String] { ["repository:\(repository)"] }

    /// Those that were set aside now.
    package typealias Outcome = [ObservedPoint]
}

extension BytesPlace {
    /// Of a device; a file is told by its path.
    package var uid: UID? {
        switch self {
        case .device(let device): device.uid
        case .file: nil
        }
    }
}

extension RepositoryAccess {
    /// The server that it is on, as `JobRequest.servers` names it.
    package var servers: [String] {
        switch site {
        case .directory: []
        case .nfs(let share): [NFSMount(share).serverKey]
        }
    }
}

extension NFSMount {
    /// As a document names it.
    package init(_ share: NFSShare, isReadOnly: Bool = false) {
        self.init(
            server: share.server, export: share.export, path: share.path ?? "",
            options: share.options.all.map { Option($0.name.rawValue, $0.value) }, isReadOnly: isReadOnly)
    }
}
