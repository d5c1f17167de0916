/// Stored data that is to be read back and proven.
package struct VerifyTask: Hashable, Codable, Sendable {
    /// Name of the BackupRepository.
    package var repository: String
    package var access: RepositoryAccess
    package var node: String
    package var stack: String
    /// The policy that asks for it.
    package var policy: String
    /// Share of the data, in per cent.
    package var share: Int

    package init(
        of repository: String, _ access: RepositoryAccess, by node: String, of stack: String, for policy: String,
        share: Int
    ) {
        self.repository = repository
        self.access = access
        self.node = node
        self.stack = stack
        self.policy = policy
        self.share = share
    }
}
