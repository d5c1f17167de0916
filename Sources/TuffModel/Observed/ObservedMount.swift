/// The mount at the directory of a pool on NFS, as the host's table of mounts has it. No server is asked for it.
package struct ObservedMount: Hashable, Codable, Sendable {
    package enum State: Hashable, Codable, Sendable {
        /// Nothing is mounted there. What lies in the directory is not what the pool holds.
        case absent(Beneath)
        case mounted
        /// The share that is meant, mounted in another way: the end of a sentence about the directory.
        case differing(String)
        /// Another share or file system, likewise. Nothing in it is looked at or written.
        case foreign(String)
        /// The host has it mounted, and this process does not see that.
        case hidden
    }

    /// The directory beneath, which a mount would cover.
    package enum Beneath: String, Hashable, Codable, Sendable { case missing, empty, filled }

    /// The share that the mount was compared with.
    package var share: NFSShare
    package var state: State

    package init(share: NFSShare, state: State) {
        self.share = share
        self.state = state
    }

    /// The content is the share's, and can be worked on.
    package var isUsable: Bool {
        switch state {
        case .mounted, .differing: true
        case .absent, .foreign, .hidden: false
        }
    }

    /// Why nobody knows what the pool at `path` holds; nil where that can be looked at.
    package func fault(at path: String) -> String? {
        switch state {
        case .mounted, .differing: nil
        case .absent: "NFS share \(share.source) is not mounted at \(path)"
        case .foreign(let found): "\(path) \(found): nothing there is looked at or written"
        case .hidden:
            "the host has NFS share \(share.source) mounted at \(path), and this process does not see it: its mounts "
                + "must follow the host's (MountFlags= and PrivateMounts= of its service)"
        }
    }
}
