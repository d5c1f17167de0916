import CTuffHost
import Glibc
package import TuffModel

/// A text that a child reads from a file without a name. Nothing is left of it when this process dies.
package struct MemoryFile: ~Copyable {
    private let file: OwnedDescriptor

    /// - Parameters:
    ///   - name: a name for people who look at open files.
    ///   - what: the words for it in messages: `the commands for LVM`.
    package init(_ text: String, name: String, what: String) throws(HostError) {
        let bytes = Array(text.utf8)
        guard let file = OwnedDescriptor(opened: tuff_bounded_memory_file(name, off_t(bytes.count))),
            pwrite(file.raw, bytes, bytes.count, 0) == bytes.count
        else { throw .system(errno, "Cannot write \(what) into memory") }
        self.file = file
    }

    /// By which a child opens it for as long as this value lives.
    package var path: String { "/proc/\(getpid())/fd/\(file.raw)" }
}
