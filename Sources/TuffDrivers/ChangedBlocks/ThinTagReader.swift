import TuffModel

/// One tag of the little XML that the tools of thin pools print.
struct ThinTag: Hashable {
    enum Form { case opening, closing, empty }

    var name: String
    var form: Form
    var attributes: [String: String]

    /// - Throws: `malformed` unless the attribute is there and is a plain decimal number.
    func number(_ key: String) throws(HostError) -> UInt64 {
        guard let text = attributes[key], let number = UInt64(plain: text) else {
            throw ThinDeltaDecoder.malformed(
                "'\(key)' of '\(name)' is \(attributes[key].map { "'\($0)'" } ?? "missing")")
        }
        return number
    }
}

/// Cuts bytes, which may come in any pieces, into tags. Between tags stands white space and nothing else.
struct ThinTagReader: Sendable {
    /// Bytes of a tag. The longest that the tools print has some 150.
    static let limit = 512

    /// Of the tag that has begun, without its `<`.
    private var tag: [UInt8]?

    /// No tag has begun.
    var isBetween: Bool { tag == nil }

    /// Takes bytes up to the end of the next tag, or all of them where it does not end among them (nil).
    /// - Throws: `malformed` at a byte that no tag has.
    mutating func next(_ bytes: inout ArraySlice<UInt8>) throws(HostError) -> ThinTag? {
        while let byte = bytes.popFirst() {
            guard var begun = tag else {
                switch byte {
                case UInt8(ascii: "<"): tag = []
                case 0x20, 0x0a, 0x0d, 0x09: break
                default: throw ThinDeltaDecoder.malformed("it holds text")
                }
                continue
            }
            if byte == UInt8(ascii: ">") {
                tag = nil
                return try Self.parse(begun)
            }
            guard (0x20...0x7e).contains(byte), byte != UInt8(ascii: "<"), byte != UInt8(ascii: "&"),
                begun.count < Self.limit
            else { throw ThinDeltaDecoder.malformed("a tag has a character that is none of its, or no end") }
            // Moved out and in again, so that it is not copied with each byte.
            tag = nil
            begun.append(byte)
            tag = begun
        }
        return nil
    }

    /// `name key="value"…`, with a slash before or behind.
    private static func parse(_ bytes: [UInt8]) throws(HostError) -> ThinTag {
        var rest = bytes[...]
        let isClosing = rest.first == UInt8(ascii: "/")
        if isClosing { rest.removeFirst() }
        let isEmpty = rest.last == UInt8(ascii: "/")
        if isEmpty { rest.removeLast() }
        let name = word(&rest)
        var attributes: [String: String] = [:]
        while true {
            let spaces = rest.prefix { $0 == 0x20 }
            rest = rest.dropFirst(spaces.count)
            if rest.isEmpty { break }
            let key = word(&rest)
            guard !spaces.isEmpty, !key.isEmpty, rest.starts(with: [UInt8(ascii: "="), UInt8(ascii: "\"")]) else {
                throw ThinDeltaDecoder.malformed("a tag is not of the form that is known")
            }
            rest = rest.dropFirst(2)
            let value = rest.prefix { $0 != UInt8(ascii: "\"") }
            rest = rest.dropFirst(value.count)
            guard rest.popFirst() != nil,
                attributes.updateValue(String(decoding: value, as: UTF8.self), forKey: key) == nil
            else { throw ThinDeltaDecoder.malformed("a tag is not of the form that is known") }
        }
        guard !name.isEmpty, !(isClosing && (isEmpty || !attributes.isEmpty)) else {
            throw ThinDeltaDecoder.malformed("a tag is not of the form that is known")
        }
        return ThinTag(name: name, form: isClosing ? .closing : isEmpty ? .empty : .opening, attributes: attributes)
    }

    private static func word(_ bytes: inout ArraySlice<UInt8>) -> String {
        let word = bytes.prefix { (0x61...0x7a).contains($0) || $0 == UInt8(ascii: "_") }
        bytes = bytes.dropFirst(word.count)
        return String(decoding: word, as: UTF8.self)
    }
}

extension FixedWidthInteger {
    /// Reads decimal digits and nothing else: no sign, no zero before others, no more than the type holds.
    init?(plain text: some StringProtocol) {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            text.utf8.count == 1 || !text.hasPrefix("0"), let number = Self(text)
        else { return nil }
        self = number
    }
}
