import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// A controller with one deliberate fault, made by standing between its parts: what is observed, remembered, planned
/// and done can each be bent. Product code has no switches for this. A harness that does not notice is no harness.
struct Mutant: Sendable, CustomStringConvertible {
    var name: String
    /// A story in which it shows itself, and which is tried first; nil: early walks find it.
    var story: Story?
    /// The pool of that story's volume.
    var backend: Simulation.Backend
    /// Bends the marks of everything seen.
    var tags: (@Sendable ([String]) -> [String])?
    var groups: (@Sendable (ObservationMap<VolumeGroup>) -> ObservationMap<VolumeGroup>)?
    var directories: (@Sendable (ObservationMap<DirectoryPool>) -> ObservationMap<DirectoryPool>)?
    var targets: (@Sendable (Observation<TargetInventory>) -> Observation<TargetInventory>)?
    /// Bends what is read of documents.
    var documents: (@Sendable (DesiredState) -> DesiredState)?
    var context: (@Sendable (PlanContext) -> PlanContext)?
    var plan: (@Sendable (Plan, ObservedState) -> Plan)?
    var exportSteps: (@Sendable ([ExportStep]) -> [ExportStep])?
    /// Of those on volumes.
    var volumeSteps: (@Sendable ([Step]) -> [Step])?
    var actions: (@Sendable ([HostAction]) -> [HostAction])?
    var report: (@Sendable (ApplyReport) -> ApplyReport)?
    var ledgerRead: (@Sendable (Ledger) -> Ledger)?
    var keepsNoLedger = false
    var mounts: (@Sendable (ObservedMount) -> ObservedMount)?
    /// Has the machine open directories of pools whatever is mounted there.
    var trustsPaths = false

    init(
        _ name: String, shownBy story: Story? = nil, on backend: Simulation.Backend = .lvm,
        _ bend: (inout Mutant) -> Void
    ) {
        self.name = name
        self.story = story
        self.backend = backend
        bend(&self)
    }

    var description: String { name }
}

// MARK: The list

extension Mutant {
    static let all: [Mutant] =
        observing + planning + acting + remembering + thick + temporaries + restoring + images + files + pools
        + policies + room + sharing + placing + adopting + renaming + backups

    private static func isRequirement(_ action: HostAction, _ matches: (Precondition) -> Bool) -> Bool {
        if case .require(let condition) = action { matches(condition) } else { false }
    }

    /// LVM commands without their selection.
    private static func unselected(_ action: HostAction) -> HostAction {
        guard case .run(var command) = action, let index = command.arguments.firstIndex(of: "-S") else { return action }
        command.arguments.removeSubrange(index...index + 1)
        return .run(command)
    }

    private static func without(_ prefix: String) -> @Sendable ([String]) -> [String] {
        { tags in tags.filter { !$0.hasPrefix(prefix) } }
    }

    private static func onTargets(
        _ change: @escaping @Sendable (inout ObservedTarget) -> Void
    ) -> @Sendable (Observation<TargetInventory>) -> Observation<TargetInventory> {
        { found in
            found.map { inventory in
                var inventory = inventory
                for index in inventory.targets.indices { change(&inventory.targets[index]) }
                return inventory
            }
        }
    }

    /// These bend what is seen.
    static let observing: [Mutant] = [
        Mutant("ignores protection") { $0.tags = without("tuff:protect") },
        Mutant("ignores the stored policy") { $0.tags = without("tuff:policy") },
        Mutant("ignores stacks") { mutant in
            mutant.tags = { tags in tags.map { $0.hasPrefix("tuff:stack=") ? "tuff:stack=default" : $0 } }
        },
        Mutant("does not see the trash") { mutant in
            mutant.tags = { tags in tags.contains { $0.hasPrefix("tuff:until") } ? [] : tags }
        },
        Mutant("sees unfinished work as finished") { $0.tags = without("tuff:op") },
        Mutant("takes unmarked access for ours") { mutant in
            mutant.targets = onTargets { target in
                for index in target.acls.indices where target.acls[index].mark == nil {
                    target.acls[index].mark = AccessMark(attachment: "guessed", onRemove: .disconnect)
                }
            }
        },
        Mutant("does not look for sessions") { mutant in
            mutant.targets = onTargets { target in
                for index in target.acls.indices { target.acls[index].sessions = [] }
            }
            mutant.actions = { actions in
                actions.filter { action in
                    !isRequirement(action) { if case .noSession = $0 { true } else { false } }
                }
            }
        },
        Mutant("takes unknown targets for absent", shownBy: [.declareAttached, .remove], on: .directory) { mutant in
            mutant.targets = { if case .unknown = $0 { .known(TargetInventory()) } else { $0 } }
        },
        Mutant("takes an unknown directory for an empty one", shownBy: [.declare, .loseLedger], on: .directory) {
            mutant in
            mutant.directories = { map in
                var map = map
                for (path, entry) in map.entries where entry.isUnknown {
                    map.entries[path] = .known(
                        DirectoryPool(path: path, size: ByteCount(1 << 40), free: ByteCount(1 << 40)))
                }
                return map
            }
        },
        Mutant("sees discard wrongly") { mutant in
            mutant.targets = { found in
                found.map { inventory in
                    var inventory = inventory
                    for index in inventory.backstores.indices { inventory.backstores[index].discard = false }
                    return inventory
                }
            }
        },
    ]

