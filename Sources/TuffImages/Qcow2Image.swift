/// Bits of L1 and L2 entries.
private enum Bits {
    static let offset: UInt64 = 0x00ff_ffff_ffff_fe00
    /// All but the offset and the uppermost, which says that the reference count is 1.
    static let l1Reserved: UInt64 = 0x7f00_0000_0000_01ff
    static let compressed: UInt64 = 1 << 62
    static let zeros: UInt64 = 1
    static let l2Reserved: UInt64 = 0x3f00_0000_0000_01fe
}

/// The active disk of a qcow2 image (QEMU, docs/interop/qcow2.txt). Internal snapshots are passed over.
///
/// No offset is followed and no length believed before it was compared with the file's length. Memory is bounded: 1 MiB
/// of tables, and one compressed cluster with its content, at most 6 MiB.
package struct Qcow2Image<File: ImageFile> {
    package let header: Qcow2Header
    private let file: File
    private var tables = MetadataPages()
    /// The compressed cluster that was read last, by its number in the disk.
    private var inflated: (cluster: UInt64, bytes: [UInt8])?

    /// Source of a cluster's bytes.
    private enum Source: Hashable {
        case zeros
        case stored(offset: UInt64)
        case compressed(offset: UInt64, count: UInt64)
    }

    package init(_ file: File) throws(ImageError) {
        self.file = file
        header = try Qcow2Header(file)
    }

    /// Fills the buffer with the disk's bytes from `offset` on; the caller has compared both ends with the disk's size.
    mutating func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        var done = 0
        while done < buffer.count {
            let position = offset + UInt64(done)
            let within = position & (header.clusterSize - 1)
            let count = min(Int(header.clusterSize - within), buffer.count - done)
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
            let cluster = position >> header.clusterBits
            switch try source(of: cluster) {
            case .zeros: part.zero()
            case .stored(let start):
                let end = start + within + UInt64(count)
                guard end <= file.length else { throw cutShort(position) }
                try file.read(at: start + within, into: part)
            case .compressed(let start, let length):
                try inflate(cluster, at: start, count: length)
                inflated?.bytes.withUnsafeBytes {
                    part.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(within)..<Int(within) + count]))
                }
            }
            done += count
        }
    }

    /// Whether some of a second table's clusters may be stored.
    mutating func hasTable(for cluster: UInt64) throws(ImageError) -> Bool {
        try tables.entry(at: header.l1Offset + (cluster >> header.l2Bits) * 8, in: file) & Bits.offset != 0
    }

    /// Whether a cluster may hold anything but zeros.
    mutating func isStored(_ cluster: UInt64) throws(ImageError) -> Bool { try source(of: cluster) != .zeros }

    private mutating func source(of cluster: UInt64) throws(ImageError) -> Source {
        // The header saw to it that the L1 table is in the file and covers the disk.
        let l1 = try tables.entry(at: header.l1Offset + (cluster >> header.l2Bits) * 8, in: file)
        guard l1 & Bits.l1Reserved == 0 else { throw damaged("an L1 entry", l1) }
        let table = l1 & Bits.offset
        if table == 0 { return .zeros }
        guard table & (header.clusterSize - 1) == 0, table < file.length, header.clusterSize <= file.length - table
        else { throw damaged("an L1 entry", l1) }
        let entry = try tables.entry(at: table + (cluster & (1 << header.l2Bits - 1)) * 8, in: file)
        if entry & Bits.compressed != 0 { return try compressed(entry) }
        guard entry & Bits.l2Reserved == 0, header.version > 2 || entry & Bits.zeros == 0 else {
            throw damaged("an L2 entry", entry)
        }
        let offset = entry & Bits.offset
        guard offset & (header.clusterSize - 1) == 0 else { throw damaged("an L2 entry", entry) }
        if offset == 0 || entry & Bits.zeros != 0 { return .zeros }
        guard offset < file.length else { throw cutShort(cluster << header.clusterBits) }
        return .stored(offset: offset)
    }

    /// "Compressed Clusters Descriptor" of qcow2.txt: the offset's bits, then how many sectors of 512 bytes are touched
    /// besides the first.
    private func compressed(_ entry: UInt64) throws(ImageError) -> Source {
        let bits = 62 - (header.clusterBits - 8)
        let offset = entry & (1 << bits - 1)
        let sectors = (entry & (Bits.compressed - 1)) >> bits + 1
        guard entry >> 63 == 0, offset >= header.clusterSize, offset < file.length else {
            throw damaged("an L2 entry", entry)
        }
        // The last sector need not be whole, nor all in the file.
        return .compressed(offset: offset, count: min(sectors * 512 - offset % 512, file.length - offset))
    }

    private mutating func inflate(_ cluster: UInt64, at offset: UInt64, count: UInt64) throws(ImageError) {
        if inflated?.cluster == cluster { return }
        var input = try ImageBytes(file, at: offset, count: Int(count)).bytes
        var output = inflated?.bytes ?? [UInt8](repeating: 0, count: Int(header.clusterSize))
        inflated = nil
        let isWhole = input.withUnsafeMutableBytes { input in
            output.withUnsafeMutableBytes { Inflater.inflate(input, into: $0) }
        }
        guard isWhole else {
            throw ImageError(
                .damaged, "has a compressed cluster that cannot be read (disk offset \(cluster << header.clusterBits))")
        }
        inflated = (cluster, output)
    }

    private func damaged(_ what: String, _ entry: UInt64) -> ImageError {
        ImageError(.damaged, "is damaged: \(what) reads 0x\(String(entry, radix: 16))")
    }

    private func cutShort(_ offset: UInt64) -> ImageError {
        ImageError(.damaged, "ends before the data of its disk offset \(offset); was it copied whole?")
    }
}
