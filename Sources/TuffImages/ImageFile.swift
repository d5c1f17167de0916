/// The bytes of an image's file. The caller opens the file; nothing here touches a host.
package protocol ImageFile {
    /// Length of the file in bytes. Nothing is read at or beyond it.
    var length: UInt64 { get }

    /// Fills the buffer with the bytes from `offset` on, all of which are in the file.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError)
}

/// Why an image, or a part of it, cannot be read.
package struct ImageError: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// The file does not have the declared format, or contradicts itself.
        case damaged
        /// The file needs a feature that is not supported, such as a backing file.
        case unsupported
        /// The file could not be read; the image may well be sound.
        case unreadable
    }

    package var kind: Kind
    /// The part of a sentence that follows the image's name: `has a backing file; …`.
    package var sentence: String

    package init(_ kind: Kind, _ sentence: String) {
        self.kind = kind
        self.sentence = sentence
    }
}

extension ImageFile {
    /// Fills the buffer as far as the file goes and with zeros after its end.
    func readPadded(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        let there = offset < length ? Int(min(UInt64(buffer.count), length - offset)) : 0
        if there > 0 { try read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<there])) }
        UnsafeMutableRawBufferPointer(rebasing: buffer[there...]).zero()
    }
}

extension UnsafeMutableRawBufferPointer {
    func zero() {
        // Empty buffers may have no address.
        if count > 0 { initializeMemory(as: UInt8.self, repeating: 0) }
    }
}
