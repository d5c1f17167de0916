import CTuffHost
import Glibc
import TuffModel

/// Bytes of one attribute, read by a single read(2): configfs hands an attribute out whole, and a read of a plain
/// file that returns less than asked for has reached its end.
struct ReadBuffer: ~Copyable {
    /// Longest text that is taken.
    static let limit = 64 << 10

    private let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: ReadBuffer.limit + 1, alignment: 16)

    deinit { storage.deallocate() }

    /// How many bytes came, -1 with errno when none could be read.
    func fill(from descriptor: Int32) -> Int { readBytes(descriptor, into: storage) }

    /// The same from a place of its own, whatever was read or written before.
    func fill(from descriptor: Int32, at offset: off_t) -> Int {
        while true {
            let count = pread(descriptor, storage.baseAddress, storage.count, offset)
            if count >= 0 || errno != EINTR { return count }
        }
    }

    /// The first `count` bytes without one trailing newline; nil when they are too many.
    func bytes(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count <= Self.limit else { return nil }
        let end = count > 0 && storage[count - 1] == 0x0a ? count - 1 : count
        return UnsafeRawBufferPointer(rebasing: storage[..<end])
    }

    func text(_ count: Int) -> String? {
        bytes(count).flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// Forgets what was read, which may have been a secret.
    func zero() {
        // Never nil: the buffer is allocated with a fixed, positive size.
        tuff_zero(storage.baseAddress!, storage.count)
    }
}

/// Patterns as a tree of components, so that each directory is opened once whatever the number of patterns.
private final class PatternNode {
    var literal: [String: PatternNode] = [:]
    /// `prefix*`, the empty prefix for `*`.
    var wild: [(prefix: String, node: PatternNode)] = []
    var readings: Set<TreeQuery.Reading> = []

    var isLeaf: Bool { literal.isEmpty && wild.isEmpty }

    init(_ queries: [TreeQuery]) {
        for query in queries {
            var node = self
            for word in query.pattern.split(separator: "/") { node = node.child(String(word)) }
            node.readings.insert(query.reading)
        }
    }

    private init() {}

    private func child(_ word: String) -> PatternNode {
        if word.hasSuffix("*") {
            let prefix = String(word.dropLast())
            if let known = wild.first(where: { $0.prefix == prefix }) { return known.node }
            let node = PatternNode()
            wild.append((prefix, node))
            return node
        }
        if let known = literal[word] { return known }
        let node = PatternNode()
        literal[word] = node
        return node
    }

    func matches(_ name: String, into result: inout [PatternNode]) {
        if let node = literal[name] { result.append(node) }
        for (prefix, node) in wild where prefix.isEmpty || name.hasPrefix(prefix) { result.append(node) }
    }
}

/// Reads the entries of a rooted tree that match patterns: a directory whose components are all named is not listed,
/// an attribute costs open, read and close.
struct TreeReader: ~Copyable {
    private let key: FingerprintKey
    private let progress: () -> Bool
    private let buffer = ReadBuffer()
    private var entries: [TreeEntry] = []
    private var abandoned = false

    /// - Parameter progress: called now and then, so that a long reading is told from a stuck one; false: nobody
    ///   waits for the result any more.
    static func read(
        _ root: HostPath.Root, _ queries: [TreeQuery], key: FingerprintKey, roots: HostRoots,
        progress: @escaping () -> Bool
    ) throws(HostError) -> [TreeEntry] {
        let directory = try roots.open(root)
        var reader = TreeReader(key: key, progress: progress)
        reader.walk(directory.raw, "", [PatternNode(queries)])
        return reader.entries.sorted { $0.path < $1.path }
    }

    private init(key: FingerprintKey, progress: @escaping () -> Bool) {
        self.key = key
        self.progress = progress
    }

    /// `directory` may be opened `O_PATH`; where it must be listed it is opened again.
    private mutating func walk(_ directory: Int32, _ path: String, _ nodes: [PatternNode]) {
        if nodes.allSatisfy({ $0.wild.isEmpty }) {
            for name in Set(nodes.flatMap { $0.literal.keys }) {
                visit(directory, name, path, nodes.compactMap { $0.literal[name] }, kind: nil)
            }
            return
        }
        guard let names = list(directory, path) else { return }
        var matching: [PatternNode] = []
        for (name, kind) in names {
            matching.removeAll(keepingCapacity: true)
            for node in nodes { node.matches(name, into: &matching) }
            if !matching.isEmpty { visit(directory, name, path, matching, kind: kind) }
        }
    }

