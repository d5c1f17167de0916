import CTuffHost
import Glibc
import TuffSystem

/// A repository in a directory of any file system. Beneath the directory no symbolic link is followed.
package final class DirectoryStore: Store {
    /// The directory as the user named it, for sentences.
    package let path: String
    private let root: Int32

    /// Directories that every repository has.
    private static let directories = ["packs", "index", "points", "marks", "leases", "keys", "hurt", "temporary"]

    /// Opens the directory; with `making` it is made where it is missing, with all directories of a repository.
    /// - Parameter name: what it is called in sentences, where `path` leads to something that was opened before.
    package init(_ path: String, named name: String? = nil, making: Bool = false) throws(RepositoryError) {
        self.path = name ?? path
        if making, mkdir(path, 0o700) != 0, errno != EEXIST {
            throw .outside(errno, "cannot make the directory \(path)")
        }
        root = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else {
            throw errno == ENOENT
                ? RepositoryError(.notFound, "there is no repository at \(path)")
                : .system(errno, "cannot open \(path)")
        }
        if making {
            for name in Self.directories where mkdirat(root, name, 0o700) != 0 && errno != EEXIST {
                throw .system(errno, "cannot make \(path)/\(name)")
            }
            try sync(directory: ".")
        }
    }

    deinit { close(root) }

    package func list(_ directory: String) throws(RepositoryError) -> [StoredFile] {
        let descriptor = tuff_open_beneath(root, directory, O_RDONLY | O_DIRECTORY, 0)
        let opened = descriptor >= 0 ? fdopendir(descriptor) : nil
        guard let stream = opened else {
            let number = errno
            if descriptor >= 0 { close(descriptor) }
            // Closing must not replace the error.
            errno = number
            // Directories of packs are made when they are needed; every repository has all others.
            guard errno == ENOENT else { throw opening(directory) }
            if !Self.directories.contains(directory) { return [] }
            throw RepositoryError(
                .damaged, "the directory \(path)/\(directory) is gone, \(Self.remedy(directory, path))")
        }
        defer { closedir(stream) }
        var files: [StoredFile] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            guard fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                // A file that was removed since it was listed is left out. Any other error is thrown: if a point were
                // left out, prune would destroy packs that it needs.
                if errno == ENOENT { continue }
                throw .system(errno, "cannot look at \(path)/\(directory)/\(name)")
            }
            // An entry that has the name of a repository's file and is no regular file is damage, not absence: opening
            // it says so.
            guard status.st_mode & S_IFMT == S_IFREG || directory != "temporary" && FileID(name) != nil else {
                continue
            }
            files.append(
                StoredFile(
                    name: name, size: UInt64(status.st_size), modified: status.modified, number: UInt64(status.st_ino),
                    changed: status.changed))
        }
        guard errno == 0 else { throw .system(errno, "cannot list \(path)/\(directory)") }
        return files
    }

    /// A sentence on the meaning of a missing directory, with what to do.
    private static func remedy(_ directory: String, _ path: String) -> String {
        let make = "'mkdir -m 700 \(path)/\(directory)'"
        return switch directory {
        case "temporary": "without which nothing can be written, and nothing is lost: \(make) makes it anew"
        case "packs":
            "and with it all data: put it back, or begin with none by \(make), and the next backups store all anew"
        default: "and with it what it held: put it back as it was"
        }
    }

    package func open(_ path: String) throws(RepositoryError) -> any StoreReader {
        // A FIFO must not hold us up, and a device must not be read.
        let descriptor = tuff_open_beneath(root, path, O_RDONLY | O_NONBLOCK, 0)
        guard descriptor >= 0 else { throw opening(path) }
        let reader = DirectoryReader(descriptor, "\(self.path)/\(path)")
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system(errno, "cannot look at \(self.path)/\(path)") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw RepositoryError(.damaged, "\(self.path)/\(path) is no regular file")
        }
        reader.size = UInt64(status.st_size)
        return reader
    }

    package func create() throws(RepositoryError) -> any StoreWriter {
        let name = FileID().description
        let parent = try directory("temporary")
        let descriptor = tuff_open_beneath(parent.raw, name, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw .system(errno, "cannot make a file in \(path)/temporary") }
        return DirectoryWriter(self, descriptor, in: parent, temporary: name)
    }

    package func remove(_ path: String) throws(RepositoryError) {
        let place = Place(path)
        let parent: OpenDirectory
        do throws(RepositoryError) { parent = try directory(place.directory) } catch  where error.code == .notFound {
            return
        }
        guard unlinkat(parent.raw, place.name, 0) != 0, errno != ENOENT else { return }
        // The owner of a medium can give a directory the name of a file, which somebody then wants to be rid of.
        guard errno != EISDIR || unlinkat(parent.raw, place.name, AT_REMOVEDIR) != 0 else { return }
        throw .system(errno, "cannot remove \(self.path)/\(path)")
    }

    package func sync(directory: String) throws(RepositoryError) {
        try sync(try self.directory(directory), directory)
    }

    private func sync(_ opened: OpenDirectory, _ directory: String) throws(RepositoryError) {
        guard fsync(opened.raw) == 0 else { throw .system(errno, "cannot sync \(path)/\(directory)") }
    }

    package func touch(_ path: String) throws(RepositoryError) -> Bool {
        let place = Place(path)
        let parent: OpenDirectory
        do throws(RepositoryError) { parent = try directory(place.directory) } catch  where error.code == .notFound {
            return false
        }
        guard utimensat(parent.raw, place.name, nil, AT_SYMLINK_NOFOLLOW) != 0 else { return true }
        guard errno == ENOENT else { throw .system(errno, "cannot touch \(self.path)/\(path)") }
        return false
    }

    package func now() throws(RepositoryError) -> Int64 {
        let name = FileID().description
        let parent = try directory("temporary")
        let descriptor = tuff_open_beneath(parent.raw, name, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw .system(errno, "cannot make a file in \(path)/temporary") }
        defer {
            close(descriptor)
            unlinkat(parent.raw, name, 0)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system(errno, "cannot look at \(path)/temporary/\(name)") }
        return status.modified
    }

    /// Gives a file that was written its name, making the directory that it may need.
    fileprivate func place(
        _ temporary: String, of directory: OpenDirectory, at path: String
    ) throws(RepositoryError) {
        let place = Place(path)
        let parent = try makeDirectory(place.directory)
        // A file system that cannot rename without replacing (NFS) can link without replacing.
        if tuff_rename_new(directory.raw, temporary, parent.raw, place.name) != 0 {
            guard errno == EINVAL, linkat(directory.raw, temporary, parent.raw, place.name, 0) == 0,
                unlinkat(directory.raw, temporary, 0) == 0
            else { throw .system(errno, "cannot write \(self.path)/\(path)") }
        }
        try sync(parent, place.directory)
    }

    // MARK: Directories

    /// A path as its directory and the name in it.
    private struct Place {
        let directory: String
        let name: String

        init(_ path: String) {
            let slash = path.lastIndex(of: "/")
            directory = slash.map { String(path[..<$0]) } ?? "."
            name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        }
    }

    /// Opens a directory beneath the root, no component of which may be a symbolic link. All calls that make, move,
    /// remove or date a file use a single name in a directory opened in this way: renameat2(2), linkat(2), unlinkat(2),
    /// mkdirat(2) and utimensat(2) follow links in all components but the last, so a person who can write to the medium
    /// would choose where root writes.
    private func directory(_ directory: String) throws(RepositoryError) -> OpenDirectory {
        let descriptor = tuff_open_beneath(root, directory, O_RDONLY | O_DIRECTORY, 0)
        guard descriptor >= 0 else { throw opening(directory) }
        return OpenDirectory(descriptor)
    }

    /// Opens a directory beneath the root, and makes it where it is missing.
    private func makeDirectory(_ directory: String) throws(RepositoryError) -> OpenDirectory {
        guard directory != "." else { return try self.directory(directory) }
        let place = Place(directory)
        let parent = try self.directory(place.directory)
        if mkdirat(parent.raw, place.name, 0o700) == 0 {
            try sync(parent, place.directory)
        } else if errno != EEXIST {
            throw .system(errno, "cannot make \(path)/\(directory)")
        }
        let descriptor = tuff_open_beneath(parent.raw, place.name, O_RDONLY | O_DIRECTORY, 0)
        guard descriptor >= 0 else { throw opening(directory) }
        return OpenDirectory(descriptor)
    }

    /// The error for a file beneath the root that could not be opened.
    private func opening(_ path: String) -> RepositoryError {
        let number = errno
        // Nobody of ours makes a link, and a file where a directory belongs is no directory either.
        guard number == ELOOP || number == ENOTDIR else { return .system(number, "cannot open \(self.path)/\(path)") }
        return RepositoryError(
            .damaged,
            "\(self.path)/\(path) is, or lies behind, a symbolic link or what is no directory, and is not followed: "
                + "put back what belongs there",
            cause: String(cString: strerror(number)))
    }
}

