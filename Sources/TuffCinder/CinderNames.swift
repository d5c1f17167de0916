/// The id of a backup or volume of Cinder: a UUID in its usual form, small letters.
package struct CinderID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let description: String

    /// Nil for anything but 8-4-4-4-12 hexadecimal digits; capital letters become small.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else { return nil }
        for (index, byte) in bytes.enumerated() {
            let isHyphen = index == 8 || index == 13 || index == 18 || index == 23
            guard isHyphen ? byte == UInt8(ascii: "-") : Self.isHex(byte) else { return nil }
        }
        description = text.lowercased()
    }

    package static func < (left: CinderID, right: CinderID) -> Bool { left.description < right.description }

    private static func isHex(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }
}

/// The beginning of the names of all files of one backup: `volume_<volume>_<UTC yyyymmddHHMMSS>_backup_<backup>`
/// (cinder/backup/drivers/posix.py, `_generate_object_name_prefix`).
struct CinderPrefix: Hashable, Sendable {
    let text: String
    let volume: CinderID
    let backup: CinderID

    /// "volume_", a UUID, "_", 14 digits, "_backup_", a UUID.
    private static let length = 7 + 36 + 1 + 14 + 8 + 36

    /// The prefix of a file name and the rest of it; nil if Cinder's posix driver makes no such name.
    static func split(_ name: String) -> (prefix: CinderPrefix, rest: Substring)? {
        // Bytes are characters in every name that passes.
        let bytes = Array(name.utf8.prefix(length))
        guard bytes.count == length, bytes.allSatisfy({ $0 < 0x80 }) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        func part(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        guard part(0..<7) == "volume_", part(43..<44) == "_", part(58..<66) == "_backup_",
            bytes[44..<58].allSatisfy({ (0x30...0x39).contains($0) }),
            let volume = CinderID(part(7..<43)), let backup = CinderID(part(66..<102)),
            // Cinder writes small letters: another spelling would be another file.
            text == text.lowercased()
        else { return nil }
        return (CinderPrefix(text: text, volume: volume, backup: backup), Substring(name.utf8.dropFirst(length)))
    }

    var metadata: String { text + "_metadata" }
    var hashes: String { text + "_sha256file" }

    /// The name of an object, from 1: at least five digits (`%05d`).
    func object(_ number: Int) -> String { text + Self.suffix(number) }

    static func suffix(_ number: Int) -> String {
        let digits = String(number)
        return "-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }

    /// The number in the part of an object's name that follows the prefix.
    static func number(_ rest: Substring) -> Int? {
        guard rest.utf8.first == UInt8(ascii: "-"), let number = Int(rest.dropFirst()), number > 0,
            suffix(number) == rest
        else { return nil }
        return number
    }
}
