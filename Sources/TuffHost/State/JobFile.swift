import FoundationEssentials
import Glibc
import Synchronization
package import TuffModel
import TuffSystem

/// The file of a running job: held by a flock(2) of the worker that does the job, and by nobody else.
///
/// The worker opens and locks it itself, so that no other process has a copy of the descriptor, and the kernel frees
/// the lock when the worker is gone, however it ended. A worker that was killed and sleeps in the kernel is not gone:
/// what it was asked to do may still happen, and its keys stay taken.
///
/// The first line is JSON and is written once. The second, as long as it will ever be, says how far the job has come.
final class JobFile: Sendable {
    /// Fields that are added must be optional: the worker of an earlier version may outlive an upgrade.
    private struct Record: Codable {
        var kind: String
        var summary: String
        var keys: [String]
        var objects: [UID]
        var pid: Int32
        /// `ProcessTable.space`.
        var bootID: String
        var startTicks: String
        var since: Int64
    }

    private struct Told {
        var phase: String?
        var at = 0.0
    }

    /// Bytes of the second line.
    private static let progressLength = 256
    /// Most bytes of a file that are read: one with more could not be understood, and would hold up everything.
    private static let limit = 64 << 10
    /// Seconds between two notes of one phase.
    private static let pause = 1.0
    /// Longest wait for whoever looks at the file or makes one, in seconds: it takes them moments.
    private static let patience = 5.0

    private let path: String
    private let file: Mutex<Int32?>
    private let progressOffset: Int
    private let told = Mutex(Told())

    private init(_ descriptor: consuming OwnedDescriptor, path: String, progressOffset: Int) {
        self.path = path
        self.progressOffset = progressOffset
        file = Mutex(descriptor.release())
    }

    deinit { end() }

    /// Makes the file of a job and holds it.
    /// - Throws: `busy` where another running job has one of its keys, and it is to be held and not only announced.
    static func take(_ job: JobTicket, in directory: String) throws(HostError) -> JobFile {
        let path = "\(directory)/\(job.id)"
        // The folder above is made by whoever takes the host's lock; a job by hand takes none.
        _ = try StateDirectory(for: directory, what: "job files")
        let folder = try StateDirectory(for: path, what: "job file")
        // One at a time: two jobs of one key must not both find that nobody has it.
        guard wait({ folder.lock(LOCK_EX) }) else {
            throw HostError(.busy, "\(directory) is being worked in by another process for too long", subject: path)
        }
        let (found, dead) = JobFiles.look(folder, directory)
        if let error = found.unlisted { throw error }
        // Nobody makes one meanwhile, so none of them is one that is about to be held.
        for name in dead where JobFiles.isDead(name, folder) { folder.remove(name) }
        let rivals = job.recording == .held ? found.entries.inKeyOrder : []
        for (name, entry) in rivals {
            switch entry {
            case .known(let other):
                guard let key = job.keys.first(where: other.keys.contains) else { continue }
                throw HostError(.busy, "\(other.sentence) is at work on \(key)", subject: path)
            case .unknown(let error):
                throw HostError(
                    .busy, "A job runs, and what it works on cannot be told: \(error.sentence)", cause: error.cause,
                    subject: "\(directory)/\(name)")
            }
        }
        guard let opened = folder.open(job.id, O_RDWR | O_CREAT | O_EXCL, mode: 0o600) else {
            throw .system(errno, "Cannot create the job file \(path)", subject: path)
        }
        // Somebody who looks has it locked for a moment.
        guard wait({ flock(opened.raw, LOCK_EX | LOCK_NB) == 0 }) else {
            folder.remove(job.id)
            throw HostError(.busy, "The job file \(path) cannot be locked", subject: path)
        }
        do throws(HostError) {
            let length = try describe(opened.raw, job: job, path: path)
            return JobFile(opened, path: path, progressOffset: length)
        } catch {
            folder.remove(job.id)
            throw error
        }
    }

    /// Writes down how far the job has come: when its phase changes, and otherwise once a second.
    func note(_ progress: WorkProgress) {
        let now = monotonicSeconds()
        let isNews = told.withLock { told in
            guard told.phase != progress.phase || now - told.at >= Self.pause else { return false }
            told = Told(phase: progress.phase, at: now)
            return true
        }
        guard isNews, var text = try? JSONEncoder().encode(progress), text.count < Self.progressLength else { return }
        text += Data(repeating: 0x20, count: Self.progressLength - 1 - text.count) + [0x0a]
        file.withLock { file in
            guard let file else { return }
            // For people who wait; one that fails is missing until the next.
            _ = Array(text).withUnsafeBytes { DescriptorIO.write(file, at: UInt64(progressOffset), $0) }
        }
    }

    /// Takes the file away and gives its keys back.
    func end() {
        file.withLock { file in
            guard let descriptor = file else { return }
            // While it is held, so that nobody finds it dead.
            unlink(path)
            close(descriptor)
            file = nil
        }
    }

