import CTuffHost
import Glibc
import TuffModel
import TuffSystem

/// Bytes of one attribute, read by a single read(2): configfs hands an attribute out whole, and a read of a plain
/// file that returns less than asked for has reached its end.
struct ReadBuffer: ~Copyable {
    /// Longest text that is taken.
    static let limit = 64 << 10

    private let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: ReadBuffer.limit + 1, alignment: 16)

    deinit { storage.deallocate() }

    /// How many bytes came, -1 with errno when none could be read.
    func fill(from descriptor: Int32) -> Int { DescriptorIO.readOnce(descriptor, into: storage) }

    /// The same from a place of its own, whatever was read or written before.
    func fill(from descriptor: Int32, at offset: off_t) -> Int {
        DescriptorIO.readOnce(descriptor, at: offset, into: storage)
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

/// Everything that is asked about one entry.
private struct Readings: OptionSet {
    let rawValue: UInt8

    static let presence = Readings(rawValue: 1)
    static let text = Readings(rawValue: 2)
    static let fingerprint = Readings(rawValue: 4)
    static let status = Readings(rawValue: 8)
    static let content: Readings = [.text, .fingerprint]

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ reading: TreeQuery.Reading) {
        self =
            switch reading {
            case .presence: .presence
            case .text: .text
            case .fingerprint: .fingerprint
            case .status: .status
            }
    }
}

/// Patterns as a tree of components, so that each directory is opened once whatever the number of patterns.
private final class PatternNode {
    var literal: [String: PatternNode] = [:]
    /// `prefix*`, the empty prefix for `*`.
    var wild: [(prefix: String, node: PatternNode)] = []
    var readings: Readings = []

    var isLeaf: Bool { literal.isEmpty && wild.isEmpty }

    /// A directory of which nothing is asked but the content of some of its files, by name. Asked for again and again.
    private(set) lazy var isGroup =
        readings.isEmpty && wild.isEmpty && !literal.isEmpty
        && literal.values.allSatisfy { $0.isLeaf && !$0.readings.isDisjoint(with: .content) }

    init(_ queries: [TreeQuery]) {
        for query in queries {
            var node = self
            for word in query.pattern.split(separator: "/") { node = node.child(String(word)) }
            node.readings.formUnion(Readings(query.reading))
        }
    }

    private init() {}

    init(_ literal: [String: PatternNode]) { self.literal = literal }

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
    private let looksAtOwners: Bool
    private let buffer = ReadBuffer()
    private var entries: [TreeEntry] = []
    private var abandoned = false

    /// - Parameter progress: called now and then, so that a long reading is told from a stuck one; false: nobody
    ///   waits for the result any more.
    static func read(
        _ root: HostPath.Root, _ queries: [TreeQuery], key: FingerprintKey, roots: HostRoots,
        progress: @escaping () -> Bool
    ) throws(HostError) -> [TreeEntry] {
        // What is wrong with a directory itself is for `space` to tell.
        let directory = try roots.open(root, isChecked: false)
        var reader = TreeReader(key: key, progress: progress, looksAtOwners: !Exposure.isServers(directory.raw))
        let top = [PatternNode(queries)]
        if Self.mustList(top) {
            guard let listed = OwnedDescriptor(opened: tuff_open_at(directory.raw, ".", O_RDONLY | O_DIRECTORY, 0))
            else {
                throw .system(errno, "Cannot list \(roots.path(of: root))", subject: roots.path(of: root))
            }
            reader.walk(listed.raw, path: "", nodes: top)
        } else {
            reader.walk(directory.raw, path: "", nodes: top)
        }
        return reader.entries.sorted { $0.path < $1.path }
    }

    private init(key: FingerprintKey, progress: @escaping () -> Bool, looksAtOwners: Bool) {
        self.looksAtOwners = looksAtOwners
        self.key = key
        self.progress = progress
    }

    /// Tells whether the names in a directory are needed. One that is not listed is opened `O_PATH` only.
    private static func mustList(_ nodes: [PatternNode]) -> Bool { !nodes.allSatisfy { $0.wild.isEmpty } }

    /// `directory` is open for reading where it must be listed.
    private mutating func walk(_ directory: Int32, path: String, nodes: [PatternNode]) {
        guard Self.mustList(nodes) else {
            for name in Set(nodes.flatMap { $0.literal.keys }) {
                visit(directory, name: name, parent: path, nodes: nodes.compactMap { $0.literal[name] }, kind: nil)
            }
            return
        }
        guard let names = listDirectory(opened: directory) else {
            return fail(path, kind: .directory, number: errno, sentence: "Cannot list")
        }
        var matching: [PatternNode] = []
        for (name, kind) in names {
            matching.removeAll(keepingCapacity: true)
            for node in nodes { node.matches(name, into: &matching) }
            if !matching.isEmpty { visit(directory, name: name, parent: path, nodes: matching, kind: kind) }
        }
    }

