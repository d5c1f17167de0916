import CBzip2
import CZlib
import CZstd
import Crypto
import FoundationEssentials
import Glibc
import Testing
import TuffCinder
import TuffRepository
import TuffTestSupport

/// A directory of Cinder's backups, written as cinder/backup/chunkeddriver.py and drivers/posix.py write them, but with
/// smaller blocks and pieces.
final class CinderScene {
    let folder: String
    var root: String { "\(folder)/root" }
    /// Stands in every volume's record as its CHAP secret.
    static let secret = "canary-5b1e-do-not-print"
    static let volume = "11111111-2222-4333-8444-555555555555"

    struct Options {
        var compression = "zlib"
        /// Bytes of a block of the list of digests.
        var block = 512
        /// Blocks of an object of a full backup, which no object of an incremental one crosses.
        var piece = 8
        /// Nil: Cinder's own, from the backup's id.
        var container: String?
        var volume = CinderScene.volume
        var volumeName: String? = "db"
        /// GiB; nil: the record has none.
        var size: Int?
        var hasRecord = true
        var hasDigests = true
        var name: String? = "nightly"
    }

    init() throws {
        var template = Array("/tmp/tuff-cinder-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!).map { String(cString: $0) } }
        folder = try #require(made)
        try FileManager.default.createDirectory(
            atPath: "\(folder)/root", withIntermediateDirectories: false, attributes: nil)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// The id of the backup with a number.
    static func id(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "a", count: 8 - digits.count) + digits + "-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    }

    func directory(_ number: Int, _ options: Options = Options()) -> String {
        let id = Self.id(number)
        let own = "\(id.prefix(2))/\(id.dropFirst(2).prefix(2))/\(id)"
        return "\(root)/\(options.container ?? own)"
    }

    static func prefix(_ number: Int, _ options: Options = Options()) -> String {
        "volume_\(options.volume)_202608\(10 + number % 20)100000_backup_\(id(number))"
    }

    /// `DIRECTORY/PREFIX`, to which `_metadata`, `_sha256file` or `-00001` is added.
    func stem(_ number: Int, _ options: Options = Options()) -> String {
        "\(directory(number, options))/\(Self.prefix(number, options))"
    }

    /// Writes backup `number` of a volume that is now `bytes`; incremental if it was `old` when `parent` was made.
    func backUp(
        _ bytes: [UInt8], number: Int, parent: Int? = nil, old: [UInt8]? = nil, _ options: Options = Options()
    ) throws {
        try FileManager.default.createDirectory(
            atPath: directory(number, options), withIntermediateDirectories: true, attributes: nil)
        let stem = stem(number, options), prefix = Self.prefix(number, options)
        var objects: [String] = []
        for range in Self.runs(bytes, old: old, options) {
            let part = Array(bytes[range])
            let packed = Self.compress(part, options.compression)
            let isSmaller = packed.count < part.count && options.compression != "none"
            let suffix =
                "-" + String(repeating: "0", count: 5 - String(objects.count + 1).count)
                + String(objects.count + 1)
            try write(isSmaller ? packed : part, "\(stem)\(suffix)")
            objects.append(
                """
                    {
                      "\(prefix)\(suffix)": {
                        "compression": "\(isSmaller ? options.compression : "none")",
                        "length": \(part.count),
                        "md5": "\(Self.hex(Insecure.MD5.hash(data: part)))",
                        "offset": \(range.lowerBound)
                      }
                    }
                """)
        }
        let digests = stride(from: 0, to: bytes.count, by: options.block).map { begin in
            "    \"\(Self.hex(SHA256.hash(data: bytes[begin..<min(begin + options.block, bytes.count)])))\""
        }
        let id = Self.id(number), name = options.name.map { "\"\($0)\"" } ?? "null"
        let day = "2026-08-\(10 + number % 20) 10:00:00"
        let common = """
              "backup_description": null,
              "backup_id": "\(id)",
              "backup_name": \(name),
            """
        if options.hasDigests {
            try write(
                "{\n\(common)\n  \"chunk_size\": \(options.block),\n  \"created_at\": \"\(day)\",\n  \"sha256s\": [\n"
                    + digests.joined(separator: ",\n")
                    + "\n  ],\n  \"version\": \"1.0.0\",\n  \"volume_id\": \"\(options.volume)\"\n}",
                "\(stem)_sha256file")
        }
        let list = objects.isEmpty ? "[]" : "[\n\(objects.joined(separator: ",\n"))\n  ]"
        try write(
            "{\n\(common)\n  \"created_at\": \"\(day)+00:00\",\n  \"objects\": \(list),\n  \"parent_id\": "
                + (parent.map { "\"\(Self.id($0))\"" } ?? "null")
                + ",\n  \"version\": \"1.0.0\",\n  \"volume_id\": \"\(options.volume)\",\n  \"volume_meta\": "
                + Self.record(options) + "\n}", "\(stem)_metadata")
    }

    private static func record(_ options: Options) -> String {
        guard options.hasRecord else { return "null" }
        let text =
            "{\"version\": 2, \"volume-base-metadata\": {\"display_name\": "
            + (options.volumeName.map { "\"\($0)\"" } ?? "null")
            + ", \"id\": \"\(options.volume)\", \"provider_auth\": \"CHAP user \(secret)\", \"size\": "
            + (options.size.map(String.init) ?? "null") + "}, \"volume-metadata\": {}, \"volume-glance-metadata\": {}}"
        return "\"" + text.replacing("\"", with: "\\\"") + "\""
    }

    /// The parts that are stored: everything in pieces, or each run of blocks that differ, which crosses no piece's
    /// end.
    private static func runs(_ bytes: [UInt8], old: [UInt8]?, _ options: Options) -> [Range<Int>] {
        let piece = options.block * options.piece
        guard let old else {
            return stride(from: 0, to: bytes.count, by: piece).map { $0..<min($0 + piece, bytes.count) }
        }
        var runs: [Range<Int>] = []
        for begin in stride(from: 0, to: bytes.count, by: options.block) {
            let end = min(begin + options.block, bytes.count)
            guard bytes[begin..<end] != old[begin..<min(end, old.count)] else { continue }
            if let last = runs.last, last.upperBound == begin, begin % piece != 0 {
                runs[runs.count - 1] = last.lowerBound..<end
            } else {
                runs.append(begin..<end)
            }
        }
        return runs
    }

    static func compress(_ bytes: [UInt8], _ name: String) -> [UInt8] {
        var packed = [UInt8](repeating: 0, count: bytes.count + bytes.count / 50 + 1_024)
        switch name {
        case "zlib", "gzip":
            var count = uLong(packed.count)
            guard compress2(&packed, &count, bytes, uLong(bytes.count), 6) == Z_OK else { return bytes }
            return Array(packed[..<Int(count)])
        case "bz2", "bzip2":
            var count = UInt32(packed.count)
            let status = packed.withUnsafeMutableBytes { packed in
                bytes.withUnsafeBytes { bytes in
                    BZ2_bzBuffToBuffCompress(
                        packed.baseAddress?.assumingMemoryBound(to: CChar.self), &count,
                        // The C signature lacks a const.
                        UnsafeMutablePointer(mutating: bytes.baseAddress?.assumingMemoryBound(to: CChar.self)),
                        UInt32(bytes.count), 9, 0, 0)
                }
            }
            return status == BZ_OK ? Array(packed[..<Int(count)]) : bytes
        case "zstd":
            let count = ZSTD_compress(&packed, packed.count, bytes, bytes.count, 3)
            return ZSTD_isError(count) == 0 ? Array(packed[..<count]) : bytes
        default: return bytes
        }
    }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    func write(_ text: String, _ path: String) throws { try write(Array(text.utf8), path) }

    func write(_ bytes: [UInt8], _ path: String) throws { try Data(bytes).write(to: URL(filePath: path)) }

    func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

    func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

    /// Replaces text in a file, which must be there.
    func edit(_ path: String, replacing old: String, by new: String) throws {
        let text = try text(path)
        try #require(text.contains(old), "\(old) is not in \(path)")
        try write(text.replacing(old, with: new), path)
    }

    // MARK: Reading

    func backups() throws -> CinderBackups { try CinderBackups(try CinderDirectory(root)) }

    /// Restores as the command does, into a new file that is read and removed again, or over one that has `existing`.
    func restore(_ number: Int, over existing: [UInt8]? = nil, threads: Int = 2) throws -> [UInt8] {
        let target = "\(folder)/target"
        defer { unlink(target) }
        if let existing { try write(existing, target) }
        try run(number, to: target, threads: threads)
        return try bytes(target)
    }

    private func existing(_ path: String, size: UInt64) throws -> MarkedTarget {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let device = try DeviceTarget(descriptor, path: path, isNew: false, size: size)
        try device.resize(to: size)
        return try MarkedTarget(device, size: size) { _ in }
    }

    /// - Returns: bytes that were written.
    @discardableResult
    func run(_ number: Int, to path: String, threads: Int = 2) throws -> UInt64 {
        let chain = try backups().chain(try #require(CinderID(Self.id(number))))
        try chain.checkFiles()
        let size = try chain.size()
        let target: any BlockTarget =
            if NewFileTarget.isFree(path) { try NewFileTarget(path, size: size) } else {
                try existing(path, size: size)
            }
        return try CinderRestore(chain, size: size, to: target, progress: JobProgress())
            .run(threads: SystemThreads(count: threads)).written
    }

    /// The sentence with which a restore is refused, which leaves nothing behind.
    func refusal(_ number: Int, sourceLocation: Testing.SourceLocation = #_sourceLocation) -> String {
        let target = "\(folder)/refused"
        do {
            try run(number, to: target)
            Issue.record("backup \(number) was restored", sourceLocation: sourceLocation)
            return ""
        } catch {
            let left = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            #expect(Set(left).isSubset(of: ["root"]), sourceLocation: sourceLocation)
            let sentence = String(describing: error)
            #expect(!sentence.contains(Self.secret), sourceLocation: sourceLocation)
            return sentence
        }
    }
}

extension CinderScene {
    /// Blocks of 512 that are zero, random or one byte over and over, and a short last one.
    static func volume(_ random: inout SeededGenerator, blocks: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in 0..<blocks { bytes += block(&random, count: index == blocks - 1 ? 200 : 512) }
        return bytes
    }

    static func block(_ random: inout SeededGenerator, count: Int) -> [UInt8] {
        switch random.next() % 3 {
        case 0: return [UInt8](repeating: 0, count: count)
        case 1: return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        default: return [UInt8](repeating: UInt8(truncatingIfNeeded: random.next() | 1), count: count)
        }
    }

    /// The same with some blocks exchanged.
    static func changed(_ bytes: [UInt8], _ random: inout SeededGenerator, blocks: Int) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<blocks {
            let begin = Int(random.next() % UInt64((bytes.count + 511) / 512)) * 512
            let end = min(begin + 512, bytes.count)
            bytes.replaceSubrange(begin..<end, with: block(&random, count: end - begin))
        }
        return bytes
    }
}
