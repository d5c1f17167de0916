/// The header of a qcow2 image, version 2 or 3, checked against the length of its file.
///
/// The format is that of docs/interop/qcow2.txt of QEMU. Features that a plain copy of the active disk does not need
/// (snapshots, refcounts, bitmaps) are passed over. An image that needs another file or a key, or that declares itself
/// not sound, is refused.
package struct Qcow2Header: Hashable, Sendable {
    package static let magic: [UInt8] = [0x51, 0x46, 0x49, 0xfb]

    package var version: UInt32
    /// Clusters have 2 to this power bytes, 512 to 2 MiB as QEMU makes them.
    package var clusterBits: UInt64
    /// Size of the disk in bytes.
    package var size: UInt64
    /// Entries of the first table, and where it begins.
    package var l1Count: UInt64
    package var l1Offset: UInt64

    package var clusterSize: UInt64 { 1 << clusterBits }
    /// Entries of a second table, which fills one cluster.
    var l2Bits: UInt64 { clusterBits - 3 }

    private static let size2: UInt64 = 72
    private static let size3: UInt64 = 104
    /// QEMU opens no larger first table either (`QCOW_MAX_L1_SIZE` in block/qcow2.h), in bytes.
    private static let l1Limit: UInt64 = 32 << 20

    /// Bits of `incompatible_features`.
    private enum Incompatible {
        static let dirty: UInt64 = 1
        static let corrupt: UInt64 = 2
        static let dataFile: UInt64 = 4
        static let compressionType: UInt64 = 8
        static let extendedEntries: UInt64 = 16
        static let known: UInt64 = 31
    }

    static func isPresent(in file: some ImageFile) throws(ImageError) -> Bool {
        guard file.length >= 4 else { return false }
        return try ImageBytes(file, at: 0, count: 4).bytes == magic
    }

    init(_ file: some ImageFile) throws(ImageError) {
        guard try Self.isPresent(in: file) else { throw ImageError(.damaged, "does not begin as qcow2 does") }
        guard file.length >= Self.size2 else { throw ImageError(.damaged, "ends within its header") }
        let bytes = try ImageBytes(file, at: 0, count: Int(Self.size2))
        version = UInt32(truncatingIfNeeded: bytes.number(4, 4))
        guard version == 2 || version == 3 else {
            throw ImageError(.unsupported, "is qcow2 of version \(version); versions 2 and 3 are read")
        }
        clusterBits = bytes.number(20, 4)
        guard (9...21).contains(clusterBits) else {
            throw ImageError(.damaged, "has clusters of 2^\(clusterBits) bytes; 2^9 to 2^21 are read")
        }
        guard bytes.number(8, 8) == 0 else {
            throw ImageError(
                .unsupported, "has a backing file; 'qemu-img convert -O qcow2' makes an image that needs none")
        }
        guard bytes.number(32, 4) == 0 else { throw ImageError(.unsupported, "is encrypted") }
        size = bytes.number(24, 8)
        l1Count = bytes.number(36, 4)
        l1Offset = bytes.number(40, 8)
        if version == 3 { try Self.checkFeatures(file, clusterSize: 1 << clusterBits) }
        try checkTables(file.length)
    }

    private static func checkFeatures(_ file: some ImageFile, clusterSize: UInt64) throws(ImageError) {
        guard file.length >= size3 else { throw ImageError(.damaged, "ends within its header") }
        let bytes = try ImageBytes(file, at: 0, count: Int(size3))
        let length = bytes.number(100, 4)
        guard length >= size3, length <= clusterSize, length <= file.length else {
            throw ImageError(.damaged, "has a header of \(length) bytes")
        }
        let features = bytes.number(72, 8)
        func refuse(_ bit: UInt64, _ sentence: String) throws(ImageError) {
            if features & bit != 0 { throw ImageError(.unsupported, sentence) }
        }
        try refuse(Incompatible.corrupt, "says of itself that it is corrupt; see 'qemu-img check'")
        try refuse(
            Incompatible.dirty, "was not closed by the program that wrote to it; 'qemu-img check -r all' mends that")
        try refuse(
            Incompatible.dataFile,
            "has its data in another file; 'qemu-img convert -O qcow2' makes an image that needs none")
        try refuse(
            Incompatible.extendedEntries,
            "has extended L2 entries; 'qemu-img convert -O qcow2 -o extended_l2=off' makes an image without them")
        let unknown = features & ~Incompatible.known
        guard unknown == 0 else {
            throw ImageError(
                .unsupported, "needs features that are not known here (bits 0x\(String(unknown, radix: 16)))")
        }
        let type = length > size3 ? try ImageBytes(file, at: size3, count: 1).bytes[0] : 0
        guard (type != 0) == (features & Incompatible.compressionType != 0) else {
            throw ImageError(.damaged, "contradicts itself about its compression")
        }
        guard type == 0 else {
            throw ImageError(
                .unsupported,
                "is compressed with \(type == 1 ? "zstd" : "method \(type)"), and only zlib is read; "
                    + "'qemu-img convert -O qcow2 -o compression_type=zlib' makes one that can be")
        }
    }

    private func checkTables(_ length: UInt64) throws(ImageError) {
        guard size > 0 else { throw ImageError(.damaged, "holds a disk of no size") }
        let perL2 = clusterBits + l2Bits
        // Rounded up without overflow.
        let needed = size >> perL2 + (size & (1 << perL2 - 1) == 0 ? 0 : 1)
        guard l1Count >= needed, l1Count <= Self.l1Limit / 8 else {
            throw ImageError(
                .damaged, "has an L1 table of \(l1Count) entries, and a disk of \(size) bytes needs \(needed)")
        }
        guard l1Offset & (clusterSize - 1) == 0, l1Offset > 0, l1Offset < length, l1Count * 8 <= length - l1Offset
        else { throw ImageError(.damaged, "has its L1 table at \(l1Offset), which is not in the file") }
    }
}

/// A few bytes of a file, and the big-endian numbers in them.
struct ImageBytes {
    let bytes: [UInt8]

    init(_ file: some ImageFile, at offset: UInt64, count: Int) throws(ImageError) {
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: ImageError?
        bytes.withUnsafeMutableBytes { buffer in
            do throws(ImageError) { try file.read(at: offset, into: buffer) } catch { failure = error }
        }
        if let failure { throw failure }
        self.bytes = bytes
    }

    func number(_ offset: Int, _ count: Int) -> UInt64 {
        bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