/// A directory that is open while somebody needs it.
private final class OpenDirectory: Sendable {
    let raw: Int32

    init(_ descriptor: Int32) { raw = descriptor }

    deinit { close(raw) }
}

private final class DirectoryReader: StoreReader {
    fileprivate(set) nonisolated(unsafe) var size: UInt64 = 0  // Set once, before anybody else has the reader.
    private let descriptor: Int32
    private let path: String

    init(_ descriptor: Int32, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        let outcome = DescriptorIO.read(descriptor, at: offset, into: buffer)
        guard outcome.count < buffer.count else { return }
        if let failure = outcome.failure { throw .reading(failure, "cannot read \(path)") }
        throw RepositoryError(.damaged, "\(path) ends too early, at \(Int(offset) + outcome.count)")
    }
}

private final class DirectoryWriter: StoreWriter {
    private let store: DirectoryStore
    private let descriptor: Int32
    private let directory: OpenDirectory
    private let temporary: String
    private var isPlaced = false

    init(_ store: DirectoryStore, _ descriptor: Int32, in directory: OpenDirectory, temporary: String) {
        self.store = store
        self.descriptor = descriptor
        self.directory = directory
        self.temporary = temporary
    }

    deinit {
        close(descriptor)
        if !isPlaced { unlinkat(directory.raw, temporary, 0) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(RepositoryError) {
        if let failure = DescriptorIO.write(descriptor, bytes).failure {
            throw .system(failure, "cannot write to \(store.path)")
        }
    }

    func place(at path: String) throws(RepositoryError) {
        guard fsync(descriptor) == 0 else { throw .system(errno, "cannot write to \(store.path)") }
        try store.place(temporary, of: directory, at: path)
        isPlaced = true
    }
}

extension stat {
    /// File systems keep times up to the year 2446 and beyond, which are more nanoseconds than a number holds: times
    /// outside of 1824 to 2116 count as the nearer end, so that differences of two such times cannot overflow.
    private static func nanoseconds(_ time: timespec) -> Int64 {
        let (nanoseconds, overflow) = Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        let largest = Int64.max / 2
        guard !overflow else { return time.tv_sec < 0 ? -largest : largest }
        return max(-largest, min(largest, nanoseconds)) + Int64(time.tv_nsec)
    }

    fileprivate var modified: Int64 { Self.nanoseconds(st_mtim) }
    fileprivate var changed: Int64 { Self.nanoseconds(st_ctim) }
}

extension RepositoryError {
    /// A read that failed with `number` of errno(3).
    fileprivate static func reading(_ number: Int32, _ sentence: String) -> RepositoryError {
        var error = system(number, sentence)
        // Errors of disks for a bad sector, and of checksumming file systems for bytes that changed.
        if [EIO, EUCLEAN, EBADMSG].contains(number) { error.code = .unreadable }
        return error
    }

    /// A system call that failed with `number` of errno(3).
    package static func system(_ number: Int32, _ sentence: String) -> RepositoryError {
        let code: Code =
            switch number {
            case ENOENT: .notFound
            case ENOSPC, EDQUOT: .full
            default: .failed
            }
        return RepositoryError(code, sentence, cause: String(cString: strerror(number)))
    }

    /// A system call that failed on a file outside of the repository: its absence is no damage of the repository.
    package static func outside(_ number: Int32, _ sentence: String) -> RepositoryError {
        var error = system(number, sentence)
        if error.code == .notFound { error.code = .failed }
        return error
    }
}
