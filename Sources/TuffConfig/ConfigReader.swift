import CTuffHost
import Glibc
package import TuffModel

extension ConfigLoader {
    /// Reads `paths`: files as they are, `-` as standard input, directories recursively.
    ///
    /// In a directory, files named `*.yaml` and `*.yml` are read in the order of their paths; names that begin with a
    /// dot are skipped. A link is followed to a file of the same tree only, as a mounted ConfigMap has them; one that
    /// leads out of the tree, or to something hidden in it, is an error. No message quotes a file that a link leads to.
    /// A link to a directory is never followed, and each one is reported. A file reached twice is read once. An
    /// unreadable file is an error, so that a set is never smaller than its author meant.
    ///
    /// - Parameters:
    ///   - pruning: objects without a document are about to be removed, so that a directory which is not read is an
    ///     error rather than a warning.
    ///   - secrets: directories and files that hold secrets and no documents; meeting one is an error.
    package static func read(
        paths: [String], pruning: Bool = false, secrets: [String] = []
    ) -> (sources: [ConfigSource], diagnostics: [Diagnostic]) {
        var reader = ConfigReader(pruning: pruning, secrets: secrets)
        for path in paths where !reader.isFull { reader.read(path) }
        return (reader.sources, reader.diagnostics)
    }
}

private struct ConfigReader {
    private struct FileID: Hashable {
        var device: dev_t
        var inode: ino_t

        init(_ status: stat) {
            device = status.st_dev
            inode = status.st_ino
        }

        /// The identity of the file that a path leads to, through links; nil: there is none.
        init?(following path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            self.init(status)
        }
    }

    /// A directory that is being read. Everything in it is opened beneath it by single names, which are no links, so
    /// that nothing exchanged meanwhile leads elsewhere.
    private struct Folder {
        var descriptor: CInt
        /// The path that messages show.
        var path: String
        /// The directory that `-f` named.
        var root: CInt
        /// Path of this directory relative to `root`; empty: it is `root` itself.
        var place: String
        var depth: Int

        func path(of name: String) -> String { path == "/" ? "/\(name)" : "\(path)/\(name)" }

        func place(of name: String) -> String { place.isEmpty ? name : "\(place)/\(name)" }
    }

    /// Directories below the one that was named; PATH_MAX leaves room for no more that people would make.
    private static let maximumDepth = 64
    /// A pipe or a terminal in the place of a file neither blocks nor takes control.
    private static let careful = O_RDONLY | O_NONBLOCK | O_NOCTTY

    private let pruning: Bool
    /// Directories and files that hold secrets, by identity, since they may have several names.
    private let secrets: Set<FileID>
    private(set) var sources: [ConfigSource] = []
    private(set) var diagnostics: [Diagnostic] = []
    private var seen: Set<FileID> = []
    private var bytes = 0
    private var filesMet = 0
    private(set) var isFull = false

    init(pruning: Bool, secrets: [String]) {
        self.pruning = pruning
        self.secrets = Set(secrets.compactMap { FileID(following: $0) })
    }

