import CTuffHost
import Glibc
import Synchronization
import TuffSystem

/// Target of a restore, written by several threads at once.
package protocol BlockTarget: Sendable {
    /// Whether all of it is zero, so that zeros need no write, and nothing need be read.
    var isBlank: Bool { get }
    /// Whether writes must come in order, from one thread.
    var isStream: Bool { get }
    /// Fills `buffer` with the bytes of the target.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError)
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(RepositoryError)
    /// Makes all of it durable. Bytes of the volume's `size` that were not written are zero.
    func finish(size: UInt64) throws(RepositoryError)
}

extension BlockTarget {
    package var isStream: Bool { false }
}

/// A device or a regular file that somebody opened.
package final class DeviceTarget: BlockTarget {
    package let isBlank: Bool
    private let path: String
    private let descriptor: Int32

    /// A target for a volume of `size` bytes. A device must be as large; beyond the volume's size it stays as it is. A
    /// file that is shorter is lengthened, with zeros.
    /// - Parameters:
    ///   - descriptor: for reading and writing; a duplicate is kept, so that the caller may close it.
    ///   - path: its name in messages; the directory of a new file is made durable with it.
    ///   - isNew: nothing was written to it since it was made.
    package init(_ descriptor: Int32, path: String, isNew: Bool, size: UInt64) throws(RepositoryError) {
        self.path = path
        isBlank = isNew
        self.descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard self.descriptor >= 0 else { throw .system(errno, "cannot keep \(path) open") }
        // Closed by deinit if this throws: everything is initialised.
        try prepare(size)
    }

    deinit { close(descriptor) }

    private func prepare(_ size: UInt64) throws(RepositoryError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system(errno, "cannot look at \(path)") }
        switch status.st_mode & S_IFMT {
        case S_IFREG:
            if UInt64(max(0, status.st_size)) < size { try resize(to: size) }
        case S_IFBLK:
            var bytes: UInt64 = 0
            guard tuff_device_size(descriptor, &bytes) == 0 else {
                throw .system(errno, "cannot ask the size of \(path)")
            }
            guard bytes >= size else {
                throw RepositoryError(.refused, "\(path) has \(bytes) bytes, less than the \(size) of the volume")
            }
        default: throw RepositoryError(.refused, "\(path) is neither a block device nor a regular file")
        }
    }

    /// Sets the size of a file.
    package func resize(to size: UInt64) throws(RepositoryError) {
        guard ftruncate(descriptor, off_t(clamping: size)) == 0 else {
            throw .system(errno, "cannot set the size of \(path)")
        }
    }

    /// The first `count` bytes of the target.
    func begin(_ count: Int) throws(RepositoryError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: RepositoryError?
        bytes.withUnsafeMutableBytes { bytes in
            do throws(RepositoryError) { try read(at: 0, into: bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(RepositoryError) {
        var failure: RepositoryError?
        bytes.withUnsafeBytes { bytes in
            do throws(RepositoryError) { try write(bytes, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Makes all writes durable.
    func sync() throws(RepositoryError) {
        guard fsync(descriptor) == 0 else { throw .system(errno, "cannot write \(path)") }
    }

    package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        let outcome = DescriptorIO.read(descriptor, at: offset, into: buffer)
        guard outcome.count == buffer.count else {
            throw .system(outcome.number, "cannot read \(path) at byte \(Int(offset) + outcome.count)")
        }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(RepositoryError) {
        let outcome = DescriptorIO.write(descriptor, at: offset, bytes)
        if let failure = outcome.failure {
            throw .system(failure, "cannot write \(path) at byte \(Int(offset) + outcome.count)")
        }
    }

    package func finish(size: UInt64) throws(RepositoryError) {
        try sync()
        if isBlank { try syncFolder() }
    }

    /// A file that was made has its name only when the directory is durable too.
    private func syncFolder() throws(RepositoryError) {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let directory = tuff_open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0)
        guard directory >= 0 else { throw .system(errno, "cannot open \(folder)") }
        defer { close(directory) }
        // EINVAL: a file system that has nothing to sync there (fsync(2)).
        guard fsync(directory) == 0 || errno == EINVAL else { throw .system(errno, "cannot write \(folder)") }
    }
}

/// A pipe or another stream, which takes the volume from its begin to its end.
package final class StreamTarget: BlockTarget {
    package let isBlank = true
    package let isStream = true
    private let descriptor: Int32
    /// Bytes that were written so far.
    private let position = Mutex<UInt64>(0)
    private static let zeros = [UInt8](repeating: 0, count: 1 << 20)

    /// - Parameter descriptor: stays the caller's.
    package init(_ descriptor: Int32) { self.descriptor = descriptor }

    package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        throw RepositoryError(.refused, "what was written to a stream cannot be read")
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(RepositoryError) {
        try position.withLock { position throws(RepositoryError) in
            precondition(offset >= position, "a stream is written in order, by one thread")
            try fill(&position, to: offset)
            try put(bytes)
            position += UInt64(bytes.count)
        }
    }

    package func finish(size: UInt64) throws(RepositoryError) {
        try position.withLock { position throws(RepositoryError) in try fill(&position, to: size) }
    }

    private func fill(_ position: inout UInt64, to end: UInt64) throws(RepositoryError) {
        while position < end {
            let count = Int(min(UInt64(Self.zeros.count), end - position))
            var failure: RepositoryError?
            Self.zeros.withUnsafeBytes { zeros in
                do throws(RepositoryError) {
                    try put(UnsafeRawBufferPointer(rebasing: zeros[..<count]))
                } catch { failure = error }
            }
            if let failure { throw failure }
            position += UInt64(count)
        }
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws(RepositoryError) {
        if let failure = DescriptorIO.write(descriptor, bytes).failure {
            throw .system(failure, "cannot write to standard output")
        }
    }
}
