import TuffModel

/// Collects changes and steps, and puts both in their final order.
struct PlanBuilder {
    /// When steps have their turn, whatever the order in which they were added. None may wait for one of a later turn.
    enum Turn: Int {
        /// Portals that make room for others.
        case clearing
        /// Additions of portals to targets that made room: they come before anything else is done.
        case listening
        case usual
    }

    private var changes: [PlannedChange] = []
    /// Steps as they will be in the plan, but for the order of what has its turn earlier.
    private var steps: [PlannedStep] = []
    /// The turns of steps that do not have the usual one, by their ids.
    private var turns: [Int: Turn] = [:]
    /// The last step of what makes a group or directory, without which nothing can be done in it.
    private var makers: [ExclusiveKey: Int] = [:]
    /// Steps that read what a volume holds, by its uid.
    private var readers: [UID: [Int]] = [:]
    /// Thick volumes that a step grows.
    private var growing: Set<UID> = []
    /// Restore points that volumes are filled from, by their ids.
    private(set) var restoredPoints: Set<String> = []

    /// Makes room for so many changes.
    mutating func reserve(changes count: Int) { changes.reserveCapacity(count) }

    /// Adds a change whose steps run one after another, the first of them after `after` succeeded and `behind` ended.
    /// - Returns: the id of its last step, nil when it has none.
    @discardableResult
    mutating func add(
        _ change: PlannedChange, _ sequence: [(Step, ExclusiveKey)] = [], after: [Int] = [], behind: [Int] = []
    ) -> Int? {
        changes.append(change)
        return append(sequence, to: changes.count - 1, after: after, behind: behind)
    }

    /// Adds a change whose steps are done to storage.
    @discardableResult
    mutating func add(
        _ change: PlannedChange, _ steps: [StorageStep], after: [Int] = [], behind: [Int] = []
    ) -> Int? {
        add(change, steps.map { ($0.step, $0.key) }, after: after, behind: behind)
    }

    /// Adds a line that does nothing but say why: the one way to block a resource. `action` differs where the obstacle
    /// is no fault of the moment, such as `unsupported`.
    mutating func block(
        _ resource: ResourceID, by obstacle: Obstacle, as action: Action = .blocked, at location: SourceLocation? = nil,
        uid: UID? = nil, notes: [String] = []
    ) {
        add(
            PlannedChange(
                resource, action: action, summary: obstacle.sentence, reason: obstacle.reason, location: location,
                uid: uid, notes: notes))
    }

    /// Blocks a volume or snapshot.
    /// - Returns: the outcome for whatever needs it.
    mutating func unavailable(
        _ resource: ResourceID, by obstacle: Obstacle, as action: Action = .blocked, at location: SourceLocation?,
        uid: UID? = nil
    ) -> VolumeOutcome {
        block(resource, by: obstacle, as: action, at: location, uid: uid)
        return .unavailable(obstacle.sentence)
    }

    /// Number of the change that was added last.
    var lastChange: Int { changes.count - 1 }

    /// Adds steps to a change that was added before: what they wait for may belong to changes that were added later.
    @discardableResult
    mutating func append(
        _ sequence: [(Step, ExclusiveKey)], to change: Int, turn: Turn = .usual, after: [Int] = [], behind: [Int] = []
    ) -> Int? {
        var previous = after, ended = behind
        // Steps of one change nearly always share their key, and then one array of it.
        var keys: [ExclusiveKey] = []
        for (step, key) in sequence {
            if keys.first != key { keys = [key] }
            let maker = makers[key].flatMap { previous.contains($0) ? nil : $0 }
            if let maker { previous.append(maker) }
            steps.append(
                PlannedStep(
                    id: steps.count, change: change, step: step, keys: keys, after: previous, behind: ended))
            if turn != .usual { turns[steps.count - 1] = turn }
            note(step, steps.count - 1)
            previous = [steps.count - 1]
            ended = []
        }
        return sequence.isEmpty ? nil : steps.count - 1
    }

    /// Everything that is added under this key from now on waits for a step.
    mutating func wait(for step: Int, under key: ExclusiveKey) { makers[key] = step }

    /// True if the change that was added last does nothing but say why.
    var endsBlocked: Bool { changes.last.map { [.blocked, .unsupported].contains($0.action) } ?? false }

    /// Resources whose lines so far say why they are not carried out.
    var blocked: Set<ResourceID> {
        Set(changes.filter { [.blocked, .unsupported].contains($0.action) }.map(\.resource))
    }

    /// Those of them that are not carried out because something is in use.
    var inUse: Set<ResourceID> {
        Set(changes.filter { $0.action == .blocked && $0.reason == .inUse }.map(\.resource))
    }

    /// Objects that the lines so far are about.
    var uids: Set<UID> { Set(changes.compactMap(\.uid)) }

    private mutating func note(_ step: Step, _ id: Int) {
        if let uid = step.reads { readers[uid, default: []].append(id) }
        if let uid = step.gathers { growing.insert(uid) }
        if case .volume(.fillFromBackup(_, let content, _)) = step { restoredPoints.insert(content.point) }
        if case .volume(.drill(_, let task)) = step { restoredPoints.insert(task.content.point) }
    }

    /// True if a step grows the thick volume whose new extents are gathered under this name.
    func grows(_ name: String) -> Bool {
        name.hasPrefix("x-") && UID(String(name.dropFirst(2))).map(growing.contains) == true
    }

    /// Steps that read what this volume holds.
    func readers(of uid: UID) -> [Int] { readers[uid] ?? [] }

    /// The plan, changes sorted by resource. Steps of one turn keep the order they were added in, which respects
    /// dependence.
    ///
    /// The builder is empty afterwards: a plan may have a hundred thousand steps, which are handed on and not copied.
    mutating func finish(context: PlanContext) -> Plan {
        let order = sortedChanges()
        var position = [Int](repeating: 0, count: order.count)
        for (new, old) in order.enumerated() { position[old] = new }
        var plan = Plan(context: context, changes: order.map { changes[$0] }, steps: [])
        swap(&plan.steps, &steps)
        for index in plan.steps.indices { plan.steps[index].change = position[plan.steps[index].change] }
        if !turns.isEmpty { plan.steps = inTurn(plan.steps) }
        self = PlanBuilder()
        return plan
    }

    /// Indices of changes by resource, and those of one resource by what they say.
    private func sortedChanges() -> [Int] {
        changes.withUnsafeBufferPointer { changes in
            changes.indices.sorted { one, other in
                if changes[one].resource.kind != changes[other].resource.kind {
                    return changes[one].resource.kind < changes[other].resource.kind
                }
                if changes[one].resource.name != changes[other].resource.name {
                    return changes[one].resource.name < changes[other].resource.name
                }
                if changes[one].summary != changes[other].summary {
                    return changes[one].summary < changes[other].summary
                }
                return one < other
            }
        }
    }

    private func inTurn(_ steps: [PlannedStep]) -> [PlannedStep] {
        func turn(_ id: Int) -> Int { (turns[id] ?? .usual).rawValue }
        let sequence = steps.indices.sorted { (turn($0), $0) < (turn($1), $1) }
        var ids = [Int](repeating: 0, count: sequence.count)
        for (new, old) in sequence.enumerated() { ids[old] = new }
        return sequence.map { old in
            var step = steps[old]
            step.id = ids[old]
            step.after = step.after.map { ids[$0] }
            step.behind = step.behind.map { ids[$0] }
            return step
        }
    }
}
