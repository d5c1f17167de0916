import Crypto
import Glibc
import TuffModel
import TuffRepository

/// A `_sha256file`: the digest of every block of the whole volume at the time of a backup, incremental ones too.
///
/// No other file of a container proves at which offset bytes belong and which backups make the volume: offsets and
/// parents have no checksum. It has 2.4 GB for each TiB, so it is read in pieces.
struct DigestList {
    private let file: CinderFile
    private let prefix: CinderPrefix

    /// Cinder's default is 32 KiB (`backup_posix_sha_block_size_bytes`).
    private static let largestBlock: UInt64 = 64 << 20

    /// The fields that are read besides the digests.
    private static let keys: Set = ["backup_id", "chunk_size", "version", "volume_id"]

    init(_ listing: CinderDirectory.Listing, in directory: CinderDirectory) throws(RepositoryError) {
        prefix = listing.prefix
        file = try directory.open(listing.path(listing.prefix.hashes))
    }

    /// Facts that are known once the list is read.
    struct Extent {
        let blocks: UInt64
        let block: UInt64

        /// The sizes a volume can have: the last block may be short.
        var sizes: ClosedRange<UInt64> { (blocks - 1) * block + 1...blocks * block }
    }

    /// Reads the whole list. `body` gets the offset of each block, its length unless it is the last, and its digest in
    /// hexadecimal.
    func read(
        _ body: (_ offset: UInt64, _ length: UInt64, _ digest: [UInt8]) throws(RepositoryError) -> Void
    ) throws(RepositoryError) -> Extent {
        var tokens = JSONTokens(file)
        var scalars: [String: [UInt8]] = [:]
        var extent: Extent?
        guard try tokens.next() == .openMap else { throw unfit("is no JSON object") }
        repeat {
            guard try tokens.next() == .text else { throw unfit("is no JSON object") }
            let key = String(decoding: tokens.bytes, as: UTF8.self)
            guard try tokens.next() == .colon else { throw unfit("is no JSON object") }
            switch (try tokens.next(), key) {
            case (.openList, "sha256s") where extent == nil:
                extent = try blocks(&tokens, length: scalars["chunk_size"], body)
            case (.text, _), (.literal, _):
                // Other fields are not kept: a file may have any number of them.
                if Self.keys.contains(key) { scalars[key] = tokens.bytes }
            default: throw unfit("has an unexpected \(PrintedText.quoted(key))")
            }
            switch try tokens.next() {
            case .comma: continue
            case .closeMap: break
            default: throw unfit("is no JSON object")
            }
            break
        } while true
        guard try tokens.next() == .end else { throw unfit("goes on behind its end") }
        func text(_ key: String) -> String { String(decoding: scalars[key] ?? [], as: UTF8.self) }
        guard text("version") == "1.0.0" else {
            throw unfit("has version \(PrintedText.quoted(text("version"))); only 1.0.0 is known")
        }
        guard CinderID(text("backup_id")) == prefix.backup, CinderID(text("volume_id")) == prefix.volume else {
            throw unfit("is of another backup or volume than its name says")
        }
        guard let extent else { throw unfit("has no digests") }
        return extent
    }

    private func blocks(
        _ tokens: inout JSONTokens, length: [UInt8]?,
        _ body: (UInt64, UInt64, [UInt8]) throws(RepositoryError) -> Void
    ) throws(RepositoryError) -> Extent {
        // Cinder sorts the keys.
        guard let length = length.flatMap({ UInt64(String(decoding: $0, as: UTF8.self)) }),
            length > 0, length <= Self.largestBlock
        else { throw unfit("has no block size before its digests that can be") }
        var count: UInt64 = 0
        while true {
            guard try tokens.next() == .text, tokens.bytes.count == 64 else { throw unfit("has a digest that is none") }
            // No file has so many digests that this overflows.
            try body(count * length, length, tokens.bytes)
            count += 1
            switch try tokens.next() {
            case .comma: continue
            case .closeList: return Extent(blocks: count, block: length)
            default: throw unfit("is no JSON object")
            }
        }
    }

    func unfit(_ what: String) -> RepositoryError {
        RepositoryError(.damaged, "\(file.path) \(what)")
    }

    /// Whether `text` is the digest in small hexadecimal letters.
    static func matches(_ digest: SHA256.Digest, _ text: [UInt8]) -> Bool {
        func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
        var index = 0
        for byte in digest {
            guard text[index] == digit(byte >> 4), text[index + 1] == digit(byte & 15) else { return false }
            index += 2
        }
        return index == text.count
    }
}

/// The tokens of a JSON file, of which only a piece is in memory.
struct JSONTokens {
    enum Token {
        case openMap, closeMap, openList, closeList, colon, comma
        /// A string; `bytes` is the text between the quotes.
        case text
        /// A number, `true`, `false` or `null`; `bytes` is its text.
        case literal
        case end
    }

    /// Bytes of the last string or literal.
    private(set) var bytes: [UInt8] = []

    /// More than the longest text of Cinder's database columns (255 characters) with each written as an escape.
    private static let longest = 4_096

    private let file: CinderFile
    private var room = [UInt8](repeating: 0, count: 256 << 10)
    private var position = 0
    private var end = 0
    private var offset: UInt64 = 0

    init(_ file: CinderFile) { self.file = file }

    mutating func next() throws(RepositoryError) -> Token {
        var byte = try take()
        while let space = byte, space == 0x20 || space == 0x0a || space == 0x0d || space == 0x09 { byte = try take() }
        switch byte {
        case nil: return .end
        case UInt8(ascii: "{"): return .openMap
        case UInt8(ascii: "}"): return .closeMap
        case UInt8(ascii: "["): return .openList
        case UInt8(ascii: "]"): return .closeList
        case UInt8(ascii: ":"): return .colon
        case UInt8(ascii: ","): return .comma
        case UInt8(ascii: "\""):
            try text()
            return .text
        case let first?:
            try literal(first)
            return .literal
        }
    }

    private mutating func text() throws(RepositoryError) {
        bytes.removeAll(keepingCapacity: true)
        var isEscaped = false
        while let byte = try take() {
            if !isEscaped, byte == UInt8(ascii: "\"") { return }
            isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
            try append(byte)
        }
        throw RepositoryError(.damaged, "\(file.path) is cut off")
    }

    private mutating func literal(_ first: UInt8) throws(RepositoryError) {
        bytes.removeAll(keepingCapacity: true)
        try append(first)
        while let byte = try take() {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."),
                UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "E"):
                try append(byte)
            default:
                position -= 1
                return
            }
        }
    }

    private mutating func append(_ byte: UInt8) throws(RepositoryError) {
        guard bytes.count < Self.longest else {
            throw RepositoryError(.damaged, "\(file.path) has a text that is too long for Cinder's")
        }
        bytes.append(byte)
    }

    /// The next byte, which can be put back by one step of `position`; nil at the end.
    private mutating func take() throws(RepositoryError) -> UInt8? {
        if position == end {
            var failure: RepositoryError?
            let from = offset, file = file
            end = room.withUnsafeMutableBytes { room in
                do throws(RepositoryError) { return try file.read(at: from, into: room) } catch {
                    failure = error
                    return 0
                }
            }
            if let failure { throw failure }
            offset += UInt64(end)
            position = 0
            guard end > 0 else { return nil }
        }
        position += 1
        return room[position - 1]
    }
}
