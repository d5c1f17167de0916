/// An address where a target listens, written `192.0.2.10:3260` or `[2001:db8::1]:3260`.
///
/// Two ways to write one address are one portal: addresses are kept as RFC 5952 writes them, and an IPv4 address inside
/// IPv6 (`::ffff:192.0.2.10`, RFC 4291 2.5.5.2) as the IPv4 address, since the kernel binds both to the same socket
/// address.
package struct Portal: Codable, Sendable, CustomStringConvertible {
    package static let defaultPort = 3260

    /// IPv4 dotted quad, or IPv6 without brackets; a link-local one with its interface (`fe80::1%eth0`).
    package var address: String
    package var port: Int
    /// Name of its object in the target stack, where somebody wrote it otherwise than `description`.
    package var spelling: String?

    package init(address: String, port: Int = Portal.defaultPort) {
        self.address = address
        self.port = port
    }

    package var isIPv6: Bool { address.utf8.contains(UInt8(ascii: ":")) }
    package var isWildcard: Bool { address == "0.0.0.0" || address == "::" }
    package var description: String { isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)" }
    /// The name of its object in the target stack.
    package var objectName: String { spelling ?? description }

    /// Parses an IPv4 or bracketed IPv6 address with an optional port. Host names are refused: configfs takes none.
    package init?(text: some StringProtocol) {
        let whole = String(text)
        var host = Substring(whole)
        var portText: Substring?
        let address: String?
        if whole.hasPrefix("[") {
            guard let end = whole.firstIndex(of: "]") else { return nil }
            host = whole[whole.index(after: whole.startIndex)..<end]
            let rest = whole[whole.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            portText = rest.isEmpty ? nil : rest.dropFirst()
            address = IPv6Text.canonical(host)
        } else {
            if let colon = whole.firstIndex(of: ":") {
                host = whole[..<colon]
                portText = whole[whole.index(after: colon)...]
            }
            address = IPv6Text.quad(host) == nil ? nil : String(host)
        }
        guard let address else { return nil }
        var number = Self.defaultPort
        if let portText {
            guard !portText.isEmpty, portText.utf8.allSatisfy(NameRule.isDigit), let value = Int(portText),
                (1...65535).contains(value)
            else { return nil }
            number = value
        }
        self.init(address: address, port: number)
    }

    /// Parses the name of an object in the target stack and keeps it, so that the object is found again.
    package init?(objectName: some StringProtocol) {
        self.init(text: objectName)
        if description != objectName { spelling = String(objectName) }
    }

    /// The reason why no target can listen there; nil: one can, as far as the address tells.
    package var fault: String? {
        if isIPv6 {
            let first = address.split(separator: ":", omittingEmptySubsequences: false)[0]
            if first.count == 4, first.hasPrefix("ff") { return "\(address) is a multicast address" }
            if first.count == 4, ["fe8", "fe9", "fea", "feb"].contains(where: first.hasPrefix), !address.contains("%") {
                return "\(address) is a link-local address, which is one on each interface; write the interface: "
                    + "[\(address)%eth0]:\(port)"
            }
            return nil
        }
        if address == "255.255.255.255" { return "\(address) is the broadcast address" }
        let first = address.split(separator: ".").first.flatMap { Int($0) } ?? 0
        return (224...239).contains(first) ? "\(address) is a multicast address" : nil
    }

    /// Whether the kernel lets only one of the two be listened on: every address of a port, and one of its addresses
    /// (measured: the second is refused with EINVAL). `::` takes the IPv4 addresses too, unless the host has
    /// net.ipv6.bindv6only.
    package func excludes(_ other: Portal) -> Bool {
        guard port == other.port, address != other.address else { return false }
        return address == "::" || other.address == "::"
            || (isWildcard || other.isWildcard) && isIPv6 == other.isIPv6
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let portal = Portal(objectName: text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is no portal")
        }
        self = portal
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(objectName)
    }
}

extension Portal: Hashable, Comparable {
    /// Compares addresses and ports; `spelling` does not count.
    package static func == (lhs: Portal, rhs: Portal) -> Bool { lhs.address == rhs.address && lhs.port == rhs.port }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(address)
        hasher.combine(port)
    }

    package static func < (lhs: Portal, rhs: Portal) -> Bool {
        (lhs.address, lhs.port) < (rhs.address, rhs.port)
    }
}

/// Texts of IPv6 addresses (RFC 4291 2.2), and the one of each that RFC 5952 recommends.
enum IPv6Text {
    /// The recommended text of an address; of an IPv4 address inside IPv6, the dotted quad. Nil: `text` is no address.
    static func canonical(_ text: Substring) -> String? {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let groups = groups(parts[0]) else { return nil }
        if groups.prefix(5).allSatisfy({ $0 == 0 }), groups[5] == 0xffff {
            guard parts.count == 1 else { return nil }
            return [groups[6] >> 8, groups[6] & 0xff, groups[7] >> 8, groups[7] & 0xff].map { "\($0)" }
                .joined(separator: ".")
        }
        guard parts.count == 2 else { return compressed(groups) }
        // Only link-local addresses are one per interface, whose name has at most 15 characters (IFNAMSIZ).
        guard groups[0] & 0xffc0 == 0xfe80, (1...15).contains(parts[1].utf8.count),
            parts[1].utf8.allSatisfy({ NameRule.isAlphanumeric($0 | 0x20) || "-_.".utf8.contains($0) })
        else { return nil }
        return "\(compressed(groups))%\(parts[1])"
    }

    /// Four decimal numbers without leading zeros.
    static func quad(_ text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part -> UInt8? in
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy(NameRule.isDigit),
                part.utf8.count == 1 || !part.hasPrefix("0")
            else { return nil }
            return UInt8(part)
        }
        return parts.count == 4 && numbers.count == 4 ? numbers : nil
    }

    private static func groups(_ text: Substring) -> [UInt16]? {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        switch halves.count {
        case 1:
            let all = words(halves[0], mayEndInQuad: true)
            return all?.count == 8 ? all : nil
        case 2:
            guard let head = halves[0].isEmpty ? [] : words(halves[0], mayEndInQuad: false),
                let tail = halves[1].isEmpty ? [] : words(halves[1], mayEndInQuad: true), head.count + tail.count < 8
            else { return nil }
            return head + [UInt16](repeating: 0, count: 8 - head.count - tail.count) + tail
        default: return nil
        }
    }

    private static func words(_ text: Substring, mayEndInQuad: Bool) -> [UInt16]? {
        var result: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, mayEndInQuad, let quad = quad(part) {
                result += [UInt16(quad[0]) << 8 | UInt16(quad[1]), UInt16(quad[2]) << 8 | UInt16(quad[3])]
                continue
            }
            guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(NameRule.isHexDigit),
                let value = UInt16(part, radix: 16)
            else { return nil }
            result.append(value)
        }
        return result
    }

    /// Lower case, no leading zeros, and `::` for the longest run of at least two zero groups, the first of equal ones.
    private static func compressed(_ groups: [UInt16]) -> String {
        var best = 0..<0, index = 0
        while index < groups.count {
            var end = index
            while end < groups.count, groups[end] == 0 { end += 1 }
            if end - index > max(best.count, 1) { best = index..<end }
            index = max(end, index + 1)
        }
        func text(_ part: ArraySlice<UInt16>) -> String { part.map { Hex.digits($0, width: 1) }.joined(separator: ":") }
        guard !best.isEmpty else { return text(groups[...]) }
        return text(groups[..<best.lowerBound]) + "::" + text(groups[best.upperBound...])
    }
}