    private mutating func list(_ directory: Int32, _ path: String) -> [(String, TreeEntry.Kind?)]? {
        guard let names = listDirectory(directory) else {
            fail(path, .directory, errno, "Cannot list")
            return nil
        }
        return names
    }

    private mutating func visit(
        _ directory: Int32, _ name: String, _ parent: String, _ nodes: [PatternNode], kind known: TreeEntry.Kind?
    ) {
        guard goOn() else { return }
        let path = parent.isEmpty ? name : parent + "/" + name
        var readings: Set<TreeQuery.Reading> = []
        for node in nodes where !node.readings.isEmpty { readings.formUnion(node.readings) }
        if !readings.isEmpty { record(directory, name, path, readings, kind: known) }
        guard !nodes.allSatisfy(\.isLeaf), known == nil || known == .directory else { return }
        let flags = tuff_o_path | O_DIRECTORY | O_NOFOLLOW
        guard let child = OwnedDescriptor(opened: tuff_open_at(directory, name, flags, 0)) else {
            // Not a directory, or a link: nothing beneath it matches.
            if errno != ENOTDIR, errno != ELOOP { fail(path, .directory, errno, "Cannot open") }
            return
        }
        walk(child.raw, path, nodes)
    }

    private mutating func goOn() -> Bool {
        if !abandoned { abandoned = !progress() }
        return !abandoned
    }

    private mutating func record(
        _ directory: Int32, _ name: String, _ path: String, _ readings: Set<TreeQuery.Reading>,
        kind known: TreeEntry.Kind?
    ) {
        var entry = TreeEntry(path: path, kind: known ?? .other)
        // The commonest case, an attribute: whether it is one shows when it is opened.
        if known == nil || readings.contains(.status) {
            if known == nil, readings.isSubset(of: [.text, .fingerprint]),
                readContent(directory, name, readings, &entry)
            {
                entries.append(entry)
                return
            }
            var status = stat()
            guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                fail(path, entry.kind, errno, "Cannot look at")
                return
            }
            entry.kind = status.kind
            if readings.contains(.status) {
                entry.size = ByteCount(Int64(status.st_size))
                entry.allocated = ByteCount(Int64(status.st_blocks) * 512)
                entry.mode = UInt16(status.st_mode & 0o7777)
                entry.exposure = Exposure.fault(status)
            }
        }
        if entry.kind == .link { entry.target = linkText(directory, name) }
        if entry.kind == .file, !readings.isDisjoint(with: [.text, .fingerprint]) {
            guard readContent(directory, name, readings, &entry) else {
                fail(path, .file, errno, "Cannot read")
                return
            }
        }
        entries.append(entry)
    }

    /// False with errno when it is no file that can be read.
    private func readContent(
        _ directory: Int32, _ name: String, _ readings: Set<TreeQuery.Reading>, _ entry: inout TreeEntry
    ) -> Bool {
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
        guard let file = OwnedDescriptor(opened: tuff_open_at(directory, name, flags, 0)) else { return false }
        let count = buffer.fill(from: file.raw)
        guard count >= 0 else { return false }
        entry.kind = .file
        if count == 0 {
            // A FIFO reads like an empty file.
            var status = stat()
            if fstat(file.raw, &status) == 0 { entry.kind = status.kind }
            guard entry.kind == .file else { return true }
        }
        guard let bytes = buffer.bytes(count) else {
            entry.error = HostError(.malformed, "\(entry.path) is longer than \(ReadBuffer.limit) bytes")
            return true
        }
        if readings.contains(.text) {
            entry.text = String(validating: bytes, as: UTF8.self)
            if entry.text == nil { entry.error = HostError(.malformed, "\(entry.path) is not UTF-8 text") }
        }
        if readings.contains(.fingerprint) {
            // LIO shows a secret that was never set as nothing, one that was cleared as NULL.
            if !bytes.isEmpty, !bytes.elementsEqual("NULL".utf8) {
                entry.fingerprint = SecretFingerprint(of: bytes, key: key)
            }
            buffer.zero()
        }
        return true
    }

    /// Notes what could not be read; what went away meanwhile is simply not there.
    private mutating func fail(_ path: String, _ kind: TreeEntry.Kind, _ number: Int32, _ sentence: String) {
        guard number != ENOENT else { return }
        entries.append(
            TreeEntry(path: path, kind: kind, error: .system(number, "\(sentence) \(path)", subject: path)))
    }
}
