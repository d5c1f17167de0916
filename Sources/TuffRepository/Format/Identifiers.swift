import Glibc

/// The ID of a file of the repository: 16 random bytes, 32 hexadecimal digits in its name.
package struct FileID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package static let byteCount = 16

    let high: UInt64
    let low: UInt64

    /// A new one, from the system's random generator.
    package init() {
        var generator = SystemRandomNumberGenerator()
        high = generator.next()
        low = generator.next()
    }

    /// Reads 32 lower-case hexadecimal digits; nil if `text` is anything else.
    package init?(_ text: some StringProtocol) {
        guard let bytes = hexadecimal(text), bytes.count == Self.byteCount else { return nil }
        self = bytes.withUnsafeBytes { FileID($0) }
    }

    /// Takes the first 16 bytes of `bytes`.
    init(_ bytes: UnsafeRawBufferPointer) {
        high = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
        low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    var bytes: [UInt8] { bigEndianBytes(high) + bigEndianBytes(low) }

    package var description: String { hexadecimal(bytes) }

    package static func < (one: Self, other: Self) -> Bool { (one.high, one.low) < (other.high, other.low) }

    /// A number that is as random as the ID, for choosing samples.
    var number: UInt64 { low }
}

extension FileID: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let id = FileID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "an ID is 32 hexadecimal digits")
        }
        self = id
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The name of a block or a node: the hash of its bytes (docs/repository-format.md, "Blocks, nodes and names").
package struct ContentName: Hashable, Sendable, Comparable, CustomStringConvertible {
    package static let byteCount = 32
    /// The root of a volume that is all zero.
    package static let zero = ContentName(words: (0, 0, 0, 0))

    /// The bytes as four big-endian numbers, so that comparing numbers compares bytes.
    private let a, b, c, d: UInt64

    private init(words: (UInt64, UInt64, UInt64, UInt64)) { (a, b, c, d) = words }

    /// Takes the first 32 bytes of `bytes`.
    init(_ bytes: UnsafeRawBufferPointer) {
        func word(_ index: Int) -> UInt64 {
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
        }
        self.init(words: (word(0), word(1), word(2), word(3)))
    }

    /// Reads 64 lower-case hexadecimal digits; nil if `text` is anything else.
    package init?(_ text: some StringProtocol) {
        guard let bytes = hexadecimal(text), bytes.count == Self.byteCount else { return nil }
        self = bytes.withUnsafeBytes { ContentName($0) }
    }

    /// The first eight bytes as a number, as the fences of an index hold it.
    var prefix: UInt64 { a }
    /// Two numbers that have nothing to do with each other, nor with the order of names.
    var hashes: (UInt64, UInt64) { (b, c | 1) }

    func write(to bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
        for (index, word) in [a, b, c, d].enumerated() {
            bytes.storeBytes(of: word.bigEndian, toByteOffset: offset + 8 * index, as: UInt64.self)
        }
    }

    var bytes: [UInt8] { bigEndianBytes(a) + bigEndianBytes(b) + bigEndianBytes(c) + bigEndianBytes(d) }

    package var description: String { hexadecimal(bytes) }

    package static func < (one: Self, other: Self) -> Bool {
        (one.a, one.b, one.c, one.d) < (other.a, other.b, other.c, other.d)
    }

    /// Hashes the whole name, for callers that must not take two names for one.
    func feed(_ hasher: inout Hasher) { for word in [a, b, c, d] { hasher.combine(word) } }

    // The words are hashes already: one of them is as good a hash as any.
    package func hash(into hasher: inout Hasher) { hasher.combine(b) }
}

private func bigEndianBytes(_ word: UInt64) -> [UInt8] {
    withUnsafeBytes(of: word.bigEndian) { Array($0) }
}

/// Lower-case digits, two a byte.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return String(decoding: text, as: UTF8.self)
}

/// The bytes of pairs of lower-case digits; nil if there is anything else.
func hexadecimal(_ text: some StringProtocol) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2) else { return nil }
    func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
        bytes.append(high << 4 | low)
    }
    return bytes
}
