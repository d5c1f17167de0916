import Glibc
package import TuffModel
import TuffSystem

/// The host's time zones, as tzdata installs them: compiled files beneath `/usr/share/zoneinfo` (tzfile(5)).
package enum ZoneReader {
    /// The largest file that is read, in bytes; those of tzdata have at most 4 KiB.
    private static let limit = 1 << 18

    /// - Parameter name: such as `Europe/Berlin`; a validated document's, and therefore without `.` and `..`.
    package static func read(
        _ name: String, beneath folder: String = "/usr/share/zoneinfo"
    ) throws(HostError) -> ZoneFile {
        let path = "\(folder)/\(name)"
        guard !name.contains("."), !name.hasPrefix("/") else {
            throw HostError(.refused, "'\(name)' is no name of a time zone", subject: path)
        }
        guard let descriptor = OwnedDescriptor(opened: tuffOpen(path, O_RDONLY | O_NONBLOCK)) else {
            let number = errno
            guard number == ENOENT else { throw .system(number, "Cannot open \(path)", subject: path) }
            throw HostError(
                .notFound, "this host does not know the time zone \(name): \(path) is not there", subject: path)
        }
        var status = stat()
        guard fstat(descriptor.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= limit else {
            throw HostError(.malformed, "\(path) is no file of a time zone", subject: path)
        }
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = DescriptorIO.read(descriptor.raw, into: UnsafeMutableRawBufferPointer(buffer)).count
        }
        return ZoneFile(bytes: bytes)
    }
}
