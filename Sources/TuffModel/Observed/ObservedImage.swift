/// Use that a disk image can be put to, as far as its header and tables tell. A damaged cluster shows only when it is
/// read.
package enum ObservedImage: Hashable, Codable, Sendable {
    /// Size of the disk it holds, which for qcow2 is not that of the file; and in how much of it anything but zeros can
    /// be, in blocks of 64 KiB, since an empty volume gets no more. Nil: all of it.
    case usable(size: ByteCount, content: ByteCount? = nil)
    /// The reason why no volume is made from it, as the part of a sentence that follows its name.
    case unusable(String)
}

extension ImageSource {
    /// Key in `ObservedState.images`: one file may be declared in two formats.
    package var key: String { "\(format.rawValue):\(path)" }
}

/// Images that were not looked at were not needed.
extension ObservationMap<ObservedImage> {
    package subscript(source: ImageSource) -> Observation<ObservedImage?> { self[source.key] }
}
