/// A number of bytes: a size or an offset. A value from outside is never negative; a difference may be. Sums and
/// differences stop at the ends of the range instead of trapping, since sizes come from other programs' output.
package struct ByteCount: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    package var bytes: Int64

    package init(_ bytes: Int64) { self.bytes = bytes }

    package static let zero = ByteCount(0)
    package static let kibi: Int64 = 1 << 10
    package static let mebi: Int64 = 1 << 20
    package static let gibi: Int64 = 1 << 30

    package static func < (lhs: ByteCount, rhs: ByteCount) -> Bool { lhs.bytes < rhs.bytes }
    package static func + (lhs: ByteCount, rhs: ByteCount) -> ByteCount {
        let sum = lhs.bytes.addingReportingOverflow(rhs.bytes)
        return ByteCount(sum.overflow ? (rhs.bytes > 0 ? .max : .min) : sum.partialValue)
    }
    package static func - (lhs: ByteCount, rhs: ByteCount) -> ByteCount {
        let difference = lhs.bytes.subtractingReportingOverflow(rhs.bytes)
        return ByteCount(difference.overflow ? (rhs.bytes > 0 ? .min : .max) : difference.partialValue)
    }
    package static func * (lhs: ByteCount, rhs: Int64) -> ByteCount {
        let product = lhs.bytes.multipliedReportingOverflow(by: rhs)
        return ByteCount(product.overflow ? ((lhs.bytes < 0) == (rhs < 0) ? .max : .min) : product.partialValue)
    }
    package static func += (lhs: inout ByteCount, rhs: ByteCount) { lhs = lhs + rhs }
    package static func -= (lhs: inout ByteCount, rhs: ByteCount) { lhs = lhs - rhs }

    private static let suffixes: [(String, Int64)] = [
        ("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("Pi", 1 << 50),
        ("k", 1000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000), ("P", 1_000_000_000_000_000),
    ]

    /// Parses a Kubernetes quantity of bytes: digits, at most one decimal point, an optional suffix
    /// (`Ki Mi Gi Ti Pi` powers of 1024, `k M G T P` powers of 1000). The value must be a whole number of bytes.
    /// Nil for anything else, signs and exponents included.
    package init?(quantity text: some StringProtocol) {
        if let plain = Self.wholeQuantity(String(text)) {
            self = plain
            return
        }
        var digits = Substring(text)
        var factor: Int64 = 1
        for (suffix, value) in Self.suffixes where digits.hasSuffix(suffix) {
            digits = digits.dropLast(suffix.count)
            factor = value
            break
        }
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(NameRule.isDigit) }),
            let whole = Int64(parts[0])
        else { return nil }
        var (total, overflow) = whole.multipliedReportingOverflow(by: factor)
        if parts.count == 2 {
            guard parts[1].count <= 9, let fraction = Int64(parts[1]) else { return nil }
            let scale = (0..<parts[1].count).reduce(Int64(1)) { power, _ in power * 10 }
            let product = fraction.multipliedFullWidth(by: factor)
            let (quotient, remainder) = scale.dividingFullWidth(product)
            guard remainder == 0 else { return nil }
            let sum = total.addingReportingOverflow(quotient)
            total = sum.partialValue
            overflow = overflow || sum.overflow
        }
        guard !overflow else { return nil }
        bytes = total
    }

    /// A quantity without a point, as nearly all are; nil: anything else, or more than fits.
    private static func wholeQuantity(_ text: String) -> ByteCount? {
        var text = text
        return text.withUTF8 { bytes in
            let digits = bytes.prefix(while: NameRule.isDigit)
            guard (1...18).contains(digits.count) else { return nil }
            let suffix = bytes[digits.endIndex...]
            var factor: Int64 = 1
            if !suffix.isEmpty {
                guard let known = suffixes.first(where: { suffix.elementsEqual($0.0.utf8) }) else { return nil }
                factor = known.1
            }
            let number = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) }
            let (total, overflow) = number.multipliedReportingOverflow(by: factor)
            return overflow ? nil : ByteCount(total)
        }
    }

    /// The value as a person reads it: `20 GiB`, `1.5 TiB`, `512 B`; at most two decimals, which may round.
    package var description: String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var index = 0
        var unit: Int64 = 1
        while index < units.count - 1, bytes >= unit << 10 {
            unit <<= 10
            index += 1
        }
        guard bytes >= 0 else { return "-" + ByteCount(bytes == .min ? .max : -bytes).description }
        let whole = bytes / unit
        // The rest is below a unit, at most 2^50, so that a hundred times it fits.
        let rest = bytes % unit * 100 / unit
        if rest == 0 { return "\(whole) \(units[index])" }
        let digits = rest % 10 == 0 ? "\(rest / 10)" : rest < 10 ? "0\(rest)" : "\(rest)"
        return "\(whole).\(digits) \(units[index])"
    }

    /// The value as a quantity that `init(quantity:)` reads back exactly: `20Gi`, `1536Mi`, `1000`.
    package var quantity: String {
        for (suffix, factor) in Self.suffixes.prefix(5).reversed() where bytes != 0 && bytes % factor == 0 {
            return "\(bytes / factor)\(suffix)"
        }
        return "\(bytes)"
    }

    /// The smallest multiple of `unit` that is not less than this.
    package func roundedUp(to unit: ByteCount) -> ByteCount {
        guard unit.bytes > 0 else { return self }
        let remainder = bytes % unit.bytes
        guard remainder != 0 else { return self }
        let sum = bytes.addingReportingOverflow(unit.bytes - remainder)
        return sum.overflow ? ByteCount(.max) : ByteCount(sum.partialValue)
    }

    /// Number of pieces of `unit` that hold this, the last one perhaps not full. A unit of zero, which a hostile report
    /// may give, counts bytes.
    package func pieces(of unit: ByteCount) -> Int64 {
        let (quotient, remainder) = bytes.quotientAndRemainder(dividingBy: max(unit.bytes, 1))
        return remainder > 0 ? quotient + 1 : quotient
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        bytes = try container.decode(Int64.self)
        guard bytes >= 0 else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(bytes) bytes is no size")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(bytes)
    }
}

