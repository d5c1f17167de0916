import TuffModel

/// What comes of the proof. Changes that do not fit together are a mistake in the documents: the plan is refused, and
/// nothing of it begun. Where they would fit, and only work that was begun before leaves no room for them, they wait
/// until that is done: refused, the plan would hold up the very work that it is refused for.
extension CapacityProof {
    /// The plan without what waits, and why none of it must be begun: its worst moment, the first step at which
    /// something would run out.
    mutating func proven(_ plan: Plan) -> (Plan, Refusal?) {
        var taken: [(change: Int, takes: [Take])] = []
        var begun: Set<Int> = []
        for planned in plan.steps {
            // Most steps of a large plan, which take no room and go on with nothing.
            if case .export = planned.step { continue }
            let takes = takes(planned.step).filter { $0.amount > .zero && accounts[$0.key] != nil }
            if !takes.isEmpty { taken.append((planned.change, takes)) }
            if goesOn(planned.step) { begun.insert(planned.change) }
        }
        for (change, takes) in taken where begun.contains(change) {
            for take in takes { owe(take, to: plan.changes[change].resource) }
        }
        let yielding = Set(plan.steps.filter(\.step.yieldsRoom).map(\.change))
        let new = taken.filter { !begun.contains($0.change) && !yielding.contains($0.change) }
        if let refusal = refusal(of: plan, new) { return (plan, refusal) }
        var waiting: [Int: Obstacle] = [:]
        if !begun.isEmpty || accounts.values.contains(where: { !$0.creditors.isEmpty }) {
            waiting = self.waiting(plan, new)
        }
        let crowdedOut = crowdedOut(taken.filter { yielding.contains($0.change) }, by: new)
        return (plan.postponing(waiting.merging(crowdedOut) { $1 }, sparing: begun), nil)
    }

    /// Changes that yield and do not fit beside all others, those that wait among them, by their index.
    private func crowdedOut(
        _ yielding: [(change: Int, takes: [Take])], by others: [(change: Int, takes: [Take])]
    ) -> [Int: Obstacle] {
        var accounts = accounts, result: [Int: Obstacle] = [:]
        for take in others.flatMap(\.takes) { accounts[take.key]?.taken += take.amount }
        let wanted = Dictionary(grouping: yielding, by: \.change).mapValues { $0.flatMap(\.takes) }
        for (change, takes) in wanted.sorted(by: { $0.key < $1.key }) {
            var trial = accounts
            for take in takes { trial[take.key]?.taken += take.amount }
            let short = takes.first { take in
                trial[take.key].map { $0.taken + $0.owed > $0.limit(take) } ?? false
            }
            guard let short, let account = accounts[short.key] else {
                accounts = trial
                continue
            }
            let amount = takes.filter { $0.key == short.key }.reduce(ByteCount.zero) { $0 + $1.amount }
            let left = max(account.limit(short) - account.taken - account.owed, .zero)
            result[change] = Obstacle(
                .insufficientCapacity,
                "the scratch volume takes \(amount) of \(account.what) at most, which has \(left) beside all else that "
                    + "is to be done; \(account.reserve). Make room there, or name another pool in spec.drill.pool")
        }
        return result
    }

    /// Reckons with the room that running jobs may take still: that of the steps which plans would finish their work
    /// with.
    mutating func owe(_ steps: [(step: Step, resource: ResourceID)]) {
        for (step, resource) in steps where goesOn(step) {
            for take in takes(step) where take.amount > .zero && accounts[take.key] != nil { owe(take, to: resource) }
        }
    }

    /// True if it goes on with work that was begun before.
    private func goesOn(_ step: Step) -> Bool {
        step.fills.map { begun[$0] != nil } ?? false
    }

    private mutating func owe(_ take: Take, to resource: ResourceID) {
        guard var account = accounts[take.key] else { return }
        account.owed += take.amount
        if !account.creditors.contains(resource) { account.creditors.append(resource) }
        accounts[take.key] = account
    }

