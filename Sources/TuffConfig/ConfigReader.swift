import Glibc
package import TuffModel

extension ConfigLoader {
    /// Reads `paths`: files as they are, `-` as standard input, directories recursively.
    ///
    /// In a directory, files named `*.yaml` and `*.yml` are read in the order of their paths; names that begin with a
    /// dot are skipped, as are links to directories (they could go round in circles). A file reached twice is read once.
    /// What cannot be read is an error, so that a set is never smaller than its author meant.
    package static func read(paths: [String]) -> (sources: [ConfigSource], diagnostics: [Diagnostic]) {
        var reader = ConfigReader()
        for path in paths where !reader.isFull { reader.read(path) }
        return (reader.sources, reader.diagnostics)
    }
}

private struct ConfigReader {
    private struct FileID: Hashable {
        var device: dev_t
        var inode: ino_t
    }

    /// Directories below the one that was named; PATH_MAX leaves room for no more that people would make.
    private static let maximumDepth = 64

    var sources: [ConfigSource] = []
    var diagnostics: [Diagnostic] = []
    private var seen: Set<FileID> = []
    private var bytes = 0
    private var filesMet = 0
    private(set) var isFull = false

    mutating func read(_ path: String) {
        if path == "-" { return read(descriptor: STDIN_FILENO, shownAs: "<stdin>") }
        var status = stat()
        guard stat(path, &status) == 0 else { return refuse(path, "cannot be read: \(Self.reason(errno))") }
        guard status.st_mode & S_IFMT == S_IFDIR else { return readFile(path) }
        filesMet = 0
        readDirectory(path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path, depth: 1)
        if filesMet == 0 {
            refuse(path, "holds no file named *.yaml or *.yml", rule: "no-files")
        }
    }

    private mutating func readDirectory(_ path: String, depth: Int) {
        guard depth <= Self.maximumDepth else { return refuse(path, "is nested more than 64 directories deep") }
        guard let directory = opendir(path) else { return refuse(path, "cannot be read: \(Self.reason(errno))") }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        closedir(directory)
        for name in names.sorted() where !isFull {
            let child = path == "/" ? "/\(name)" : "\(path)/\(name)"
            let isYAML = name.hasSuffix(".yaml") || name.hasSuffix(".yml")
            var status = stat()
            guard lstat(child, &status) == 0 else {
                refuse(child, "cannot be read: \(Self.reason(errno))")
                continue
            }
            if status.st_mode & S_IFMT == S_IFDIR {
                readDirectory(child, depth: depth + 1)
            } else if isYAML {
                filesMet += 1
                readEntry(child)
            }
        }
    }

    /// A file found in a directory, perhaps through a link: only regular files are opened, since a pipe would block.
    private mutating func readEntry(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return refuse(path, "cannot be read: \(Self.reason(errno))") }
        switch status.st_mode & S_IFMT {
        case S_IFREG: readFile(path)
        case S_IFDIR: break
        default: refuse(path, "is no regular file")
        }
    }

    private mutating func readFile(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { return refuse(path, "cannot be read: \(Self.reason(errno))") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            return refuse(path, "is no file")
        }
        guard seen.insert(FileID(device: status.st_dev, inode: status.st_ino)).inserted else { return }
        read(descriptor: descriptor, shownAs: path)
    }

    private mutating func read(descriptor: CInt, shownAs path: String) {
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
        sources.append(ConfigSource(path: path, text: text))
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

    private mutating func refuse(_ path: String, _ complaint: String, rule: String = "unreadable-file") {
        let place = SourceLocation(file: path, line: 1, column: 1)
        diagnostics.append(Diagnostic(rule: rule, "\(quoted(path)) \(complaint)", at: place))
    }

    private static func reason(_ code: CInt) -> String { String(cString: strerror(code)) }
}