    /// These bend what is decided.
    static let planning: [Mutant] = [
        Mutant("has no guard") {
            $0.plan = { plan, _ in
                var plan = plan
                plan.refusal = nil
                return plan
            }
        },
        Mutant("prunes unasked") {
            $0.context = { context in
                var context = context
                context.consent.prune = true
                return context
            }
        },
        Mutant("destroys unasked", shownBy: [.declare, .keepForNoTime, .remove]) {
            $0.context = { context in
                var context = context
                context.consent.allowDestroy = true
                return context
            }
        },
        Mutant("purges before the deadline") { mutant in
            mutant.plan = { plan, observed in
                var plan = plan
                for volume in StorageIndex(observed).volumes {
                    guard let until = volume.marks.until, volume.marks.stack == "default", plan.refusal == nil else {
                        continue
                    }
                    let step = VolumeStep.purge(volume.ref, until: until)
                    let change = PlannedChange(
                        ResourceID(.volume, volume.marks.name), action: .purge, summary: "too early", uid: volume.uid)
                    plan.changes.append(change)
                    plan.steps.append(
                        PlannedStep(
                            id: plan.steps.count, change: plan.changes.count - 1, step: .volume(step), keys: [step.key],
                            after: []))
                }
                return plan
            }
        },
        Mutant("uses one seed for all plans") {
            $0.context = { context in
                var context = context
                context.seed = "0"
                return context
            }
        },
        Mutant("trusts exit codes", shownBy: [.declare]) {
            $0.report = { report in
                var report = report
                if report.changes.allSatisfy({ $0.error == nil }) { report.remaining.steps = [] }
                return report
            }
        },
        Mutant("withdraws and goes on without waiting") {
            $0.plan = { plan, _ in
                var plan = plan
                for index in plan.steps.indices {
                    if plan.steps[index].step.location != nil { plan.steps[index].after = [] }
                }
                return plan
            }
        },
        Mutant("retrains the IQN") {
            $0.volumeSteps = { steps in
                steps.map { step in
                    guard case .volume(.relabel(var change)) = step else { return step }
                    change.after.iqn = change.after.iqn.map { "\($0)-2" }
                    return .volume(.relabel(change))
                }
            }
        },
        Mutant("extends to another size") {
            $0.volumeSteps = { steps in
                steps.map { step in
                    guard case .volume(.extend(let volume, let from, let to)) = step else { return step }
                    return .volume(.extend(volume, from: from, to: to + ByteCount(64 << 20)))
                }
            }
        },
    ]

