/// The kinds of resource a set of documents can declare (`apiVersion: tuff.dev/v1`).
package enum Kind: String, CaseIterable, Codable, Sendable, Comparable {
    case pool = "Pool"
    case volume = "Volume"
    case snapshot = "Snapshot"
    case snapshotPolicy = "SnapshotPolicy"
    case attachment = "Attachment"
    case backupRepository = "BackupRepository"
    case backupPolicy = "BackupPolicy"
    case backup = "Backup"
    case restore = "Restore"

    /// Order of dependence: a kind comes after the kinds its documents may refer to.
    package var rank: Int {
        // Written out: names are compared hundreds of thousands of times where a plan is put in order.
        switch self {
        case .pool: 0
        case .volume: 1
        case .snapshot: 2
        case .snapshotPolicy: 3
        case .attachment: 4
        case .backupRepository: 5
        case .backupPolicy: 6
        case .backup: 7
        case .restore: 8
        }
    }

    package static func < (lhs: Kind, rhs: Kind) -> Bool { lhs.rank < rhs.rank }

    /// By number: otherwise by the text, like every enumeration that has texts.
    package func hash(into hasher: inout Hasher) { hasher.combine(rank) }
}

/// Name of a resource for people: kind and name, unique within a set.
package struct ResourceID: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    package var kind: Kind
    package var name: String

    package init(_ kind: Kind, _ name: String) {
        self.kind = kind
        self.name = name
    }

    /// `Volume/db-data`
    package var description: String { "\(kind.rawValue)/\(name)" }

    package static func < (lhs: ResourceID, rhs: ResourceID) -> Bool {
        (lhs.kind, lhs.name) < (rhs.kind, rhs.name)
    }

    /// By name alone: few names are of two kinds, and a kind would be hashed as the text that it is written with.
    package func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// The identity of one object for its whole life: 80 bits as 16 characters of RFC 4648 base32 (lower case, no padding).
