import TuffModel

/// Sets of ASCII characters.
enum Characters {
    case letter
    case alphanumeric
    case lowerAlphanumeric

    func contains(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39: self != .letter
        case 0x61...0x7a: true
        case 0x41...0x5a: self != .lowerAlphanumeric
        default: false
        }
    }

    /// True when `text` is made of these and the characters of `more`.
    func holdsAll(_ text: String, and more: String) -> Bool {
        text.utf8.allSatisfy { contains($0) || more.utf8.contains($0) }
    }

    /// True when `text` begins and ends with these, with `inner` allowed between. False for an empty text.
    func boundsAll(_ text: String, inner: StaticString) -> Bool {
        var text = text
        let inner = UnsafeBufferPointer(start: inner.utf8Start, count: inner.utf8CodeUnitCount)
        return text.withUTF8 { bytes in
            guard let first = bytes.first, let last = bytes.last else { return false }
            return contains(first) && contains(last) && bytes.allSatisfy { contains($0) || inner.contains($0) }
        }
    }

    static func isHex(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }

    static func isPath(_ text: String) -> Bool {
        text.utf8.first == UInt8(ascii: "/")
            && Reach.isRelativePath(String(decoding: text.utf8.dropFirst(), as: UTF8.self))
    }
}

/// lvm(8), VALID NAMES. (That a group must not be called like something in /dev only the host can tell.)
enum LVMName {
    private static let reservedParts = [
        "_cdata", "_cmeta", "_corig", "_iorig", "_mimage", "_mlog", "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta",
        "_vdata", "_vorigin", "_wcorig",
    ]
    private static let reservedBeginnings = ["snapshot", "pvmove"]

    static let logicalVolumePattern =
        #"^(?!\.{1,2}$)(?!\#(reservedBeginnings.joined(separator: "|")))"#
        + #"(?!.*(\#(reservedParts.joined(separator: "|"))))[A-Za-z0-9+_.][A-Za-z0-9+_.-]*$"#

    static func volumeGroup(_ text: String) -> String? {
        guard let first = text.utf8.first, first != UInt8(ascii: "-"), text != ".", text != ".." else { return nil }
        return Characters.alphanumeric.holdsAll(text, and: "+_.-") ? text : nil
    }

    static func logicalVolume(_ text: String) -> String? {
        let isReserved =
            reservedBeginnings.contains(where: text.hasPrefix) || reservedParts.contains(where: text.contains)
        return isReserved ? nil : volumeGroup(text)
    }

    /// Bytes of the device-mapper name of a logical volume, in which hyphens are doubled; the kernel takes 127.
    static func mappedLength(group: String, volume: String) -> Int {
        func doubled(_ name: String) -> Int { name.utf8.count + name.utf8.count { $0 == UInt8(ascii: "-") } }
        return 1 + doubled(group) + doubled(volume)
    }

    static let maximumMappedLength = 127
}

/// Times as RFC 3339 section 5.6 writes them.
enum Moment {
    static let pattern =
        #"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"#
        + #"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"#

    /// The whole second of a time, in UTC; nil for another text, and for years before 0 and after 9999.
    static func instant(_ text: String) -> Instant? {
        var rest = Substring(text)
        /// Takes digits off the front when their value is within `range`.
        func digits(_ count: Int, _ range: ClosedRange<Int>) -> Int? {
            let head = rest.prefix(count)
            guard head.utf8.count == count, head.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(head),
                range.contains(value)
            else { return nil }
            rest = rest.dropFirst(count)
            return value
        }
        func character(_ wanted: Character) -> Bool {
            guard rest.first == wanted else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = digits(4, 0...9999), character("-"), let month = digits(2, 1...12), character("-"),
            let day = digits(2, 1...31), day <= CivilDate.days(of: month, in: year), character("T"),
            let hour = digits(2, 0...23), character(":"), let minute = digits(2, 0...59), character(":"),
            let second = digits(2, 0...59)
        else { return nil }
        if character(".") {
            let fraction = rest.prefix { $0.isASCII && $0.isNumber }
            guard (1...9).contains(fraction.count) else { return nil }
            rest = rest.dropFirst(fraction.count)
        }
        var ahead = 0
        if !character("Z") {
            let isBehind = rest.first == "-"
            guard character("+") || character("-"), let hours = digits(2, 0...23), character(":"),
                let minutes = digits(2, 0...59)
            else { return nil }
            ahead = (hours * 60 + minutes) * (isBehind ? -60 : 60)
        }
        guard rest.isEmpty else { return nil }
        let days = CivilDate(year: year, month: month, day: day).number
        let instant = Instant(secondsSince1970: Int64(days * 86400 + hour * 3600 + minute * 60 + second - ahead))
        // What cannot be written as a time again is none.
        return Instant(text: instant.description) == instant ? instant : nil
    }
}
