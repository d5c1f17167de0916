import CTuffHost
import Glibc

/// Files that are replaced whole or not at all, and are durable then.
package enum DurableFile {
    /// The stage that failed, and errno(3) of it. The old file is there as it was, unless the directory's `sync`
    /// failed: then the new one is, until power is lost.
    package struct Failure: Error {
        package enum Stage: Sendable { case create, protect, write, sync, rename, syncDirectory }

        package let stage: Stage
        package let number: Int32
    }

    /// Writes a file under a temporary name, brings it to the disk, gives it its name, and brings the directory to the
    /// disk. What a crash left of an earlier attempt is replaced.
    /// - Parameters:
    ///   - name: of the file in the directory, without a slash.
    ///   - directory: open; the temporary file lies there too.
    ///   - temporary: its name until it is complete, which nobody else uses at this time.
    ///   - bytes: all that it will hold, for its owner alone (mode 0600).
    package static func replace(
        _ name: String, in directory: Int32, temporary: String, with bytes: [UInt8]
    ) throws(Failure) {
        unlinkat(directory, temporary, 0)
        let file = tuff_open_at(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw Failure(stage: .create, number: errno) }
        defer { close(file) }
        do throws(Failure) {
            guard fchmod(file, 0o600) == 0 else { throw Failure(stage: .protect, number: errno) }
            let failure = bytes.withUnsafeBytes { DescriptorIO.write(file, $0).failure }
            if let failure { throw Failure(stage: .write, number: failure) }
            guard fsync(file) == 0 else { throw Failure(stage: .sync, number: errno) }
            guard renameat(directory, temporary, directory, name) == 0 else {
                throw Failure(stage: .rename, number: errno)
            }
        } catch {
            unlinkat(directory, temporary, 0)
            throw error
        }
        guard fsync(directory) == 0 else { throw Failure(stage: .syncDirectory, number: errno) }
    }
}
