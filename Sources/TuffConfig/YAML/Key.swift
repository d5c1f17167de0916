/// A key of a map, with a number that tells most keys apart before their texts are compared.
struct Key: Equatable, Sendable, ExpressibleByStringLiteral {
    let text: String
    /// Equal for equal keys of ASCII; 0 for keys with other characters, which can be equal without equal bytes.
    private let code: UInt64

    init(_ text: String) {
        var bytes = text
        self.init(text, code: bytes.withUTF8(Self.code))
    }

    /// - Parameter code: `code(of:)` of the bytes of `text`.
    init(_ text: String, code: UInt64) {
        self.text = text
        self.code = code
    }

    init(stringLiteral text: String) { self.init(text) }

    /// FNV-1a, made odd.
    static func code(of bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var code: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes {
            guard byte < 0x80 else { return 0 }
            code = (code ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return code | 1
    }

    static func == (lhs: Key, rhs: Key) -> Bool {
        (lhs.code == rhs.code || lhs.code == 0 || rhs.code == 0) && lhs.text == rhs.text
    }
}

extension [Node.Entry] {
    /// Index of the entry with this key. Entries are large, and looked at where they are.
    func index(of key: Key) -> Int? {
        withUnsafeBufferPointer { entries in entries.indices.first { entries[$0].key == key } }
    }
}

extension [Key] {
    func holds(_ key: Key) -> Bool {
        withUnsafeBufferPointer { keys in keys.indices.contains { keys[$0] == key } }
    }
}
