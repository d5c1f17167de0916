import CTuffHost
import Glibc
package import TuffModel

/// open(2) of a path of our own choosing (a configured root, /proc), never of one that a document or a tree names.
func tuffOpen(_ path: String, _ flags: Int32) -> Int32 {
    tuff_open_at(AT_FDCWD, path, flags, 0)
}

/// Where trees and files may be opened, and how: always beneath a root of their own sort, as `PathWalk` says.
package struct HostRoots: Hashable, Sendable {
    /// The target configuration, `/sys/kernel/config/target` unless a test says otherwise.
    package var target: String
    private var roots: [Reach.Sort: [String]]
    /// Directories that nothing is opened in unless these shares are mounted there, whoever asks and whatever for.
    package var shares: [String: NFSShare] = [:]

    package init(target: String, reach: Reach) {
        self.target = target
        roots = Dictionary(uniqueKeysWithValues: Reach.Sort.allCases.map { ($0, reach[$0]) })
    }

    /// Directories beneath which documents may name paths of a sort.
    package subscript(sort: Reach.Sort) -> [String] { roots[sort] ?? [] }

    /// The absolute path of a root.
    func path(of root: HostPath.Root) -> String {
        switch root {
        case .targetConfiguration: target
        case .lvmProfiles: Self.profiles
        case .directory(let path): path
        }
    }

    private static let profiles = "/etc/lvm/profile"

    /// The absolute path of a place on this machine.
    func path(of place: HostPath) -> String {
        place.relative.isEmpty ? path(of: place.root) : "\(path(of: place.root))/\(place.relative)"
    }

    func path(of place: BytesPlace) -> String {
        switch place {
        case .device(let device): device.path
        case .file(let file): path(of: file)
        }
    }

    /// Opens the root itself.
    /// - Parameter isChecked: whether a directory's own owner and mode count, besides those of all above it.
    func open(_ root: HostPath.Root, isChecked: Bool = true) throws(HostError) -> OwnedDescriptor {
        switch root {
        case .targetConfiguration:
            guard let result = OwnedDescriptor(opened: tuffOpen(target, tuff_o_path | O_DIRECTORY)) else {
                throw .system(errno, "Cannot open the target configuration \(target)", subject: target)
            }
            return result
        case .lvmProfiles:
            guard let result = OwnedDescriptor(opened: tuffOpen(Self.profiles, tuff_o_path | O_DIRECTORY)) else {
                throw .system(errno, "Cannot open the folder of LVM's profiles", subject: Self.profiles)
            }
            return result
        case .directory(let path):
            let opened = try open(path, .directories, flags: tuff_o_path | O_DIRECTORY, isChecked: isChecked)
            if let share = shares[path] { try PoolMounts.demand(share, at: path, opened: opened.raw) }
            return opened
        }
    }

    /// Opens an absolute path that a document named, beneath the root of its own sort that holds it, and beneath no
    /// root of another sort, whatever links or mounts lead there.
    func open(
        _ path: String, _ sort: Reach.Sort, flags: Int32, isChecked: Bool = true
    ) throws(HostError) -> OwnedDescriptor {
        let components = Reach.names(in: path)
        guard path.utf8.first == UInt8(ascii: "/"), !path.utf8.contains(0), !components.contains(".."),
            !components.contains(".")
        else {
            throw HostError(.refused, "The \(sort.noun) '\(path)' is not an absolute path without '.' and '..'")
        }
        let fitting = self[sort].filter { Reach.holds($0, path) }
        guard let root = fitting.max(by: { $0.utf8.count < $1.utf8.count }) else {
            throw HostError(
                .refused,
                "The \(sort.noun) \(path) lies beneath none of allow.\(sort.rawValue) "
                    + "(\(self[sort].joined(separator: ", ")))", subject: path)
        }
        var walk = try PathWalk(to: path, noun: sort.noun)
        var names = Array(components.dropFirst(Reach.names(in: root).count))
        guard let last = names.popLast() else {
            return try openRoot(root, sort: sort, walk: &walk, flags: flags, isChecked: isChecked)
        }
        try walk.enterRoot(root)
        if sort == .images { try refuseStore(walk.directory, path) }
        for name in names {
            try walk.enterBeneath(name)
            if sort == .images { try refuseStore(walk.directory, path) }
        }
        let opened = try walk.open(last, flags: flags, isChecked: isChecked)
        var status = stat()
        guard fstat(opened.raw, &status) == 0,
            try !isAnotherSorts(walk.reached + [(name: last, identity: FileIdentity(status))], than: sort)
        else {
            throw HostError(
                .refused, "The \(sort.noun) \(path) lies beneath a root of another sort", subject: path)
        }
        return opened
    }

    /// A root that a document names itself; of images and secrets it is one file.
    private func openRoot(
        _ root: String, sort: Reach.Sort, walk: inout PathWalk, flags: Int32, isChecked: Bool
    ) throws(HostError) -> OwnedDescriptor {
        if sort == .directories {
            try walk.enterRoot(root)
            return try walk.openReached(flags: flags, isChecked: isChecked)
        }
        return try Self.enterFile(root, &walk, flags: flags, isChecked: isChecked)
    }

    /// Looks at every component of a root that the administrator named, and at the root itself. From an NFS mount on
    /// the server says whose a file is (`PathWalk`), so it is not asked.
    package static func inspect(_ root: String) throws(HostError) {
        let point = try MountTable.withCurrent { mounts throws(MountTable.Stale) in
            try RootIdentity.serverPoint(on: root, in: mounts)
        }
        try inspect(root, endingAt: point)
    }

    /// - Parameter point: where looking ends, without links; nil: at the root itself.
    package static func inspect(_ root: String, endingAt point: String?) throws(HostError) {
        var walk = try PathWalk(to: root, noun: "root")
        if let point { return try walk.enterRoot(root, before: point) }
        var status = stat()
        guard stat(root, &status) == 0, status.kind != .directory else {
            try walk.enterRoot(root)
            _ = try walk.openReached(flags: tuff_o_path | O_DIRECTORY, isChecked: true)
            return
        }
        _ = try enterFile(root, &walk, flags: tuff_o_path, isChecked: true)
    }

    /// A root that is one file.
    private static func enterFile(
        _ root: String, _ walk: inout PathWalk, flags: Int32, isChecked: Bool
    ) throws(HostError) -> OwnedDescriptor {
        let names = Reach.names(in: root)
        try walk.enterRoot("/" + names.dropLast().joined(separator: "/"))
        return try walk.open(names.last ?? ".", flags: flags, isChecked: isChecked)
    }

    /// Volumes and backups are no images, whoever's they are.
    private func refuseStore(_ directory: Int32, _ path: String) throws(HostError) {
        func has(_ name: String) -> Bool { faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 }
        guard has(Self.sidecars) || has("repository") && has("packs") else { return }
        throw HostError(
            .refused, "The image \(path) lies where volumes or backups are, which is no place for images", subject: path
        )
    }

    /// The folder by which a directory pool is known.
    private static let sidecars = ".tuff"
}

