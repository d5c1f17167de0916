import Glibc

/// Boots of the kernel.
package enum Boot {
    /// The kernel's boot id: another after every boot (random(4)), the same in all containers of the machine. Empty
    /// where it cannot be read.
    ///
    /// Clocks that count from the boot are compared by it. Process numbers are not: `ProcessTable.space` is for those.
    package static let id = SmallFile.text("/proc/sys/kernel/random/boot_id") ?? ""

    /// The machine, the same through all its boots: machine-id(5), and the id that its hardware has, since images of
    /// machines are copied with the former. Without either it is nil, and nothing is concluded then.
    package static let machine: String? = {
        guard let system = SmallFile.text("/etc/machine-id"), !system.isEmpty,
            let board = SmallFile.text("/sys/class/dmi/id/product_uuid"), !board.isEmpty
        else { return nil }
        return "\(system) \(board)"
    }()
}

/// Facts about processes, from procfs.
package enum ProcessTable {
    /// The presence of a process that somebody wrote down.
    package enum Presence: Sendable {
        case running
        /// It has ended, whatever has its number now.
        case ended
        /// Its number is one of another container, which cannot be looked up here.
        case elsewhere
    }

    /// Where process numbers of this process mean something: the boot id, and the namespace of process numbers
    /// (pid_namespaces(7)) behind it where it is not the machine's first.
    ///
    /// The boot id alone would not do: a container numbers its processes anew under the same boot, and a number from
    /// there names no process here, or another one.
    package static let space: String = {
        var link = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/self/ns/pid", &link, link.count)
        let namespace = String(decoding: link[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return namespace.isEmpty || namespace == firstNamespace ? Boot.id : "\(Boot.id) \(namespace)"
    }()

    /// PROC_PID_INIT_INO of linux/proc_ns.h.
    private static let firstNamespace = "pid:[4026531836]"

    /// Start of a process, in clock ticks after boot; nil if there is none, or procfs may not be read. With `space` and
    /// its number it tells a process from all others.
    package static func start(of pid: Int32) -> UInt64? { line(of: pid)?.start }

    /// True where a process of this space that started then is there, and is more than a zombie.
    package static func isRunning(_ pid: Int32, since start: UInt64) -> Bool {
        guard let line = line(of: pid) else {
            // Others' processes may be hidden (proc(5), hidepid), which kill(2) tells from their not being there.
            return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM)
        }
        return line.start == start && !line.isGone
    }

    /// The presence of a process that was written down.
    /// - Parameters:
    ///   - start: nil where it was not known then; the process counts as ended.
    ///   - space: the writer's `space`.
    package static func presence(of pid: Int32, since start: UInt64?, in space: String) -> Presence {
        guard space == Self.space else {
            // No process outlives its boot.
            return boot(of: space) == boot(of: Self.space) ? .elsewhere : .ended
        }
        return start.map { isRunning(pid, since: $0) } == true ? .running : .ended
    }

    /// The boot of a space.
    package static func boot(of space: String) -> Substring { space.prefix { $0 != " " } }

    private static func line(of pid: Int32) -> StatusLine? {
        SmallFile.text("/proc/\(pid)/stat").flatMap { StatusLine($0) }
    }

    /// The line of /proc/PID/stat (proc_pid_stat(5)).
    struct StatusLine: Equatable {
        let state: Substring
        let threads: Int
        /// Clock ticks after boot.
        let start: UInt64

        /// True where nothing of the process runs any more. A first thread that has ended is a zombie for as long as
        /// another of the process sleeps in the kernel, and that other may still write.
        var isGone: Bool { state == "X" || state == "Z" && threads <= 1 }

        init?(_ text: String) {
            // The second field is the program's name in parentheses and may hold anything, parentheses too.
            guard let end = text.lastIndex(of: ")") else { return nil }
            // From the third field on.
            let fields = text[text.index(after: end)...].split(separator: " ")
            guard fields.count > 19, let threads = Int(fields[17]), let start = UInt64(fields[19]) else { return nil }
            (state, self.threads, self.start) = (fields[0], threads, start)
        }
    }
}
