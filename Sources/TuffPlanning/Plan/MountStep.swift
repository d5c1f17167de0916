package import TuffModel

/// A step on the mount of a directory pool's NFS share, in the host's mount namespace.
package enum MountStep: Hashable, Codable, Sendable {
    /// `anew`: the same share is mounted in another way, and is unmounted first.
    case mount(NFSShare, at: String, anew: Bool)
    /// In use it stays.
    case unmount(NFSShare, at: String)

    /// That of everything in the pool, so that nothing is at work there meanwhile.
    package var key: ExclusiveKey {
        switch self {
        case .mount(_, let path, _), .unmount(_, let path): .directory(path)
        }
    }

    var takesAway: Bool {
        switch self {
        case .mount(_, _, let anew): anew
        case .unmount: true
        }
    }
}
