/// How far work has come that takes long.
package struct WorkProgress: Hashable, Codable, Sendable {
    /// The part of the work that is going on: `reading`. Empty: it has no parts.
    package var phase: String
    package var done: ByteCount
    /// Zero: not known.
    package var total: ByteCount

    package init(phase: String = "", done: ByteCount = .zero, total: ByteCount = .zero) {
        self.phase = phase
        self.done = done
        self.total = total
    }

    /// `reading, 12 GiB of 100 GiB`; empty where nothing is known yet.
    package var sentence: String {
        let amount = total > .zero ? "\(done) of \(total)" : done > .zero ? "\(done)" : ""
        return [phase, amount].filter { !$0.isEmpty }.joined(separator: ", ")
    }
}

/// A job that some process of this host has running now, as its job file says (`JobFile` in TuffHost).
package struct RunningJob: Hashable, Codable, Sendable {
    /// Name of its file.
    package var id: String
    /// The sort of work, one word.
    package var kind: String
    /// The work in a few words: `restoring Volume/db`.
    package var summary: String
    /// The exclusive keys that it holds, written as in plans.
    package var keys: [String]
    /// Objects that it makes, writes or reads from, and that nobody may change or remove meanwhile.
    package var objects: [UID]
    /// The worker process.
    package var pid: Int32
    package var since: Instant
    /// The worker has ended, and something that it started still holds the file.
    package var hasEnded: Bool
    package var progress: WorkProgress?

    package init(
        id: String, kind: String, summary: String, keys: [String] = [], objects: [UID] = [], pid: Int32,
        since: Instant, hasEnded: Bool = false, progress: WorkProgress? = nil
    ) {
        self.id = id
        self.kind = kind
        self.summary = summary
        self.keys = keys
        self.objects = objects
        self.pid = pid
        self.since = since
        self.hasEnded = hasEnded
        self.progress = progress
    }

    /// `restoring Volume/db (pid 4711, since 2026-11-22T09:30:00Z)`. The same from its beginning to its end.
    package var sentence: String {
        let end = hasEnded ? ", which has ended; something it started is still running" : ""
        return "\(summary) (pid \(pid), since \(since)\(end))"
    }
}
