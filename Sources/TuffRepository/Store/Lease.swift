import FoundationEssentials
import Glibc
import Synchronization
import TuffSystem

/// Tells other processes that this one works in the repository (docs/repository-format.md, "Leases").
package final class Lease: Sendable {
    package enum Kind: String, Codable, Sendable {
        /// Several of these go together: backups.
        case shared
        /// Goes with no other: prune, and removing keys.
        case exclusive
    }

    /// The holder of a lease: facts by which a person finds the process, and by which it is known to be alive.
    package struct Holder: Hashable, Codable, Sendable {
        package var kind: Kind
        package var host: String
        /// A digest of `Boot.machine`: the machine, whichever boot; absent where that is not known, and in leases of
        /// older programs.
        package var machine: String?
        /// `ProcessTable.space`: a process of an earlier boot is not there any more, and one of another container
        /// cannot be looked up.
        package var boot: String
        package var pid: Int32
        /// Start of the process, in clock ticks after boot (proc(5), field 22 of stat): pids are used again.
        package var started: UInt64
        package var command: String
        package var since: String

        package init(
            kind: Kind, host: String, machine: String? = nil, boot: String, pid: Int32, started: UInt64,
            command: String, since: String
        ) {
            self.kind = kind
            self.host = host
            self.machine = machine
            self.boot = boot
            self.pid = pid
            self.started = started
            self.command = command
            self.since = since
        }

        /// Whether the holder is gone. For a process of this host and boot the kernel tells, however long it stood
        /// still or the clock jumped; for others only the nanoseconds since their last touch tell.
        fileprivate func isGone(seenFrom own: Holder, silent: Int64) -> Bool {
            if host == own.host, boot == own.boot { return !ProcessTable.isRunning(pid, since: started) }
            return isOfEarlierBoot(than: own) || silent > Lease.patience
        }

        /// No process outlives its boot. Copies of a machine bear its name and its id at most until somebody notices,
        /// so both must agree, with the hardware's own id in it.
        private func isOfEarlierBoot(than own: Holder) -> Bool {
            guard host == own.host, let machine, machine == own.machine, !machine.isEmpty else { return false }
            let boot = ProcessTable.boot(of: boot), now = ProcessTable.boot(of: own.boot)
            return !boot.isEmpty && !now.isEmpty && boot != now
        }

        fileprivate func inTheWay(_ id: FileID) -> RepositoryError {
            RepositoryError(
                .locked,
                "the repository is in use by \(command) (process \(pid) on \(host), since \(since)), by its "
                    + "\(Lease.path(id))"
            )
        }
    }

    /// Nanoseconds without a touch after which a holder elsewhere counts as gone.
    static let patience: Int64 = 30 * 60 * 1_000_000_000
    private static let largest = 4_096

    private let store: any Store
    private let path: String
    /// Of the work that it is for.
    private let progress: JobProgress
    /// Time of the last touch, by this machine's time since boot, in nanoseconds.
    private let touched: Atomic<Int64>
    private static let pause: Int64 = 60 * 1_000_000_000
    /// The file's name.
    let id: FileID

    private init(_ id: FileID, in store: any Store, for progress: JobProgress) {
        self.store = store
        self.id = id
        self.progress = progress
        path = Self.path(id)
        touched = Atomic(Self.monotonic())
    }

    private static func path(_ id: FileID) -> String { "leases/\(id)" }

    /// Takes a lease, or throws `locked`, naming the holder that is in the way.
    ///
    /// - Parameters:
    ///   - waiting: time for which to try again. An exclusive lease exists meanwhile, so that no new backup begins.
    ///   - progress: of the work that the lease is for, whose cancelling ends the waiting. Work that nobody waits for
    ///     any more gets no lease.
    package static func take(
        _ holder: Holder, in store: any Store, waiting: Duration = .zero, progress: JobProgress = JobProgress()
    ) throws(RepositoryError) -> Lease {
        let deadline = ContinuousClock.now + waiting
        var waiter: Lease?
        while true {
            let lease: Lease
            if let waiter { lease = waiter } else { lease = try place(holder, in: store, progress) }
            let isOver = ContinuousClock.now >= deadline
            do throws(RepositoryError) {
                // Ours is listed before we look: of two that come at once at least one sees the other.
                let others = try others(of: lease.id, store, own: holder)
                let exclusive = others.first { $0.holder.kind == .exclusive }
                guard let other = exclusive ?? (holder.kind == .exclusive ? others.first : nil) else {
                    // The command that this waited for may have been killed in this moment.
                    try progress.demandWanted()
                    return lease
                }
                if isOver { throw other.holder.inTheWay(other.id) }
                try progress.demand()
                // Waiting with one's eyes on the repository is work that goes on.
                progress.sign()
                // Of two exclusive ones both give way, and try again after pauses that differ.
                if holder.kind == .exclusive, exclusive == nil {
                    waiter = lease
                    try lease.keep()
                } else {
                    waiter = nil
                    try store.remove(lease.path)
                }
            } catch {
                lease.giveBack()
                throw error
            }
            usleep(.random(in: 50_000...150_000))
        }
    }

    private static func place(
        _ holder: Holder, in store: any Store, _ progress: JobProgress
    ) throws(RepositoryError) -> Lease {
        let lease = Lease(FileID(), in: store, for: progress)
        do throws(RepositoryError) {
            try store.place(ProvenLine.file(holder), at: lease.path)
        } catch {
            // It may have its place and not be durable, and would be in our own way.
            lease.giveBack()
            throw error
        }
        return lease
    }

    /// The living holders of other leases; the leases of the dead are removed.
    private static func others(
        of own: FileID, _ store: any Store, own holder: Holder
    ) throws(RepositoryError) -> [(id: FileID, holder: Holder)] {
        let now = try store.now()
        var living: [(id: FileID, holder: Holder)] = []
        for file in try store.list("leases") {
            guard let id = FileID(file.name), id != own else { continue }
            let bytes: [UInt8]
            do throws(RepositoryError) {
                bytes = try store.contents(path(id), limit: largest)
            } catch {
                // Given back since it was listed, or unreadable: an empty file proves nothing.
                if error.code == .notFound { continue }
                bytes = []
            }
            let read = try? JSONDecoder().decode(Holder.self, from: Data(ProvenLine.line(bytes, path: path(id))))
            // A lease with a time in the future would hold until then. A living holder touches it within a minute;
            // touched here, a dead one's is over in half an hour.
            if file.modified > now + pause, (try? store.touch(path(id))) == false { continue }
            // An unreadable lease counts as held until its time is over.
            let other =
                read
                ?? Holder(
                    kind: .exclusive, host: "an unknown host", boot: "", pid: 0, started: 0,
                    command: "a process whose lease \(id) is damaged", since: "an unknown time")
            if other.isGone(seenFrom: holder, silent: now - file.modified) {
                try store.remove(path(id))
            } else {
                living.append((id, other))
            }
        }
        return living
    }

    /// The same for work that nothing else ends when that is asked for.
    func goOn() throws(RepositoryError) {
        try progress.demand()
        try keep()
    }

    /// Touches the file once a minute. Work under the lease must call it often, and it is a sign that it goes on.
    ///
    /// It does not end work: what was stored when a backup is asked to end is written down by code that calls this.
    func keep() throws(RepositoryError) {
        progress.sign()
        let last = touched.load(ordering: .relaxed)
        let now = Self.monotonic()
        guard now - last > Self.pause,
            touched.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged
        else { return }
        try demand()
    }

    /// Throws `locked` if another process took this one for dead and removed the lease: work done since must not be
    /// relied on.
    func demand() throws(RepositoryError) {
        guard try store.touch(path) else {
            throw RepositoryError(
                .locked, "this process stood still for so long that its lease was taken away; run it again")
        }
    }

    private static func monotonic() -> Int64 {
        var now = timespec()
        // It goes on while the machine sleeps, as other hosts' clocks do.
        clock_gettime(CLOCK_BOOTTIME, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }

    package func giveBack() { try? store.remove(path) }
}