    mutating func read(_ path: String) {
        if path == "-" { return read(descriptor: STDIN_FILENO, shownAs: "<stdin>") }
        var status = stat()
        guard stat(path, &status) == 0 else { return refuse(path, "cannot be read: \(Self.reason(errno))") }
        guard status.st_mode & S_IFMT == S_IFDIR else { return readNamed(path) }
        let shown = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let root = tuff_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0)
        guard root >= 0 else { return refuse(path, "cannot be read: \(Self.reason(errno))") }
        defer { close(root) }
        filesMet = 0
        readAll(of: Folder(descriptor: root, path: shown, root: root, place: "", depth: 1))
        if filesMet == 0 {
            refuse(path, "holds no file named *.yaml or *.yml", rule: "no-files")
        }
    }

    // MARK: Directories

    private mutating func readAll(of folder: Folder) {
        guard folder.depth <= Self.maximumDepth else {
            return refuse(folder.path, "is nested more than 64 directories deep")
        }
        var status = stat()
        guard fstat(folder.descriptor, &status) == 0 else {
            return refuse(folder.path, "cannot be read: \(Self.reason(errno))")
        }
        guard !secrets.contains(FileID(status)) else {
            filesMet += 1
            return refuseSecret(folder.path)
        }
        guard let names = Self.names(in: folder.descriptor) else {
            return refuse(folder.path, "cannot be read: \(Self.reason(errno))")
        }
        for name in names.sorted() where !isFull {
            var status = stat()
            guard fstatat(folder.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                refuse(folder.path(of: name), "cannot be read: \(Self.reason(errno))")
                continue
            }
            let isYAML = name.hasSuffix(".yaml") || name.hasSuffix(".yml")
            switch status.st_mode & S_IFMT {
            case S_IFDIR: readFolder(name, in: folder)
            case S_IFLNK: readLink(name, in: folder, isYAML: isYAML)
            case _ where !isYAML: break
            case S_IFREG: readEntry(name, in: folder)
            default: refuseEntry(name, in: folder, "is no regular file")
            }
        }
    }

    /// Nil with errno set where not all names could be read.
    private static func names(in descriptor: CInt) -> [String]? {
        let copy = tuff_open_at(descriptor, ".", O_RDONLY | O_DIRECTORY, 0)
        guard copy >= 0 else { return nil }
        guard let directory = fdopendir(copy) else {
            close(copy)
            return nil
        }
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else { return errno == 0 ? names : nil }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
    }

    private mutating func readFolder(_ name: String, in folder: Folder) {
        let descriptor = tuff_open_at(folder.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
        guard descriptor >= 0 else {
            return refuse(folder.path(of: name), "cannot be read: \(Self.reason(errno))")
        }
        defer { close(descriptor) }
        readAll(
            of: Folder(
                descriptor: descriptor, path: folder.path(of: name), root: folder.root, place: folder.place(of: name),
                depth: folder.depth + 1))
    }

    private mutating func readEntry(_ name: String, in folder: Folder) {
        filesMet += 1
        let descriptor = tuff_open_at(folder.descriptor, name, Self.careful | O_NOFOLLOW, 0)
        guard descriptor >= 0 else {
            return refuse(folder.path(of: name), "cannot be read: \(Self.reason(errno))")
        }
        defer { close(descriptor) }
        readOpened(descriptor, shownAs: folder.path(of: name))
    }

    private mutating func readLink(_ name: String, in folder: Folder, isYAML: Bool) {
        guard isYAML else { return lookBehind(name, in: folder) }
        let place = folder.place(of: name)
        // The link's target is examined before it is opened: opening a device may have effects.
        let target = tuff_open_within(folder.root, place, tuff_o_path)
        guard target >= 0 else {
            let isOutside = errno == EXDEV
            return refuseEntry(
                name, in: folder,
                isOutside
                    ? "is a link that leads out of the directory given to -f, or an absolute one; it is not followed"
                    : "is a link that cannot be followed: \(Self.reason(errno))",
                rule: isOutside ? "link-out-of-tree" : "unreadable-file",
                help: isOutside ? "put the file there, give it to -f by its own path, or make the link relative" : nil)
        }
        defer { close(target) }
        guard let parts = Self.components(of: target, beneath: folder.root), !parts.contains(where: Self.isHidden)
        else {
            return refuseEntry(
                name, in: folder, "is a link to something hidden, in which there are no documents; it is not followed",
                rule: "link-to-hidden", help: "put the file there, or give it to -f by its own path")
        }
        guard !leadsToSecret(target) else {
            filesMet += 1
            return refuseSecret(folder.path(of: name))
        }
        var expected = stat()
        guard fstat(target, &expected) == 0 else {
            return refuseEntry(name, in: folder, "cannot be read: \(Self.reason(errno))")
        }
        if expected.st_mode & S_IFMT == S_IFDIR { return noteLinkedDirectory(folder.path(of: name)) }
        guard expected.st_mode & S_IFMT == S_IFREG else {
            return refuseEntry(name, in: folder, "is a link to something that is no regular file")
        }
        filesMet += 1
        let descriptor = tuff_open_within(folder.root, place, Self.careful)
        guard descriptor >= 0 else {
            return refuse(folder.path(of: name), "cannot be read: \(Self.reason(errno))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, FileID(status) == FileID(expected) else {
            return refuse(folder.path(of: name), "was exchanged while it was read")
        }
        // A person who may make links here need not be allowed to read all that this user may.
        readOpened(descriptor, shownAs: folder.path(of: name), isQuotable: false)
    }

    /// The names from an open directory to a file that is open beneath it, all links followed; nil where they cannot be
    /// found out.
    private static func components(of descriptor: CInt, beneath root: CInt) -> [Substring]? {
        guard let top = path(of: root), let place = path(of: descriptor) else { return nil }
        let above = top.split(separator: "/")
        let parts = place.split(separator: "/")
        return parts.starts(with: above) ? Array(parts.dropFirst(above.count)) : nil
    }

    private static func path(of descriptor: CInt) -> String? {
        guard let found = realpath("/proc/self/fd/\(descriptor)", nil) else { return nil }
        defer { free(found) }
        return String(cString: found)
    }

    /// A name such as `.git`. Kubernetes' own have two dots: `..data`, `..2026_11_30`.
    private static func isHidden(_ name: Substring) -> Bool { name.hasPrefix(".") && !name.hasPrefix("..") }

    /// True when a link's target lies beneath a root of secrets, or is one.
    private func leadsToSecret(_ target: CInt) -> Bool {
        guard !secrets.isEmpty else { return false }
        guard var place = Self.path(of: target)?[...] else { return true }
        while !place.isEmpty {
            if let known = FileID(following: String(place)), secrets.contains(known) { return true }
            place = place.prefix(upTo: place.lastIndex(of: "/") ?? place.startIndex)
        }
        return false
    }

    /// Judges a link whose name is no document's: it matters only where it leads to a directory, or to nothing.
    private mutating func lookBehind(_ name: String, in folder: Folder) {
        var status = stat()
        let isThere = fstatat(folder.descriptor, name, &status, 0) == 0
        if isThere, status.st_mode & S_IFMT != S_IFDIR { return }
        noteLinkedDirectory(folder.path(of: name), because: isThere ? nil : Self.reason(errno))
    }

    private mutating func noteLinkedDirectory(_ path: String, because reason: String? = nil) {
        let what =
            reason.map { "is a link that leads nowhere (\($0)): if a directory was there," }
            ?? "is a link to a directory, and is not followed:"
        let place = SourceLocation(file: path, line: 1, column: 1)
        diagnostics.append(
            Diagnostic(
                pruning ? .error : .warning, rule: "linked-directory",
                "\(quoted(path)) \(what) its documents are missing here", at: place,
                help: pruning
                    ? "with --prune what they declare would be removed; give that directory to -f, or remove the link"
                    : "give that directory to -f as well, or remove the link"))
    }

    // MARK: Files

    /// A file that -f named itself. A pipe is fine, as in -f <(generate).
    private mutating func readNamed(_ path: String) {
        let descriptor = tuff_open_at(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0)
        guard descriptor >= 0 else { return refuse(path, "cannot be read: \(Self.reason(errno))") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            return refuse(path, "is no file")
        }
        guard seen.insert(FileID(status)).inserted else { return }
        // A shell's pattern (-f *.yaml) names links as well, which others may have laid.
        var link = stat()
        let isLink = lstat(path, &link) == 0 && link.st_mode & S_IFMT == S_IFLNK
        read(
            descriptor: descriptor, shownAs: path, isQuotable: !isLink || status.st_mode & S_IFMT != S_IFREG)
    }

    /// A file of a directory. It was a regular one when it was looked at, and must be one still.
    private mutating func readOpened(_ descriptor: CInt, shownAs path: String, isQuotable: Bool = true) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return refuse(path, "is no regular file")
        }
        guard !secrets.contains(FileID(status)) else { return refuseSecret(path) }
        guard seen.insert(FileID(status)).inserted else { return }
        read(descriptor: descriptor, shownAs: path, isQuotable: isQuotable)
    }

    private mutating func read(descriptor: CInt, shownAs path: String, isQuotable: Bool = true) {
        guard sources.count < Limits.files else {
            isFull = true
            return refuse(path, "is one file too many: a set has at most 10,000", rule: "too-many-files")
        }
        var text: [UInt8] = []
        while true {
            let (chunk, failure) = Self.readChunk(descriptor)
            if let failure { return refuse(path, "cannot be read: \(failure)") }
            guard !chunk.isEmpty else { break }
            text += chunk
            guard text.count <= Limits.fileBytes else {
                return refuse(path, "has more than 1 MiB", rule: "file-too-large")
            }
        }
        bytes += text.count
        guard bytes <= Limits.setBytes else {
            isFull = true
            return refuse(path, "makes the set larger than 64 MiB", rule: "set-too-large")
        }
        sources.append(ConfigSource(path: path, text: text, isQuotable: isQuotable))
    }

    private static func readChunk(_ descriptor: CInt) -> ([UInt8], String?) {
        while true {
            var failure: CInt = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
                let got = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                if got < 0 { failure = errno }
                count = max(0, got)
            }
            if failure == EINTR { continue }
            return (chunk, failure == 0 ? nil : reason(failure))
        }
    }

    // MARK: Saying so

    private mutating func refuseSecret(_ path: String) {
        refuse(
            path, "lies beneath a root of allow.secrets, where secrets are and no documents; it was not read",
            rule: "secrets-in-tree", help: "keep documents elsewhere, or name another directory with -f")
    }

    private mutating func refuseEntry(
        _ name: String, in folder: Folder, _ complaint: String, rule: String = "unreadable-file", help: String? = nil
    ) {
        filesMet += 1
        refuse(folder.path(of: name), complaint, rule: rule, help: help)
    }

    private mutating func refuse(
        _ path: String, _ complaint: String, rule: String = "unreadable-file", help: String? = nil
    ) {
        let place = SourceLocation(file: path, line: 1, column: 1)
        diagnostics.append(Diagnostic(rule: rule, "\(quoted(path)) \(complaint)", at: place, help: help))
    }

    private static func reason(_ code: CInt) -> String { String(cString: strerror(code)) }
}
