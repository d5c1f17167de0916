/// Decodes JSON of our own making in three quarters of the instructions of Foundation's decoder, which makes a table of
/// every object before the first field is asked for.
///
/// It decodes the same values, or nil: for texts that are no JSON, for values that do not fit their types, and for
/// numbers that are whole but not written so. Whoever has to tell what is wrong asks Foundation's decoder. It knows
/// nothing of Foundation's own types (`Data`, `Date`), which nothing of ours in JSON has. Where a key stands twice in
/// an object, which RFC 8259 (section 4) calls unpredictable, it may find the other one.
package enum JSONReader {
    /// Nil where Foundation's decoder would throw, or might.
    package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: UnsafeBufferPointer<UInt8>) -> Value? {
        guard let tape = try? JSONTape(bytes) else { return nil }
        let text = JSONText(bytes: bytes, values: tape.values)
        return try? ValueDecoder(text, 0).read(type)
    }
}

/// A text and the places of its values. It is used within the call that has the bytes, and by nobody afterwards.
private final class JSONText {
    let bytes: UnsafeBufferPointer<UInt8>
    let values: [JSONTape.Value]

    init(bytes: UnsafeBufferPointer<UInt8>, values: [JSONTape.Value]) {
        self.bytes = bytes
        self.values = values
    }

    func slice(_ number: Int) -> UnsafeBufferPointer<UInt8> {
        let value = values[number]
        return UnsafeBufferPointer(rebasing: bytes[Int(value.start)..<Int(value.end)])
    }

    /// The text of a key or value; nil: it is none.
    func string(_ number: Int) -> String? {
        switch values[number].kind {
        case .text: String(validating: slice(number), as: UTF8.self)
        case .escapedText: unescaped(slice(number))
        case .null, .no, .yes, .number, .list, .object: nil
        }
    }

    private func unescaped(_ text: UnsafeBufferPointer<UInt8>) -> String? {
        var units: [UInt8] = []
        units.reserveCapacity(text.count)
        var index = 0
        func code() -> UInt16? {
            guard index + 4 <= text.count else { return nil }
            defer { index += 4 }
            return text[index..<index + 4].reduce(UInt16?.some(0)) { code, byte in
                guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
                return code.map { $0 << 4 | UInt16(digit) }
            }
        }
        while index < text.count {
            let byte = text[index]
            index += 1
            guard byte == UInt8(ascii: "\\") else {
                units.append(byte)
                continue
            }
            let kind = text[index]
            index += 1
            switch kind {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): units.append(kind)
            case UInt8(ascii: "b"): units.append(0x08)
            case UInt8(ascii: "f"): units.append(0x0c)
            case UInt8(ascii: "n"): units.append(0x0a)
            case UInt8(ascii: "r"): units.append(0x0d)
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "u"):
                guard let first = code() else { return nil }
                var pair = [first]
                if UTF16.isLeadSurrogate(first) {
                    guard index + 2 <= text.count, text[index] == UInt8(ascii: "\\"),
                        text[index + 1] == UInt8(ascii: "u")
                    else { return nil }
                    index += 2
                    guard let second = code() else { return nil }
                    pair.append(second)
                }
                guard let scalar = String(validating: pair, as: UTF16.self) else { return nil }
                units += scalar.utf8
            default: return nil
            }
        }
        return String(validating: units, as: UTF8.self)
    }

    func integer<Number: FixedWidthInteger>(_ number: Int) -> Number? {
        guard values[number].kind == .number else { return nil }
        let text = slice(number)
        let isNegative = text.first == UInt8(ascii: "-")
        var result: Number = 0
        for byte in isNegative ? text[1...] : text[...] {
            guard (0x30...0x39).contains(byte) else { return nil }
            let digit = Number(truncatingIfNeeded: byte & 15)
            let (tens, isOver) = result.multipliedReportingOverflow(by: 10)
            let (sum, isOverToo) =
                isNegative ? tens.subtractingReportingOverflow(digit) : tens.addingReportingOverflow(digit)
            if isOver || isOverToo { return nil }
            result = sum
        }
        return result
    }
}

private struct Misfit: Error {}

/// One value of a text.
private final class ValueDecoder: Decoder {
    let text: JSONText
    let number: Int
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ text: JSONText, _ number: Int) {
        self.text = text
        self.number = number
    }

    func read<Value: Decodable>(_ type: Value.Type) throws -> Value {
        // The commonest, without a container for each.
        if type == String.self, let string = text.string(number) as? Value { return string }
        return try Value(from: self)
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard text.values[number].kind == .object else { throw Misfit() }
        return KeyedDecodingContainer(ObjectReader<Key>(ObjectCursor(text, number)))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard text.values[number].kind == .list else { throw Misfit() }
        return ListReader(text, number)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { ScalarReader(text: text, number: number) }
}

/// Finds the values of an object by their keys. Fields are asked for in about the order in which they were written, and
/// some twice, so that the search begins at the last one found.
private final class ObjectCursor {
    let text: JSONText
    private let first: Int
    private let end: Int
    private var last: Int

