package import TuffModel

/// Which pool a volume has that names none, and why.
///
/// Cinder's CapacityFilter and CapacityWeigher are the reference: a pool is out where more would be promised than
/// (total - reserved) x ratio - provisioned, or than what is really free x ratio; and the most of what may still be
/// promised wins, so that volumes spread. Cinder weighs by promises alone and so prefers a pool that initiators have
/// filled: here they count as much as there is really free of its space (`PoolBudget.score`).
package struct Placement: Hashable, Sendable {
    /// The verdict on one pool.
    package struct Verdict: Hashable, Sendable {
        package var pool: String
        package var score: ByteCount
        /// Why it is out; nil: the volume could be there.
        package var obstacle: Obstacle?
    }

    package var selector: LabelSelector
    /// The pool's name; nil: none fits.
    package var chosen: String?
    /// It was placed there before, and stays.
    package var isSettled = false
    /// Its source is in that pool.
    package var isNear = false
    /// It has sectors of this size, as what it is copied from has, and a pool with more room does not.
    package var sectors: Int?
    /// Every pool of this node, best first, and then those that are out.
    package var verdicts: [Verdict]

    /// All of it in a sentence.
    package var explanation: String {
        let others = verdicts.filter { $0.pool != chosen }.map { verdict in
            verdict.obstacle.map { "'\(verdict.pool)' is out: \($0.sentence)" }
                ?? "'\(verdict.pool)' has \(verdict.score)"
        }
        return ([merit] + others).joined(separator: "; ")
    }

    private var merit: String {
        guard let chosen, let own = verdicts.first(where: { $0.pool == chosen }) else { return "no pool fits" }
        if isSettled {
            let misfit = own.obstacle.map { ", though \($0.sentence)" } ?? ""
            return "it is in pool '\(chosen)'\(misfit): once placed, a volume stays"
        }
        if isNear { return "pool '\(chosen)' (\(own.score)) has what it is copied from" }
        if let sectors {
            return "pool '\(chosen)' (\(own.score)) has sectors of \(Sectors.text(sectors)), as what it is copied from"
        }
        return "pool '\(chosen)' has the most room, \(own.score)"
    }

    /// Why none fits. What a person can mend goes before room, of which there may be enough once it is mended.
    var obstacle: Obstacle {
        let reasons = verdicts.compactMap(\.obstacle?.reason).filter { $0 != .notSelected }
        let first = [Reason.unknown, .lost, .consentNeeded].first(where: reasons.contains)
        let reason = first ?? reasons.first { $0 != .insufficientCapacity } ?? reasons.first ?? .notSelected
        return Obstacle(reason, explanation)
    }
}

extension Planner {
    /// Where a volume with a `poolSelector` is or would be, under the promises of the plan that concerns it. Nil: it is
    /// not declared here, or names its pool.
    package static func placement(
        of volume: String, desired: DesiredState, observed: ObservedState, context: PlanContext
    ) -> Placement? {
        var pass = PlanningPass(desired: desired, observed: observed, context: context)
        pass.question = volume
        _ = pass.run(desired)
        return pass.answer
    }
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

    /// Why a volume has no pool here, and at which field of its document.
    struct NoPool: Error {
        var obstacle: Obstacle
        var field: String
    }

    /// The pool it is to live in, and what to say about the choice.
    mutating func pool(
        for declared: Declared<VolumeSpec>, _ roles: [Marks.Role]
    ) -> Result<(PoolState, [String]), NoPool> {
        func none(_ reason: Reason, sentence: String, field: String) -> Result<(PoolState, [String]), NoPool> {
            .failure(NoPool(obstacle: Obstacle(reason, sentence), field: field))
        }
        switch declared.spec.placement {
        case .pool(let name):
            if let pool = pools[name] { return .success((pool, [])) }
            return none(.dependencyBlocked, sentence: "pool '\(name)' is not on this node", field: "spec.pool")
        case .selector(let selector):
            if let home = home(of: roles) {
                guard let pool = pools.values.first(where: { $0.backend == home }) else {
                    return none(
                        .moveNotSupported, sentence: "it lives in \(home), which is no declared pool",
                        field: "spec.poolSelector")
                }
                if question == declared.metadata.name { answer = replace(declared.spec, selector, in: pool) }
                let stays = "poolSelector does not match its pool '\(pool.name)' any more; once placed, a volume stays"
                return .success((pool, selector.matches(pool.labels) ? [] : [stays]))
            }
            var source: StoredVolume?
            if let role = declared.spec.source?.role, case .available(let stored, _)? = outcome(of: role) {
                source = stored
            }
            let content = try? outsideContent(for: declared).get()
            let placement = place(declared.spec, selector, from: source, filled: content)
            if question == declared.metadata.name { answer = placement }
            guard let chosen = placement.chosen.flatMap({ pools[$0] }) else {
                // That it is lost is not hidden by pools that are full.
                let lost = loss(of: ResourceID(.volume, declared.metadata.name))
                return .failure(NoPool(obstacle: lost ?? placement.obstacle, field: "spec.poolSelector"))
            }
            return .success((chosen, [placement.explanation]))
        }
    }

