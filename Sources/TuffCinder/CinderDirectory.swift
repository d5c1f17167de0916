import CTuffHost
import Glibc
import TuffModel
package import TuffRepository
import TuffSystem

/// The directory beneath which Cinder keeps its backups (`backup_posix_path`, or the mount of `backup_share`), and its
/// files by name. It is only ever read, and no symbolic link beneath it is followed.
package final class CinderDirectory: Sendable {
    /// The path as the user wrote it, for sentences.
    package let path: String
    private let root: Int32

    /// Bounds of the search beneath the root. Cinder's own containers are three deep, `ab/cd/<backup>`; a container
    /// that somebody named may be deeper. No path that Linux opens in one call has more than 2,048 directories.
    private static let mostLevels = 64
    private static let mostDirectories = 1_000_000
    /// Most sentences of one kind in a report.
    private static let mostSentences = 10

    /// - Parameter name: stands for the path in sentences; nil: the path does.
    package init(_ path: String, named name: String? = nil) throws(RepositoryError) {
        self.path = name ?? path
        root = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw .system(errno, "cannot open \(path)") }
    }

    deinit { close(root) }

    /// The files of one backup in one directory.
    struct Listing: Sendable {
        let prefix: CinderPrefix
        /// Relative to the root; "." for the root itself.
        let directory: String
        var hasMetadata = false
        var hasHashes = false
        /// Files with an object's name, and the highest number among them: their names being all different, they are 1
        /// to `objects` when both are the same.
        var objects = 0
        var highest = 0
        /// A file that Cinder does not write in a backup, with the reason.
        var odd: String?

        func path(_ name: String) -> String { directory == "." ? name : "\(directory)/\(name)" }
    }

    struct Scan: Sendable {
        var listings: [Listing] = []
        /// Directories that were not searched, as sentences: unreadable ones, and links.
        var unread: [String] = []
        fileprivate var skipped = 0

        fileprivate mutating func skip(_ sentence: String) {
            skipped += 1
            if skipped <= mostSentences { unread.append(sentence) }
        }
    }

    func scan() throws(RepositoryError) -> Scan {
        var scan = Scan()
        var waiting: [(directory: String, level: Int)] = [(".", 0)]
        var seen = 0
        while let (directory, level) = waiting.popLast() {
            seen += 1
            guard seen <= Self.mostDirectories else {
                throw RepositoryError(
                    .refused,
                    "there are more than \(Self.mostDirectories) directories beneath \(path); give the one of "
                        + "Cinder's backups"
                )
            }
            for name in try list(directory, level: level, into: &scan).sorted(by: >) {
                guard level < Self.mostLevels else {
                    scan.skip("\(described(name)) is more than \(Self.mostLevels) levels deep")
                    continue
                }
                waiting.append((name, level + 1))
            }
        }
        if scan.skipped > Self.mostSentences {
            scan.unread.append("\(scan.skipped - Self.mostSentences) more directories and links were not looked into")
        }
        return scan
    }

    /// Adds the backups of one directory. Returns the directories in it.
    private func list(_ directory: String, level: Int, into scan: inout Scan) throws(RepositoryError) -> [String] {
        let descriptor = tuff_open_beneath(root, directory, O_RDONLY | O_DIRECTORY, 0)
        guard descriptor >= 0, let stream = fdopendir(descriptor) else {
            let number = errno
            if descriptor >= 0 { close(descriptor) }
            errno = number
            try unread(directory, level: level, in: &scan)
            return []
        }
        defer { closedir(stream) }
        var listings: [CinderPrefix: Listing] = [:]
        var deeper: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            let kind = Self.kind(of: name, told: entry.pointee.d_type, in: descriptor)
            if let (prefix, rest) = CinderPrefix.split(name) {
                listings[prefix, default: Listing(prefix: prefix, directory: directory)].add(rest, kind)
            } else if kind == S_IFDIR {
                deeper.append(directory == "." ? name : "\(directory)/\(name)")
            } else if kind == S_IFLNK {
                let link = described(directory == "." ? name : "\(directory)/\(name)")
                scan.skip("\(link) is a symbolic link, which is not followed")
            }
        }
        if errno != 0 { try unread(directory, level: level, in: &scan) }
        scan.listings += listings.values.sorted { $0.prefix.text < $1.prefix.text }
        return deeper
    }

    private func unread(_ directory: String, level: Int, in scan: inout Scan) throws(RepositoryError) {
        let error = RepositoryError.system(errno, "cannot list \(described(directory))")
        guard level > 0 else { throw error }
        // Somebody's lost+found must not keep anybody from his backups.
        scan.skip(error.description)
    }

    /// The type of an entry as of `st_mode`; 0 if it is gone.
    private static func kind(of name: String, told: UInt8, in descriptor: Int32) -> mode_t {
        switch Int(told) {
        case Int(DT_REG): return S_IFREG
        case Int(DT_DIR): return S_IFDIR
        case Int(DT_LNK): return S_IFLNK
        case Int(DT_UNKNOWN):
            var status = stat()
            return fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_mode & S_IFMT : 0
        default: return S_IFCHR
        }
    }

    /// Opens a regular file beneath the root.
    func open(_ name: String) throws(RepositoryError) -> CinderFile {
        // A FIFO must not hold us up.
        let descriptor = tuff_open_beneath(root, name, O_RDONLY | O_NONBLOCK, 0)
        guard descriptor >= 0 else {
            let number = errno
            switch number {
            case ENOENT: throw RepositoryError(.damaged, "\(described(name)) is missing")
            case ELOOP: throw RepositoryError(.damaged, "\(described(name)) is a symbolic link")
            default: throw .system(number, "cannot open \(described(name))")
            }
        }
        return try CinderFile(descriptor, described(name))
    }

    /// The length of a regular file beneath the root, which is not opened.
    func size(_ name: String) throws(RepositoryError) -> UInt64 {
        // The directory first, beneath the root: fstatat(2) follows links in all components but the last.
        let slash = name.lastIndex(of: "/")
        let folder = slash.map { String(name[..<$0]) } ?? "."
        let own = slash.map { String(name[name.index(after: $0)...]) } ?? name
        let directory = tuff_open_beneath(root, folder, tuff_o_path | O_DIRECTORY, 0)
        defer { if directory >= 0 { close(directory) } }
        var status = stat()
        guard directory >= 0, fstatat(directory, own, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw errno == ENOENT
                ? RepositoryError(.damaged, "\(described(name)) is missing")
                : .system(errno, "cannot look at \(described(name))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw RepositoryError(.damaged, "\(described(name)) is no regular file")
        }
        return UInt64(clamping: status.st_size)
    }

    /// Whether `path`, which need not be there, lies beneath the root, where nothing is ever written.
    package func holds(_ path: String) -> Bool { RealPath.lies(path, beneath: self.path) }

    /// A path beneath the root for a sentence. Names of directories are other people's.
    func described(_ name: String) -> String {
        var text = path + "/"
        for scalar in name.unicodeScalars { text += PrintedText.spelled(scalar) }
        return name == "." ? path : text
    }
}

