import CTuffHost
import Glibc
package import TuffModel

/// Tells one file or directory from every other on this host, whatever it is called, without asking a server: one that
/// is gone lets whoever asks wait without an end, and every command compares the roots of `allow`.
package enum RootIdentity: Hashable, Sendable {
    case here(FileIdentity)
    /// Beneath a remote mount (`MountTable`): the numbers of its file system, and the path from its source on. No link
    /// there is followed.
    case remote(device: String, path: [UInt8])

    /// Of all directories from `/` to where `path` leads, through links, and of that itself; nil where that is not
    /// there.
    /// - Throws: where something was mounted since the table was read.
    static func all(to path: String, in mounts: MountTable) throws(MountTable.Stale) -> [RootIdentity]? {
        guard var walk = RootWalk(mounts), try walk.follow(path) else { return nil }
        return walk.identities
    }

    /// `path` without links; nil where it leads to nothing.
    static func realPath(of path: String, in mounts: MountTable) throws(MountTable.Stale) -> String? {
        guard var walk = RootWalk(mounts), try walk.follow(path) else { return nil }
        return walk.path
    }

    /// Where the first NFS mount on the way to `path` is mounted; nil where none is.
    static func serverPoint(on path: String, in mounts: MountTable) throws(MountTable.Stale) -> String? {
        guard var walk = RootWalk(mounts), try walk.follow(path) else { return nil }
        return walk.serverPoint
    }
}

/// Goes down a path by what the kernel knows itself, and from a remote mount on by the path's text alone.
private struct RootWalk {
    private struct Level {
        var name: String
        var mount: MountTable.Mount?
        /// Nil from a remote mount on.
        var descriptor: SharedDescriptor?
        var identities: [RootIdentity]
    }

    private let mounts: MountTable
    private var levels: [Level]

    var identities: [RootIdentity] { levels.flatMap(\.identities) }

    var path: String { "/" + levels.dropFirst().map(\.name).joined(separator: "/") }

    var serverPoint: String? {
        levels.lazy.compactMap(\.mount).first { $0.isRemote && ["nfs", "nfs4"].contains($0.type) }
            .map { String(decoding: $0.point, as: UTF8.self) }
    }

    init?(_ mounts: MountTable) {
        guard let top = OwnedDescriptor(opened: tuffOpen("/", tuff_o_path | O_DIRECTORY)),
            let found = Self.look(top.raw)
        else { return nil }
        self.mounts = mounts
        levels = [
            Level(
                name: "", mount: mounts.mount(at: [MountTable.slash], below: nil), descriptor: SharedDescriptor(top),
                identities: [.here(found.identity)])
        ]
    }

    /// - Returns: false where the path leads to nothing.
    mutating func follow(_ path: String) throws(MountTable.Stale) -> Bool {
        var pending = Reach.names(in: path)
        var links = 0
        while !pending.isEmpty {
            let name = pending.removeFirst()
            if name == "." { continue }
            if name == ".." {
                if levels.count > 1 { levels.removeLast() }
                continue
            }
            switch try enter(name) {
            case .reached: continue
            case .nothing: return false
            case .link(let text):
                links += 1
                guard links <= PathWalk.mostLinks else { return false }
                if text.utf8.first == MountTable.slash { levels.removeLast(levels.count - 1) }
                pending = Reach.names(in: text) + pending
            }
        }
        return true
    }

    private enum Step {
        case reached, nothing
        case link(String)
    }

    private mutating func enter(_ name: String) throws(MountTable.Stale) -> Step {
        let above = levels[levels.count - 1]
        let path = Array(levels.dropFirst().flatMap { "/\($0.name)".utf8 } + "/\(name)".utf8)
        let mount = mounts.mount(at: path, below: above.mount)
        guard let directory = above.descriptor, mount?.isRemote != true else {
            guard let mount else { return .nothing }
            let identities = RootIdentity.remote(path, in: mount, withAbove: mount != above.mount)
            levels.append(Level(name: name, mount: mount, identities: identities))
            return .reached
        }
        let isMounted = mount != above.mount
        let raw =
            isMounted
            ? tuff_open_at(directory.raw, name, tuff_o_path | O_NOFOLLOW, 0) : tuff_open_unmounted(directory.raw, name)
        guard let entry = OwnedDescriptor(opened: raw) else {
            if errno == EXDEV { throw MountTable.Stale() }
            return .nothing
        }
        guard let found = Self.look(entry.raw) else { return .nothing }
        if found.isLink { return linkText(entry.raw, "").map(Step.link) ?? .nothing }
        levels.append(
            Level(
                name: name, mount: mount, descriptor: SharedDescriptor(entry), identities: [.here(found.identity)]))
        return .reached
    }