    private func refusal(of plan: Plan, _ new: [(change: Int, takes: [Take])]) -> Refusal? {
        var accounts = accounts
        for (index, takes) in new {
            for take in takes {
                guard var account = accounts[take.key] else { continue }
                account.taken += take.amount
                accounts[take.key] = account
                guard account.taken > account.limit(take) else { continue }
                let change = plan.changes[index]
                let place = change.location.map { ", \($0)" } ?? ""
                return Refusal(
                    .insufficientCapacity,
                    "at its worst moment, \(change.resource) (\(change.summary)\(place)), the plan has taken "
                        + "\(account.taken) of \(account.what), which has \(max(account.limit(take), .zero)); "
                        + account.reserve,
                    help: "make room there, or leave \(change.resource) out and apply the rest; what initiators write "
                        + "meanwhile is not counted")
            }
        }
        return nil
    }

    /// Changes that do not fit beside what was begun, by their index: each of them all or nothing.
    private func waiting(_ plan: Plan, _ new: [(change: Int, takes: [Take])]) -> [Int: Obstacle] {
        var accounts = accounts, result: [Int: Obstacle] = [:]
        let wanted = Dictionary(grouping: new, by: \.change).mapValues { $0.flatMap(\.takes) }
        // In the order in which they would take it.
        for (index, _) in new where result[index] == nil {
            guard let takes = wanted[index] else { continue }
            var trial = accounts
            for take in takes { trial[take.key]?.taken += take.amount }
            let short = takes.first { take in
                guard let account = trial[take.key], !account.creditors.isEmpty else { return false }
                return account.taken + account.owed > account.limit(take)
            }
            guard let short, let account = trial[short.key] else {
                accounts = trial
                continue
            }
            let begun = account.creditors.sorted().map(\.description).joined(separator: ", ")
            result[index] = Obstacle(
                .insufficientCapacity,
                "it waits until \(begun) is finished, which was begun before and may take \(account.owed) of "
                    + "\(account.what); that has \(max(account.limit(short), .zero)), and \(account.reserve)")
        }
        return result
    }
}

extension Step {
    /// True for work that makes way for all other: where its room is not there, it alone waits.
    fileprivate var yieldsRoom: Bool { if case .volume(.drill) = self { true } else { false } }
}

extension CapacityProof.Account {
    func limit(_ take: CapacityProof.Take) -> ByteCount { take.ofReserve ? room + kept : room }
}

extension Plan {
    /// The plan without some changes, and without all that comes after them.
    /// - Parameter begun: changes that go on nevertheless. They are made of what was there before, so what they come
    ///   after is a matter of turns only.
    func postponing(_ waiting: [Int: Obstacle], sparing begun: Set<Int>) -> Plan {
        guard !waiting.isEmpty else { return self }
        var waiting = waiting, isGrowing = true
        while isGrowing {
            isGrowing = false
            let dropped = Set(steps.lazy.filter { waiting[$0.change] != nil }.map(\.id))
            for step in steps where waiting[step.change] == nil && !begun.contains(step.change) {
                guard let first = step.after.first(where: dropped.contains) else { continue }
                let cause = changes[steps[first].change].resource
                waiting[step.change] = Obstacle(.dependencyBlocked, "it comes after \(cause), see its own line")
                isGrowing = true
            }
        }
        var result = self, ids: [Int: Int] = [:]
        result.steps = []
        for var step in steps where waiting[step.change] == nil {
            ids[step.id] = result.steps.count
            step.id = result.steps.count
            step.after = step.after.compactMap { ids[$0] }
            step.behind = step.behind.compactMap { ids[$0] }
            result.steps.append(step)
        }
        for (index, obstacle) in waiting {
            let change = changes[index]
            result.changes[index] = PlannedChange(
                change.resource, action: .blocked, summary: obstacle.sentence, reason: obstacle.reason,
                location: change.location,
                uid: change.uid, notes: change.notes)
        }
        return result
    }
}
