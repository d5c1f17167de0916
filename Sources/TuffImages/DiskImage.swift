/// A disk as an image file holds it, read at any offset.
///
/// The format is declared by a person and never found out by probing: somebody who writes to a disk of format raw could
/// otherwise make it look like qcow2, and name any file of the host as its backing file. A raw image that begins like
/// qcow2 contradicts its declaration and is refused, though a disk of format raw may hold anything.
package struct DiskImage<File: ImageFile> {
    package enum Format: String, Sendable { case raw, qcow2 }

    /// Size of the disk in bytes, at least 1.
    package let size: UInt64
    private let file: File
    /// Nil: the file's bytes are the disk's.
    var qcow2: Qcow2Image<File>?

    package init(_ file: File, as format: Format) throws(ImageError) {
        self.file = file
        switch format {
        case .raw:
            guard file.length > 0 else { throw ImageError(.damaged, "is empty") }
            guard try !Qcow2Header.isPresent(in: file) else {
                throw ImageError(.damaged, "is declared raw and begins as qcow2 does; write 'format: qcow2'")
            }
            size = file.length
        case .qcow2:
            let image = try Qcow2Image(file)
            size = image.header.size
            qcow2 = image
        }
    }

    /// Fills the buffer with the disk's bytes from `offset` on; both ends lie within the disk.
    package mutating func read(
        at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(ImageError) {
        guard offset <= size, UInt64(buffer.count) <= size - offset else {
            throw ImageError(.damaged, "has \(size) bytes and was asked for some beyond them")
        }
        guard qcow2 == nil else {
            try qcow2?.read(at: offset, into: buffer)
            return
        }
        try file.read(at: offset, into: buffer)
    }
}
