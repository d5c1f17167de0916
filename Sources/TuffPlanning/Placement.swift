import TuffModel

/// Which pool a new volume gets that names none, and why.
///
/// Cinder's CapacityFilter and CapacityWeigher are the reference: what may still be promised is
/// (total - reserved) x ratio - provisioned, and most room wins, so that volumes spread. Cinder looks at promises alone and
/// so fills a pool whose real space is gone already. Here a pool whose real space is within its reserve takes nothing, and
/// the room by which pools are weighed is the lesser of what may be promised and what is really free.
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
    /// - Parameter source: where a copy has to be, since copies between pools are not carried out yet.
    func place(_ selector: LabelSelector, _ size: ByteCount, source: StorageBackend?) -> Placement {
        var fitting: [(pool: PoolState, room: ByteCount)] = []
        var others: [String] = []
        for pool in pools.values.sorted(by: { $0.name < $1.name }) {
            let wanted = size.roundedUp(to: pool.unit)
            let room = min(pool.budget.virtualFree, pool.budget.realFree)
            if let why = misfit(pool, selector, wanted, source) {
                others.append("'\(pool.name)' is out: \(why)")
            } else {
                fitting.append((pool, room))
            }
        }
        fitting.sort { ($1.room, $0.pool.name) < ($0.room, $1.pool.name) }
        guard let best = fitting.first else {
            return Placement(chosen: nil, explanation: "no pool fits: " + others.joined(separator: "; "))
        }
        let rest = fitting.dropFirst().map { "'\($0.pool.name)' has \($0.room)" } + others
        let against = rest.isEmpty ? "" : "; " + rest.joined(separator: "; ")
        return Placement(
            chosen: best.pool, explanation: "pool '\(best.pool.name)' has the most room, \(best.room)\(against)")
    }

    private func misfit(
        _ pool: PoolState, _ selector: LabelSelector, _ wanted: ByteCount, _ source: StorageBackend?
    ) -> String? {
        for (key, value) in selector.matchLabels.sorted(by: { $0.key < $1.key }) where pool.labels[key] != value {
            return "its label \(key) is \(pool.labels[key].map { "'\($0)'" } ?? "missing"), not '\(value)'"
        }
        if let obstacle = pool.obstacle ?? pool.budget.exhausted { return obstacle.sentence }
        if let source, pool.backend != source { return "what it is copied from is in \(source)" }
        let promises = pool.budget.virtualFree
        if wanted > promises { return "only \(max(promises, .zero)) may still be promised" }
        return nil
    }

    /// Whether every pool that the selector matches is another node's.
    func isElsewhere(_ selector: LabelSelector) -> Bool {
        !pools.values.contains { selector.matches($0.labels) } && labelsElsewhere.contains(where: selector.matches)
    }
}
