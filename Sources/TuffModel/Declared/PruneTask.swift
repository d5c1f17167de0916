/// Restore points that are to go, and whether packs go too, as a plan decided it. The worker that does it judges each
/// point again, under the repository's exclusive lease.
package struct PruneTask: Hashable, Codable, Sendable {
    /// A restore point that its policy's rule keeps no longer.
    package struct Expired: Hashable, Codable, Sendable {
        package var point: String
        package var policy: String

        package init(_ point: String, of policy: String) {
            self.point = point
            self.policy = policy
        }
    }

    /// Name of the BackupRepository.
    package var repository: String
    package var access: RepositoryAccess
    /// The host and the set of documents whose points these are.
    package var node: String
    package var stack: String
    /// Oldest first.
    package var expired: [Expired]
    /// The time by the repository's schedule for which packs are looked through; nil: another host did that, and only
    /// points go.
    package var packsDue: Instant?

    package init(of repository: String, _ access: RepositoryAccess, by node: String, of stack: String) {
        self.repository = repository
        self.access = access
        self.node = node
        self.stack = stack
        expired = []
    }
}
