import CTuffHost
import Glibc
package import TuffModel
import TuffSystem

/// Directories of our own files (`/run/tuff`, `/var/lib/tuff`): made 0700, refused when others may write in them.
///
/// The directory that was looked at is the one that is used: it stays open, and files in it are reached by single
/// names. Whoever owns a directory further up may put another in its place at any time.
struct StateDirectory: ~Copyable {
    private let directory: OwnedDescriptor
    /// The file's name in it.
    let name: String

    /// Makes the directory of `path`, an absolute path, or checks the one that is there.
    /// - Parameter what: the word for the file, for messages.
    init(for path: String, what: String) throws(HostError) {
        let words = path.split(separator: "/")
        guard path.hasPrefix("/"), words.count > 1 else {
            throw HostError(.refused, "The \(what) '\(path)' is not an absolute path in a directory")
        }
        let folder = "/" + words.dropLast().joined(separator: "/")
        if mkdir(folder, 0o700) != 0, errno != EEXIST {
            throw .system(errno, "Cannot make the directory \(folder) of the \(what)", subject: path)
        }
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
        guard let opened = OwnedDescriptor(opened: tuff_open_at(AT_FDCWD, folder, flags, 0)) else {
            let number = errno
            guard number == ELOOP || number == ENOTDIR else {
                throw .system(number, "Cannot look at the directory \(folder) of the \(what)", subject: path)
            }
            throw Self.exposed(folder, what: what, path: path)
        }
        var status = stat()
        guard fstat(opened.raw, &status) == 0 else {
            throw .system(errno, "Cannot look at the directory \(folder) of the \(what)", subject: path)
        }
        guard status.st_uid == 0 || status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
            throw Self.exposed(folder, what: what, path: path)
        }
        directory = opened
        name = String(words[words.count - 1])
    }

    private static func exposed(_ folder: String, what: String, path: String) -> HostError {
        HostError(
            .refused, "The directory \(folder) of the \(what) may be written by other users",
            cause: "type: chmod 700 \(Command.quoted(folder))", subject: path)
    }

    /// Opens a file by its name; nil and errno when that fails.
    func open(_ name: String, _ flags: Int32, mode: UInt32 = 0) -> OwnedDescriptor? {
        OwnedDescriptor(opened: tuff_open_at(directory.raw, name, flags | O_NOFOLLOW, mode))
    }

    /// The object that has the name now, the link itself if it is one; nil when that cannot be told.
    func status(_ name: String) -> stat? {
        var status = stat()
        return fstatat(directory.raw, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status : nil
    }

    func remove(_ name: String) { unlinkat(directory.raw, name, 0) }

    /// Puts another content into the place of the file, or makes it.
    func replace(with bytes: [UInt8]) throws(DurableFile.Failure) {
        try DurableFile.replace(name, in: directory.raw, temporary: name + ".new", with: bytes)
    }

    /// Brings the names in it to the disk; false and errno when that fails.
    func sync() -> Bool { fsync(directory.raw) == 0 }

    /// Takes a lock (flock(2)) on the directory itself, until this value goes; false when another has it, whom it never
    /// waits for.
    func lock(_ operation: Int32) -> Bool { flock(directory.raw, operation | LOCK_NB) == 0 }

    /// The names of what is in it, those that begin with a dot left out; nil and errno when that cannot be told.
    func names() -> [String]? {
        guard let list = open(".", O_RDONLY | O_DIRECTORY) else { return nil }
        let raw = list.release()
        guard let stream = fdopendir(raw) else {
            close(raw)
            return nil
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }
}

/// A small file of our own state: mode 0600, replaced whole or not at all, durable when written.
package struct StateFile: Sendable {
    /// Most bytes that are read; a state file of 10,000 volumes has a quarter of it.
    package static let limit = 16 << 20

    package let path: String
    private let what: String

    /// - Parameter what: the word for it in messages: `ledger`.
    package init(_ path: String, what: String) {
        self.path = path
        self.what = what
    }

    /// Nil when there is no such file, or no such directory yet.
    package func read() throws(HostError) -> [UInt8]? {
        guard let file = OwnedDescriptor(opened: tuff_open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0))
        else {
            guard errno == ENOENT else { throw .system(errno, "Cannot open the \(what) \(path)", subject: path) }
            return nil
        }
        var status = stat()
        guard fstat(file.raw, &status) == 0, status.kind == .file, status.st_uid == 0 || status.st_uid == geteuid(),
            status.st_mode & 0o022 == 0
        else {
            throw HostError(
                .refused, "The \(what) \(path) is not a plain file that we alone may write", subject: path)
        }
        guard status.st_size <= Self.limit else {
            throw HostError(.malformed, "The \(what) \(path) has more than \(Self.limit >> 20) MiB", subject: path)
        }
        let (bytes, failure) = DescriptorIO.readToEnd(file.raw, limit: Self.limit)
        if let failure { throw .system(failure, "Cannot read the \(what) \(path)", subject: path) }
        guard bytes.count <= Self.limit else {
            throw HostError(.malformed, "The \(what) \(path) has more than \(Self.limit >> 20) MiB", subject: path)
        }
        return bytes
    }

    /// By a temporary file beside it, fsync, rename, fsync of the directory. What a crash left of an earlier attempt is
    /// replaced.
    package func write(_ bytes: [UInt8]) throws(HostError) {
        guard bytes.count <= Self.limit else {
            throw HostError(
                .refused, "The \(what) \(path) would have more than \(Self.limit >> 20) MiB, and stays as it is",
                subject: path)
        }
        let directory = try StateDirectory(for: path, what: what)
        do throws(DurableFile.Failure) { try directory.replace(with: bytes) } catch {
            let sentence =
                switch error.stage {
                case .create: "Cannot create \(path).new"
                case .write: "Cannot write the \(what) \(path)"
                case .protect, .sync, .syncDirectory: "Cannot make the \(what) \(path) durable"
                case .rename: "Cannot put the \(what) \(path) in place"
                }
            throw .system(error.number, sentence, subject: path)
        }
    }

    /// Durable when it returns. One that is not there is removed.
    package func remove() throws(HostError) {
        let directory = try StateDirectory(for: path, what: what)
        directory.remove(directory.name)
        guard directory.status(directory.name) == nil, errno == ENOENT, directory.sync() else {
            throw .system(errno, "Cannot remove the \(what) \(path)", subject: path)
        }
    }
}
