import TuffModel

/// Which pool a new volume gets that names none, and why.
///
/// Cinder's CapacityFilter and CapacityWeigher are the reference: what may still be promised is
/// (total - reserved) x ratio - provisioned, and no more than what is really free x ratio; most room wins, so that volumes
/// spread. Cinder weighs by promises alone and so prefers a pool that initiators have filled: here pools are weighed by the lesser
/// of the two (`PoolBudget.room`), and one whose real space is within its reserve takes nothing.
struct Placement {
    var chosen: PoolState?
    /// How every pool of this node fared, the chosen one first.
    var explanation: String
}

extension PlanningPass {
    /// Where the object of this role lives already, in use, in the trash or released: once placed, a volume stays.
    func home(of roles: [Marks.Role]) -> StorageBackend? {
        for role in roles {
            let found =
                index.live(role, context.stack).first ?? index.trashed(role, context.stack).first
                ?? index.released(role, context.stack).first
            if let found { return found.backend }
        }
        return nil
    }

    /// Filters and weighs the pools of this node.
    /// - Parameter source: where what is copied is, which is preferred: within a thin pool or directory that shares blocks a copy takes
    ///   a moment and no room.
    func place(_ selector: LabelSelector, _ size: ByteCount, source: StorageBackend?) -> Placement {
        var fitting: [(pool: PoolState, room: ByteCount)] = []
        var others: [String] = []
        for pool in pools.values.sorted(by: { $0.name < $1.name }) {
            let wanted = size.roundedUp(to: pool.unit)
            if let why = misfit(pool, selector, wanted) {
                others.append("'\(pool.name)' is out: \(why)")
            } else {
                fitting.append((pool, pool.budget.room))
            }
        }
        fitting.sort { ($1.room, $0.pool.name) < ($0.room, $1.pool.name) }
        let near = source.flatMap { source in fitting.firstIndex { $0.pool.backend == source } }
        if let near { fitting.insert(fitting.remove(at: near), at: 0) }
        guard let best = fitting.first else {
            return Placement(chosen: nil, explanation: "no pool fits: " + others.joined(separator: "; "))
        }
        let rest = fitting.dropFirst().map { "'\($0.pool.name)' has \($0.room)" } + others
        let against = rest.isEmpty ? "" : "; " + rest.joined(separator: "; ")
        let merit = near == nil ? "the most room, \(best.room)" : "what it is copied from, and room for \(best.room)"
        return Placement(chosen: best.pool, explanation: "pool '\(best.pool.name)' has \(merit)\(against)")
    }

    private func misfit(_ pool: PoolState, _ selector: LabelSelector, _ wanted: ByteCount) -> String? {
        for (key, value) in selector.matchLabels.sorted(by: { $0.key < $1.key }) where pool.labels[key] != value {
            return "its label \(key) is \(pool.labels[key].map { "'\($0)'" } ?? "missing"), not '\(value)'"
        }
        return (pool.fillObstacle ?? pool.budget.obstacle(to: wanted))?.sentence
    }

    /// Whether every pool that the selector matches is another node's.
    func isElsewhere(_ selector: LabelSelector) -> Bool {
        !pools.values.contains { selector.matches($0.labels) } && labelsElsewhere.contains(where: selector.matches)
    }
}
