package import FoundationEssentials
import Glibc

/// Files that a person names, read to their end.
package enum WholeFile {
    /// Most bytes of a plan file, an inventory or a list of changes: far beyond what 10,000 resources need.
    private static let limit = 256 << 20

    package static func read(_ path: String) throws(PassError) -> Data {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { throw unreadable(path) }
        defer { close(file) }
        var data = Data()
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw unreadable(path) }
            if count == 0 { return data }
            data.append(contentsOf: chunk[..<count])
            guard data.count <= limit else { throw PassError("\(path) is larger than \(limit >> 20) MiB") }
        }
    }

    private static func unreadable(_ path: String) -> PassError {
        PassError("\(path) cannot be read: \(String(cString: strerror(errno)))")
    }
}
