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
    static func writePrivate(_ data: Data, to path: String) throws(Failure) {
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
}
