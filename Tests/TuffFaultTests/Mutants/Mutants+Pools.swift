import TuffHost
import TuffModel
import TuffPlanning

extension Mutant {
    /// These bend what keeps other people's disks from becoming pools.
    static let pools: [Mutant] = [
        Mutant("does not see that pools are ill") { mutant in
            mutant.groups = { map in
                var map = map
                map.entries = map.entries.mapValues { entry in
                    entry.map { group in
                        var group = group
                        group.missingDevices = 0
                        group.partial = false
                        for index in group.logicalVolumes.indices {
                            group.logicalVolumes[index].health = ""
                            group.logicalVolumes[index].needsCheck = false
                        }
                        return group
                    }
                }
                return map
            }
        },
        Mutant("does not look again whether a device is blank", shownBy: [.declarePool]) {
            $0.actions = { actions in
                actions.filter { if case .require(.blankDevice) = $0 { false } else { true } }
            }
        },
        Mutant("makes pools without consent") {
            $0.context = { context in
                var context = context
                context.consent.allowPoolCreate = true
                return context
            }
        },
    ]
}
