/// Bytes of a volume that are lost: all of them counted, and the first stretches by their place.
///
/// A tree of a few kilobytes can lose more stretches than any memory holds, and nobody reads more than some.
package struct LostRanges: Hashable, Codable, Sendable {
    /// Stretches of one volume that are told.
    package static let most = 1_000

    /// The stretches, in order; those that touch are joined.
    package private(set) var ranges: [Range<UInt64>] = []
    /// Bytes of all stretches, listed or not.
    package internal(set) var bytes: UInt64 = 0
    /// Number of stretches that this list has room for.
    private let room: Int
    /// Whether a stretch had no room.
    private(set) var isFull = false

    init(room: Int = most) { self.room = room }

    /// Adds a stretch that lies behind all others.
    mutating func add(_ range: Range<UInt64>) {
        bytes += UInt64(range.count)
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else if ranges.count < room {
            ranges.append(range)
        } else {
            isFull = true
        }
    }

    /// Adds the stretches that another thread found in the same volume.
    mutating func add(_ other: LostRanges) {
        bytes += other.bytes
        let all = (ranges + other.ranges).joined()
        isFull = isFull || other.isFull || all.count > room
        ranges = Array(all.prefix(room))
    }
}
