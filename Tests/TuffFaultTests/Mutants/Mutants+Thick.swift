import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning

extension Mutant {
    /// These bend what keeps earlier volumes' bytes from being shown.
    static let thick: [Mutant] = [
        Mutant("does not wipe") {
            $0.actions = { actions in actions.filter { if case .wipe = $0 { false } else { true } } }
        },
        Mutant("wipes what it does not look at again", shownBy: [.declare], on: .thick) {
            $0.actions = { actions in
                actions.map { action in
                    guard case .require(.unfinished(let group, _, let uid, _)) = action else { return action }
                    return LogicalVolumeNames.identification(of: [uid], in: group)
                }
            }
        },
        Mutant("calls a thick volume complete before it is wiped") {
            $0.volumeSteps = { steps in steps.filter { if case .lvm(.wipe) = $0 { false } else { true } } }
        },
        Mutant("joins extents as they are", shownBy: [.declare, .extend], on: .thick) {
            $0.volumeSteps = { steps in
                steps.compactMap { step in
                    switch step {
                    case .lvm(.takeExtents), .lvm(.wipeExtents): nil
                    case .lvm(.joinExtents(let volume, let from, let to)):
                        .volume(.extend(volume, from: from, to: to))
                    default: step
                    }
                }
            }
        },
        Mutant("makes thick volumes without the mark of unfinished work") {
            $0.volumeSteps = { steps in
                steps.map { step in
                    guard case .volume(.create(let backend, let location, let size, var marks)) = step else {
                        return step
                    }
                    marks.operation = nil
                    return .volume(.create(backend: backend, location: location, size: size, marks: marks))
                }
            }
        },
    ]
}