/// The roots that one request has used, each opened once.
final class OpenRoots {
    let roots: HostRoots
    private var opened: [HostPath.Root: SharedDescriptor] = [:]
    /// Directories that were used: the last one, and those high up, in which every target has something. On a small
    /// machine half of the time of building a target went into opening its directories again.
    private var last: (place: Directory, descriptor: SharedDescriptor)?
    private var upper: [Directory: SharedDescriptor] = [:]
    /// A directory that we made and put nothing into yet.
    private var fresh: HostPath?

    private struct Directory: Hashable {
        var root: HostPath.Root
        var path: String
        var access: Int32
    }

    init(_ roots: HostRoots) { self.roots = roots }

    func path(of place: HostPath) -> String { roots.path(of: place) }

    func open(_ root: HostPath.Root) throws(HostError) -> SharedDescriptor {
        if let known = opened[root] { return known }
        let descriptor = SharedDescriptor(try roots.open(root))
        opened[root] = descriptor
        return descriptor
    }

    /// Opens a directory beneath a root; errno tells why not.
    fileprivate func open(_ directory: String, in root: HostPath.Root, _ access: Int32) throws(HostError)
        -> SharedDescriptor?
    {
        let place = Directory(root: root, path: directory, access: access)
        if let last, last.place == place { return last.descriptor }
        if let known = upper[place] { return known }
        let top = try open(root)
        guard let found = OwnedDescriptor(opened: tuff_open_beneath(top.raw, directory, access | O_DIRECTORY, 0)) else {
            return nil
        }
        let descriptor = SharedDescriptor(found)
        if directory.utf8.count(where: { $0 == UInt8(ascii: "/") }) < 2 {
            upper[place] = descriptor
        } else {
            last = (place, descriptor)
        }
        return descriptor
    }

    /// Tells whether a directory was found a moment ago, as the place of something else.
    func holds(_ directory: HostPath) -> Bool {
        upper[Directory(root: directory.root, path: directory.relative, access: tuff_o_path)] != nil
    }

    /// To be told before a directory is removed: another of its name may follow.
    func forgetDirectories() {
        last = nil
        upper = [:]
        fresh = nil
    }

    /// To be told what directory was made, and nil when something is put into one.
    func noteFresh(_ directory: HostPath?) { fresh = directory }

    /// Tells whether `pattern` is that of all entries of the directory made last, which is empty as far as we go.
    func isFresh(_ pattern: HostPath) -> Bool {
        fresh.map { $0.root == pattern.root && pattern.relative == $0.relative + "/*" } ?? false
    }
}