    /// These bend what is done.
    static let acting: [Mutant] = [
        Mutant("skips every re-check", shownBy: [.declare], on: .directory) {
            $0.actions = { actions in
                actions.filter { !isRequirement($0) { _ in true } }.map(unselected)
            }
        },
        Mutant("skips the re-check of sessions", shownBy: [.declareAttached, .detach]) {
            $0.actions = { actions in
                actions.filter { action in !isRequirement(action) { if case .noSession = $0 { true } else { false } } }
            }
        },
        Mutant("skips the re-check before a purge", shownBy: [.declare, .remove, .expire]) {
            $0.actions = { actions in
                let isPurge = actions.contains { action in
                    if case .removeFile = action { return true }
                    if case .run(let command) = action { return command.arguments.first == "lvremove" }
                    return false
                }
                return isPurge ? actions.filter { !isRequirement($0) { _ in true } }.map(unselected) : actions
            }
        },
        Mutant("skips the re-check of a file's place", shownBy: [.declare], on: .directory) {
            $0.actions = { actions in
                actions.filter { action in
                    !isRequirement(action) { if case .vacant = $0 { true } else { false } }
                }
            }
        },
        Mutant("does not deactivate what it trashes") {
            $0.actions = { actions in
                actions.filter { action in
                    if case .run(let command) = action {
                        return
                            !(command.arguments.contains("n") && command.arguments.first == "lvchange"
                            && !command.arguments.contains("--addtag") && !command.arguments.contains("--deltag"))
                    }
                    return true
                }
            }
        },
        Mutant("lets the trash come back at boot") {
            $0.actions = { actions in
                actions.map { action in
                    guard case .run(var command) = action, command.arguments.first == "lvchange",
                        let index = command.arguments.firstIndex(of: "--setactivationskip")
                    else { return action }
                    command.arguments.removeSubrange(index...index + 1)
                    return .run(command)
                }
            }
        },
        Mutant("names files before it marks them") {
            $0.actions = { actions in
                guard let rename = actions.firstIndex(where: { if case .renameFile = $0 { true } else { false } }),
                    let mark = actions.firstIndex(where: { if case .replaceFile = $0 { true } else { false } }),
                    mark < rename
                else { return actions }
                var actions = actions
                actions.swapAt(mark, rename)
                return actions
            }
        },
        Mutant("makes files before it marks them", shownBy: [.declare], on: .directory) {
            $0.actions = { actions in
                guard let make = actions.firstIndex(where: { if case .createFile = $0 { true } else { false } }),
                    let mark = actions.firstIndex(where: { if case .replaceFile = $0 { true } else { false } }),
                    mark < make
                else { return actions }
                var actions = actions
                actions.swapAt(mark, make)
                return actions
            }
        },
        Mutant("removes sidecars before files", shownBy: [.declare, .remove, .expire], on: .directory) {
            $0.actions = { actions in
                guard let first = actions.firstIndex(where: { if case .removeFile = $0 { true } else { false } }),
                    first + 1 < actions.count
                else { return actions }
                var actions = actions
                actions.swapAt(first, first + 1)
                return actions
            }
        },
        Mutant("opens a target before its secrets are set") {
            $0.exportSteps = { steps in
                steps.filter { if case .enable = $0 { true } else { false } }
                    + steps.filter { if case .setCHAP = $0 { false } else if case .enable = $0 { false } else { true } }
                    + steps.filter { if case .setCHAP = $0 { true } else { false } }
            }
        },
        Mutant("leaves backstores behind") {
            $0.exportSteps = { steps in
                steps.filter { if case .removeBackstore = $0 { false } else { true } }
            }
        },
        Mutant("does not mark access") {
            $0.exportSteps = { steps in
                steps.filter { if case .markACL = $0 { false } else { true } }
            }
        },
        Mutant("never takes access away") {
            $0.exportSteps = { steps in
                steps.filter { if case .removeACL = $0 { false } else { true } }
            }
        },
        Mutant("lets the next initiator in before the former one is out") {
            $0.exportSteps = { steps in
                steps.filter { if case .removeACL = $0 { false } else { true } }
                    + steps.filter { if case .removeACL = $0 { true } else { false } }
            }
        },
        Mutant("writes secrets as plain values") {
            $0.actions = { actions in
                actions.map { action in
                    if case .writeSecret(let path, _) = action {
                        return .writeAttribute(path, Simulation.canary, verify: false)
                    }
                    return action
                }
            }
        },
        Mutant("trashes without a deadline's name") {
            $0.actions = { actions in
                actions.filter {
                    if case .run(let command) = $0 { command.arguments.first != "lvrename" } else { true }
                }
            }
        },
    ]

    /// These bend what is remembered.
    static let remembering: [Mutant] = [
        Mutant("forgets the ledger") { $0.ledgerRead = { _ in Ledger() } },
        Mutant("keeps no ledger") { $0.keepsNoLedger = true },
        Mutant("forgets removals", shownBy: [.declare, .snapshot, .removeSnapshot, .remove]) {
            $0.ledgerRead = { ledger in
                var ledger = ledger
                ledger.removals = []
                return ledger
            }
        },
        Mutant("does not mind a clock that runs backwards") {
            $0.ledgerRead = { ledger in
                var ledger = ledger
                ledger.lastPass = nil
                return ledger
            }
        },
    ]
}
