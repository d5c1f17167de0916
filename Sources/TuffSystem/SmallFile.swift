import CTuffHost
import Glibc

/// Small texts that the kernel hands out, such as those of procfs.
package enum SmallFile {
    /// Most bytes that are read.
    private static let limit = 4096

    /// The text of a file, cut off after 4 KiB, without trailing white space; nil where it cannot be read.
    package static func text(_ path: String) -> String? {
        let descriptor = tuff_open_at(AT_FDCWD, path, O_RDONLY, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var failure: Int32?
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            let outcome = DescriptorIO.read(descriptor, into: UnsafeMutableRawBufferPointer(buffer))
            (count, failure) = (outcome.count, outcome.failure)
        }
        // A process may end while its file is read.
        guard failure == nil else { return nil }
        var text = Substring(String(decoding: bytes, as: UTF8.self))
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