    init(_ text: JSONText, _ number: Int) {
        self.text = text
        first = number + 1
        end = Int(text.values[number].next)
        last = first
    }

    /// Number of the value of a key; nil: there is none.
    func value(of key: String) -> Int? {
        var key = key
        return key.withUTF8 { key in
            guard first < end else { return nil }
            var place = last
            repeat {
                if isKey(place, key) {
                    last = place
                    return place + 1
                }
                place = Int(text.values[place + 1].next)
                if place == end { place = first }
            } while place != last
            return nil
        }
    }

    private func isKey(_ place: Int, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
        guard text.values[place].kind == .text else {
            return text.string(place) == String(decoding: key, as: UTF8.self)
        }
        let written = text.slice(place)
        return written.count == key.count && written.elementsEqual(key)
    }

    var keys: [String] {
        var keys: [String] = []
        var place = first
        while place < end {
            if let key = text.string(place) { keys.append(key) }
            place = Int(text.values[place + 1].next)
        }
        return keys
    }
}

private struct ObjectReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let cursor: ObjectCursor
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { cursor.keys.compactMap { Key(stringValue: $0) } }

    init(_ cursor: ObjectCursor) { self.cursor = cursor }

    private func scalar(_ key: Key) throws -> ScalarReader {
        guard let number = cursor.value(of: key.stringValue) else { throw Misfit() }
        return ScalarReader(text: cursor.text, number: number)
    }

    func contains(_ key: Key) -> Bool { cursor.value(of: key.stringValue) != nil }

    func decodeNil(forKey key: Key) throws -> Bool { try scalar(key).decodeNil() }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try scalar(key).decode(type) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try scalar(key).decode(type) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try scalar(key).decode(type) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try scalar(key).decode(type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try scalar(key).decode(type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try scalar(key).decode(type) }
    /// Of other types too, with a decoder for each value.
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try scalar(key).decode(type)
    }
    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        guard let number = cursor.value(of: key.stringValue) else { return nil }
        let scalar = ScalarReader(text: cursor.text, number: number)
        return scalar.decodeNil() ? nil : try scalar.decode(type)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { try decoder(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try decoder(key).unkeyedContainer()
    }

    private func decoder(_ key: Key) throws -> ValueDecoder { try scalar(key).decoder }
    func superDecoder() throws -> any Decoder { throw Misfit() }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw Misfit() }
}

private struct ListReader: UnkeyedDecodingContainer {
    private let text: JSONText
    private let end: Int
    private var next: Int
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { [] }
    /// Known once all were gone through, which whoever makes room for them would have to do first.
    var count: Int? { nil }
    var isAtEnd: Bool { next == end }

    init(_ text: JSONText, _ number: Int) {
        self.text = text
        end = Int(text.values[number].next)
        next = number + 1
    }

    private mutating func scalar() throws -> ScalarReader {
        guard !isAtEnd else { throw Misfit() }
        defer {
            next = Int(text.values[next].next)
            currentIndex += 1
        }
        return ScalarReader(text: text, number: next)
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd else { throw Misfit() }
        guard text.values[next].kind == .null else { return false }
        _ = try scalar()
        return true
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try scalar().decode(type) }
    mutating func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        try scalar().decoder.container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try scalar().decoder.unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder { throw Misfit() }
}

private struct ScalarReader: SingleValueDecodingContainer {
    let text: JSONText
    let number: Int
    var codingPath: [any CodingKey] { [] }
    var decoder: ValueDecoder { ValueDecoder(text, number) }

    private func demand<Value>(_ value: Value?) throws -> Value {
        guard let value else { throw Misfit() }
        return value
    }

    func decodeNil() -> Bool { text.values[number].kind == .null }
    func decode(_ type: Bool.Type) throws -> Bool {
        switch text.values[number].kind {
        case .yes: true
        case .no: false
        case .null, .number, .text, .escapedText, .list, .object: throw Misfit()
        }
    }
    func decode(_ type: String.Type) throws -> String { try demand(text.string(number)) }
    func decode(_ type: Double.Type) throws -> Double {
        guard text.values[number].kind == .number,
            let value = Double(String(decoding: text.slice(number), as: UTF8.self)), value.isFinite
        else { throw Misfit() }
        return value
    }
    func decode(_ type: Float.Type) throws -> Float { throw Misfit() }
    func decode(_ type: Int.Type) throws -> Int { try demand(text.integer(number)) }
    func decode(_ type: Int8.Type) throws -> Int8 { try demand(text.integer(number)) }
    func decode(_ type: Int16.Type) throws -> Int16 { try demand(text.integer(number)) }
    func decode(_ type: Int32.Type) throws -> Int32 { try demand(text.integer(number)) }
    func decode(_ type: Int64.Type) throws -> Int64 { try demand(text.integer(number)) }
    func decode(_ type: UInt.Type) throws -> UInt { try demand(text.integer(number)) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try demand(text.integer(number)) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try demand(text.integer(number)) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try demand(text.integer(number)) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try demand(text.integer(number)) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try decoder.read(type) }
}