/// A share in whole percent, 0 to 100, written `10%`.
package struct Percentage: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    package var percent: Int

    package init(_ percent: Int) { self.percent = percent }

    /// Refuses values that no document can hold: plan files hold decoded documents.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        percent = try container.decode(Int.self, forKey: .percent)
        guard (0...100).contains(percent) else {
            throw DecodingError.dataCorruptedError(
                forKey: .percent, in: container, debugDescription: "\(percent) is not between 0 and 100")
        }
    }

    package init?(text: some StringProtocol) {
        guard text.hasSuffix("%"), text.count > 1, text.dropLast().utf8.allSatisfy(NameRule.isDigit),
            let value = Int(text.dropLast()), (0...100).contains(value)
        else { return nil }
        percent = value
    }

    package var description: String { "\(percent)%" }

    package static func < (lhs: Percentage, rhs: Percentage) -> Bool { lhs.percent < rhs.percent }

    /// This share of `amount`, rounded down.
    package func of(_ amount: ByteCount) -> ByteCount {
        ByteCount(amount.bytes / 100 * Int64(percent) + amount.bytes % 100 * Int64(percent) / 100)
    }
}

/// A length of time in whole seconds, written `7d`, `90m`, `1h30m`.
package struct TimeSpan: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    package var seconds: Int64

    package init(seconds: Int64) { self.seconds = seconds }

    private static let units: [(Character, Int64)] = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]
    /// 100 years: a deadline must be a time that can be written on an object, in four digits for the year, and read
    /// again.
    private static let longest: Int64 = 36_525 * 86_400

    /// Parses numbers each followed by one of `d h m s`, in that order, each at most once. Nil for anything else, and
    /// for more than 100 years.
    package init?(text: some StringProtocol) {
        var total: Int64 = 0
        var digits = ""
        var next = 0
        for character in text {
            if let value = character.asciiValue, NameRule.isDigit(value) {
                digits.append(character)
                continue
            }
            guard let index = Self.units.firstIndex(where: { $0.0 == character }), index >= next,
                digits.count <= 9, let number = Int64(digits)
            else { return nil }
            total += number * Self.units[index].1
            next = index + 1
            digits = ""
        }
        guard digits.isEmpty, next > 0, total <= Self.longest else { return nil }
        seconds = total
    }

    package var description: String {
        guard seconds > 0 else { return "0s" }
        var rest = seconds
        var text = ""
        for (symbol, length) in Self.units where rest >= length {
            text += "\(rest / length)\(symbol)"
            rest %= length
        }
        return text
    }

    package static func < (lhs: TimeSpan, rhs: TimeSpan) -> Bool { lhs.seconds < rhs.seconds }
}

/// A point of civil time: whole seconds since 1970-01-01T00:00:00Z, without leap seconds.
package struct Instant: Hashable, Codable, Sendable, Comparable, CustomStringConvertible {
    package var secondsSince1970: Int64

    package init(secondsSince1970: Int64) { self.secondsSince1970 = secondsSince1970 }

    /// Times whose year has four digits: differences of two never overflow.
    private static let range: ClosedRange<Int64> = -62_167_219_200...253_402_300_799

    /// Refuses times that `description` could not write.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        secondsSince1970 = try container.decode(Int64.self, forKey: .secondsSince1970)
        guard Self.range.contains(secondsSince1970) else {
            throw DecodingError.dataCorruptedError(
                forKey: .secondsSince1970, in: container,
                debugDescription: "\(secondsSince1970) is not between the years 0 and 9999")
        }
    }

    package static func < (lhs: Instant, rhs: Instant) -> Bool { lhs.secondsSince1970 < rhs.secondsSince1970 }

    /// RFC 3339 in UTC: `2026-11-22T09:30:00Z`.
    package var description: String {
        let days = Int((Double(secondsSince1970) / 86400).rounded(.down))
        let second = Int(secondsSince1970) - days * 86400
        let date = CivilDate(number: days)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let year = String(repeating: "0", count: max(0, 4 - "\(date.year)".count)) + "\(date.year)"
        return
            "\(year)-\(two(date.month))-\(two(date.day))T"
            + "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))Z"
    }

    /// Parses the form of `description`, which Tuff writes, and no other.
    package init?(text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count == 20 else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            bytes[range].reduce(0 as Int?) { sum, byte in
                NameRule.isDigit(byte) ? sum.map { $0 * 10 + Int(byte - 0x30) } : nil
            }
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month)
        else { return nil }
        let days = CivilDate(year: year, month: month, day: day).number
        self.init(secondsSince1970: Int64(days * 86400 + hour * 3600 + minute * 60 + second))
        guard description == text else { return nil }
    }

    /// At the latest the end of the year 9999.
    package func advanced(by span: TimeSpan) -> Instant {
        let (sum, overflow) = secondsSince1970.addingReportingOverflow(span.seconds)
        let end = Self.range.upperBound
        return Instant(secondsSince1970: overflow ? end : min(sum, max(end, secondsSince1970)))
    }
}
