import Synchronization
import TuffRepository

/// A repository in memory that counts what is done to it and can be made to fail.
final class MemoryStore: Store {
    /// A fault at the call of a number.
    enum Fault: Sendable {
        /// This call and none after it fails, or this and every one after it.
        case once(Int)
        case forEver(from: Int)
    }

    private struct State {
        var files: [String: [UInt8]] = [:]
        var calls = 0
        var clock: Int64 = 1_000
        var times: [String: Int64] = [:]
    }

    private let state = Mutex(State())
    private let fault: Fault?

    init(_ files: [String: [UInt8]] = [:], fault: Fault? = nil) {
        self.fault = fault
        state.withLock { $0.files = files }
    }

    /// The durable files: each at its place.
    var files: [String: [UInt8]] { state.withLock { $0.files } }
    var bytes: Int { files.values.reduce(0) { $0 + $1.count } }

    func passTime(_ nanoseconds: Int64) { state.withLock { $0.clock += nanoseconds } }

    func replace(_ path: String, with bytes: [UInt8]) { state.withLock { $0.files[path] = bytes } }

    /// From now on these bytes of a file cannot be read, as on a disk with a bad sector; nil: they can again.
    func spoil(_ path: String, _ range: Range<Int>?) { spoilt.withLock { $0[path] = range } }
    private let spoilt = Mutex<[String: Range<Int>]>([:])

    /// Calls that change something so far.
    var calls: Int { state.withLock { $0.calls } }

    fileprivate func change(
        at path: String? = nil, _ body: (inout [String: [UInt8]]) -> Void
    ) throws(RepositoryError) {
        let fails = state.withLock { state in
            state.calls += 1
            switch fault {
            case .once(let number): return state.calls == number
            case .forEver(let number): return state.calls >= number
            case nil: return false
            }
        }
        if fails { throw RepositoryError(.full, "no space", cause: "injected") }
        let files = state.withLock { state in
            body(&state.files)
            if let path { state.times[path] = state.clock }
            return state.files
        }
        if let path { watcher.withLock { $0 }?(path, files) }
    }

    private let watcher = Mutex<(@Sendable (String, [String: [UInt8]]) -> Void)?>(nil)

    /// From now on tells of each file that gets its place, and of all that are there then.
    func watch(_ body: @escaping @Sendable (String, [String: [UInt8]]) -> Void) { watcher.withLock { $0 = body } }

    func list(_ directory: String) throws(RepositoryError) -> [StoredFile] {
        state.withLock { state in
            state.files.compactMap { path, bytes in
                guard path.hasPrefix(directory + "/"), !path.dropFirst(directory.count + 1).contains("/") else {
                    return nil
                }
                return StoredFile(
                    name: String(path.dropFirst(directory.count + 1)), size: UInt64(bytes.count),
                    modified: state.times[path] ?? 0)
            }
        }
    }

    func open(_ path: String) throws(RepositoryError) -> any StoreReader {
        guard let bytes = files[path] else { throw RepositoryError(.notFound, "\(path) is not there") }
        return Reader(bytes: bytes, spoilt: spoilt.withLock { $0[path] })
    }

    func create() throws(RepositoryError) -> any StoreWriter {
        try change { _ in }
        return Writer(store: self)
    }

    func remove(_ path: String) throws(RepositoryError) { try change { $0[path] = nil } }
    func sync(directory: String) throws(RepositoryError) { try change { _ in } }
    func touch(_ path: String) throws(RepositoryError) -> Bool {
        state.withLock { state in
            guard state.files[path] != nil else { return false }
            state.times[path] = state.clock
            return true
        }
    }

    /// Gives a file another modification time, as whoever can write to the medium may.
    func date(_ path: String, _ time: Int64) { state.withLock { $0.times[path] = time } }
    var clock: Int64 { state.withLock { $0.clock } }

    func now() throws(RepositoryError) -> Int64 {
        state.withLock { state in
            state.clock += 1
            return state.clock
        }
    }

    private struct Reader: StoreReader {
        let bytes: [UInt8]
        let spoilt: Range<Int>?
        var size: UInt64 { UInt64(bytes.count) }

        func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
            guard offset <= size, UInt64(buffer.count) <= size - offset else {
                throw RepositoryError(.damaged, "it ends too early")
            }
            let range = Int(offset)..<(Int(offset) + buffer.count)
            if let spoilt, spoilt.overlaps(range) { throw RepositoryError(.unreadable, "Input/output error") }
            buffer.copyBytes(from: bytes[range])
        }
    }

    private final class Writer: StoreWriter {
        private let store: MemoryStore
        private var bytes: [UInt8] = []

        init(store: MemoryStore) { self.store = store }

        func write(_ bytes: UnsafeRawBufferPointer) throws(RepositoryError) {
            try store.change { _ in }
            self.bytes += bytes
        }

        func place(at path: String) throws(RepositoryError) {
            let bytes = bytes
            try store.change(at: path) { $0[path] = bytes }
        }
    }
}

/// A volume in memory: what is backed up, and what a restore writes.
final class MemoryVolume: BlockSource, BlockTarget {
    private let content: Mutex<[UInt8]>
    let isBlank: Bool

    init(_ bytes: [UInt8], isBlank: Bool = false) {
        content = Mutex(bytes)
        self.isBlank = isBlank
    }

    var bytes: [UInt8] { content.withLock { $0 } }
    var size: UInt64 { UInt64(bytes.count) }
    func demandSameSize() {}
    func isHole(at offset: UInt64, count: Int) -> Bool { false }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        let begin = Int(offset)
        content.withLock { buffer.copyBytes(from: $0[begin..<(begin + buffer.count)]) }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(RepositoryError) {
        let begin = Int(offset)
        content.withLock { $0.replaceSubrange(begin..<(begin + bytes.count), with: bytes) }
    }

    func finish(size: UInt64) throws(RepositoryError) {}
}