extension CinderDirectory.Listing {
    fileprivate mutating func add(_ rest: Substring, _ kind: mode_t) {
        let number = CinderPrefix.number(rest)
        guard kind == S_IFREG else {
            odd = odd ?? "its file that ends in \(PrintedText.quoted(rest)) is no regular file"
            return
        }
        if let number {
            objects += 1
            highest = max(highest, number)
        } else if rest == "_metadata" {
            hasMetadata = true
        } else if rest == "_sha256file" {
            hasHashes = true
        } else {
            odd = odd ?? "no backup has a file that ends in \(PrintedText.quoted(rest))"
        }
    }
}

/// A regular file that is open for reading.
final class CinderFile: Sendable {
    let size: UInt64
    let path: String
    private let descriptor: Int32

    fileprivate init(_ descriptor: Int32, _ path: String) throws(RepositoryError) {
        self.descriptor = descriptor
        self.path = path
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw RepositoryError(.damaged, "\(path) is no regular file")
        }
        size = UInt64(clamping: status.st_size)
    }

    deinit { close(descriptor) }

    /// Reads as many bytes as `buffer` has room for, fewer at the end.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) -> Int {
        let outcome = DescriptorIO.read(descriptor, at: offset, into: buffer)
        // What came before a place that cannot be read is worth having.
        if outcome.count == 0, let failure = outcome.failure { throw .system(failure, "cannot read \(path)") }
        return outcome.count
    }

    /// Reads the whole file.
    func contents(limit: Int) throws(RepositoryError) -> [UInt8] {
        guard size <= UInt64(limit) else {
            throw RepositoryError(.refused, "\(path) has \(size) bytes; more than \(limit) are not read")
        }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        let outcome = bytes.withUnsafeMutableBytes { DescriptorIO.read(descriptor, at: 0, into: $0) }
        if let failure = outcome.failure { throw .system(failure, "cannot read \(path)") }
        guard outcome.count == bytes.count else {
            throw RepositoryError(.damaged, "\(path) became shorter while it was read")
        }
        return bytes
    }
}
