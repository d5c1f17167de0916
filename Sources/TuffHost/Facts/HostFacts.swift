import Glibc
package import TuffModel
import TuffSystem

/// Facts that a machine tells about itself.
package enum HostFacts {
    /// Host name up to the first dot: a host's `node` when its configuration names none.
    package static func shortHostName() -> String {
        hostName().split(separator: ".").first.map(String.init) ?? "localhost"
    }

    /// The whole host name (gethostname(2)); empty where there is none.
    package static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "" }
        return name.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// 16 hexadecimal digits of the system's generator: a name that nothing else has.
    static func randomName() -> String {
        let number = UInt64.random(in: 0...UInt64.max)
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    package static func now() -> Instant { Instant(secondsSince1970: seconds(CLOCK_REALTIME)) }

    /// The clock beside the one that nobody sets.
    package static func clock() -> ClockReading {
        ClockReading(boot: Boot.id, uptime: seconds(CLOCK_BOOTTIME), civil: now())
    }

    private static func seconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec)
    }
}