///
/// It is fixed when the object is created and stored on it; names may change, a uid never does, and a purged and
/// re-created object gets another. Serial numbers and backstore names derive from it.
package struct UID: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    package static let alphabet: [UInt8] = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)
    package static let byteCount = 10

    package let description: String

    /// Nil unless `text` is 16 characters of the alphabet.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 16, text.utf8.allSatisfy({ (0x61...0x7a).contains($0) || (0x32...0x37).contains($0) })
        else { return nil }
        description = String(text)
    }

    /// The uid made of the first ten bytes of `bytes`, which must hold at least ten.
    package init(bytes: some Sequence<UInt8>) {
        self = Array(bytes.prefix(Self.byteCount)).withUnsafeBytes { UID(raw: $0) }
    }

    /// The same of bytes where they are: a plan makes thousands of uids.
    package init(raw bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count >= Self.byteCount, "a uid needs \(Self.byteCount) bytes")
        description = String(unsafeUninitializedCapacity: 16) { text in
            var buffer: UInt64 = 0, bits: UInt64 = 0, count = 0
            for byte in bytes.prefix(Self.byteCount) {
                buffer = buffer << 8 | UInt64(byte)
                bits += 8
                while bits >= 5 {
                    bits -= 5
                    let five = UInt8(truncatingIfNeeded: buffer >> bits) & 31
                    text[count] = five < 26 ? UInt8(ascii: "a") + five : UInt8(ascii: "2") + five - 26
                    count += 1
                }
            }
            return count
        }
    }

    /// The five bits that a character of the alphabet stands for.
    private static func bits(of character: UInt8) -> UInt64 {
        UInt64(character >= UInt8(ascii: "a") ? character - UInt8(ascii: "a") : character - UInt8(ascii: "2") + 26)
    }

    /// The ten bytes the text stands for.
    package var bytes: [UInt8] {
        var result: [UInt8] = []
        var buffer: UInt64 = 0
        var bits = 0
        for character in description.utf8 {
            buffer = buffer << 5 | Self.bits(of: character)
            bits += 5
            if bits >= 8 {
                bits -= 8
                result.append(UInt8(truncatingIfNeeded: buffer >> UInt64(bits)))
            }
        }
        return result
    }

    /// SCSI unit serial number: the uid's 80 bits as 20 hexadecimal digits.
    ///
    /// LIO builds the NAA designator as `6001405` and the serial's first 25 hexadecimal digits, zero filled
    /// (`spc_parse_naa_6h_vendor_specific` in drivers/target/target_core_spc.c), so a hexadecimal serial keeps all
    /// bits.
    package var serial: String {
        String(unsafeUninitializedCapacity: 2 * Self.byteCount) { text in
            var buffer: UInt64 = 0, bits: UInt64 = 0, count = 0
            for character in description.utf8 {
                buffer = buffer << 5 | Self.bits(of: character)
                bits += 5
                while bits >= 4 {
                    bits -= 4
                    let half = UInt8(truncatingIfNeeded: buffer >> bits) & 15
                    text[count] = half < 10 ? UInt8(ascii: "0") + half : UInt8(ascii: "a") + half - 10
                    count += 1
                }
            }
            return count
        }
    }

    /// Name of the target backstore that carries this volume; also the proof that a backstore is ours.
    package var backstoreName: String { "tuff-\(description)" }

    /// The uid a backstore name stands for, nil when the backstore is not ours.
    package init?(backstoreName: String) {
        guard backstoreName.hasPrefix("tuff-") else { return nil }
        self.init(backstoreName.dropFirst("tuff-".count))
    }

    package static func < (lhs: UID, rhs: UID) -> Bool { lhs.description < rhs.description }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let uid = UID(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is no uid")
        }
        self = uid
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The rules for names that people choose.
package enum NameRule {
    /// Longest name of a resource or label value, in characters (a DNS label).
    package static let maximumLength = 63

    /// Whether `name` is a DNS label: `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, at most 63 characters.
    package static func isLabel(_ name: String) -> Bool {
        let hyphen = UInt8(ascii: "-")
        var name = name
        // Every name of a large set passes here several times: over its bytes, without a generic call for each.
        return name.withUTF8 { bytes in
            guard let first = bytes.first, let last = bytes.last, bytes.count <= maximumLength else { return false }
            return first != hyphen && last != hyphen && bytes.allSatisfy { isAlphanumeric($0) || $0 == hyphen }
        }
    }

    package static func isLabel(_ name: some StringProtocol) -> Bool { isLabel(String(name)) }

    /// Whether `text` can be the value of a label, or its key behind the prefix: letters, digits and, inside, `-_.`, at
    /// most 63.
    package static func isLabelWord(_ text: String) -> Bool {
        func isEnd(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || (0x41...0x5a).contains(byte) }
        guard let first = text.utf8.first, let last = text.utf8.last, text.utf8.count <= maximumLength else {
            return false
        }
        return isEnd(first) && isEnd(last) && text.utf8.allSatisfy { isEnd($0) || "-_.".utf8.contains($0) }
    }

    /// The name of an initiator as targets compare it, in lower case (RFC 3722): an iSCSI qualified name, `eui.` and 16
    /// hexadecimal digits, or `naa.` and 16 or 32 of them (RFC 7143 section 4.2.7). Nil for anything else.
    package static func initiator(_ name: String) -> String? {
        for (prefix, lengths) in [("eui.", [16]), ("naa.", [16, 32])] where name.hasPrefix(prefix) {
            let digits = name.dropFirst(prefix.count)
            guard lengths.contains(digits.utf8.count), digits.utf8.allSatisfy(isHexDigit) else { return nil }
            return name.lowercased()
        }
        return isIQN(name, ending: .free) ? name : nil
    }

    /// The characters that may end an iSCSI qualified name. RFC 7143 says nothing of it: names that Tuff gives end in a
    /// letter or digit, and those that initiators have are as they are.
    package enum CharacterEnds { case alphanumeric, free }

    /// Whether `name` is an iSCSI qualified name as RFC 7143 section 4.2.7.4 has it, in lower case:
    /// `iqn.YYYY-MM.reversed.domain[:anything]`, at most 223 bytes (4.2.7.1), of the characters `a-z 0-9 . - :` (RFC
    /// 3722 section 6.2; letters beyond ASCII are not taken, since LIO changes their case byte by byte).
    package static func isIQN(_ name: String, ending: CharacterEnds = .alphanumeric) -> Bool {
        var name = name
        return name.withUTF8 { isIQN($0, ending) }
    }

    private static func isIQN(_ bytes: UnsafeBufferPointer<UInt8>, _ ending: CharacterEnds) -> Bool {
        guard bytes.count <= 223, bytes.count > 12, bytes.starts(with: "iqn.".utf8) else { return false }
        let year = bytes[4..<8], month = bytes[9..<11]
        guard year.allSatisfy(isDigit), bytes[8] == 0x2d, month.allSatisfy(isDigit), bytes[11] == 0x2e else {
            return false
        }
        guard (1...12).contains(Int(bytes[9] - 0x30) * 10 + Int(bytes[10] - 0x30)) else { return false }
        guard isAlphanumeric(bytes[12]), ending == .free || isAlphanumeric(bytes[bytes.count - 1]) else { return false }
        return bytes[12...].allSatisfy { isAlphanumeric($0) || $0 == 0x2d || $0 == 0x2e || $0 == 0x3a }
    }

    package static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    static func isHexDigit(_ byte: UInt8) -> Bool { isDigit(byte) || (0x61...0x66).contains(byte | 0x20) }

    static func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || (0x61...0x7a).contains(byte) }
}
