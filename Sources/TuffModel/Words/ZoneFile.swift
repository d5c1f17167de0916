/// A compiled time zone file (tzfile(5)), in an inventory as hexadecimal digits.
package struct ZoneFile: Hashable, Codable, Sendable {
    package var bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }

    package init(from decoder: any Decoder) throws {
        let text = Array(try decoder.singleValueContainer().decode(String.self).utf8)
        bytes = try stride(from: 0, to: text.count, by: 2).map { index in
            guard index + 1 < text.count,
                let byte = UInt8(String(decoding: text[index...index + 1], as: UTF8.self), radix: 16)
            else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: decoder.codingPath, debugDescription: "not pairs of hexadecimal digits"))
            }
            return byte
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
    }
}
