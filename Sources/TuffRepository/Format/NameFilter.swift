/// Says of a name whether a set of names may hold it (a Bloom filter): never no of one that is in it, and yes of one in
/// a hundred that is not. With it a backup of new blocks need not read a page of every index file for each of them.
struct NameFilter: Sendable {
    private static let bitsPerName = 10
    private static let probes = 7
    /// Names beyond which there is none: 20 MiB of bits, the blocks of 1 TiB.
    private static let mostNames = 1 << 24

    private var words: [UInt64]

    /// - Returns: nil for so many names that it would take too much memory.
    init?(names: Int) {
        guard names <= Self.mostNames else { return nil }
        words = Array(repeating: 0, count: max(1, names * Self.bitsPerName / 64 + 1))
    }

    mutating func insert(_ name: ContentName) {
        var bit = Bits(name, count: UInt64(words.count) * 64)
        for _ in 0..<Self.probes {
            let next = bit.next()
            words[Int(next >> 6)] |= 1 << (next & 63)
        }
    }

    func mayHold(_ name: ContentName) -> Bool {
        var bit = Bits(name, count: UInt64(words.count) * 64)
        for _ in 0..<Self.probes {
            let next = bit.next()
            if words[Int(next >> 6)] & 1 << (next & 63) == 0 { return false }
        }
        return true
    }

    /// The bits of one name: names are hashes, so that two numbers of it make as many as are wanted (Kirsch and
    /// Mitzenmacher, "Less hashing, same performance", 2006).
    private struct Bits {
        private var value: UInt64
        private let step: UInt64
        private let count: UInt64

        init(_ name: ContentName, count: UInt64) {
            (value, step) = name.hashes
            self.count = count
        }

        /// Scaled into the range by the upper half of a product, which takes no division.
        mutating func next() -> UInt64 {
            defer { value &+= step }
            return value.multipliedFullWidth(by: count).high
        }
    }
}
