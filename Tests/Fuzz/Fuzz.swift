import Crypto
import FoundationEssentials
import Glibc
@testable import TuffCinder
@testable import TuffRepository

/// The function that libFuzzer calls, again and again, with inputs that it finds to reach new code. `FUZZ` names the
/// reader of them. Anything may be refused with a RepositoryError; a crash, a hang, or memory without bound is a fault.
///
/// Files of a repository prove themselves, which no mutation would ever pass. So every input is read as the file that
/// it is, and then as content for which the proof is made.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: size))
    do {
        switch reader {
        case "pack": try Fuzz.pack(bytes)
        case "index": try Fuzz.index(bytes)
        case "tree": try Fuzz.tree(bytes)
        case "point": try Fuzz.point(bytes)
        case "lease": try Fuzz.lease(bytes)
        case "cinder": try Fuzz.cinder(bytes)
        default:
            print("FUZZ is pack, index, tree, point, lease or cinder")
            exit(64)
        }
    } catch {}
    return 0
}

private let reader = getenv("FUZZ").map { String(cString: $0) } ?? ""

private enum Fuzz {
    // A hexadecimal constant that is an ID.
    static let id = FileID(String(repeating: "5a", count: 16))!
    static let sealing = Sealing(plain: id)
    static let repository = Repository(
        store: MemoryStore(), sealing: sealing,
        description: Repository.Description(created: "2026-11-22T09:30:00Z", encryption: .none, id: id.description))

    static func repository(_ files: [String: [UInt8]]) -> Repository {
        Repository(store: MemoryStore(files), sealing: sealing, description: repository.description)
    }

    /// Runs each of several readings, whatever became of the one before.
    static func each(_ bodies: (() throws -> Void)...) {
        for body in bodies { do { try body() } catch {} }
    }

    // MARK: Packs

    static func pack(_ bytes: [UInt8]) throws {
        each(
            { () throws in try readPack(bytes) },
            { () throws in
                // One byte for the kind and the number of records; then entries, then what they store.
                guard let first = bytes.first else { return }
                let kind: Format.Kind = first & 1 == 0 ? .blockPack : .nodePack
                let table = Array(bytes.dropFirst().prefix(Int(first >> 1) * PackEntry.byteCount))
                let records = bytes.dropFirst(1 + table.count)
                let piece = sealing.seal(kind, id).close(table, at: Format.lastPosition)
                try readPack(
                    FileHeader(kind: kind, id: id).bytes + records + piece + littleEndian(UInt32(piece.count))
                        + Pack.trailer)
            })
    }

    private static func readPack(_ file: [UInt8]) throws {
        let repository = repository([Pack.path(id): file])
        let (_, entries) = try PackReader(id, store: repository.store, sealing: sealing).table()
        let checker = RecordChecker(repository)
        for entry in entries { _ = try checker.isSound(Location(pack: id, entry: entry)) }
    }

    // MARK: Index files

    static func index(_ bytes: [UInt8]) throws {
        each(
            { () throws in try readIndex(bytes) },
            { () throws in
                // Numbers of entries and packs, then pages, as often as they are needed.
                guard bytes.count > 3 else { return }
                let entries = Int(bytes[0]) | Int(bytes[1] & 1) << 8
                let layout = IndexLayout(entries: entries, packs: Int(bytes[2]))
                let seal = sealing.seal(.index, id)
                var file = FileHeader(kind: .index, id: id).bytes
                file += [UInt8](repeating: 0, count: Format.page - file.count)
                var next = 3
                for page in 1..<max(1, layout.firstFencePage + layout.fencePages) {
                    var content = Array(bytes[min(next, bytes.count)...].prefix(IndexLayout.content))
                    next += content.count
                    content += [UInt8](repeating: 0, count: IndexLayout.content - content.count)
                    file += seal.close(content, at: UInt64(page))
                }
                let footer = littleEndian(UInt64(entries)) + littleEndian(UInt32(layout.packs))
                let padding = [UInt8](repeating: 0, count: IndexLayout.footer - footer.count)
                try readIndex(file + seal.close(footer + padding, at: Format.lastPosition))
            })
    }

    private static func readIndex(_ bytes: [UInt8]) throws {
        let store = MemoryStore([IndexFile.path(id): bytes])
        let file = try IndexFile(id, store: store, sealing: sealing)
        var names: [ContentName] = [.zero]
        for page in 0..<file.layout.entryPages {
            for item in try file.entries(ofPage: page) { names.append(item.entry.name) }
        }
        for name in names {
            _ = try file.find(name, node: false)
            _ = try file.find(name, node: true)
        }
        var merge = try IndexMerge([file])
        let writer = try IndexWriter(store: store, sealing: sealing, lease: nil)
        while let location = try merge.next() { try writer.append(location) }
        _ = try writer.finish()
        let sorted = try RepositoryIndex(store: store, sealing: sealing, .sorting)
        _ = try sorted.entries(of: [id])
        _ = try Alive([], of: repository(store.files), index: sorted, lease: nil)
    }

    // MARK: Trees

