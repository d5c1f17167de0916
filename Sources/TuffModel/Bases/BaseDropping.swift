/// Which bases go, and why. A base is a cache: to drop one costs a full read, to keep one costs room.
package enum BaseDropping {
    package enum Reason: String, CaseIterable, Codable, Sendable {
        /// The pool runs low. The only reason that asks for no knowledge of repositories.
        case poolLow = "PoolLow"
        /// A backup that was cut off left it.
        case unfinished = "Unfinished"
        /// A later one of the same volume and repository is complete.
        case superseded = "Superseded"
        /// No Backup or policy of the accepted set pairs its volume and repository.
        case unpaired = "Unpaired"
        /// Its volume is in the trash, or is no more.
        case volumeGone = "VolumeGone"
        /// Its restore point is not in the repository, which was read.
        case pointGone = "PointGone"
    }

    /// The knowledge that a drop needs, each part by itself. Nothing unknown leads to a drop.
    package struct Knowledge: Sendable {
        package enum Standing: Hashable, Sendable {
            case used, trashed, gone, unknown
            /// Seen once, not here, and given up by nobody: the base may be all that is left of it.
            case lost
        }

        /// The repositories that the accepted set backs a volume up to.
        package struct Pairing: Hashable, Sendable {
            /// Their IDs, as far as they are known.
            package var repositories: Set<String>
            /// False where the set pairs the volume with one whose ID is not known: any base may be of that.
            package var isComplete: Bool

            package init(_ repositories: Set<String>, isComplete: Bool = true) {
                self.repositories = repositories
                self.isComplete = isComplete
            }
        }

        /// Stacks whose accepted set is known; bases of others are nobody's business here.
        package var stacks: Set<String>
        /// By volume; one that is not in it is paired with nothing. Nil: no set was accepted.
        package var pairings: [UID: Pairing]?
        /// Volumes by their uids; one that is not in it is of unknown standing.
        package var standings: [UID: Standing]
        /// IDs of the points of each repository that was read, damaged ones among them.
        package var points: [String: Set<String>]
        /// Pools that have less room than their documents reserve.
        package var lowPools: Set<StorageBackend>
        /// Bases and volumes that a running job works with, or that this plan backs up.
        package var busy: Set<UID>

        package init(
            stacks: Set<String>, pairings: [UID: Pairing]?, standings: [UID: Standing], points: [String: Set<String>],
            lowPools: Set<StorageBackend> = [], busy: Set<UID> = []
        ) {
            self.stacks = stacks
            self.pairings = pairings
            self.standings = standings
            self.points = points
            self.lowPools = lowPools
            self.busy = busy
        }
    }

    package struct Drop: Hashable, Sendable {
        package var base: KeptBase
        package var reason: Reason
    }

    /// - Returns: those that go, of each pool the oldest first.
    package static func drops(of bases: [KeptBase], knowing known: Knowledge) -> [Drop] {
        var newest: [KeptBase.Purpose: UInt64] = [:]
        for base in bases where base.marks.completion != nil {
            newest[base.purpose] = max(newest[base.purpose] ?? 0, base.identity.transaction)
        }
        return bases.sorted {
            ($0.pool, $0.identity.transaction, $0.marks.uid) < ($1.pool, $1.identity.transaction, $1.marks.uid)
        }.compactMap { base in
            reason(for: base, newest: newest[base.purpose], known).map { Drop(base: base, reason: $0) }
        }
    }

    private static func reason(for base: KeptBase, newest: UInt64?, _ known: Knowledge) -> Reason? {
        let marks = base.marks
        guard known.stacks.contains(marks.stack), !known.busy.contains(marks.uid), !known.busy.contains(marks.volume)
        else { return nil }
        if known.lowPools.contains(base.pool) { return .poolLow }
        guard let completion = marks.completion else { return .unfinished }
        if let newest, newest > base.identity.transaction { return .superseded }
        switch known.standings[marks.volume] ?? .unknown {
        case .trashed, .gone: return .volumeGone
        case .lost: return nil
        case .used, .unknown: break
        }
        if let pairings = known.pairings {
            let pairing = pairings[marks.volume] ?? Knowledge.Pairing([])
            if pairing.isComplete, !pairing.repositories.contains(marks.repository) { return .unpaired }
        }
        if let points = known.points[marks.repository], !points.contains(completion.point) { return .pointGone }
        return nil
    }
}