    private mutating func visit(
        _ directory: Int32, name: String, parent: String, nodes: [PatternNode], kind known: TreeEntry.Kind?
    ) {
        guard goOn() else { return }
        let path = parent.isEmpty ? name : parent + "/" + name
        var readings: Readings = []
        for node in nodes { readings.formUnion(node.readings) }
        if !readings.isEmpty { record(directory, name: name, path: path, readings: readings, kind: known) }
        guard !nodes.allSatisfy(\.isLeaf), known == nil || known == .directory else { return }
        var rest = nodes
        if nodes.count == 1, nodes[0].isGroup {
            guard let others = readGroup(directory, name: name, path: path, node: nodes[0]) else { return }
            rest = [others]
        }
        let flags = (Self.mustList(rest) ? O_RDONLY | O_NONBLOCK : tuff_o_path) | O_DIRECTORY | O_NOFOLLOW
        guard let child = OwnedDescriptor(opened: tuff_open_at(directory, name, flags, 0)) else {
            // Not a directory, or a link: nothing beneath it matches.
            if errno != ENOTDIR, errno != ELOOP { fail(path, kind: .directory, number: errno, sentence: "Cannot open") }
            return
        }
        walk(child.raw, path: path, nodes: rest)
    }

    /// Reads the files of a group without opening its directory.
    ///
    /// - Returns: those that could not be read this way, nil when none are left.
    private mutating func readGroup(
        _ directory: Int32, name: String, path: String, node: PatternNode
    ) -> PatternNode? {
        var rest: [String: PatternNode] = [:]
        for (file, leaf) in node.literal {
            guard goOn() else { return nil }
            var entry = TreeEntry(path: "\(path)/\(file)", kind: .other)
            if readContent(directory, name: "\(name)/\(file)", readings: leaf.readings, entry: &entry) {
                entries.append(entry)
            } else if errno != ENOENT {
                rest[file] = leaf
            }
        }
        return rest.isEmpty ? nil : PatternNode(rest)
    }

    private mutating func goOn() -> Bool {
        if !abandoned { abandoned = !progress() }
        return !abandoned
    }

    private mutating func record(
        _ directory: Int32, name: String, path: String, readings: Readings, kind known: TreeEntry.Kind?
    ) {
        var entry = TreeEntry(path: path, kind: known ?? .other)
        // The commonest case, an attribute: whether it is one shows when it is opened.
        if known == nil || readings.contains(.status) {
            if known == nil, !readings.isDisjoint(with: .content),
                readContent(directory, name: name, readings: readings, entry: &entry)
            {
                entries.append(entry)
                return
            }
            var status = stat()
            guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                fail(path, kind: entry.kind, number: errno, sentence: "Cannot look at")
                return
            }
            entry.kind = status.kind
            if readings.contains(.status) { note(status, &entry) }
        }
        if entry.kind == .link { entry.target = linkText(directory, name) }
        if entry.kind == .file, !readings.isDisjoint(with: .content) {
            guard readContent(directory, name: name, readings: readings.intersection(.content), entry: &entry) else {
                fail(path, kind: .file, number: errno, sentence: "Cannot read")
                return
            }
        }
        entries.append(entry)
    }

    private func note(_ status: stat, _ entry: inout TreeEntry) {
        entry.size = ByteCount(Int64(status.st_size))
        entry.allocated = ByteCount(Int64(status.st_blocks) * 512)
        entry.mode = UInt16(status.st_mode & 0o7777)
        if looksAtOwners { entry.exposure = Exposure.fault(status) }
    }

    /// `name` may be a path of several components. False with errno when it is no file that can be read.
    private func readContent(
        _ directory: Int32, name: String, readings: Readings, entry: inout TreeEntry
    ) -> Bool {
        guard let file = OwnedDescriptor(opened: tuff_open_beneath(directory, name, O_RDONLY | O_NONBLOCK, 0)) else {
            return false
        }
        let count = buffer.fill(from: file.raw)
        guard count >= 0 else { return false }
        entry.kind = .file
        // A FIFO reads like an empty file.
        if count == 0 || readings.contains(.status) {
            var status = stat()
            guard fstat(file.raw, &status) == 0 else { return false }
            entry.kind = status.kind
            if readings.contains(.status) { note(status, &entry) }
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
    private mutating func fail(_ path: String, kind: TreeEntry.Kind, number: Int32, sentence: String) {
        guard number != ENOENT else { return }
        entries.append(
            TreeEntry(path: path, kind: kind, error: .system(number, "\(sentence) \(path)", subject: path)))
    }
}
