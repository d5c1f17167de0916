import FoundationEssentials
import Glibc
import SystemPackage
import TuffController

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
        let temporary = "\(path).\(getpid()).tmp"
        do {
            let file = try FileDescriptor.open(
                temporary, .writeOnly, options: [.create, .exclusiveCreate], permissions: [.ownerReadWrite])
            do {
                defer { try? file.close() }
                try file.writeAll(data)
                guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
            }
            guard rename(temporary, path) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            unlink(temporary)
            throw Failure("\(path) cannot be written: \(error)")
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
