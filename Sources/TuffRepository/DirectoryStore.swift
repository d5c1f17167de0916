import CTuffHost
import Glibc

/// A repository in a directory of any file system. Beneath the directory no symbolic link is followed.
package final class DirectoryStore: Store {
    /// The directory as the user named it, for sentences.
    package let path: String
    private let root: Int32

    /// Directories of a repository that every one of them has.
    private static let directories = ["packs", "index", "points", "marks", "leases", "keys", "hurt", "temporary"]

    /// Opens the directory; with `making` it is made, with all that a repository has, where it is not there.
    package init(_ path: String, making: Bool = false) throws(RepositoryError) {
        self.path = path
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
        guard descriptor >= 0, let stream = fdopendir(descriptor) else {
            // Of the directories of packs those are there that were needed; all others every repository has.
            guard errno == ENOENT else { throw .system(errno, "cannot list \(path)/\(directory)") }
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
                // What was removed since it was listed is not there. Of anything else nobody knows that: a point that were
                // left out would have prune destroy what it needs.
                if errno == ENOENT { continue }
                throw .system(errno, "cannot look at \(path)/\(directory)/\(name)")
            }
            // What has the name of a file of the repository and is none is damage, and not absence: whoever opens it is told.
            guard status.st_mode & S_IFMT == S_IFREG || directory != "temporary" && FileID(name) != nil else {
                continue
            }
            files.append(StoredFile(name: name, size: UInt64(status.st_size), modified: status.modified))
        }
        guard errno == 0 else { throw .system(errno, "cannot list \(path)/\(directory)") }
        return files
    }

    /// What it means that a directory is gone, and what to do.
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
        guard descriptor >= 0 else {
            var error = RepositoryError.system(errno, "cannot open \(self.path)/\(path)")
            // A symbolic link, which nobody of ours makes.
            if errno == ELOOP { error.code = .damaged }
            throw error
        }
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
        let name = "temporary/\(FileID())"
        let descriptor = tuff_open_beneath(root, name, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw .system(errno, "cannot make a file in \(path)/temporary") }
        return DirectoryWriter(self, descriptor, name)
    }

    package func remove(_ path: String) throws(RepositoryError) {
        guard unlinkat(root, path, 0) == 0 || errno == ENOENT else {
            throw .system(errno, "cannot remove \(self.path)/\(path)")
        }
    }

    package func sync(directory: String) throws(RepositoryError) {
        let descriptor = tuff_open_beneath(root, directory, O_RDONLY | O_DIRECTORY, 0)
        guard descriptor >= 0 else { throw .system(errno, "cannot open \(path)/\(directory)") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .system(errno, "cannot sync \(path)/\(directory)") }
    }

    package func touch(_ path: String) throws(RepositoryError) -> Bool {
        guard utimensat(root, path, nil, AT_SYMLINK_NOFOLLOW) != 0 else { return true }
        guard errno == ENOENT else { throw .system(errno, "cannot touch \(self.path)/\(path)") }
        return false
    }

    package func now() throws(RepositoryError) -> Int64 {
        let name = "temporary/\(FileID())"
        let descriptor = tuff_open_beneath(root, name, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw .system(errno, "cannot make a file in \(path)/temporary") }
        defer {
            close(descriptor)
            unlinkat(root, name, 0)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system(errno, "cannot look at \(path)/\(name)") }
        return status.modified
    }

    /// Gives a file that was written its name, making the directory of packs that it may need.
    fileprivate func place(_ temporary: String, at path: String) throws(RepositoryError) {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        if mkdirat(root, directory, 0o700) == 0 {
            if let parent = directory.lastIndex(of: "/") { try sync(directory: String(directory[..<parent])) }
        } else if errno != EEXIST {
            throw .system(errno, "cannot make \(self.path)/\(directory)")
        }
        // A file system that cannot rename without replacing (NFS) can link without replacing.
        if tuff_rename_new(root, temporary, root, path) != 0 {
            guard errno == EINVAL else { throw .system(errno, "cannot write \(self.path)/\(path)") }
            guard linkat(root, temporary, root, path, 0) == 0, unlinkat(root, temporary, 0) == 0 else {
                throw .system(errno, "cannot write \(self.path)/\(path)")
            }
        }
        try sync(directory: directory)
    }

    fileprivate func discard(_ temporary: String) { unlinkat(root, temporary, 0) }
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
        var done = 0
        while done < buffer.count {
            let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + done)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .reading(errno, "cannot read \(path)") }
            guard count > 0 else { throw RepositoryError(.damaged, "\(path) ends too early, at \(Int(offset) + done)") }
            done += count
        }
    }
}

private final class DirectoryWriter: StoreWriter {
    private let store: DirectoryStore
    private let descriptor: Int32
    private let temporary: String
    private var isPlaced = false

    init(_ store: DirectoryStore, _ descriptor: Int32, _ temporary: String) {
        self.store = store
        self.descriptor = descriptor
        self.temporary = temporary
    }

    deinit {
        close(descriptor)
        if !isPlaced { store.discard(temporary) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(RepositoryError) {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system(errno, "cannot write to \(store.path)") }
            done += count
        }
    }

    func place(at path: String) throws(RepositoryError) {
        guard fsync(descriptor) == 0 else { throw .system(errno, "cannot write to \(store.path)") }
        try store.place(temporary, at: path)
        isPlaced = true
    }
}

extension stat {
    fileprivate var modified: Int64 { Int64(st_mtim.tv_sec) * 1_000_000_000 + Int64(st_mtim.tv_nsec) }
}

extension RepositoryError {
    /// A read that failed with `number` of errno(3).
    fileprivate static func reading(_ number: Int32, _ sentence: String) -> RepositoryError {
        var error = system(number, sentence)
        // What disks say of a bad sector, and checksumming file systems of bytes that changed.
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

    /// The same of what is no part of the repository: that it is not there says nothing of the repository.
    package static func outside(_ number: Int32, _ sentence: String) -> RepositoryError {
        var error = system(number, sentence)
        if error.code == .notFound { error.code = .failed }
        return error
    }
}
