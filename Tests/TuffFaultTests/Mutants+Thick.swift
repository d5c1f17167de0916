import TuffHost
import TuffModel
import TuffPlanning

extension Mutant {
    /// What keeps earlier volumes' bytes from being shown is bent.
    static let thick: [Mutant] = [
        Mutant("does not wipe") {
            $0.actions = { actions in actions.filter { if case .wipe = $0 { false } else { true } } }
        },
        Mutant("wipes what it does not look at again") {
            $0.actions = { actions in
                actions.filter { if case .require(.unfinished) = $0 { false } else { true } }
            }
        },
        Mutant("calls a thick volume complete before it is wiped") {
            $0.volumeSteps = { steps in steps.filter { if case .wipe = $0 { false } else { true } } }
        },
        Mutant("joins extents as they are") {
            $0.volumeSteps = { steps in
                steps.compactMap { step in
                    switch step {
                    case .takeExtents, .wipeExtents: nil
                    case .joinExtents(let location, let uid, let uuid, let from, let to):
                        .extend(location: location, uid: uid, uuid: uuid, from: from, to: to)
                    default: step
                    }
                }
            }
        },
        Mutant("makes thick volumes without the mark of unfinished work") {
            $0.volumeSteps = { steps in
                steps.map { step in
                    guard case .create(let backend, let location, let size, var marks) = step else { return step }
                    marks.operation = nil
                    return .create(backend: backend, location: location, size: size, marks: marks)
                }
            }
        },
    ]
}
