import TuffModel

/// Room of a pool that one change takes while it is planned. It is given back if the change is blocked.
struct HeldRoom {
    var pool: String
    var promised = ByteCount.zero
    var spent = ByteCount.zero
}

extension PlanningPass {
    /// Plans one resource, and gives the room that it took back where the plan of it ends blocked.
    ///
    /// Checks for capacity take room at once, and a later check may still block the change. A source that is planned on
    /// the way keeps account of its own room.
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

    /// Takes `amount` of what a pool may still promise.
    /// - Returns: the obstacle where it does not fit; then nothing is taken.
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
