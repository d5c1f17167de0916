import CTuffHost
import Crypto
import Glibc
import TuffImages
import TuffModel
import TuffSystem

/// An image file, opened for reading beneath the roots of images, as `PathWalk` says.
///
/// It belongs to root or the user we run as, and nobody else may write it; on an NFS mount the server says so. What it
/// holds comes from elsewhere all the same: it is copied, and nothing in it is believed. It is one and the same file
/// from its opening to the end, and `requireUnchanged` tells whether somebody wrote to it meanwhile.
final class OpenedImage: ImageFile {
    let length: UInt64
    private let path: String
    private let file: SharedDescriptor
    private let status: stat

    init(_ source: ImageSource, in roots: HostRoots) throws(HostError) {
        path = source.path
        // Not blocking, so that a FIFO is refused below rather than waited for.
        file = SharedDescriptor(
            try roots.open(source.path, .images, flags: O_RDONLY | O_NONBLOCK))
        var status = stat()
        guard fstat(file.raw, &status) == 0 else {
            throw .system(errno, "Cannot look at the image \(source.path)", subject: source.path)
        }
        guard status.kind == .file else {
            throw HostError(.refused, "The image \(source.path) is not a plain file", subject: source.path)
        }
        self.status = status
        length = UInt64(max(0, status.st_size))
    }

    /// Reads its header and tables.
    static func look(at source: ImageSource, in roots: HostRoots) throws(HostError) -> ObservedImage {
        let file = try OpenedImage(source, in: roots)
        do throws(ImageError) {
            var disk = try DiskImage(file, as: source.imageFormat)
            let content = try disk.content() ?? file.content()
            return .usable(
                size: ByteCount(Int64(clamping: disk.size)), content: ByteCount(Int64(clamping: content)))
        } catch {
            guard error.kind != .unreadable else { throw file.failure(error) }
            return .unusable(error.sentence)
        }
    }

    /// Bytes in blocks of 64 KiB that are no holes of the file. What comes after many pieces counts as one: an image is
    /// looked at in every pass until its volume is complete, and that must not take long.
    private func content() -> UInt64 {
        let block = Int64(ImageContent.block), end = Int64(length)
        var content: Int64 = 0, position: Int64 = 0
        for _ in 0..<4096 {
            let data = tuff_next_data(file.raw, position)
            // ENXIO: nothing but a hole is left; anything else: the file system does not tell, and all of it may hold
            // something.
            guard data >= 0 else { return errno == ENXIO ? UInt64(content) : length }
            let hole = tuff_next_hole(file.raw, data)
            guard hole > data else { return length }
            let first = max(position, data / block * block), last = min((hole + block - 1) / block * block, end)
            content += max(0, last - first)
            position = max(position, last)
            guard position < end else { return UInt64(content) }
        }
        return UInt64(content + (end - position))
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        let outcome = DescriptorIO.read(file.raw, at: offset, into: buffer)
        guard outcome.count < buffer.count else { return }
        let why = outcome.failure.map { String(cString: strerror($0)) } ?? "it is shorter than it was"
        throw ImageError(.unreadable, "cannot be read at \(offset): \(why)")
    }

    func failure(_ error: ImageError) -> HostError {
        HostError(error.kind == .unreadable ? .failed : .refused, "The image \(path) \(error.sentence)", subject: path)
    }

    /// All of the file has this SHA-256 (FIPS 180-4), in hexadecimal digits.
    func require(sha256 wanted: String, _ progress: () -> Bool) throws(HostError) {
        var hash = SHA256()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset: UInt64 = 0
        while offset < length {
            guard progress() else { throw HostError(.interrupted, "Stopped reading the image \(path)", subject: path) }
            let count = Int(min(UInt64(buffer.count), length - offset))
            try fill(&buffer, count, at: offset)
            buffer.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            offset += UInt64(count)
        }
        let found = Hex.text(hash.finalize())
        guard found == wanted else {
            throw HostError(
                .refused, "Nothing was written: the image \(path) has the SHA-256 \(found), and \(wanted) is declared",
                subject: path)
        }
    }

    private func fill(_ buffer: inout [UInt8], _ count: Int, at offset: UInt64) throws(HostError) {
        do throws(ImageError) {
            try buffer.filled(count) { part throws(ImageError) in try read(at: offset, into: part) }
        } catch { throw failure(error) }
    }

    /// Nobody wrote to the file since it was opened, as far as its times tell: they step by a few milliseconds.
    func requireUnchanged() throws(HostError) {
        var now = stat()
        guard fstat(file.raw, &now) == 0 else {
            throw .system(errno, "Cannot look at the image \(path) again", subject: path)
        }
        guard now.hasContent(of: status) else {
            throw HostError(
                .preconditionFailed, "The image \(path) was changed while it was copied; the next pass copies it again",
                subject: path)
        }
    }
}

extension ImageSource {
    var imageFormat: DiskImage<OpenedImage>.Format {
        switch format {
        case .raw: .raw
        case .qcow2: .qcow2
        }
    }
}

extension [UInt8] {
    /// Has the first `count` bytes filled by `body`. Typed errors do not pass through the standard library's closures.
    mutating func filled(
        _ count: Int, by body: (UnsafeMutableRawBufferPointer) throws(ImageError) -> Void
    ) throws(ImageError) {
        let result = withUnsafeMutableBytes { buffer -> Result<Void, ImageError> in
            do throws(ImageError) {
                return .success(try body(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }
}