    private static func look(_ descriptor: Int32) -> (identity: FileIdentity, isLink: Bool)? {
        var device: UInt64 = 0
        var inode: UInt64 = 0
        var mode: UInt32 = 0
        guard tuff_identity(descriptor, &device, &inode, &mode) == 0 else { return nil }
        return (FileIdentity(device: UInt(device), inode: UInt(inode)), mode & S_IFMT == S_IFLNK)
    }
}

extension RootIdentity {
    /// Of a path that lies in a remote mount.
    /// - Parameter withAbove: those of the directories above it on the server too, which may be mounted elsewhere.
    fileprivate static func remote(
        _ path: [UInt8], in mount: MountTable.Mount, withAbove: Bool
    ) -> [RootIdentity] {
        let place = mount.place(of: path)
        let ends = withAbove ? place.indices.filter { $0 > 0 && place[$0] == MountTable.slash } : []
        return (ends + [place.count]).map { .remote(device: mount.device, path: Array(place[..<$0])) }
    }

    /// Of the directories and the file of a path that was opened, and so was asked for anyhow.
    /// - Parameter levels: from `/` on, without links.
    static func all(
        opened levels: [(name: String, identity: FileIdentity)], in mounts: MountTable
    ) -> [RootIdentity] {
        var mount = mounts.mount(at: [MountTable.slash], below: nil)
        var path: [UInt8] = []
        var result: [RootIdentity] = levels.prefix(1).map { .here($0.identity) }
        for level in levels.dropFirst() {
            path += "/\(level.name)".utf8
            let above = mount
            mount = mounts.mount(at: path, below: above)
            if let mount, mount.isRemote {
                result += remote(path, in: mount, withAbove: mount != above)
            } else {
                result.append(.here(level.identity))
            }
        }
        return result
    }
}

extension HostRoots {
    /// Roots of different sorts of which one holds the other by way of links or mounts, as far as they are there.
    package static func overlap(in reach: Reach) throws(HostError) -> Reach.Overlap? {
        try MountTable.withCurrent { mounts throws(MountTable.Stale) in try overlap(in: reach, mounts) }
    }

    /// - Throws: where something was mounted since the table was read.
    package static func overlap(in reach: Reach, _ mounts: MountTable) throws(MountTable.Stale) -> Reach.Overlap? {
        var holders: [(root: Reach.Root, identities: [RootIdentity])] = []
        for sort in Reach.Sort.allCases {
            for path in reach[sort] {
                guard let identities = try RootIdentity.all(to: path, in: mounts) else { continue }
                holders.append((Reach.Root(sort: sort, path: path), identities))
            }
        }
        for (position, one) in holders.enumerated() {
            for other in holders[(position + 1)...] where other.root.sort != one.root.sort {
                guard let mine = one.identities.last, let theirs = other.identities.last,
                    other.identities.contains(mine) || one.identities.contains(theirs)
                else { continue }
                return Reach.Overlap(first: one.root, second: other.root)
            }
        }
        return nil
    }

    /// Tells whether the opened directory, or one above it, is a root of another sort.
    /// - Parameter levels: from `/` on, without links.
    func isAnotherSorts(
        _ levels: [(name: String, identity: FileIdentity)], than sort: Reach.Sort
    ) throws(HostError) -> Bool {
        let others = Reach.Sort.allCases.filter { $0 != sort }.flatMap { self[$0] }.filter { !self[sort].contains($0) }
        return try MountTable.withCurrent { mounts throws(MountTable.Stale) in
            let mine = Set(RootIdentity.all(opened: levels, in: mounts))
            for other in others {
                guard let identity = try RootIdentity.all(to: other, in: mounts)?.last else { continue }
                if mine.contains(identity) { return true }
            }
            return false
        }
    }
}
