/// A hash of a set of entries that does not depend on their order: equal tallies are of equal sets.
///
/// The index of a TiB has 16 million entries in the order of their names, and the tables of its packs have the same
/// ones in another order. A number for each pack tells whether they agree, without a look-up for each entry. The hash
/// has a secret of this process, so that nobody can write entries that come to the same.
struct EntryTally: Hashable, Sendable {
    let count: Int
    private let sum: UInt64

    private init(count: Int, sum: UInt64) { (self.count, self.sum) = (count, sum) }

    init(_ entries: [PackEntry] = []) {
        self.init(count: 0, sum: 0)
        for entry in entries { add(entry) }
    }

    mutating func add(_ entry: PackEntry) {
        var hasher = Hasher()
        entry.name.feed(&hasher)
        hasher.combine(entry.offset)
        hasher.combine(entry.stored)
        hasher.combine(entry.length)
        hasher.combine(entry.coding)
        self = self + EntryTally(count: 1, sum: UInt64(bitPattern: Int64(hasher.finalize())))
    }

    static func + (one: Self, other: Self) -> Self {
        EntryTally(count: one.count + other.count, sum: one.sum &+ other.sum)
    }
}
