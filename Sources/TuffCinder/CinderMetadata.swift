import FoundationEssentials
import TuffModel
import TuffRepository

/// The compression of an object.
enum CinderCompression: UInt8, Sendable {
    case none
    /// A zlib stream (RFC 1950). Cinder calls it `zlib` and `gzip` alike; it never writes a gzip file.
    case zlib
    case bzip2
    /// A Zstandard frame (RFC 8878).
    case zstd

    /// Nil for a name that Cinder does not write.
    init?(name: String) {
        switch name {
        case "none": self = .none
        case "zlib", "gzip": self = .zlib
        case "bz2", "bzip2": self = .bzip2
        case "zstd": self = .zstd
        default: return nil
        }
    }
}

/// The entry of one object in the metadata. Its number is its place in the list, from 1.
struct CinderObject: Sendable {
    /// Bytes of the volume.
    let range: Range<UInt64>
    let compression: CinderCompression
    /// Digest of the uncompressed bytes.
    let md5: MD5Text
}

/// An MD5 digest.
struct MD5Text: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    /// Nil for anything but 32 hexadecimal digits.
    init?(_ text: String) {
        guard text.utf8.count == 32, !text.contains("+"), !text.contains("-"),
            let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        (self.high, self.low) = (high, low)
    }

    init(_ bytes: some Sequence<UInt8>) {
        var words: (UInt64, UInt64) = (0, 0)
        for (index, byte) in bytes.enumerated() {
            if index < 8 { words.0 = words.0 << 8 | UInt64(byte) } else { words.1 = words.1 << 8 | UInt64(byte) }
        }
        (high, low) = words
    }
}

/// The part of a `_metadata` file, version 1.0.0, that Tuff uses. The volume's own record in it has the CHAP secret in
/// clear (`provider_auth`): of that record size, name and what users set are decoded alone, and no error quotes it.
struct CinderMetadata: Sendable {
    let backup: CinderID
    let volume: CinderID
    /// Nil in a full backup.
    let parent: CinderID?
    /// The user's name for the backup; empty: none.
    let name: String
    let volumeName: String
    /// The volume's metadata as its users set it.
    let userMetadata: [String: String]
    /// Time of the backup: RFC 3339 where Cinder's form was understood, else Cinder's own text.
    let created: String
    /// Size of the volume at the time of the backup, in bytes.
    let size: UInt64?
    /// The reason why size and name of the volume are unknown, where its record has a version that Tuff does not know.
    let doubt: String?
    /// The objects, in the order of their numbers and of their offsets, without overlaps.
    private(set) var objects: [CinderObject]
    /// Number of objects; bytes in them, uncompressed (no more than 2⁶³, since they do not overlap); end of the last
    /// one; and the first gap between two of them.
    let count: Int
    let own: UInt64
    let end: UInt64
    let firstGap: Gap?

    struct Gap: Sendable {
        /// Offset of the first missing byte.
        let offset: UInt64
        /// Number of the object behind the gap, from 1.
        let object: Int
    }

    /// The largest file that is read, in bytes. With some 280 bytes an object it has 960,000: of a TiB every 35th block
    /// of 32 KiB changed alone. Decoding it takes five times as much memory, once for each backup of a chain.
    static let limit = 256 << 20

    /// The metadata without its list of objects, for callers that need the sums only. It is much smaller.
    func withoutObjects() -> CinderMetadata {
        var copy = self
        copy.objects = []
        return copy
    }

