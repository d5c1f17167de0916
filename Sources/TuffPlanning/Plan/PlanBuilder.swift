import TuffModel

/// Collects changes and steps, and puts both in their final order.
struct PlanBuilder {
    /// When steps have their turn, whatever the order in which they were added. None may wait for one of a later turn.
    enum Turn: Int {
        /// Portals that make room for others.
        case clearing
        /// What has lost its portal for that gets another before anything else is done.
        case listening
        case usual
    }

    private struct Entry {
        var change: Int
        var step: Step
        var key: ExclusiveKey
        var after: [Int]
        var behind: [Int]
        var turn: Turn
    }

    private var changes: [PlannedChange] = []
    private var steps: [Entry] = []
    /// The last step of what makes a group or directory, without which nothing can be done in it.
    private var makers: [ExclusiveKey: Int] = [:]
    /// Steps that read what a volume holds, by its uid.
    private var readers: [UID: [Int]] = [:]
    /// Thick volumes that a step grows.
    private var growing: Set<UID> = []

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

    /// Number of the change that was added last.
    var lastChange: Int { changes.count - 1 }

    /// Adds steps to a change that was added before: what they wait for may belong to changes that were added later.
    @discardableResult
    mutating func append(
        _ sequence: [(Step, ExclusiveKey)], to change: Int, turn: Turn = .usual, after: [Int] = [], behind: [Int] = []
    ) -> Int? {
        var previous = after, ended = behind
        for (step, key) in sequence {
            let maker = makers[key].flatMap { previous.contains($0) ? nil : $0 }
            steps.append(
                Entry(
                    change: change, step: step, key: key, after: previous + (maker.map { [$0] } ?? []), behind: ended,
                    turn: turn))
            note(step, steps.count - 1)
            previous = [steps.count - 1]
            ended = []
        }
        return sequence.isEmpty ? nil : steps.count - 1
    }

    /// Everything that is added under this key from now on waits for a step.
    mutating func wait(for step: Int, under key: ExclusiveKey) { makers[key] = step }

    /// Whether the change that was added last does nothing but say why.
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
    }

    /// Whether a step grows the thick volume whose new extents are gathered under this name.
    func grows(_ name: String) -> Bool {
        name.hasPrefix("x-") && UID(String(name.dropFirst(2))).map(growing.contains) == true
    }

    /// Steps that read what this volume holds.
    func readers(of uid: UID) -> [Int] { readers[uid] ?? [] }

    /// The plan, changes sorted by resource. Steps of one turn keep the order they were added in, which respects
    /// dependence.
    func plan(context: PlanContext) -> Plan {
        let order = changes.indices.sorted {
            (changes[$0].resource, changes[$0].summary, $0) < (changes[$1].resource, changes[$1].summary, $1)
        }
        var position = [Int](repeating: 0, count: order.count)
        for (new, old) in order.enumerated() { position[old] = new }
        let sequence = steps.indices.sorted { (steps[$0].turn.rawValue, $0) < (steps[$1].turn.rawValue, $1) }
        var ids = [Int](repeating: 0, count: sequence.count)
        for (new, old) in sequence.enumerated() { ids[old] = new }
        return Plan(
            context: context,
            changes: order.map { changes[$0] },
            steps: sequence.map { old in
                let entry = steps[old]
                return PlannedStep(
                    id: ids[old], change: position[entry.change], step: entry.step, keys: [entry.key],
                    after: entry.after.map { ids[$0] }, behind: entry.behind.map { ids[$0] })
            })
    }
}