    /// Filters and weighs the pools of this node, for a volume that is not there yet. A copy goes where its source is,
    /// if it takes a moment and no room there.
    func place(
        _ spec: VolumeSpec, _ selector: LabelSelector, from source: StoredVolume?, filled content: OutsideContent? = nil
    ) -> Placement {
        var fitting: [Placement.Verdict] = [], others: [Placement.Verdict] = []
        for pool in pools.values.sorted(by: { $0.name < $1.name }) {
            let obstacle = misfit(pool, selector: selector, spec: spec, source: source, content: content)
            let verdict = Placement.Verdict(pool: pool.name, score: pool.budget.score, obstacle: obstacle)
            if obstacle == nil { fitting.append(verdict) } else { others.append(verdict) }
        }
        fitting.sort { ($1.score, $0.pool) < ($0.score, $1.pool) }
        let roomiest = fitting.first?.pool
        let wanted = sectors(for: spec, from: source)
        func differs(_ verdict: Placement.Verdict) -> Bool {
            guard let wanted, let own = pools[verdict.pool]?.sectorSize else { return false }
            return own != wanted
        }
        fitting = fitting.filter { !differs($0) } + fitting.filter(differs)
        let near = source.flatMap { source in
            fitting.firstIndex { pools[$0.pool].map { sharesBlocks($0, with: source) } ?? false }
        }
        if let near { fitting.insert(fitting.remove(at: near), at: 0) }
        return Placement(
            selector: selector, chosen: fitting.first?.pool, isNear: near != nil,
            sectors: fitting.first.flatMap { first in
                first.pool == roomiest ? nil : pools[first.pool]?.sectorSize.flatMap { $0 == wanted ? $0 : nil }
            }, verdicts: fitting + others)
    }

    /// Of what a new volume gets its content from; nil: of nothing, or not known.
    private func sectors(for spec: VolumeSpec, from source: StoredVolume?) -> Int? {
        if let source { return sectors(of: source) }
        if case .image? = spec.source { return Sectors.ofFiles }
        return nil
    }

    /// The choice as it would be now, for a volume that is there.
    func replace(_ spec: VolumeSpec, _ selector: LabelSelector, in home: PoolState) -> Placement {
        var result = place(spec, selector, from: nil)
        // Its own room is not asked for a second time.
        let own = Placement.Verdict(
            pool: home.name, score: home.budget.score, obstacle: mismatch(home, selector) ?? home.obstacle)
        result.verdicts = [own] + result.verdicts.filter { $0.pool != home.name }
        result.chosen = home.name
        result.isSettled = true
        return result
    }

    private func mismatch(_ pool: PoolState, _ selector: LabelSelector) -> Obstacle? {
        for (key, value) in selector.matchLabels.inKeyOrder where pool.labels[key] != value {
            let label = pool.labels[key].map { "'\($0)'" } ?? "missing"
            return Obstacle(.notSelected, "its label \(key) is \(label), not '\(value)'")
        }
        return nil
    }

    private func misfit(
        _ pool: PoolState, selector: LabelSelector, spec: VolumeSpec, source: StoredVolume?,
        content: OutsideContent?
    ) -> Obstacle? {
        if let obstacle = mismatch(pool, selector) ?? pool.fillObstacle { return obstacle }
        if let obstacle = pool.budget.obstacle(to: spec.size.roundedUp(to: pool.unit)) { return obstacle }
        if let source, !sharesBlocks(pool, with: source) {
            return writingObstacle(occupied(source), of: source.marks.role.resource.description, into: pool)
        }
        return content.flatMap { writingObstacle($0.content, of: $0.description, into: pool) }
    }

    /// True if every pool that the selector matches is another node's.
    func isElsewhere(_ selector: LabelSelector) -> Bool {
        !pools.values.contains { selector.matches($0.labels) } && labelsElsewhere.contains(where: selector.matches)
    }
}
