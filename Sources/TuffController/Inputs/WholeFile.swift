package import FoundationEssentials
import Glibc
import TuffSystem

/// Files that a person names, read to their end.
package enum WholeFile {
    /// Most bytes of a plan file, an inventory or a list of changes: far beyond what 10,000 resources need.
    private static let limit = 256 << 20

    package static func read(_ path: String) throws(PassError) -> Data {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { throw unreadable(path, errno) }
        defer { close(file) }
        let (bytes, failure) = DescriptorIO.readToEnd(file, limit: limit)
        if let failure { throw unreadable(path, failure) }
        guard bytes.count <= limit else { throw PassError("\(path) is larger than \(limit >> 20) MiB") }
        return Data(bytes)
    }

    private static func unreadable(_ path: String, _ number: Int32) -> PassError {
        PassError("\(path) cannot be read: \(String(cString: strerror(number)))")
    }
}
