import FoundationEssentials
import Testing
import TuffModel

@testable import TuffSchedule

/// The system's tz database, which Debian's package tzdata brings.
enum Zones {
    static func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: "/usr/share/zoneinfo/\(name)")))
    }

    static func named(_ name: String) throws -> ZoneRules {
        name == "UTC" ? .utc : try ZoneRules(tzif: bytes(name))
    }
}

func instant(_ text: String, sourceLocation: Testing.SourceLocation = #_sourceLocation) throws -> Instant {
    try #require(Instant(text: text), sourceLocation: sourceLocation)
}
