package import TuffCinder
import TuffModel
package import TuffRepository

/// Writes a backup of OpenStack Cinder's, and those it builds on, to a device or file.
package struct CinderRun: Sendable {
    package struct Request: Hashable, Codable, Sendable {
        /// The directory of Cinder's backups; only ever read.
        package var directory: String
        /// Cinder's id of the backup.
        package var backup: String
        package var target: String
        /// Writes over a target that holds something, and shortens a file that is larger.
        package var overwrites = false

        package init(_ backup: String, in directory: String, to target: String) {
            self.backup = backup
            self.directory = directory
            self.target = target
        }
    }

    package struct Outcome: Hashable, Codable, Sendable {
        package let backup: String
        package let volume: String
        /// RFC 3339.
        package let created: String
        /// How many backups were restored one upon another; 1: a full one.
        package let layers: Int
        /// Bytes of the volume, and those of them that the backups have.
        package let size: UInt64
        package let covered: UInt64
        /// Bytes that were written; the rest was there already.
        package let written: UInt64
        /// Bytes from the begin that Cinder's list of digests proves, where there is one.
        package let proven: UInt64
        package let hasDigests: Bool
        /// Sentences on what may be wrong.
        package let warnings: [String]
    }

    private let target: String
    private let chain: CinderChain
    private let size: UInt64
    private let progress: JobProgress
    private let place: any BlockTarget
    /// A file that was not there, or else the target that was.
    private let new: NewFileTarget?
    private let existing: RestoreTarget.Opened?

    /// Bytes that the progress will have counted at the end.
    package var total: UInt64 { CinderRestore.total(chain) }

    /// The backups beneath a directory.
    package static func open(_ path: String, listener: any Listener) throws(BackupError) -> CinderBackups {
        let backups = try inRepository { () throws(RepositoryError) in try CinderBackups(try CinderDirectory(path)) }
        for sentence in backups.unread { listener.tell(.warning("\(sentence); backups in it are not seen")) }
        return backups
    }

    /// Finds the backup and looks at the files of all it builds on, then opens the target.
    /// - Parameter progress: told how far it is, and asked whether it shall end.
    package static func begin(
        _ request: Request, on host: RestoreHost, progress: JobProgress, listener: any Listener
    ) async throws(BackupError) -> CinderRun {
        guard let id = CinderID(request.backup) else {
            throw .usage("\(PrintedText.quoted(request.backup)) is no UUID; 'tuff backup ls --cinder DIR' shows them")
        }
        let backups = try open(request.directory, listener: listener)
        guard !backups.directory.holds(request.target) else {
            throw .usage("\(PrintedText.oneLine(request.target)) is among Cinder's backups, where nothing is written")
        }
        let (chain, size) = try inRepository { () throws(RepositoryError) in
            let chain = try backups.chain(id)
            try chain.checkFiles()
            return (chain, try chain.size())
        }
        for doubt in chain.doubts { listener.tell(.warning("\(doubt); what is restored is checked as always")) }
        let place = RestoreTarget(
            path: request.target, size: size, source: ("cinder \(chain.volume)", id.description),
            overwrites: request.overwrites, host: host, listener: listener)
        guard NewFileTarget.isFree(request.target) else {
            let opened = try await place.open()
            return CinderRun(
                target: request.target, chain: chain, size: size, progress: progress, place: opened.target, new: nil,
                existing: opened)
        }
        try place.refuseOursByName()
        let made = try inRepository { () throws(RepositoryError) in try NewFileTarget(request.target, size: size) }
        return CinderRun(
            target: request.target, chain: chain, size: size, progress: progress, place: made, new: made, existing: nil)
    }

    /// Blocks its thread, and has more of its own.
    package func run() throws(BackupError) -> Outcome {
        do throws(RepositoryError) {
            let restored = try CinderRestore(chain, size: size, to: place, progress: progress).run(
                threads: SystemThreads.natural)
            return Outcome(
                backup: chain.backup.description, volume: chain.volume.description, created: chain.created,
                layers: chain.count, size: size, covered: chain.covered, written: restored.written,
                proven: restored.proven, hasDigests: chain.hasDigests, warnings: existing?.conclude() ?? [])
        } catch {
            let path = PrintedText.oneLine(target)
            throw BackupError(
                error,
                help: new != nil
                    ? "nothing was made at \(path)"
                    : "\(path) was there before and now has parts of the backup: use none of it")
        }
    }

    /// Removes a new file that has not got its name. To be called where the work ends before it is complete.
    package func end() { new?.abandon() }
}
