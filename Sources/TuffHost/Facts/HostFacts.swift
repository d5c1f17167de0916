import Glibc
package import TuffModel

/// Facts that a machine tells about itself.
package enum HostFacts {
    /// Host name up to the first dot: a host's `node` when its configuration names none.
    package static func shortHostName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        let name = buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        return name.split(separator: ".").first.map(String.init) ?? "localhost"
    }

    /// `/proc/sys/kernel/random/boot_id`: another after every boot (random(4)). Empty where it cannot be read.
    package static func bootID() -> String {
        readSmallFile("/proc/sys/kernel/random/boot_id") ?? ""
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
        ClockReading(boot: thisBoot, uptime: seconds(CLOCK_BOOTTIME), civil: now())
    }

    /// No process outlives its boot.
    private static let thisBoot = bootID()

    private static func seconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec)
    }

    /// When a process started, in clock ticks since boot (field 22 of proc(5)'s stat); nil when there is none.
    /// With the boot id it tells a process from a later one of the same number.
    static func startTicks(ofProcess pid: Int32) -> String? {
        guard let text = readSmallFile("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        // After the command's closing parenthesis comes field 3.
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count > 19 ? String(fields[19]) : nil
    }

    /// A file of /proc, at most 4 KiB, without trailing white space.
    static func readSmallFile(_ path: String) -> String? {
        guard let descriptor = OwnedDescriptor(opened: tuffOpen(path, O_RDONLY)) else { return nil }
        let bytes = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            count = max(0, readBytes(descriptor.raw, into: UnsafeMutableRawBufferPointer(buffer)))
        }
        var text = Substring(String(decoding: bytes, as: UTF8.self))
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
