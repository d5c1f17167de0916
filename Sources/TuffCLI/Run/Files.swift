import FoundationEssentials
import Glibc
import SystemPackage

/// Files that commands read and write for their user.
enum Files {
    /// Most bytes of a plan file or inventory: far beyond what 10,000 resources need.
    private static let limit = 256 << 20

    static func read(_ path: String) throws(Failure) -> Data {
        do {
            let file = try FileDescriptor.open(path, .readOnly)
            defer { try? file.close() }
            var data = Data()
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                let count = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
                if count == 0 { return data }
                data.append(contentsOf: chunk[..<count])
                guard data.count <= limit else { throw Failure("\(path) is larger than \(limit >> 20) MiB") }
            }
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure("\(path) cannot be read: \(error)")
        }
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

    /// Whether a plain file stands at `path`, through links; a pipe would be emptied by looking into it.
    static func isPlain(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
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
