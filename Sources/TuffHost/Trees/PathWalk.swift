import CTuffHost
import Glibc
import TuffModel

/// Opens a path component by component, from `/` down, each beneath the descriptor of the one before: what was looked
/// at is what is opened, whatever somebody renames meanwhile.
///
/// Every component belongs to root or the user we run as, and nobody else may write it, as sshd(8) has it for
/// StrictModes. A sticky directory of root may be written by others, since the owner of what comes after it is looked
/// at as well (inode(7)). Links are followed in the part that the administrator named, their own owners looked at too,
/// and not beneath it. From the root of an NFS mount on nobody's owner is looked at: the server says whose a file is.
struct PathWalk: ~Copyable {
    /// The whole path, for messages.
    private let target: String
    private let noun: String
    /// From `/` to the directory that was reached; by their descriptors `..` of a link is followed.
    private var levels: [Level] = []
    private var links = 0

    private struct Level {
        var name: String
        var descriptor: SharedDescriptor
        var identity: FileIdentity
        /// A server says whose what is there is.
        var isTrusted: Bool
    }

    private var place: String { "/" + levels.dropFirst().map(\.name).joined(separator: "/") }
    private var isTrusted: Bool { levels[levels.count - 1].isTrusted }
    private var device: UInt { levels[levels.count - 1].identity.device }

    /// - Parameters:
    ///   - target: what is to be opened in the end.
    ///   - noun: `directory`, `image`, `secret file`.
    init(to target: String, noun: String) throws(HostError) {
        self.target = target
        self.noun = noun
        try restart()
    }

    private mutating func restart() throws(HostError) {
        guard let top = OwnedDescriptor(opened: tuffOpen("/", tuff_o_path | O_DIRECTORY)) else {
            throw .system(errno, "Cannot open /", subject: target)
        }
        let status = try status(of: top.raw)
        levels = [Level(name: "", descriptor: SharedDescriptor(top), identity: FileIdentity(status), isTrusted: false)]
        try require(status, at: place, isLast: false)
    }

    /// The directory that was reached.
    var directory: Int32 { levels[levels.count - 1].descriptor.raw }

    /// The path of the directory that was reached, without links.
    var path: String { place }

    /// The directories from `/` to the one that was reached, without links.
    var reached: [(name: String, identity: FileIdentity)] { levels.map { ($0.name, $0.identity) } }

    /// Goes down to the administrator's own root, through links.
    /// - Parameter point: a directory on the way, without links, which is not entered.
    mutating func enterRoot(_ root: String, before point: String? = nil) throws(HostError) {
        var pending = Reach.names(in: root)
        while !pending.isEmpty {
            let name = pending.removeFirst()
            if name == ".." {
                // `/..` is `/`.
                if levels.count > 1 { levels.removeLast() }
                continue
            }
            if name == "." { continue }
            if appended(name) == point { return }
            guard let text = try enter(name) else { continue }
            links += 1
            guard links <= Self.mostLinks else { throw .system(ELOOP, "Cannot open \(root)", subject: target) }
            if text.utf8.first == UInt8(ascii: "/") { try restart() }
            pending = Reach.names(in: text) + pending
        }
    }

    /// As many as the kernel follows (path_resolution(7)).
    static var mostLinks: Int { 40 }

    /// Goes down into a directory that a document named.
    mutating func enterBeneath(_ name: String) throws(HostError) {
        guard try enter(name) == nil else { throw linkRefused(name) }
    }

    /// Opens an entry of the directory that was reached.
    /// - Parameter isChecked: whether its own owner and mode count; false: whoever opens it looks at them.
    func open(_ name: String, flags: Int32, isChecked: Bool) throws(HostError) -> OwnedDescriptor {
        guard let entry = OwnedDescriptor(opened: tuff_open_at(directory, name, flags | O_NOFOLLOW, 0)) else {
            let number = errno
            if number == ELOOP || isLink(name) { throw linkRefused(name) }
            throw .system(number, "Cannot open the \(noun) \(target)", subject: target)
        }
        guard !isTrusted else { return entry }
        let status = try status(of: entry.raw)
        let isServers = try hasServerOwners(entry.raw, status)
        if isChecked, !isServers { try require(status, at: appended(name), isLast: true) }
        return entry
    }

    /// The directory that was reached, opened as such.
    func openReached(flags: Int32, isChecked: Bool) throws(HostError) -> OwnedDescriptor {
        guard let entry = OwnedDescriptor(opened: tuff_open_at(directory, ".", flags, 0)) else {
            throw .system(errno, "Cannot open the \(noun) \(target)", subject: target)
        }
        if isChecked, !isTrusted { try require(try status(of: entry.raw), at: place, isLast: true) }
        return entry
    }

