import TuffModel
import TuffPlanning

extension Mutant {
    /// These bend the life of snapshots that copies of volumes in use are made from.
    static let temporaries: [Mutant] = [
        Mutant("leaves temporary snapshots") {
            $0.volumeSteps = { steps in steps.filter { if case .lvm(.dropTemporary) = $0 { false } else { true } } }
        },
        Mutant("does not know what temporary snapshots serve", shownBy: [.declareAttached, .clone], on: .thick) {
            mutant in
            mutant.tags = { tags in tags.filter { !$0.hasPrefix("tuff:temp") } }
        },
        Mutant("calls a copy of a volume in use complete before it is made") {
            $0.volumeSteps = { steps in
                steps.filter {
                    if case .volume(.fill(_, let source, _)) = $0 {
                        !source.location.objectName.hasPrefix("c-")
                    } else {
                        true
                    }
                }
            }
        },
    ]
}
