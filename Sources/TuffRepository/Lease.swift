import FoundationEssentials
import Glibc
import Synchronization

/// Says to everybody else that somebody is at work in the repository (docs/repository-format.md, "Leases").
package final class Lease: Sendable {
    package enum Kind: String, Codable, Sendable {
        /// Several of these go together: backups.
        case shared
        /// Goes with no other: prune, and removing keys.
        case exclusive
    }

    /// Who holds it. What a person needs to find them, and what tells whether they are still there.
    package struct Holder: Hashable, Codable, Sendable {
        package var kind: Kind
        package var host: String
        /// The kernel's boot ID: a process of an earlier boot is not there any more.
        package var boot: String
        package var pid: Int32
        /// Of the process, in clock ticks after boot (proc(5), field 22 of stat): pids are used again.
        package var started: UInt64
        package var command: String
        package var since: String

        package init(
            kind: Kind, host: String, boot: String, pid: Int32, started: UInt64, command: String, since: String
        ) {
            self.kind = kind
            self.host = host
            self.boot = boot
            self.pid = pid
            self.started = started
            self.command = command
            self.since = since
        }

        /// Whether this process of this host and boot has ended, as far as the kernel here can tell.
        fileprivate func hasEnded(seenFrom own: Holder) -> Bool {
            guard host == own.host, boot == own.boot else { return false }
            return ProcessTable.start(of: pid) != started
        }

        fileprivate var sentence: String {
            "\(command) (process \(pid) on \(host), since \(since))"
        }
    }

    /// Nanoseconds without a touch after which a holder elsewhere counts as gone.
    static let patience: Int64 = 30 * 60 * 1_000_000_000
    private static let largest = 4_096

    private let store: any Store
    private let path: String
    /// When it was last touched, by this machine's monotonic clock, nanoseconds.
    private let touched: Atomic<Int64>
    private static let pause: Int64 = 60 * 1_000_000_000
    /// The file's name.
    let id: FileID

    private init(_ store: any Store, _ id: FileID) {
        self.store = store
        self.id = id
        path = Self.path(id)
        touched = Atomic(Self.monotonic())
    }

    private static func path(_ id: FileID) -> String { "leases/\(id)" }

    /// Gets a lease, or throws `locked` naming who is in the way.
    package static func take(_ holder: Holder, in store: any Store) throws(RepositoryError) -> Lease {
        let lease = Lease(store, FileID())
        try store.place(ProvenLine.file(holder), at: lease.path)
        do throws(RepositoryError) {
            // Ours is listed before we look: of two that come at once at least one sees the other.
            if let other = try others(of: lease.id, store, own: holder).first(where: {
                $0.kind == .exclusive || holder.kind == .exclusive
            }) {
                throw RepositoryError(.locked, "the repository is in use by \(other.sentence)")
            }
            return lease
        } catch {
            try? store.remove(lease.path)
            throw error
        }
    }

    /// The living holders of other leases; the leases of the dead are removed.
    private static func others(
        of own: FileID, _ store: any Store, own holder: Holder
    ) throws(RepositoryError) -> [Holder] {
        let now = try store.now()
        var living: [Holder] = []
        for file in try store.list("leases") {
            guard let id = FileID(file.name), id != own else { continue }
            let bytes: [UInt8]
            do throws(RepositoryError) {
                bytes = try store.contents(path(id), limit: largest)
            } catch  where error.code == .notFound {
                continue  // Given back since it was listed.
            }
            let read = try? JSONDecoder().decode(Holder.self, from: Data(ProvenLine.line(bytes, path: path(id))))
            // One that nobody can read is somebody's until its time is over.
            let other =
                read
                ?? Holder(
                    kind: .exclusive, host: "an unknown host", boot: "", pid: 0, started: 0,
                    command: "a process whose lease \(id) is damaged", since: "an unknown time")
            if now - file.modified > patience || other.hasEnded(seenFrom: holder) {
                try store.remove(path(id))
            } else {
                living.append(other)
            }
        }
        return living
    }

    /// To be called often by those who work under it: touches the file once a minute.
    func keep() throws(RepositoryError) {
        let last = touched.load(ordering: .relaxed)
        let now = Self.monotonic()
        guard now - last > Self.pause,
            touched.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged
        else { return }
        try demand()
    }

    /// Throws `locked` if somebody took us for dead and removed it: what we did since may not be relied on.
    func demand() throws(RepositoryError) {
        guard try store.touch(path) else {
            throw RepositoryError(
                .locked, "this process stood still for so long that its lease was taken away; run it again")
        }
    }

    private static func monotonic() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }

    package func giveBack() { try? store.remove(path) }
}

/// What /proc says of processes.
package enum ProcessTable {
    /// When a process started, in clock ticks after boot; nil if there is none.
    package static func start(of pid: Int32) -> UInt64? {
        guard let text = contents("/proc/\(pid)/stat"),
            // The second field is the program's name in parentheses and may hold anything, parentheses too.
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count > 19 ? UInt64(fields[19]) : nil
    }

    package static func bootID() -> String {
        contents("/proc/sys/kernel/random/boot_id")?.trimmingPrefix { $0.isWhitespace }.split(separator: "\n").first
            .map(String.init) ?? ""
    }

    private static func contents(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