    /// - Parameter file: the path for sentences.
    init(_ bytes: [UInt8], prefix: CinderPrefix, file: String) throws(RepositoryError) {
        let raw: RawMetadata
        do {
            raw = try JSONDecoder().decode(RawMetadata.self, from: Data(bytes))
        } catch let error as Unfit {
            throw RepositoryError(.damaged, "\(file): \(error.reason)")
        } catch let DecodingError.typeMismatch(_, context) {
            throw RepositoryError(.damaged, "\(file): \(Self.place(context)) is not of the type that Cinder writes")
        } catch let DecodingError.valueNotFound(_, context) {
            throw RepositoryError(.damaged, "\(file): \(Self.place(context)) is null")
        } catch let DecodingError.keyNotFound(key, _) {
            throw RepositoryError(.damaged, "\(file): there is no \(PrintedText.quoted(key.stringValue))")
        } catch {
            // The decoder's own words may quote the text, and with it the secret.
            throw RepositoryError(.damaged, "\(file) is cut off, no JSON, or has a number that cannot be")
        }
        do throws(Unfit) {
            guard CinderID(raw.backup) == prefix.backup, CinderID(raw.volume) == prefix.volume else {
                throw Unfit("is of another backup or volume than its name says")
            }
            backup = prefix.backup
            volume = prefix.volume
            parent = try raw.parent.map { text throws(Unfit) in
                guard let id = CinderID(text) else {
                    throw Unfit("its parent's id is no UUID: \(PrintedText.quoted(text))")
                }
                return id
            }
            name = raw.name ?? ""
            created = Self.time(raw.created ?? "")
            let objects = try Self.numbered(raw.objects, prefix)
            self.objects = objects
            count = objects.count
            own = objects.reduce(0) { $0 + UInt64($1.range.count) }
            end = objects.last?.range.upperBound ?? 0
            firstGap = Self.firstGap(objects)
            let record = try Self.volumeRecord(raw.volumeRecord)
            doubt = record?.doubt
            volumeName = record?.base?.name ?? ""
            userMetadata = record?.users ?? [:]
            size = try record?.base?.size.map { gibibytes throws(Unfit) in
                // Cinder keeps a 32-bit number.
                guard (0...Int64(Int32.max)).contains(gibibytes) else { throw Unfit("the volume's size is impossible") }
                return UInt64(gibibytes) << 30
            }
        } catch {
            throw RepositoryError(.damaged, "\(file): \(error.reason)")
        }
    }

    /// Checks names and offsets, which later steps rely on.
    private static func numbered(
        _ entries: [RawMetadata.Entry], _ prefix: CinderPrefix
    ) throws(Unfit) -> [CinderObject] {
        var objects: [CinderObject] = []
        objects.reserveCapacity(entries.count)
        var end: UInt64 = 0
        for (index, entry) in entries.enumerated() {
            let name = prefix.object(index + 1)
            guard entry.name == name else {
                throw Unfit("object \(index + 1) is named \(PrintedText.quoted(entry.name.suffix(60))), not \(name)")
            }
            let (upper, overflow) = entry.offset.addingReportingOverflow(entry.length)
            guard entry.length > 0, !overflow, upper <= UInt64(Int64.max) else {
                throw Unfit("object \(index + 1) has the impossible length \(entry.length) at \(entry.offset)")
            }
            guard entry.offset >= end else {
                throw Unfit("object \(index + 1) begins at \(entry.offset), before the end of the one before it")
            }
            guard let compression = CinderCompression(name: entry.compression) else {
                throw Unfit(
                    "object \(index + 1) has the unknown compression \(PrintedText.quoted(entry.compression))")
            }
            guard let md5 = MD5Text(entry.md5) else { throw Unfit("object \(index + 1) has no MD5 digest") }
            objects.append(CinderObject(range: entry.offset..<upper, compression: compression, md5: md5))
            end = upper
        }
        return objects
    }

    private static func firstGap(_ objects: [CinderObject]) -> Gap? {
        var end: UInt64 = 0
        for (index, object) in objects.enumerated() {
            guard object.range.lowerBound == end else { return Gap(offset: end, object: index + 1) }
            end = object.range.upperBound
        }
        return nil
    }

    private static func volumeRecord(_ text: String?) throws(Unfit) -> RawVolume? {
        guard let text else { return nil }
        do {
            return try JSONDecoder().decode(RawVolume.self, from: Data(text.utf8))
        } catch {
            // The sentence quotes nothing of the record and names no place in it: the secret is in it.
            throw Unfit("the volume's own record in it (volume_meta) is not what Cinder writes")
        }
    }

    /// `objects[3].length`, of names that are ours.
    private static func place(_ context: DecodingError.Context) -> String {
        let text = context.codingPath.reduce(into: "") { text, key in
            text += key.intValue.map { "[\($0)]" } ?? (text.isEmpty ? key.stringValue : ".\(key.stringValue)")
        }
        return text.isEmpty ? "the whole" : PrintedText.quoted(text)
    }

