import TuffModel

/// Targets whose portals are in each other's way, and how all of them move in one plan.
///
/// The kernel listens on every address of a port or on some, over all targets. Where documents change from the one to
/// the other, no target gets its new portal as long as another has its old one: all that may leave their old portals
/// do so before the first gets a new one.
struct PortalMoves {
    /// Portals that the targets nobody is logged in to are taken to give up, by name: portals that no document asks for
    /// and that keep a declared one from some target.
    var leaving: [String: Set<Portal>] = [:] {
        didSet { room = Set(leaving.values.joined()) }
    }
    private var room: Set<Portal> = []
    /// Who is logged in to the targets that keep such a portal.
    var busy: [String: [String]] = [:]
    /// Targets that give up theirs by what was planned.
    private(set) var left: Set<String> = []
    /// The last steps that make room, after which all others have.
    private(set) var cleared: [Int] = []
    private var former: [Int] = []
    fileprivate var additions: [Addition] = []

    /// Portals of a target that it gets when room is made.
    fileprivate struct Addition {
        var change: Int
        var iqn: String
        var steps: [ExportStep]
        var turn: PlanBuilder.Turn
        /// Steps that come before, besides those that make room.
        var after: [Int]
    }

    /// Number of targets that give up their portals at once. The next ones wait for them, so that what waits for all
    /// has to wait for few, and what fails for one leaves the rest as they are.
    private static let together = 32

    /// The steps that the next removal comes after.
    var before: [Int] { cleared.count < Self.together ? former : cleared }

    mutating func note(clearing step: Int, of iqn: String) {
        if cleared.count >= Self.together {
            former = cleared
            cleared = []
        }
        cleared.append(step)
        left.insert(iqn)
    }

    /// True if a target's portals are part of the move.
    func concern(_ portals: PortalSteps) -> Bool {
        guard portals.clearing.isEmpty else { return true }
        return portals.following.contains { step in
            guard case .addPortal(_, let portal) = step else { return false }
            return room.contains(where: portal.excludes)
        }
    }
}

extension PlanningPass {
    /// Number of times that attachments are planned anew because a target stays that was taken to leave. The last time
    /// none leaves.
    private static let tries = 8

    /// Plans all attachments as if every target that may do so left its old portals; and again without those that stay
    /// after all, because of an obstacle of their own or because what they would get instead is held by one that stays.
    mutating func planAttachments(_ attachments: [Declared<AttachmentSpec>]) {
        moves = portalMoves(attachments)
        var leaving = moves.leaving, staying: [String] = []
        // If none leaves there is nothing to try, and the pass is not copied.
        if leaving.isEmpty { return plan(attachments, leaving: leaving, staying: staying) }
        for attempt in 1...Self.tries {
            if attempt == Self.tries { leaving = [:] }
            var trial = self
            trial.plan(attachments, leaving: leaving, staying: staying)
            let kept = leaving.keys.filter { !trial.moves.left.contains($0) }.sorted()
            guard kept.isEmpty else {
                staying += kept
                for iqn in kept { leaving[iqn] = nil }
                continue
            }
            self = trial
            return
        }
    }

    private mutating func plan(
        _ attachments: [Declared<AttachmentSpec>], leaving: [String: Set<Portal>], staying: [String]
    ) {
        moves.leaving = leaving
        listening = listening(without: leaving, staying: staying)
        for declared in attachments { planAttachment(declared, outcomes[.volume(declared.spec.volume)]) }
        addPortals()
    }

    private func portalMoves(_ attachments: [Declared<AttachmentSpec>]) -> PortalMoves {
        var result = PortalMoves(), leaving: [String: Set<Portal>] = [:]
        guard context.config.exportCapabilities.portalsPerTarget else { return result }
        var wanted: [String: [Portal]] = [:]
        for declared in attachments {
            let volume = declared.spec.volume
            guard case .available(let stored, _)? = outcomes[.volume(volume)], let iqn = stored.marks.iqn else {
                continue
            }
            wanted[iqn] = portals[volume] ?? context.config.portals
        }
        let all = Set(wanted.values.joined())
        for (iqn, portals) in wanted {
            guard let target = targets[iqn], target.portals != portals else { continue }
            let going = Set(target.portals).subtracting(portals).filter { all.contains(where: $0.excludes) }
            if going.isEmpty { continue }
            if target.loggedIn.isEmpty {
                leaving[iqn] = going
            } else {
                result.busy[iqn] = target.loggedIn
            }
        }
        result.leaving = leaving
        return result
    }

    /// Who listens where once the targets that leave have left. Those that stay only because of others come last, so
    /// that the one that is the cause is named.
    private func listening(without leaving: [String: Set<Portal>], staying: [String]) -> [Portal: [String]] {
        var result: [Portal: [String]] = [:]
        let late = Set(staying)
        for target in inventory.value?.targets ?? [] where !late.contains(target.iqn) {
            let gone = leaving[target.iqn] ?? []
            Self.listen(target.iqn, portals: target.portals.filter { !gone.contains($0) }, listening: &result)
        }
        for iqn in staying { Self.listen(iqn, portals: targets[iqn]?.portals ?? [], listening: &result) }
        return result
    }

    /// Adds the change of an export with its steps.
    /// - Parameter sequence: all but those on portals, and the enabling.
    /// - Returns: the last step that a later one of the same export comes after.
    mutating func add(
        _ change: PlannedChange, sequence: [(Step, ExclusiveKey)], diff: ExportDiff, after: [Int]
    ) -> Int? {
        let iqn = diff.wanted.iqn
        guard moves.concern(diff.portals) else {
            return builder.add(change, sequence + Self.steps(diff.portals.following + diff.enabling, iqn), after: after)
        }
        builder.add(change)
        let number = builder.lastChange
        let cleared = builder.append(
            Self.steps(diff.portals.clearing, iqn), to: number, turn: .clearing, after: moves.before)
        if let cleared { moves.note(clearing: cleared, of: iqn) }
        // Behind and not after: what fails for this target's own reasons must not keep others from their portals.
        let last = builder.append(
            sequence + Self.steps(diff.enabling, iqn), to: number, after: after,
            behind: cleared.map { [$0] } ?? [])
        moves.additions.append(
            PortalMoves.Addition(
                change: number, iqn: iqn, steps: diff.portals.following, turn: cleared == nil ? .usual : .listening,
                after: cleared == nil ? last.map { [$0] } ?? after : []))
        return last
    }

    /// When all have left what they leave, they get what they are to have.
    private mutating func addPortals() {
        for addition in moves.additions {
            builder.append(
                Self.steps(addition.steps, addition.iqn), to: addition.change, turn: addition.turn,
                after: addition.after + moves.cleared)
        }
    }

    private static func steps(_ steps: [ExportStep], _ iqn: String) -> [(Step, ExclusiveKey)] {
        steps.map { (.export($0), .target(iqn)) }
    }
}