    /// Size of the volume, then nodes of up to 1,032 bytes, which are stored as they are; the last is the root.
    static func tree(_ bytes: [UInt8]) throws {
        guard bytes.count > 4 else { return }
        let size = UInt64(bytes[0]) << (UInt64(bytes[1]) % 56) | UInt64(bytes[2])
        // A volume that a test can look at leaf by leaf.
        guard size <= 1 << 26 else { return }
        let store = MemoryStore()
        let index = try RepositoryIndex(store: store, sealing: sealing)
        let pack = try PackWriter(.nodePack, store: store, sealing: sealing)
        var root = ContentName.zero
        for begin in stride(from: 3, to: bytes.count, by: 1_032) {
            let node = Array(bytes[begin...].prefix(1_032))
            root = sealing.name(ofNode: node)
            var failure: (any Error)?
            node.withUnsafeBytes { node in
                do {
                    try pack.append(node, name: root, length: node.count, coding: .node)
                } catch { failure = error }
            }
            if let failure { throw failure }
        }
        try pack.finish()
        try index.add(pack)
        try index.flush()
        let record = RestorePoint.Record(
            series: Series(name: "v"), time: "", finished: "", size: size, root: root.description,
            counts: RestorePoint.Counts(), program: "")
        let point = RestorePoint(id: id, record: record)
        let repository = Repository(store: store, sealing: sealing, description: repository.description)
        _ = try Restore(point, of: repository, progress: JobProgress(), keepingGoing: true)
            .run(to: Nowhere(), threads: SystemThreads(count: 1))
    }

    // MARK: Restore points, leases, keys, marks

    static func point(_ bytes: [UInt8]) throws {
        func read(_ file: [UInt8]) throws {
            let point = try RestorePoint.read(id, store: MemoryStore([RestorePoint.path(id): file]), sealing: sealing)
            _ = try point.tree()
            _ = try PointChoice.notAfter("2026-11-22T09:30:00Z").choose(among: [point], damaged: [], series: nil)
        }
        each(
            { () throws in try read(bytes) },
            { () throws in
                let piece = sealing.seal(.point, id).close(bytes, at: 0)
                try read(FileHeader(kind: .point, id: id).bytes + piece)
            },
            { () throws in
                let piece = sealing.seal(.marks, id).close(bytes, at: 0)
                let store = MemoryStore([PackMark.path(id): FileHeader(kind: .marks, id: id).bytes + piece])
                _ = try PackMark.list(store, sealing)
            })
    }

    static func lease(_ bytes: [UInt8]) throws {
        let holder = Lease.Holder(
            kind: .exclusive, host: "here", boot: "", pid: 1, started: 1, command: "fuzz", since: "")
        func read(_ file: [UInt8]) throws {
            do { _ = try Lease.take(holder, in: MemoryStore(["leases/\(id)": file])) } catch {}
            do { _ = try Repository.open(MemoryStore(["repository": file])) } catch {}
            let slots = try KeySlot.list(MemoryStore(["keys/\(id)": file])).slots
            for slot in slots { _ = slot.record.label.count }
        }
        try read(bytes)
        let proof = "\nsha256 \(hexadecimal(SHA256.hash(data: bytes)))\n"
        try read(bytes + proof.utf8)
    }

    // MARK: Cinder

    private static let cinderVolume = "11111111-2222-4333-8444-555555555555"
    private static let cinderBackup = "aaaaaaa0-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    private static let folder: String = {
        var template = Array("/dev/shm/tuff-fuzz-XXXXXX".utf8CString)
        return template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!).map { String(cString: $0) } } ?? "/"
    }()

    /// One byte says which file of a backup the rest is: its metadata, its list of digests, or an object of a
    /// compression.
    static func cinder(_ bytes: [UInt8]) throws {
        guard let first = bytes.first, let id = CinderID(cinderBackup) else { return }
        let content = Array(bytes.dropFirst())
        let prefix = "\(folder)/volume_\(cinderVolume)_20260821100000_backup_\(cinderBackup)"
        let compression = ["none", "zlib", "bz2", "zstd"][Int(first >> 4) % 4]
        let ids = "\"backup_id\": \"\(cinderBackup)\", \"volume_id\": \"\(cinderVolume)\", \"version\": \"1.0.0\""
        let object = prefix.split(separator: "/").last ?? ""
        let metadata = """
            {\(ids), "created_at": "2026-08-21 10:00:00", "parent_id": null, "volume_meta": null,
            "objects": [{"\(object)-00001": {"offset": 0, "length": 65536, "compression": "\(compression)",
            "md5": "5d41402abc4b2a76b9719d911017c592"}}]}
            """
        let digests = "{\(ids), \"chunk_size\": 32768, \"sha256s\": [\"\(String(repeating: "0", count: 64))\"]}"
        write(first % 3 == 0 ? content : Array(metadata.utf8), "\(prefix)_metadata")
        write(first % 3 == 1 ? content : Array(digests.utf8), "\(prefix)_sha256file")
        write(first % 3 == 2 ? content : [1, 2, 3], "\(prefix)-00001")
        let backups = try CinderBackups(try CinderDirectory(folder))
        _ = backups.list()
        let chain = try backups.chain(id)
        try chain.checkFiles()
        let size = try chain.size()
        guard CinderRestore.total(chain) < 1 << 22 else { return }
        _ = try CinderRestore(chain, size: size, to: Nowhere(), progress: JobProgress())
            .run(threads: SystemThreads(count: 1))
    }

    private static func write(_ bytes: [UInt8], _ path: String) {
        let file = creat(path, 0o600)
        guard file >= 0 else { return }
        _ = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        close(file)
    }
}

/// Takes everything, and is zero.
private struct Nowhere: BlockTarget {
    var isBlank: Bool { true }
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
    }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {}
    func finish(size: UInt64) {}
}
