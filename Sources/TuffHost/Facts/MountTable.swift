import Glibc
import TuffModel
import TuffSystem

/// The mounts that this process sees, as the kernel lists them (proc_pid_mountinfo(5)). No file system is asked for
/// that, and so no server either.
package struct MountTable: Sendable {
    /// One of them.
    struct Mount: Hashable, Sendable {
        var number: Int
        var parent: Int
        /// `MAJOR:MINOR` of its file system.
        var device: String
        /// The directory of the file system that is mounted.
        var root: [UInt8]
        var point: [UInt8]
        var type: String
        var source: [UInt8]
        /// Of the mount, with commas between them.
        var options: [UInt8]
        /// Of its file system, likewise.
        var fileSystemOptions: [UInt8]

        /// Tells whether a look at it may wait for another machine or another program, which may be gone. A host whose
        /// own `/` is such a file system does not run without it, and is looked at as any other.
        var isRemote: Bool { MountTable.isRemote(type) && point != [MountTable.slash] }

        /// A path in it, from its source on. NFS shows no root but `/`, and the whole export as the source
        /// (nfs_show_path and nfs_show_devname in fs/nfs/super.c).
        func place(of path: [UInt8]) -> [UInt8] {
            var place = source + root
            while place.last == MountTable.slash { place.removeLast() }
            return place + path.dropFirst(point.count)
        }
    }

    /// Something was mounted since the table was read.
    package struct Stale: Error {}

    private let mounts: [[UInt8]: [Mount]]
    private let numbers: Set<Int>

    /// - Parameter text: what mountinfo holds.
    package init(text: String) { self.init(bytes: Array(text.utf8)) }

    private init(bytes: [UInt8]) {
        let all = bytes.split(separator: UInt8(ascii: "\n")).compactMap(Self.mount)
        mounts = Dictionary(grouping: all, by: \.point)
        numbers = Set(all.map(\.number))
    }

    /// Looks at this host's mounts as they are, once more where one came meanwhile.
    static func withCurrent<Value>(
        _ look: (MountTable) throws(Stale) -> Value
    ) throws(HostError) -> Value {
        for _ in 0..<attempts {
            let table = MountTable(bytes: try read(file))
            do throws(Stale) { return try look(table) } catch {}
        }
        throw HostError(
            .failed, "Something was mounted each time that the roots of allow were looked at", cause: "try again",
            subject: file)
    }

    private static let attempts = 8
    /// Of this thread: one that has mounts of its own is not that of the process (`PrivateMounts`).
    private static let file = "/proc/thread-self/mountinfo"
    static let slash = UInt8(ascii: "/")

    /// The mounts of this process as they are.
    static func current() throws(HostError) -> MountTable { MountTable(bytes: try read(file)) }

    /// - Parameter file: a list of mounts in /proc.
    init(at file: String) throws(HostError) { self.init(bytes: try Self.read(file)) }

    /// The uppermost of what is mounted at a path; nil where nothing is.
    /// - Parameter path: absolute, without links.
    func top(at path: String) -> Mount? {
        var place: [UInt8] = []
        var found = mount(at: [Self.slash], below: nil)
        for name in Reach.names(in: path) {
            place += "/\(name)".utf8
            found = mount(at: place, below: found)
        }
        return found?.point == (place.isEmpty ? [Self.slash] : place) ? found : nil
    }

    /// The mount in which `path` lies, of which the directory above lies in `mount`; nil where the kernel shows none,
    /// as for a root made by chroot(2).
    func mount(at path: [UInt8], below mount: Mount?) -> Mount? {
        var found = mount
        // Several may be mounted one upon the other.
        while let next = mounts[path]?.first(where: { isChild($0, of: found) }) { found = next }
        return found
    }

    private func isChild(_ mount: Mount, of parent: Mount?) -> Bool {
        guard let parent else { return !numbers.contains(mount.parent) || mount.parent == mount.number }
        return mount.parent == parent.number && mount != parent
    }

    /// - nfs, nfs4, cifs, smb3, smbfs, 9p, ceph, lustre, afs, pvfs2 (OrangeFS), beegfs: a server answers, or nobody,
    ///   and whoever asks waits without an end and cannot be killed (`hard` in nfs(5)).
    /// - fuse: a program answers, which most often asks a server (sshfs, glusterfs, s3fs). Not fuseblk, which has a
    ///   disk here.
    /// - autofs: whoever asks waits for what is to be mounted there. Before it is, nothing can be opened through it.
    private static func isRemote(_ type: String) -> Bool {
        [
            "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "lustre", "afs", "pvfs2", "beegfs", "fuse",
            "autofs",
        ].contains(type) || type.hasPrefix("fuse.")
    }

    private static func mount(_ line: [UInt8].SubSequence) -> Mount? {
        // Optional fields end with a hyphen.
        let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard let end = fields.dropFirst(6).firstIndex(where: { $0.elementsEqual("-".utf8) }), end + 2 < fields.count,
            let number = Int(text(fields[0])), let parent = Int(text(fields[1]))
        else { return nil }
        return Mount(
            number: number, parent: parent, device: text(fields[2]), root: plain(fields[3]), point: plain(fields[4]),
            type: text(fields[end + 1]), source: plain(fields[end + 2]), options: Array(fields[5]),
            fileSystemOptions: fields.dropFirst(end + 3).first.map(plain) ?? [])
    }

    private static func text(_ field: ArraySlice<UInt8>) -> String { String(decoding: field, as: UTF8.self) }

    /// Blanks, tabs, line ends and backslashes are written as a backslash and three octal digits.
    private static func plain(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3, let code = UInt8(text(rest.prefix(3)), radix: 8) {
                result.append(code)
                rest.removeFirst(3)
            } else {
                result.append(byte)
            }
        }
        return result
    }

    private static func read(_ file: String) throws(HostError) -> [UInt8] {
        guard let opened = OwnedDescriptor(opened: tuffOpen(file, O_RDONLY)) else {
            throw .system(errno, "Cannot open the list of mounts \(file)", subject: file)
        }
        let (bytes, failure) = DescriptorIO.readToEnd(opened.raw, limit: .max - 1)
        if let failure { throw .system(failure, "Cannot read the list of mounts \(file)", subject: file) }
        return bytes
    }
}
