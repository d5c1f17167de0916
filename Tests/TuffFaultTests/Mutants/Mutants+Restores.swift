import TuffHost
import TuffModel
import TuffPlanning

extension Mutant {
    /// These bend what keeps a restore from happening twice, or to a volume in use.
    static let restoring: [Mutant] = [
        Mutant(
            "forgets which restores were carried out",
            shownBy: [.declare, .snapshot, .write, .restore, .write, .attach]
        ) { mutant in
            mutant.tags = { tags in tags.filter { !$0.hasPrefix("tuff:done") } }
        },
        Mutant("leaves no record of a restore", shownBy: [.declare, .snapshot, .write, .restore]) {
            $0.actions = { actions in actions.map(withoutRecord) }
        },
        Mutant("keeps nothing of what it rolls back", shownBy: [.declare, .snapshot, .write, .restore]) {
            $0.volumeSteps = { steps in
                steps.compactMap { step in
                    switch step {
                    case .volume(.copy(_, _, let marks)) where marks.safety != nil: nil
                    case .lvm(.begin(let volume, let operation, _)):
                        .lvm(.begin(volume, operation: operation, kept: nil))
                    default: step
                    }
                }
            }
        },
        Mutant(
            "shows what is half rolled back",
            shownBy: Story(.declare, .snapshot, .write, .restore, afterwards: [.attach])
        ) { mutant in
            mutant.tags = { tags in tags.filter { !$0.hasPrefix("tuff:op=restore") } }
        },
        Mutant(
            "does not see that a snapshot overflowed", shownBy: [.declareAttached, .snapshot, .overflow, .cloneAway],
            on: .thick
        ) { mutant in
            mutant.groups = { map in
                var map = map
                map.entries = map.entries.mapValues { entry in
                    entry.map { group in
                        var group = group
                        for index in group.logicalVolumes.indices where group.logicalVolumes[index].isOverflowed {
                            group.logicalVolumes[index].dataPercent = 50
                        }
                        return group
                    }
                }
                return map
            }
        },
        Mutant("calls a volume rolled back before it is") {
            $0.volumeSteps = { steps in steps.filter { if case .volume(.fill) = $0 { false } else { true } } }
        },
    ]

    private static func withoutRecord(_ action: HostAction) -> HostAction {
        guard case .run(var command) = action,
            let index = command.arguments.firstIndex(where: { $0.hasPrefix("tuff:done=") })
        else { return action }
        command.arguments.removeSubrange(index - 1...index)
        return .run(command)
    }
}
