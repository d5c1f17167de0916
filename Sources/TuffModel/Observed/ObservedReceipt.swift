/// Work that a host did in a repository for all, as its receipt there says.
package struct ObservedReceipt: Hashable, Codable, Sendable {
    package enum Work: String, Hashable, Codable, Sendable {
        /// Restore points were removed by keep rules, and packs where `packs` says so.
        case prune
        /// Stored data was read back.
        case verify
        /// A point was restored to a volume that was compared and removed.
        case drill
    }

    package var work: Work
    /// Begin of the work.
    package var time: Instant
    package var node: String
    package var stack: String
    /// The policy that asked for it.
    package var policy: String?
    /// The volume whose points it was about, and its uid; nil: all.
    package var volume: String?
    package var uid: UID?
    /// The restore point that was proven.
    package var point: String?
    /// Restore points that were removed.
    package var removed: Int?
    /// Packs that nothing needs were marked or destroyed.
    package var packs: Bool?
    /// Share of the data that was read, in per cent, and its bytes.
    package var share: Int?
    package var read: ByteCount?
    /// The fault that was found, in a sentence; nil: none.
    package var fault: String?

    package init(_ work: Work, at time: Instant, by node: String, of stack: String) {
        self.work = work
        self.time = time
        self.node = node
        self.stack = stack
    }
}
