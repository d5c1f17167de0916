/// Arrangement of the blocks and nodes of a volume, which depends on its size alone.
package struct TreeShape: Hashable, Sendable {
    /// Largest size that nine levels of nodes can hold, in bytes: 2 EiB.
    static let largest: UInt64 = 1 << 61

    /// Size of the volume, in bytes.
    package let size: UInt64
    /// Number of nodes of each level, leaves first; empty for a volume of no bytes.
    let nodes: [Int]

    /// nil if the size is beyond what the format can hold.
    package init?(size: UInt64) {
        guard size <= Self.largest else { return nil }
        self.size = size
        var counts: [Int] = []
        var count = Int((size + UInt64(Format.block) - 1) / UInt64(Format.block))
        while count > 0 {
            count = (count + Format.fanOut - 1) / Format.fanOut
            counts.append(count)
            if count == 1 { break }
        }
        nodes = counts
    }

    package var blocks: Int { Int((size + UInt64(Format.block) - 1) / UInt64(Format.block)) }

    package var leaves: Int { nodes.first ?? 0 }

    /// Number of children of a node.
    func children(level: Int, index: Int) -> Int {
        let below = level == 0 ? blocks : nodes[level - 1]
        return min(Format.fanOut, below - index * Format.fanOut)
    }

    /// Bytes of the volume beneath a node.
    func range(level: Int, index: Int) -> Range<UInt64> {
        // At most nine levels: 32^9 blocks of 2^16 bytes are 2^61.
        let span = UInt64(Format.block) << UInt64(5 * (level + 1))
        let begin = UInt64(index) * span
        return begin..<min(size, begin + span)
    }

    func range(ofBlock index: Int) -> Range<UInt64> {
        let begin = UInt64(index) * UInt64(Format.block)
        return begin..<(begin + UInt64(length(ofBlock: index)))
    }

    /// Bytes of a block.
    func length(ofBlock index: Int) -> Int {
        Int(min(UInt64(Format.block), size - UInt64(index) * UInt64(Format.block)))
    }
}

/// A node: up to 32 children, of which those that are all zero have no name.
struct TreeNode: Hashable {
    let level: Int
    /// nil where everything beneath is zero.
    var children: [ContentName?]

    var isZero: Bool { children.allSatisfy { $0 == nil } }

    var bytes: [UInt8] {
        var bits: UInt32 = 0
        for (index, child) in children.enumerated() where child != nil { bits |= 1 << UInt32(index) }
        var bytes = [UInt8(level), UInt8(children.count), 0, 0] + littleEndian(bits)
        for child in children.compactMap(\.self) { bytes += child.bytes }
        return bytes
    }

    init(level: Int, children: [ContentName?]) {
        self.level = level
        self.children = children
    }

    /// Reads a node of which level and number of children are known from the shape; nil if it is no such node.
    init?(_ bytes: UnsafeRawBufferPointer, level: Int, count: Int) {
        guard bytes.count >= 8, bytes[0] == level, bytes[1] == count, bytes[2] == 0, bytes[3] == 0 else { return nil }
        let bits = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        let names = bits.nonzeroBitCount
        // A node without a name beneath it is never stored.
        guard names > 0, count == 32 || bits >> UInt32(count) == 0, bytes.count == 8 + names * ContentName.byteCount
        else { return nil }
        self.level = level
        var offset = 8
        children = (0..<count).map { index in
            guard bits & (1 << UInt32(index)) != 0 else { return nil }
            defer { offset += ContentName.byteCount }
            return ContentName(UnsafeRawBufferPointer(rebasing: bytes[offset...]))
        }
    }
}
