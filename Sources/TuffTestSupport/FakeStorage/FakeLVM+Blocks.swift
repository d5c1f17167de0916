import TuffHost
import TuffModel

/// The blocks of thin pools and their owners. What a snapshot shares with its origin is there once, and writing to
/// either takes more, so that promises come due as they do on a real pool.
extension FakeLVM {
    /// Blocks for the bytes of a volume from `from` to `to`. Volumes that share them have the same `origin` there.
    struct Run: Equatable, Sendable {
        var from: ByteCount
        var to: ByteCount
        var origin: UInt64

        var length: ByteCount { to - from }
    }

    /// The bytes that a thin pool has handed out: what somebody said it has, and the blocks of its volumes, shared ones
    /// once.
    func taken(of pool: Volume, in group: Group) -> ByteCount {
        let runs = group.volumes.values.lazy.filter { $0.pool == pool.name }.flatMap(\.runs)
        var sum = ByteCount(Int64(Double(pool.size.bytes) * pool.dataPercent / 100))
        for (_, same) in Dictionary(grouping: runs, by: \.origin) {
            var end = ByteCount.zero
            for run in same.sorted(by: { $0.from < $1.from }) where run.to > end {
                sum += run.to - max(run.from, end)
                end = run.to
            }
        }
        return min(sum, pool.size)
    }

    /// The used part of a thin pool, in percent.
    func used(_ pool: Volume, in group: Group) -> Double {
        100 * Double(taken(of: pool, in: group).bytes) / Double(max(pool.size.bytes, 1))
    }

    /// True if the thin pool has no block left. The kernel says so as well, and takes writes again once there is one.
    func isFull(_ pool: String, in group: String) -> Bool {
        guard let found = self[group], let pool = found.volumes[pool] else { return false }
        return taken(of: pool, in: found) >= pool.size
    }

    /// A volume is written to from its beginning. What is shared, and what has no block yet, takes one.
    /// - Parameter first: how much; nil: all of it.
    /// - Returns: false where the thin pool ran out of blocks, and only those before are written.
    @discardableResult mutating func occupy(_ name: String, in group: String, first: ByteCount? = nil) -> Bool {
        guard let found = self[group], let volume = found.volumes[name], let pool = volume.pool,
            let poolVolume = found.volumes[pool]
        else { return true }
        let others = found.volumes.values.filter { $0.pool == pool && $0.name != name }.flatMap(\.runs)
        let end = min(volume.size, first ?? volume.size)
        var left = poolVolume.size - taken(of: poolVolume, in: found)
        var runs: [Run] = [], isWhole = true
        func isShared(_ run: Run) -> Bool {
            others.contains { $0.origin == run.origin && $0.from < run.to && run.from < $0.to }
        }
        for piece in Self.pieces(of: volume.runs, until: end) {
            if let origin = piece.origin {
                let run = Run(from: piece.from, to: piece.to, origin: origin)
                guard isWhole, piece.from < end, isShared(run) else {
                    runs.append(run)
                    continue
                }
            }
            guard isWhole else { continue }
            let length = min(piece.to - piece.from, left)
            isWhole = length == piece.to - piece.from
            if length > .zero { runs.append(Run(from: piece.from, to: piece.from + length, origin: mint())) }
            left = left - length
            // The rest of what is shared stays shared.
            if !isWhole, let origin = piece.origin {
                runs.append(Run(from: piece.from + length, to: piece.to, origin: origin))
            }
        }
        self[group, name]?.runs = runs
        return isWhole
    }

    /// The ranges that there are blocks for, cut at `end`, and those that there are none for before that.
    private static func pieces(
        of runs: [Run], until end: ByteCount
    ) -> [(from: ByteCount, to: ByteCount, origin: UInt64?)] {
        var pieces: [(from: ByteCount, to: ByteCount, origin: UInt64?)] = []
        var mapped = ByteCount.zero
        for run in runs {
            if run.from < end, end < run.to {
                pieces += [(run.from, end, run.origin), (end, run.to, run.origin)]
            } else {
                pieces.append((run.from, run.to, run.origin))
            }
            mapped = run.to
        }
        if mapped < end { pieces.append((mapped, end, nil)) }
        return pieces
    }

    /// The bytes that a reader can tell from zeros; a copy leaves the others out.
    func written(_ volume: Volume) -> ByteCount { volume.pool == nil ? volume.size : volume.mapped }
}

/// The words that tell of a lack of room, whoever says them: LVM, or the kernel to whom writes to a device or file.
extension HostError {
    static let noBlocks = "No space left on device"

    package var isLackOfRoom: Bool {
        guard let cause else { return false }
        return [
            Self.noBlocks, "nsufficient free space", "reached threshold", "too large for its metadata area",
        ].contains { cause.contains($0) }
    }
}
