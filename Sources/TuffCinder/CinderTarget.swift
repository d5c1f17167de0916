import CTuffHost
import Glibc
import Synchronization
package import TuffRepository
import TuffSystem

/// A file that has its name only once it is complete.
package final class NewFileTarget: BlockTarget {
    package let isBlank = true
    private let path: String
    private let temporary: String
    private let descriptor: Int32
    private let isPlaced = Atomic<Bool>(false)

    /// Makes a file of `size` bytes, all of them holes, beside `path`, which must be free.
    package init(_ path: String, size: UInt64) throws(RepositoryError) {
        self.path = path
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
        let number = UInt64.random(in: .min ... .max)
        temporary = "\(folder).tuff-restore-\(String(number, radix: 16))"
        descriptor = tuff_open_at(AT_FDCWD, temporary, O_RDWR | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw .system(errno, "cannot make a file beside \(path)") }
        guard ftruncate(descriptor, off_t(clamping: size)) == 0 else {
            // The file is closed and removed by deinit, which runs once everything is initialised.
            throw .system(errno, "cannot make a file of \(size) bytes beside \(path)")
        }
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        abandon()
    }

    /// Removes the temporary file, unless the file has its name already. The program must call this before it exits,
    /// since `deinit` does not run then.
    package func abandon() {
        if !isPlaced.load(ordering: .relaxed) { unlink(temporary) }
    }

    package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        let outcome = DescriptorIO.read(descriptor, at: offset, into: buffer)
        guard outcome.count == buffer.count else { throw .system(outcome.number, "cannot read \(temporary)") }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(RepositoryError) {
        if let failure = DescriptorIO.write(descriptor, at: offset, bytes).failure {
            throw .system(failure, "cannot write \(temporary)")
        }
    }

    /// Gives the file its name, which must still be free.
    package func finish(size: UInt64) throws(RepositoryError) {
        guard fsync(descriptor) == 0 else { throw .system(errno, "cannot write \(temporary)") }
        if tuff_rename_new(AT_FDCWD, temporary, AT_FDCWD, path) != 0 {
            // A file system that cannot rename without replacing (NFS) can link without replacing.
            guard errno == EINVAL, link(temporary, path) == 0 else { throw .system(errno, "cannot make \(path)") }
            unlink(temporary)
        }
        isPlaced.store(true, ordering: .relaxed)
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let directory = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw .system(errno, "cannot open \(folder)") }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw .system(errno, "cannot sync \(folder)") }
    }

    /// Whether there is nothing at `path`, not even a symbolic link.
    package static func isFree(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) != 0 && errno == ENOENT
    }
}