    /// - Returns: bytes of what was written.
    private static func describe(_ file: Int32, job: JobTicket, path: String) throws(HostError) -> Int {
        let record = Record(
            kind: job.kind, summary: job.summary, keys: job.keys, objects: job.objects, pid: getpid(),
            bootID: ProcessTable.space, startTicks: ProcessTable.start(of: getpid()).map { "\($0)" } ?? "",
            since: HostFacts.now().secondsSince1970)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(record) else {
            throw HostError(.failed, "Cannot write down what job \(path) is of", subject: path)
        }
        let text = Array(data) + [0x0a]
        guard text.count + progressLength <= limit else {
            throw HostError(.exhausted, "\(job.summary) names more than a job file holds", subject: path)
        }
        if let failure = text.withUnsafeBytes({ DescriptorIO.write(file, $0).failure }) {
            throw .system(failure, "Cannot write the job file \(path)", subject: path)
        }
        return text.count
    }

    /// The job in a file that somebody holds; nil where it cannot be understood.
    fileprivate static func read(_ file: Int32, id: String) -> RunningJob? {
        // Who has just taken it may not have written yet.
        for attempt in 0..<10 {
            if attempt > 0 { usleep(10_000) }
            let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
                count = DescriptorIO.read(file, at: 0, into: UnsafeMutableRawBufferPointer(buffer)).count
            }
            let lines = bytes.split(separator: 0x0a, maxSplits: 1, omittingEmptySubsequences: false)
            guard lines.count == 2, let record = try? JSONDecoder().decode(Record.self, from: Data(lines[0])) else {
                continue
            }
            let lives =
                ProcessTable.presence(of: record.pid, since: UInt64(record.startTicks), in: record.bootID) != .ended
            return RunningJob(
                id: id, kind: record.kind, summary: record.summary, keys: record.keys, objects: record.objects,
                pid: record.pid, since: Instant(secondsSince1970: record.since), hasEnded: !lives,
                progress: try? JSONDecoder().decode(WorkProgress.self, from: Data(lines[1])))
        }
        return nil
    }

    /// Tries until it succeeds, for no longer than such a thing takes.
    private static func wait(_ attempt: () -> Bool) -> Bool {
        let end = monotonicSeconds() + patience
        while !attempt() {
            guard monotonicSeconds() < end else { return false }
            usleep(5000)
        }
        return true
    }
}

/// The jobs that run on this host.
package enum JobFiles {
    /// Files that somebody holds. Those that nobody holds are of jobs that ended with their workers, and are removed.
    package static func live(in directory: String) -> ObservationMap<RunningJob> {
        var status = stat()
        guard stat(directory, &status) == 0 else {
            let number = errno
            guard number != ENOENT else { return ObservationMap() }
            return ObservationMap(
                unlisted: .system(number, "Cannot look for running jobs in \(directory)", subject: directory))
        }
        do throws(HostError) {
            let folder = try StateDirectory(for: "\(directory)/any", what: "job files")
            let (found, dead) = look(folder, directory)
            // Not while somebody makes one, which is not held for a moment.
            if !dead.isEmpty, folder.lock(LOCK_EX) {
                for name in dead where isDead(name, folder) { folder.remove(name) }
            }
            return found
        } catch {
            return ObservationMap(unlisted: error)
        }
    }

    fileprivate static func look(
        _ folder: borrowing StateDirectory, _ directory: String
    ) -> (found: ObservationMap<RunningJob>, dead: [String]) {
        guard let names = folder.names() else {
            return (ObservationMap(unlisted: .system(errno, "Cannot list \(directory)", subject: directory)), [])
        }
        var found = ObservationMap<RunningJob>(), dead: [String] = []
        for name in names {
            guard let file = folder.open(name, O_RDONLY | O_NONBLOCK) else {
                // It ended meanwhile.
                if errno == ENOENT { continue }
                found.entries[name] = .unknown(.system(errno, "Cannot open the job file \(directory)/\(name)"))
                continue
            }
            if flock(file.raw, LOCK_SH | LOCK_NB) == 0 {
                dead.append(name)
            } else if errno != EWOULDBLOCK {
                found.entries[name] = .unknown(.system(errno, "Cannot tell whether \(directory)/\(name) is held"))
            } else if let job = JobFile.read(file.raw, id: name) {
                found.entries[name] = .known(job)
            } else {
                found.entries[name] = .unknown(
                    HostError(.malformed, "The job file \(directory)/\(name) is held and cannot be understood"))
            }
        }
        return (found, dead)
    }

    fileprivate static func isDead(_ name: String, _ folder: borrowing StateDirectory) -> Bool {
        guard let file = folder.open(name, O_RDONLY | O_NONBLOCK) else { return false }
        return flock(file.raw, LOCK_SH | LOCK_NB) == 0
    }
}
