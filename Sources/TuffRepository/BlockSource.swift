import CTuffHost
import Glibc

/// What is backed up: bytes that can be read anywhere, by several threads at once.
package protocol BlockSource: Sendable {
    /// Bytes.
    var size: UInt64 { get }
    /// Fills all of `buffer` from `offset`.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError)
    /// Whether `count` bytes from `offset` are known to be zero without reading them.
    func isHole(at offset: UInt64, count: Int) -> Bool
}

/// A device or regular file. Its content must not change while it is read: a snapshot, or what nobody has open.
package final class DeviceSource: BlockSource {
    package let size: UInt64
    private let path: String
    private let descriptor: Int32
    private let hasHoles: Bool

    package init(_ path: String) throws(RepositoryError) {
        self.path = path
        // A FIFO must not hold us up.
        descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .system(errno, "cannot open \(path)") }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            close(descriptor)
            throw .system(errno, "cannot look at \(path)")
        }
        var bytes: UInt64 = 0
        switch status.st_mode & S_IFMT {
        case S_IFREG: bytes = UInt64(status.st_size)
        case S_IFBLK where tuff_device_size(descriptor, &bytes) == 0: break
        default:
            close(descriptor)
            throw RepositoryError(.refused, "\(path) is neither a block device nor a regular file")
        }
        size = bytes
        hasHoles = status.st_mode & S_IFMT == S_IFREG
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    }

    deinit { close(descriptor) }

    package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        var done = 0
        while done < buffer.count {
            let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + done)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(errno, "cannot read \(path) at byte \(Int(offset) + done)") }
            guard count > 0 else {
                throw RepositoryError(
                    .failed, "\(path) became shorter while it was read, at byte \(Int(offset) + done)")
            }
            done += count
        }
    }

    package func isHole(at offset: UInt64, count: Int) -> Bool {
        guard hasHoles else { return false }
        let data = lseek(descriptor, off_t(offset), seekData)
        // ENXIO: no data behind the offset (lseek(2)).
        return data < 0 ? errno == ENXIO : data >= off_t(offset) + off_t(count)
    }
}

/// SEEK_DATA of lseek(2), which glibc shows to GNU sources only.
private let seekData: Int32 = 3

/// Whether all bytes are zero: the first is, and each equals the one before it.
func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let first = bytes.first else { return true }
    return first == 0 && memcmp(bytes.baseAddress!, bytes.baseAddress! + 1, bytes.count - 1) == 0
}