    // MARK: Steps

    /// Goes down into a directory.
    /// - Returns: the text of a link, which is not followed; nil: the directory was reached.
    private mutating func enter(_ name: String) throws(HostError) -> String? {
        // With O_DIRECTORY what is mounted on demand is mounted (`follow_automount` in fs/namei.c).
        let flags = tuff_o_path | O_NOFOLLOW
        guard let entry = OwnedDescriptor(opened: tuff_open_at(directory, name, flags | O_DIRECTORY, 0)) else {
            let number = errno
            if number == ENOTDIR, let link = OwnedDescriptor(opened: tuff_open_at(directory, name, flags, 0)) {
                return try text(ofLink: link, name)
            }
            throw .system(number, "Cannot open \(appended(name)) on the way to the \(noun) \(target)", subject: target)
        }
        let status = try status(of: entry.raw)
        var isServers = isTrusted
        if !isServers { isServers = try hasServerOwners(entry.raw, status) }
        if !isServers { try require(status, at: appended(name), isLast: false) }
        levels.append(
            Level(
                name: name, descriptor: SharedDescriptor(entry), identity: FileIdentity(status), isTrusted: isServers))
        return nil
    }

    private func text(ofLink link: borrowing OwnedDescriptor, _ name: String) throws(HostError) -> String {
        let status = try status(of: link.raw)
        guard status.kind == .link else {
            throw .system(ENOTDIR, "Cannot open \(appended(name)) on the way to the \(noun) \(target)", subject: target)
        }
        if !isTrusted { try require(status, at: appended(name), isLast: false) }
        guard let text = linkText(link.raw, "") else {
            throw .system(errno, "Cannot read the link \(appended(name))", subject: target)
        }
        return text
    }

    /// Tells whether a server decides on the owner of the file: the root of an NFS mount. A FUSE file system says what
    /// the program behind it says, hence only one of root's, or ours, is believed.
    private func hasServerOwners(_ entry: Int32, _ status: stat) throws(HostError) -> Bool {
        guard UInt(status.st_dev) != device else { return false }
        let sort = tuff_file_system_sort(entry)
        if sort == tuff_fs_nfs { return true }
        guard sort == tuff_fs_fuse else { return false }
        var user: UInt32 = 0
        guard tuff_fuse_user(entry, &user) == 0 else {
            throw HostError(
                .exposed, "\(target) lies in a FUSE file system, and for whom that was mounted cannot be told",
                subject: target)
        }
        guard user == 0 || user == geteuid() else {
            throw HostError(
                .exposed, "\(target) lies in a FUSE file system of user \(user), who decides what is in it",
                subject: target)
        }
        return false
    }

    // MARK: Rules

    private func require(_ status: stat, at component: String, isLast: Bool) throws(HostError) {
        let mode = "mode 0\(String(status.st_mode & 0o7777, radix: 8))"
        func exposed(_ fault: String, _ remedy: String) -> HostError {
            let what = component == target ? "who decides what is there" : "who decides what is at \(target)"
            return HostError(
                .exposed, "\(component) \(fault), \(what)", cause: "type: \(remedy) \(Command.quoted(component))",
                subject: target)
        }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw exposed("belongs to user \(status.st_uid) (\(mode))", "chown root")
        }
        guard status.kind != .link, status.st_mode & 0o022 != 0 else { return }
        let isSticky = status.kind == .directory && status.st_mode & S_ISVTX != 0 && status.st_uid == 0
        guard isSticky, !isLast else {
            throw exposed("may be written by others than its owner (\(mode))", "chmod go-w")
        }
    }

    private func isLink(_ name: String) -> Bool {
        var status = stat()
        return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.kind == .link
    }

    private func linkRefused(_ name: String) -> HostError {
        HostError(
            .refused,
            "The \(noun) \(target) is reached through a symbolic link, which is not followed"
                + (appended(name) == target ? "" : ": \(appended(name))"), subject: target)
    }

    private func appended(_ name: String) -> String { levels.count == 1 ? "/\(name)" : "\(place)/\(name)" }

    private func status(of descriptor: Int32) throws(HostError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .system(errno, "Cannot look at \(place) on the way to the \(noun) \(target)", subject: target)
        }
        return status
    }
}

/// Tells one file from every other on this host, whatever it is called.
package struct FileIdentity: Hashable, Sendable {
    var device: UInt
    var inode: UInt
}

extension FileIdentity {
    init(_ status: stat) { self.init(device: UInt(status.st_dev), inode: UInt(status.st_ino)) }
}
