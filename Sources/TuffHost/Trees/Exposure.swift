import CTuffHost
import Glibc
import TuffModel

/// Tells the owner of a file, and who may change it.
enum Exposure {
    /// Tells whether a server decides on owners there: on NFS root's files may be anybody's (`root_squash` in
    /// exports(5)).
    static func isServers(_ directory: Int32) -> Bool { tuff_file_system_sort(directory) == tuff_fs_nfs }

    /// True for a file that we made, as far as its owner tells: ours, or of a file system where a server says whose
    /// it is, and may make somebody else of root (`root_squash`, `all_squash`).
    /// - Parameter file: its descriptor.
    static func isOurs(_ status: stat, _ file: Int32) -> Bool { status.st_uid == geteuid() || isServers(file) }

    /// The same of an entry that is not opened.
    /// - Parameter directory: the one that it is in. What is mounted upon the entry has an owner of its own.
    static func isOurs(_ status: stat, in directory: Int32) -> Bool {
        if status.st_uid == geteuid() { return true }
        var above = stat()
        guard fstat(directory, &above) == 0, above.st_dev == status.st_dev else { return false }
        return isServers(directory)
    }

    /// Why somebody besides root and the user we run as could change it; nil when nobody can. Access control lists that
    /// let others write show in the group's bits (acl(5)).
    static func fault(_ status: stat) -> String? {
        if status.st_uid != 0, status.st_uid != geteuid() {
            return "belongs to user \(status.st_uid), not to root or the user Tuff runs as"
        }
        guard status.st_mode & S_IFMT != S_IFLNK, status.st_mode & 0o022 != 0 else { return nil }
        return "may be written by others than its owner (mode 0\(String(status.st_mode & 0o7777, radix: 8)))"
    }
}
