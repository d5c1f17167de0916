import TuffHost
package import TuffModel

/// Directories with files as a value: what directory pools live in. Relative paths are keys, so it has no `..`, no
/// links followed and no case folding, like the rooted trees of the real machine.
package struct FakeFiles: Equatable, Sendable {
    package struct File: Equatable, Sendable {
        package var size: ByteCount
        /// Bytes with blocks behind them. A new sparse file has none, which is what "blank" means.
        package var allocated = ByteCount.zero
        /// Stands for them: files that share their blocks have the same.
        var blocks: UInt64 = 0
        package var mode: UInt16 = 0o600
        /// Content of small text files; data files have none.
        package var text: String?
        /// Stands for the bytes of a data file: unique when made and again after each write.
        package var content: UInt64
        /// The image whose disk it holds, every byte of it, until somebody writes.
        package internal(set) var image: UInt64?
        /// The identity that stays the same whatever is written: another file has another one.
        package var birth: UInt64
        /// Somebody else's by owner.
        package var isForeign = false

        var exposure: String? { isForeign ? "belongs to user 1000" : nil }
    }

    package enum Entry: Equatable, Sendable {
        case file(File)
        case directory(mode: UInt16)
        case link(String)
    }

    package struct Directory: Equatable, Sendable {
        package var size: ByteCount
        package var entries: [String: Entry] = [:]
        /// Set: everything on this file system fails with it (permission taken away, NFS server gone).
        package var failure: HostError?
        /// Why others than we could change it.
        package var exposure: String?
        /// Files share blocks when asked to.
        package var sharesBlocks = false

        package var free: ByteCount {
            var rest = size, shared: [UInt64: ByteCount] = [:]
            for entry in entries.values {
                guard case .file(let file) = entry else { continue }
                if file.blocks == 0 {
                    rest = rest - file.allocated
                } else {
                    shared[file.blocks] = max(shared[file.blocks] ?? .zero, file.allocated)
                }
            }
            return shared.values.reduce(rest) { $0 - $1 }
        }
    }

    package var directories: [String: Directory] = [:]
    /// The exports of NFS servers that nobody here has mounted, by `SERVER:/EXPORT`; what is mounted, by path, and what
    /// lies beneath it; and what this host has ever tried to mount.
    package var exports: [String: Directory] = [:]
    package var mounts: [String: Mount] = [:]
    var beneath: [String: Directory] = [:]
    package var asked: Set<String> = []
    var minted: UInt64 = 0

    package init() {}

    /// The file at `path` in the pool `directory`.
    package subscript(directory: String, path: String) -> File? {
        get { if case .file(let file)? = directories[directory]?.entries[path] { file } else { nil } }
        set { directories[directory]?.entries[path] = newValue.map { .file($0) } }
    }

    // MARK: What a person does

    package mutating func addDirectory(
        _ path: String, size: ByteCount = ByteCount(1 << 40), sharesBlocks: Bool = false
    ) {
        directories[path] = Directory(size: size, sharesBlocks: sharesBlocks)
    }

    /// `truncate -s SIZE FILE`, or with `allocated` a file that holds data.
    package mutating func addFile(
        _ name: String, in directory: String, size: ByteCount, allocated: ByteCount = .zero, isForeign: Bool = true
    ) {
        minted += 1
        self[directory, name] = File(
            size: size, allocated: allocated, mode: 0o644, content: minted, birth: minted, isForeign: isForeign)
    }

    /// Somebody writes to the file: its content changes and it has blocks.
    package mutating func write(to name: String, in directory: String, bytes: ByteCount = ByteCount(1 << 20)) {
        minted += 1
        guard var file = self[directory, name] else { return }
        file.content = minted
        file.image = nil
        file.allocated = min(file.size, max(file.allocated, bytes))
        file.blocks = minted
        self[directory, name] = file
    }

    /// A text file somebody wrote, anywhere in the pool.
    package mutating func write(text: String, to path: String, in directory: String) {
        minted += 1
        self[directory, path] = File(
            size: ByteCount(Int64(text.utf8.count)), allocated: ByteCount(4096), text: text, content: minted,
            birth: minted)
    }

    package mutating func remove(_ path: String, in directory: String) {
        directories[directory]?.entries[path] = nil
    }

    // MARK: What the product does

    mutating func perform(_ action: HostAction) throws(HostError) {
        switch action {
        case .require(let condition): try check(condition)
        case .makeDirectory(let path):
            switch try entry(path) {
            case .directory?: break
            case nil: try set(path, .directory(mode: 0o755))
            default: throw HostError(.failed, "mkdir \(path)", cause: "EEXIST")
            }
        case .removeDirectory(let path):
            switch try entry(path) {
            case nil: break
            case .directory? where !hasChildren(path): try set(path, nil)
            default: throw HostError(.failed, "rmdir \(path)", cause: "ENOTEMPTY or ENOTDIR")
            }
        case .setMode(let path, let mode):
            switch try entry(path) {
            case .file(var file)?:
                file.mode = mode
                try set(path, .file(file))
            case .directory?: try set(path, .directory(mode: mode))
            default: throw HostError(.notFound, "chmod \(path)", cause: "ENOENT")
            }
        case .createFile(let path, let size): try create(path, size)
        case .growFile(let path, let size):
            guard case .file(var file)? = try entry(path), !file.isForeign else {
                throw HostError(.notFound, "\(path) is no file of ours")
            }
            file.size = max(file.size, size)
            try set(path, .file(file))
        case .cloneFile(let path, let target): try clone(path, to: target)
        case .renameFile(let path, let target): try rename(path, to: target)
        case .removeFile(let path):
            switch try entry(path) {
            case nil: break
            case .file(let file)? where !file.isForeign: try set(path, nil)
            default: throw HostError(.refused, "\(path) is no plain file of ours")
            }
        case .replaceFile(let path, let text):
            if let found = try entry(path), case .directory = found {
                throw HostError(.failed, "rename onto \(path)", cause: "EISDIR")
            }
            minted += 1
            try set(
                path,
                .file(
                    File(
                        size: ByteCount(Int64(text.utf8.count)), allocated: ByteCount(4096), text: text,
                        content: minted,
                        birth: minted)))
        default: throw HostError(.refused, "'\(action)' is nothing to do to a directory pool")
        }
    }

    private mutating func rename(_ path: HostPath, to target: HostPath) throws(HostError) {
        guard path.root == target.root else { throw HostError(.refused, "\(path) would leave its directory") }
        let there = try entry(target)
        guard let found = try entry(path) else {
            guard case .file? = there else { throw HostError(.notFound, "neither \(path) nor \(target) exists") }
            return
        }
        guard case .file(let file) = found, !file.isForeign else {
            throw HostError(.refused, "\(path) is no plain file of ours")
        }
        guard there == nil else { throw HostError(.failed, "rename onto \(target)", cause: "EEXIST") }
        try set(target, found)
        try set(path, nil)
    }

    private mutating func create(_ path: HostPath, _ size: ByteCount) throws(HostError) {
        switch try entry(path) {
        case nil:
            minted += 1
            try set(path, .file(File(size: size, content: minted, birth: minted)))
        case .file(var file)? where Self.isBlank(file):
            file.size = size
            try set(path, .file(file))
        default: throw HostError(.failed, "\(path) exists and is not blank", cause: "EEXIST")
        }
    }

    private func check(_ condition: Precondition) throws(HostError) {
        let holds: Bool
        switch condition {
        case .file(let path, let size):
            if case .file(let file)? = try entry(path), !file.isForeign, size == nil || file.size == size {
                holds = true
            } else {
                holds = false
            }
        case .vacant(let path):
            switch try entry(path) {
            case nil: holds = true
            case .file(let file)?: holds = Self.isBlank(file)
            default: holds = false
            }
        case .text(let path, let texts):
            if case .file(let file)? = try entry(path), let text = file.text {
                holds = texts.allSatisfy(text.contains)
            } else {
                holds = false
            }
        default: throw HostError(.refused, "'\(condition.sentence)' is no condition of a directory pool")
        }
        guard holds else { throw HostError(.preconditionFailed, "not so: \(condition.sentence)") }
    }

    private static func isBlank(_ file: File) -> Bool { !file.isForeign && file.allocated == .zero && file.text == nil }

    func directory(_ path: HostPath) throws(HostError) -> (name: String, Directory) {
        guard case .directory(let name) = path.root, let directory = directories[name] else {
            throw HostError(.notFound, "\(path) is in no directory of this machine")
        }
        if let failure = directory.failure { throw failure }
        return (name, directory)
    }

    func entry(_ path: HostPath) throws(HostError) -> Entry? {
        try directory(path).1.entries[path.relative]
    }

    mutating func set(_ path: HostPath, _ entry: Entry?) throws(HostError) {
        let (name, directory) = try directory(path)
        if let slash = path.relative.lastIndex(of: "/") {
            guard case .directory? = directory.entries[String(path.relative[..<slash])] else {
                throw HostError(.notFound, "\(path) has no parent directory", cause: "ENOENT")
            }
        }
        directories[name]!.entries[path.relative] = entry
    }

    private func hasChildren(_ path: HostPath) -> Bool {
        guard let found = try? directory(path).1 else { return false }
        return found.entries.keys.contains { $0.hasPrefix(path.relative + "/") }
    }

    // MARK: Reading

    func read(_ path: String, _ queries: [TreeQuery]) throws(HostError) -> [TreeEntry] {
        guard let directory = directories[path] else { throw HostError(.notFound, "\(path) does not exist") }
        if let failure = directory.failure { throw failure }
        var found: [TreeEntry] = []
        for (name, entry) in directory.entries {
            let matching = queries.filter { Self.matches(name, $0.pattern) }
            if !matching.isEmpty { found.append(Self.describe(name, entry, readings: Set(matching.map(\.reading)))) }
        }
        return found.sorted { $0.path < $1.path }
    }

    private static func matches(_ path: String, _ pattern: String) -> Bool {
        let names = path.split(separator: "/")
        let parts = pattern.split(separator: "/")
        return names.count == parts.count
            && zip(names, parts).allSatisfy { name, part in
                part.hasSuffix("*") ? name.hasPrefix(part.dropLast()) : name == part
            }
    }

    private static func describe(_ path: String, _ entry: Entry, readings: Set<TreeQuery.Reading>) -> TreeEntry {
        switch entry {
        case .link(let target): return TreeEntry(path: path, kind: .link, target: target)
        case .directory(let mode):
            guard readings.contains(.status) else { return TreeEntry(path: path, kind: .directory) }
            return TreeEntry(
                path: path, kind: .directory, mode: mode,
                exposure: mode & 0o022 == 0 ? nil : "may be written by others")
        case .file(let file):
            var result = TreeEntry(path: path, kind: .file)
            if readings.contains(.status) {
                result.size = file.size
                result.allocated = file.allocated
                result.mode = file.mode
                result.exposure = file.exposure
            }
            if readings.contains(.text) {
                let text = file.text ?? ""
                result.text = text.hasSuffix("\n") ? String(text.dropLast()) : text
            }
            return result
        }
    }
}
