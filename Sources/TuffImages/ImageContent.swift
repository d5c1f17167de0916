/// The part of a disk that can hold anything but zeros, found in tables alone and with bounded reading. It is the most
/// that filling an empty volume writes. Blocks have the size in which volumes are filled.
package enum ImageContent {
    package static let block: UInt64 = 64 << 10
}

extension DiskImage {
    /// Bytes in blocks of 64 KiB that may hold something, at most the disk's size. Nil: the format keeps no account of
    /// it (raw), which is then the file system's to know.
    package mutating func content() throws(ImageError) -> UInt64? {
        guard let content = try qcow2?.content() else { return nil }
        return min(content, size)
    }
}

extension Qcow2Image {
    /// Second tables are read up to this many bytes, and at least one; the disks of any further ones count as full.
    /// With clusters of 64 KiB that is 32 GiB of a disk.
    private static var tableLimit: UInt64 { 4 << 20 }

    mutating func content() throws(ImageError) -> UInt64 {
        let perTable: UInt64 = 1 << header.l2Bits
        let clusters = header.size >> header.clusterBits + (header.size & (header.clusterSize - 1) == 0 ? 0 : 1)
        var budget = max(Self.tableLimit / header.clusterSize, 1)
        var content: UInt64 = 0, last: UInt64?
        var first: UInt64 = 0
        while first < clusters {
            let end = min(first + perTable, clusters)
            if try hasTable(for: first) {
                if budget > 0 {
                    budget -= 1
                    for cluster in first..<end where try isStored(cluster) {
                        count(cluster, into: &content, last: &last)
                    }
                } else {
                    content += (end - first) << header.clusterBits
                }
            }
            first = end
        }
        return content
    }

    /// Several small clusters share a block, which is written once.
    private func count(_ cluster: UInt64, into content: inout UInt64, last: inout UInt64?) {
        guard header.clusterSize < ImageContent.block else {
            content += header.clusterSize
            return
        }
        let block = (cluster << header.clusterBits) / ImageContent.block
        if last != block { content += ImageContent.block }
        last = block
    }
}
