/// A text of JSON (RFC 8259) as a list of its values, each with its place in the text. An object is followed by its
/// keys and values in turn, a list by its elements.
///
/// It is made for texts that this program or its workers wrote, of which a large host has megabytes. Whatever is
/// unusual is refused without a reason: a caller that has to say what is wrong asks Foundation's decoder.
struct JSONTape: ~Copyable {
    enum Kind: UInt8 { case null, no, yes, number, text, escapedText, list, object }

    struct Value {
        var kind: Kind
        /// Bytes of it in the text; of a text, those between the quotes.
        var start: Int32
        var end: Int32
        /// Number of the value that follows it and everything in it.
        var next: Int32
    }

    /// Thrown for what is no JSON and for what this reader does not read.
    struct Refusal: Error {}

    private static let depth = 128

    private(set) var values: [Value] = []

    init(_ bytes: UnsafeBufferPointer<UInt8>) throws(Refusal) {
        guard bytes.count < Int32.max else { throw Refusal() }
        // A value has a dozen bytes or more in nearly all texts.
        values.reserveCapacity(bytes.count / 12)
        var scanner = Scanner(bytes: bytes)
        try scanner.value(&values, depth: 0)
        scanner.skipBlanks()
        guard scanner.position == bytes.count else { throw Refusal() }
    }

    private struct Scanner {
        let bytes: UnsafeBufferPointer<UInt8>
        var position = 0

        mutating func skipBlanks() {
            while position < bytes.count {
                switch bytes[position] {
                case 0x20, 0x0a, 0x0d, 0x09: position += 1
                default: return
                }
            }
        }

        /// The next byte that is no blank.
        private mutating func peek() throws(Refusal) -> UInt8 {
            skipBlanks()
            guard position < bytes.count else { throw Refusal() }
            return bytes[position]
        }

        private mutating func take(_ wanted: UInt8) throws(Refusal) {
            guard try peek() == wanted else { throw Refusal() }
            position += 1
        }

        mutating func value(_ values: inout [Value], depth: Int) throws(Refusal) {
            guard depth < JSONTape.depth else { throw Refusal() }
            switch try peek() {
            case UInt8(ascii: "{"): try object(&values, depth: depth)
            case UInt8(ascii: "["): try list(&values, depth: depth)
            case UInt8(ascii: "\""): try text(&values)
            case UInt8(ascii: "t"): try word("true", as: .yes, &values)
            case UInt8(ascii: "f"): try word("false", as: .no, &values)
            case UInt8(ascii: "n"): try word("null", as: .null, &values)
            default: try number(&values)
            }
        }

        private mutating func object(_ values: inout [Value], depth: Int) throws(Refusal) {
            let place = begin(.object, &values)
            if try peek() != UInt8(ascii: "}") {
                while true {
                    guard try peek() == UInt8(ascii: "\"") else { throw Refusal() }
                    try text(&values)
                    try take(UInt8(ascii: ":"))
                    try value(&values, depth: depth + 1)
                    guard try peek() == UInt8(ascii: ",") else { break }
                    position += 1
                }
            }
            try take(UInt8(ascii: "}"))
            values[place].next = Int32(values.count)
        }

        private mutating func list(_ values: inout [Value], depth: Int) throws(Refusal) {
            let place = begin(.list, &values)
            if try peek() != UInt8(ascii: "]") {
                while true {
                    try value(&values, depth: depth + 1)
                    guard try peek() == UInt8(ascii: ",") else { break }
                    position += 1
                }
            }
            try take(UInt8(ascii: "]"))
            values[place].next = Int32(values.count)
        }

        private mutating func begin(_ kind: Kind, _ values: inout [Value]) -> Int {
            values.append(Value(kind: kind, start: Int32(position), end: Int32(position), next: 0))
            position += 1
            return values.count - 1
        }

        private func add(_ kind: Kind, from start: Int, _ values: inout [Value]) {
            values.append(
                Value(kind: kind, start: Int32(start), end: Int32(position), next: Int32(values.count + 1)))
        }

        private mutating func text(_ values: inout [Value]) throws(Refusal) {
            position += 1
            let start = position
            var kind = Kind.text
            while position < bytes.count {
                let byte = bytes[position]
                if byte == UInt8(ascii: "\"") {
                    add(kind, from: start, &values)
                    position += 1
                    return
                }
                guard byte >= 0x20 else { throw Refusal() }
                if byte == UInt8(ascii: "\\") {
                    kind = .escapedText
                    position += 1
                }
                position += 1
            }
            throw Refusal()
        }

        private mutating func word(
            _ word: StaticString, as kind: Kind, _ values: inout [Value]
        ) throws(Refusal) {
            let count = word.utf8CodeUnitCount
            guard position + count <= bytes.count,
                bytes[position..<position + count].elementsEqual(
                    UnsafeBufferPointer(start: word.utf8Start, count: count))
            else { throw Refusal() }
            let start = position
            position += count
            add(kind, from: start, &values)
        }

        private mutating func number(_ values: inout [Value]) throws(Refusal) {
            let start = position
            func at(_ wanted: UInt8) -> Bool { position < bytes.count && bytes[position] == wanted }
            func digits() throws(Refusal) {
                let first = position
                while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
                guard position > first else { throw Refusal() }
            }
            if at(UInt8(ascii: "-")) { position += 1 }
            if at(UInt8(ascii: "0")) { position += 1 } else { try digits() }
            if at(UInt8(ascii: ".")) {
                position += 1
                try digits()
            }
            if at(UInt8(ascii: "e")) || at(UInt8(ascii: "E")) {
                position += 1
                if at(UInt8(ascii: "+")) || at(UInt8(ascii: "-")) { position += 1 }
                try digits()
            }
            add(.number, from: start, &values)
        }
    }
}