/// A directory of a rooted tree, and the name of an entry in it (or, of an attribute, the path to it).
struct TreePlace: ~Copyable {
    let parent: SharedDescriptor
    let name: String
    /// The whole place, for errors.
    let path: String

    /// Opens the directory that holds `place`. `notFound` when it is missing.
    ///
    /// - Parameter access: `O_PATH` for configfs, whose directories must not be opened for reading (that blocks while
    ///   a device beneath is suspended); `O_RDONLY` for ordinary ones, which are fsynced afterwards.
    init(_ place: HostPath, in roots: OpenRoots, access: Int32 = tuff_o_path) throws(HostError) {
        let path = roots.path(of: place)
        guard Self.isPlain(place.relative) else {
            throw HostError(.refused, "'\(place.relative)' is not a path beneath its root", subject: path)
        }
        let words = Reach.names(in: place.relative)
        let directory = words.count == 1 ? "." : words.dropLast().joined(separator: "/")
        guard let parent = try roots.open(directory, in: place.root, access) else {
            throw .system(errno, "Cannot open the directory of \(path)", subject: path)
        }
        self.parent = parent
        self.name = words[words.count - 1]
        self.path = path
    }

    /// An attribute, to be opened and nothing else: from its root in one call, without its directory.
    init(attribute place: HostPath, in roots: OpenRoots) throws(HostError) {
        path = roots.path(of: place)
        guard Self.isPlain(place.relative) else {
            throw HostError(.refused, "'\(place.relative)' is not a path beneath its root", subject: path)
        }
        parent = try roots.open(place.root)
        name = place.relative
    }

    /// Opens the entry itself, which must not be a symbolic link: ELOOP. (With `O_NOFOLLOW` an `O_PATH` descriptor
    /// would be that of the link.)
    func open(_ flags: Int32, mode: UInt32 = 0) -> OwnedDescriptor? {
        OwnedDescriptor(opened: tuff_open_beneath(parent.raw, name, flags, mode))
    }

    /// The status of the object at the place, the link itself if it is one; nil and errno when that cannot be told.
    func status() -> stat? {
        var result = stat()
        return fstatat(parent.raw, name, &result, AT_SYMLINK_NOFOLLOW) == 0 ? result : nil
    }

    private static func isPlain(_ relative: String) -> Bool {
        // By bytes, as the kernel divides it.
        let words = relative.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return !relative.utf8.contains(0)
            && words.allSatisfy { !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) }
    }
}

extension stat {
    var kind: TreeEntry.Kind {
        switch st_mode & S_IFMT {
        case S_IFDIR: .directory
        case S_IFREG: .file
        case S_IFLNK: .link
        default: .other
        }
    }
}

/// Where the symbolic link `name` in `directory` leads, as its text says; nil and errno when it is none.
func linkText(_ directory: Int32, _ name: String) -> String? {
    let bytes = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
        count = buffer.withMemoryRebound(to: CChar.self) { text in
            max(0, readlinkat(directory, name, text.baseAddress!, text.count))
        }
    }
    return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
}

/// Names in a directory that may be opened `O_PATH`, with their kind where the file system tells it; nil and errno
/// when it cannot be listed.
func listDirectory(_ directory: Int32) -> [DirectoryEntry]? {
    let descriptor = tuff_open_at(directory, ".", O_RDONLY | O_DIRECTORY, 0)
    guard descriptor >= 0 else { return nil }
    let entries = listDirectory(opened: descriptor)
    // Closing must not hide why.
    let number = errno
    close(descriptor)
    errno = number
    return entries
}

typealias DirectoryEntry = (name: String, kind: TreeEntry.Kind?)

/// The same of a directory that is open for reading and was not listed before.
func listDirectory(opened directory: Int32) -> [DirectoryEntry]? {
    var result: [DirectoryEntry] = []
    return withUnsafeTemporaryAllocation(byteCount: 32 << 10, alignment: 8) { buffer in
        while true {
            let count = tuff_directory_entries(directory, buffer.baseAddress!, buffer.count)
            guard count > 0 else { return count == 0 ? result : nil }
            var rest = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            // linux_dirent64: inode and offset (8 bytes each), length of the record (2), kind (1), the name and a zero.
            while let entry = rest.baseAddress, !rest.isEmpty {
                let name = String(cString: entry.advanced(by: 19).assumingMemoryBound(to: CChar.self))
                if name != ".", name != ".." { result.append((name, directoryEntryKind(rest[18]))) }
                let length = Int(rest.loadUnaligned(fromByteOffset: 16, as: UInt16.self))
                rest = UnsafeRawBufferPointer(rebasing: rest[length...])
            }
        }
    }
}

private func directoryEntryKind(_ type: UInt8) -> TreeEntry.Kind? {
    switch Int(type) {
    case Int(DT_DIR): .directory
    case Int(DT_REG): .file
    case Int(DT_LNK): .link
    case Int(DT_UNKNOWN): nil
    default: .other
    }
}
