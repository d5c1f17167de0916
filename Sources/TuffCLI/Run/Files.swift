import FoundationEssentials
import Glibc
import SystemPackage
import TuffController
import TuffSystem

/// Files that commands read and write for their user.
enum Files {
    static func read(_ path: String) throws(Failure) -> Data {
        try failing { () throws(PassError) in try WholeFile.read(path) }
    }

    /// Writes a file that only its owner may read, whole or not at all: a temporary file beside it, fsync, rename.
    ///
    /// - Throws: when `path` is taken by anything that `refuseToReplace` spares.
    static func writePrivate(_ data: Data, to path: String, mayReplace: (Data) -> Bool) throws(Failure) {
        try refuseToReplace(path, unless: mayReplace)
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let name = String(parts[parts.count - 1])
        let folder = parts.count == 1 ? "." : "\(parts.dropLast().joined(separator: "/"))/"
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw Failure("\(path) cannot be written: \(Errno(rawValue: errno))") }
        defer { close(directory) }
        do throws(DurableFile.Failure) {
            try DurableFile.replace(name, in: directory, temporary: "\(name).\(getpid()).tmp", with: Array(data))
        } catch {
            // A file system that has nothing to bring to the disk for a directory says so (fsync(2)).
            if error.stage == .syncDirectory, error.number == EINVAL { return }
            throw Failure("\(path) cannot be written: \(Errno(rawValue: error.number))")
        }
    }

    /// A rename puts a file in the place of whatever stands there: of a device, a link, somebody's documents. Only our
    /// own plain files of the same sort, and empty ones (mktemp(1)), are replaced.
    private static func refuseToReplace(_ path: String, unless mayReplace: (Data) -> Bool) throws(Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            guard errno == ENOENT else { throw Failure("\(path) cannot be written: \(Errno(rawValue: errno))") }
            return
        }
        let help = "name a file that does not exist, or a plan file of yours, which is replaced"
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw Failure("\(path) exists and is not a plain file; it was left as it is", help: help)
        }
        guard status.st_uid == geteuid() else {
            throw Failure("\(path) belongs to user \(status.st_uid); it was left as it is", help: help)
        }
        guard status.st_size > 0 else { return }
        guard mayReplace(try read(path)) else {
            throw Failure("\(path) exists and holds something else; it was left as it is", help: help)
        }
    }
}
