import CTuffHost
import Glibc
import TuffSystem

/// Source of a backup: bytes that can be read at any offset, by several threads at once.
package protocol BlockSource: Sendable {
    /// Bytes.
    var size: UInt64 { get }
    /// Fills all of `buffer` from `offset`.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError)
    /// Whether `count` bytes from `offset` are known to be zero without reading them.
    func isHole(at offset: UInt64, count: Int) -> Bool
    /// Checks the source when all of it was read. Throws if its size has changed, since the bytes that were read are
    /// then no volume.
    func demandSameSize() throws(RepositoryError)
}

/// A device or regular file. Its content must not change while it is read: a snapshot, or a device or file that nobody
/// has open.
package final class DeviceSource: BlockSource {
    package let size: UInt64
    /// The device is mounted or in use by this host, which may write to it at any time.
    package let isInUse: Bool
    private let path: String
    private let descriptor: Int32
    private let hasHoles: Bool
    private let written: timespec

    package init(_ path: String) throws(RepositoryError) {
        self.path = path
        // A FIFO must not hold us up.
        descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .outside(errno, "cannot open \(path)") }
        let status: stat
        do throws(RepositoryError) {
            (size, status) = try Self.look(descriptor, path)
        } catch {
            close(descriptor)
            throw error
        }
        hasHoles = status.st_mode & S_IFMT == S_IFREG
        written = status.st_mtim
        // A device that is mounted or held by somebody refuses O_EXCL without O_CREAT (open(2)).
        let alone = hasHoles ? -1 : Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_EXCL)
        isInUse = !hasHoles && alone < 0 && errno == EBUSY
        if alone >= 0 { close(alone) }
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    }

    deinit { close(descriptor) }

    private static func look(
        _ descriptor: Int32, _ path: String
    ) throws(RepositoryError) -> (size: UInt64, status: stat) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .outside(errno, "cannot look at \(path)") }
        var bytes: UInt64 = 0
        switch status.st_mode & S_IFMT {
        case S_IFREG: bytes = UInt64(status.st_size)
        case S_IFBLK where tuff_device_size(descriptor, &bytes) == 0: break
        default: throw RepositoryError(.refused, "\(path) is neither a block device nor a regular file")
        }
        return (bytes, status)
    }

    package func demandSameSize() throws(RepositoryError) {
        let now = try Self.look(descriptor, path).size
        guard now != size else { return }
        throw RepositoryError(
            .failed,
            "\(path) had \(size) bytes when its backup began and has \(now) now, so there is no restore point of it")
    }

    /// Whether a file was written to since it was opened, so that the bytes that were read may be of no single moment.
    package var wasWritten: Bool {
        guard hasHoles, let now = try? Self.look(descriptor, path).status.st_mtim else { return false }
        return now.tv_sec != written.tv_sec || now.tv_nsec != written.tv_nsec
    }

    package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        let outcome = DescriptorIO.read(descriptor, at: offset, into: buffer)
        guard outcome.count < buffer.count else { return }
        let place = Int(offset) + outcome.count
        if let failure = outcome.failure { throw .system(failure, "cannot read \(path) at byte \(place)") }
        throw RepositoryError(.failed, "\(path) became shorter while it was read, at byte \(place)")
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
