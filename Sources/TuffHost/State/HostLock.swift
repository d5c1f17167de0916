import CTuffHost
import FoundationEssentials
import Glibc
import Synchronization
package import TuffModel
import TuffSystem

/// Who holds the host's lock, as the lock file says. For messages only: the lock itself is the kernel's.
package struct LockHolder: Hashable, Sendable, CustomStringConvertible {
    package var pid: Int32
    package var host: String
    package var since: Instant
    package var command: String
    /// False: that process has ended, and a command it started still runs and holds the lock.
    package var isRunning: Bool

    package init(pid: Int32, host: String, since: Instant, command: String, isRunning: Bool) {
        self.pid = pid
        self.host = host
        self.since = since
        self.command = command
        self.isRunning = isRunning
    }

    /// `pid 4711 on storage1 since 2026-11-22T09:30:00Z (tuff apply)`
    package var description: String {
        let who = "pid \(pid) on \(host) since \(since) (\(command))"
        return isRunning ? who : "\(who), which has ended; a command it started is still running"
    }
}

package enum LockError: Error, Sendable {
    /// Another process, or a command that a dead one started, holds the lock: exit status 11.
    case held(by: LockHolder)
    /// The lock file cannot be used.
    case failed(HostError)
}

/// The right to change this host, held by one process at a time.
///
/// It is a flock(2) on a file, and its descriptor is also the standard input of every mutating child: the kernel frees
/// the lock when the last of them is gone. What the file says is for people, and tells a holder that took the lock
/// again whether others had it meanwhile.
package final class HostLock: Sendable {
    package static let defaultPath = "/run/tuff/lock"

    private struct Record: Codable {
        var pid: Int32
        var host: String
        /// `ProcessTable.space`.
        var bootID: String
        var since: Int64
        var startTicks: String
        var command: String
        /// Tells two turns of one process apart. Missing in files of earlier versions.
        var turn: String?
    }

    private let path: String
    private let purpose: String
    private let state: Mutex<Int32?>
    /// The text that this holder wrote into the file.
    private let written: Mutex<[UInt8]>

    /// The locked descriptor, close-on-exec; nil once released.
    var descriptor: Int32? { state.withLock { $0 } }

    private init(_ descriptor: consuming OwnedDescriptor, path: String, purpose: String, written: [UInt8]) {
        self.path = path
        self.purpose = purpose
        self.written = Mutex(written)
        state = Mutex(descriptor.release())
    }

    deinit { release() }

    /// Gives the lock up. Mutating children that still run keep it.
    package func release() {
        state.withLock { descriptor in
            if let raw = descriptor { close(raw) }
            descriptor = nil
        }
    }

    /// Takes the lock or tells who has it; never waits.
    ///
    /// - Parameters:
    ///   - path: the lock file, made when missing (mode 0600), as is its directory (mode 0700).
    ///   - purpose: the command as the user typed it, without secrets.
    package static func acquire(path: String = defaultPath, purpose: String) throws(LockError) -> HostLock {
        let file = try take(path)
        let written = try describe(file.raw, path: path, purpose: purpose)
        return HostLock(file, path: path, purpose: purpose, written: written)
    }

    /// Takes the lock again after `release`, or tells who has it; never waits.
    /// - Returns: true if nobody else had it meanwhile.
    package func regain() throws(LockError) -> Bool {
        let file = try Self.take(path)
        let found = Self.content(file.raw)
        let text = try Self.describe(file.raw, path: path, purpose: purpose)
        let descriptor = file.release()
        state.withLock { $0 = descriptor }
        return written.withLock { written in
            defer { written = text }
            return found == written
        }
    }

    private static func take(_ path: String) throws(LockError) -> OwnedDescriptor {
        let directory: StateDirectory
        do throws(HostError) { directory = try StateDirectory(for: path, what: "lock file") } catch {
            throw .failed(error)
        }
        // Again when the file was replaced between opening and locking it: a lock on a deleted file is nobody's.
        for _ in 0..<8 {
            guard let file = directory.open(directory.name, O_RDWR | O_CREAT, mode: 0o600) else {
                throw .failed(.system(errno, "Cannot open the lock file \(path)", subject: path))
            }
            var opened = stat()
            guard fstat(file.raw, &opened) == 0, opened.kind == .file, opened.st_uid == geteuid() else {
                throw .failed(HostError(.refused, "The lock file \(path) is not a plain file of ours", subject: path))
            }
            guard flock(file.raw, LOCK_EX | LOCK_NB) == 0 else {
                let number = errno
                guard number == EWOULDBLOCK else {
                    throw .failed(.system(number, "Cannot lock \(path)", subject: path))
                }
                throw .held(by: holder(file.raw))
            }
            guard let named = directory.status(directory.name), named.st_ino == opened.st_ino,
                named.st_dev == opened.st_dev
            else { continue }
            return file
        }
        throw .failed(HostError(.busy, "The lock file \(path) is replaced again and again", subject: path))
    }

    /// - Returns: the text that was written.
    private static func describe(_ file: Int32, path: String, purpose: String) throws(LockError) -> [UInt8] {
        let record = Record(
            pid: getpid(), host: HostFacts.shortHostName(), bootID: ProcessTable.space,
            since: HostFacts.now().secondsSince1970,
            startTicks: ProcessTable.start(of: getpid()).map { "\($0)" } ?? "", command: purpose,
            turn: HostFacts.randomName())
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        guard let text = (try? encoder.encode(record)).map(Array.init) else {
            throw .failed(HostError(.failed, "Cannot write down who holds the lock \(path)"))
        }
        // The offset stays at the end, so that a child which reads its standard input finds nothing there.
        let failure: Int32? =
            ftruncate(file, 0) == 0 ? text.withUnsafeBytes({ DescriptorIO.write(file, $0).failure }) : errno
        if let failure { throw .failed(.system(failure, "Cannot write the lock file \(path)", subject: path)) }
        return text
    }

    private static func content(_ file: Int32) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
            count = DescriptorIO.read(file, at: 0, into: UnsafeMutableRawBufferPointer(buffer)).count
        }
    }

    private static func holder(_ file: Int32) -> LockHolder {
        // A holder that has just taken the lock may not have written its name yet.
        for attempt in 0..<10 {
            if attempt > 0 { usleep(10_000) }
            guard let record = try? JSONDecoder().decode(Record.self, from: Data(content(file))) else { continue }
            let lives =
                ProcessTable.presence(of: record.pid, since: UInt64(record.startTicks), in: record.bootID) != .ended
            return LockHolder(
                pid: record.pid, host: record.host, since: Instant(secondsSince1970: record.since),
                command: record.command, isRunning: lives)
        }
        return LockHolder(
            pid: 0, host: HostFacts.shortHostName(), since: HostFacts.now(), command: "unknown command",
            isRunning: true)
    }
}
