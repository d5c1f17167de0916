import FoundationEssentials
import Testing
import TuffModel

@Suite struct QuantityTests {
    @Test(arguments: [
        ("20Gi", 20 << 30), ("500G", 500_000_000_000), ("1.5Ti", 3 << 39), ("0.5Ki", 512), ("1000", 1000),
        ("8Pi", 8 << 50), ("0", 0), ("1.000000001G", 1_000_000_001),
    ])
    func quantitiesAreExactBytes(text: String, bytes: Int64) {
        #expect(ByteCount(quantity: text)?.bytes == bytes)
    }

    @Test(arguments: [
        "", "Gi", "-1Gi", "+1", "1e3", "1.Gi", ".5Gi", "1.5", "0.3Ki", "20gi", "20 Gi", "99999999999Pi",
        "9223372036854775808", "1.1.1Gi", "٣Gi", "1_000",
    ])
    func otherTextsAreNoQuantities(text: String) {
        #expect(ByteCount(quantity: text) == nil)
    }

    @Test func aQuantityReadsBackAsItself() {
        for bytes: Int64 in [0, 1, 512, 1 << 20, 3 << 29, 20 << 30, 1_000_000_000, .max] {
            #expect(ByteCount(quantity: ByteCount(bytes).quantity)?.bytes == bytes)
        }
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (20 << 30, "20 GiB"), ((1 << 30) + (1 << 20), "1 GiB"),
            ((5 << 30) + (52 << 20), "5.05 GiB"), (.max, "8191.99 PiB"),
        ] as [(Int64, String)])
    func sizesReadAsPeopleSayThem(bytes: Int64, text: String) {
        #expect(ByteCount(bytes).description == text)
    }

    @Test func sumsStopAtTheEndsOfTheRange() {
        #expect((ByteCount(.max) + ByteCount(1)).bytes == .max)
        #expect((ByteCount(.min) - ByteCount(1)).bytes == .min)
        #expect((ByteCount(1 << 40) * (1 << 40)).bytes == .max && (ByteCount(1 << 40) * -(1 << 40)).bytes == .min)
        #expect(ByteCount(.max).pieces(of: .zero) == .max && ByteCount(65).pieces(of: ByteCount(64)) == 2)
        #expect(ByteCount(-1536).description == "-1.5 KiB")
        #expect(ByteCount(.min).description.hasPrefix("-8191.99 PiB"))
    }

    @Test func storedTimesAreThoseThatCanBeWritten() throws {
        func decode(_ seconds: Int64) throws -> Instant {
            try JSONDecoder().decode(Instant.self, from: Data("{\"secondsSince1970\": \(seconds)}".utf8))
        }
        #expect(try decode(-62_167_219_200).description == "0000-01-01T00:00:00Z")
        let last = try decode(253_402_300_799)
        #expect(last.description == "9999-12-31T23:59:59Z" && last.advanced(by: TimeSpan(seconds: 1)) == last)
        for seconds in [-62_167_219_201, 253_402_300_800, Int64.min, .max] {
            #expect(throws: DecodingError.self) { try decode(seconds) }
        }
    }

    @Test func storedSizesAreNeverNegative() throws {
        let decoder = JSONDecoder()
        #expect(try decoder.decode([ByteCount].self, from: Data("[0, 9223372036854775807]".utf8)).last?.bytes == .max)
        for text in ["[-1]", "[-9223372036854775808]", "[1e300]", "[9223372036854775808]"] {
            #expect(throws: DecodingError.self, "\(text)") {
                try decoder.decode([ByteCount].self, from: Data(text.utf8))
            }
        }
    }

    @Test(arguments: ["-0.5", "100.5", "1e300"])
    func aFillLevelIsAPercentage(number: String) throws {
        func volume(_ number: String) -> Data {
            Data(
                """
                {"name": "tp0", "uuid": "u", "size": 1, "tags": [], "layout": "thinPool", "active": true,
                 "suspended": false, "open": false, "health": "", "dataPercent": \(number)}
                """.utf8)
        }
        #expect(try JSONDecoder().decode(LogicalVolume.self, from: volume("100")).dataPercent == 100)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(LogicalVolume.self, from: volume(number)) }
    }

    @Test func roundingUpNeverOverflows() {
        #expect(ByteCount(5).roundedUp(to: ByteCount(4)).bytes == 8)
        #expect(ByteCount(8).roundedUp(to: ByteCount(4)).bytes == 8)
        #expect(ByteCount(.max).roundedUp(to: ByteCount(4 << 20)).bytes == .max)
    }

    @Test func durationsTakeUnitsOnceAndInOrder() {
        #expect(TimeSpan(text: "7d")?.seconds == 604800)
        #expect(TimeSpan(text: "1h30m")?.seconds == 5400)
        #expect(TimeSpan(text: "0s")?.seconds == 0)
        // A deadline that could not be written on an object and read again.
        #expect(TimeSpan(text: "36525d") != nil && TimeSpan(text: "36525d1s") == nil)
        #expect(TimeSpan(text: "9999999d") == nil)
        for text in ["", "7", "d", "1m1h", "1h1h", "-1d", "1.5h", "1w"] { #expect(TimeSpan(text: text) == nil) }
        #expect(TimeSpan(seconds: 93_784).description == "1d2h3m4s")
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_795_339_800, "2026-11-22T09:30:00Z"), (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"), (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] as [(Int64, String)])
    func instantsAreRFC3339InUTC(seconds: Int64, text: String) {
        #expect(Instant(secondsSince1970: seconds).description == text)
    }

    @Test func percentagesAreWholeAndWithinBounds() throws {
        #expect(Percentage(text: "10%")?.of(ByteCount(1000)).bytes == 100)
        #expect(Percentage(100).of(ByteCount(.max)).bytes == .max)
        for number in ["-1", "101", "9223372036854775807"] {
            #expect(throws: DecodingError.self) {
                try JSONDecoder().decode(Percentage.self, from: Data(#"{"percent":\#(number)}"#.utf8))
            }
        }
        #expect(
            try JSONDecoder().decode(Percentage.self, from: JSONEncoder().encode(Percentage(42))) == Percentage(42))
        for text in ["%", "101%", "-1%", "1.5%", "10"] { #expect(Percentage(text: text) == nil) }
    }
}
