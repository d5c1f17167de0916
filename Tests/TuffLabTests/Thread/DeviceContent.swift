import Glibc
import Testing

/// Bytes of devices, written and read as a person would who wants to know what is there.
extension ThreadLabTests {
    static let mebi = 1 << 20

    func fill(_ path: String, _ byte: UInt8, from: Int = 0, count: Int) throws {
        let descriptor = open(path, O_WRONLY)
        try #require(descriptor >= 0, "\(path)")
        defer { close(descriptor) }
        let chunk = [UInt8](repeating: byte, count: Self.mebi)
        for offset in stride(from: from, to: from + count, by: Self.mebi) {
            try #require(pwrite(descriptor, chunk, Self.mebi, off_t(offset)) == Self.mebi, "\(path) at \(offset)")
        }
        try #require(fsync(descriptor) == 0)
    }

    /// The different bytes that a part of a device holds, past the page cache.
    func bytes(_ path: String, from: Int = 0, count: Int) throws -> Set<UInt8> {
        let descriptor = open(path, O_RDONLY)
        try #require(descriptor >= 0, "\(path)")
        defer { close(descriptor) }
        _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        var found: Set<UInt8> = []
        var chunk = [UInt8](repeating: 0, count: Self.mebi)
        for offset in stride(from: from, to: from + count, by: Self.mebi) {
            try #require(pread(descriptor, &chunk, Self.mebi, off_t(offset)) == Self.mebi, "\(path) at \(offset)")
            found.formUnion(chunk)
        }
        return found
    }
}