    /// `2026-08-21 10:00:00+00:00`, with or without fractions and zone, as RFC 3339.
    static func time(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard bytes.count >= 19, bytes[10] == UInt8(ascii: " ") || bytes[10] == UInt8(ascii: "T") else { return text }
        var rest = bytes[19...]
        if rest.first == UInt8(ascii: ".") { rest = rest.dropFirst().drop { (0x30...0x39).contains($0) } }
        guard rest.isEmpty || rest.elementsEqual("+00:00".utf8) || rest.elementsEqual("Z".utf8) else { return text }
        let time = String(
            decoding: bytes[..<10] + [UInt8(ascii: "T")] + bytes[11..<19] + [UInt8(ascii: "Z")], as: UTF8.self)
        return Instant(text: time)?.description ?? text
    }
}

/// The reason why a file is not Cinder's metadata, without the file's name.
private struct Unfit: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

/// The file, decoded as it is.
private struct RawMetadata: Decodable {
    struct Entry {
        let name: String
        let offset: UInt64
        let length: UInt64
        let compression: String
        let md5: String
    }

    let backup: String
    let volume: String
    let name: String?
    let created: String?
    let parent: String?
    let objects: [Entry]
    let volumeRecord: String?

    private enum Key: String, CodingKey {
        case version
        case backup = "backup_id"
        case volume = "volume_id"
        case name = "backup_name"
        case created = "created_at"
        case parent = "parent_id"
        case objects
        case volumeRecord = "volume_meta"
    }

    private enum EntryKey: String, CodingKey { case offset, length, compression, md5 }

    /// Any key at all: the names of objects are keys.
    private struct NameKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let all = try decoder.container(keyedBy: Key.self)
        let version = try all.decode(String.self, forKey: .version)
        guard version == "1.0.0" else {
            throw Unfit("it has version \(PrintedText.quoted(version)); only 1.0.0 is known")
        }
        backup = try all.decode(String.self, forKey: .backup)
        volume = try all.decode(String.self, forKey: .volume)
        name = try all.decodeIfPresent(String.self, forKey: .name)
        created = try all.decodeIfPresent(String.self, forKey: .created)
        guard all.contains(.parent) else { throw Unfit("there is no 'parent_id'") }
        parent = try all.decodeIfPresent(String.self, forKey: .parent)
        volumeRecord = try all.decodeIfPresent(String.self, forKey: .volumeRecord)
        var list = try all.nestedUnkeyedContainer(forKey: .objects)
        var entries: [Entry] = []
        while !list.isAtEnd {
            let map = try list.nestedContainer(keyedBy: NameKey.self)
            let keys = map.allKeys
            guard keys.count == 1, let key = keys.first else {
                throw Unfit("object \(entries.count + 1) has \(keys.count) names instead of one")
            }
            let fields = try map.nestedContainer(keyedBy: EntryKey.self, forKey: key)
            entries.append(
                Entry(
                    name: key.stringValue, offset: try fields.decode(UInt64.self, forKey: .offset),
                    length: try fields.decode(UInt64.self, forKey: .length),
                    compression: try fields.decode(String.self, forKey: .compression),
                    md5: try fields.decode(String.self, forKey: .md5)))
        }
        objects = entries
    }
}

/// The JSON within the JSON (cinder/backup/driver.py): of all its fields only these.
private struct RawVolume: Decodable {
    struct Base: Decodable {
        let size: Int64?
        let name: String?

        private enum CodingKeys: String, CodingKey {
            case size
            case name = "display_name"
        }
    }

    let base: Base?
    /// `volume-metadata`: what users set.
    let users: [String: String]?
    let doubt: String?

    private enum CodingKeys: String, CodingKey {
        case version
        case base = "volume-base-metadata"
        case users = "volume-metadata"
    }

    /// Versions of the record (cinder/backup/driver.py, `_restore_metadata`): in these two the fields that are read
    /// here are the same. A record of another version is not believed. The volume's content is proven without it.
    init(from decoder: any Decoder) throws {
        let all = try decoder.container(keyedBy: CodingKeys.self)
        let version = try? all.decode(Int64.self, forKey: .version)
        guard let version, (1...2).contains(version) else {
            doubt =
                "the volume's own record in it (volume_meta) has "
                + "\(version.map { "version \($0)" } ?? "no version that is a number"), and "
                + "only 1 and 2 are known: its size and name are not taken from there"
            base = nil
            users = nil
            return
        }
        doubt = nil
        base = try all.decodeIfPresent(Base.self, forKey: .base)
        // Nothing depends on it: of another shape it is as if there were none.
        users = try? all.decodeIfPresent([String: String].self, forKey: .users)
    }
}
