import TuffModel

/// What one change takes of a pool while it is planned.
struct HeldRoom {
    var pool: String
    var promised = ByteCount.zero
    var spent = ByteCount.zero
}

extension PlanningPass {
    /// Plans one thing. Obstacles are asked for one after another, and some take room as they are asked: where a later one stops
    /// the change, what it took is given back, for whatever else wants it in this plan. What is planned on the way, because
    /// this is made from it, has its own.
    mutating func holdingRoom<Result>(_ plan: (inout PlanningPass) -> Result) -> Result {
        let outer = held
        held = []
        let result = plan(&self)
        if builder.endsBlocked {
            for room in held { pools[room.pool]?.budget.giveBack(promised: room.promised, spent: room.spent) }
        }
        held = outer
        return result
    }

    /// Takes what a pool may still promise; why not where it does not fit.
    mutating func capacityObstacle(_ pool: PoolState, _ amount: ByteCount) -> Obstacle? {
        if let obstacle = pools[pool.name]?.budget.take(amount) {
            return Obstacle(obstacle.reason, "\(obstacle.sentence) in pool '\(pool.name)'")
        }
        held.append(HeldRoom(pool: pool.name, promised: amount))
        return nil
    }

    /// Takes real room, which was asked for before.
    mutating func spend(_ amount: ByteCount, in pool: String) {
        pools[pool]?.budget.spend(amount)
        held.append(HeldRoom(pool: pool, spent: amount))
    }
}
