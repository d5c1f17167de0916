import TuffModel
import TuffPlanning

extension Mutant {
    /// These bend what keeps two initiators from writing to one disk.
    static let sharing: [Mutant] = [
        Mutant("lets everybody in", shownBy: [.declare, .attach, .replaceInitiator, .login, .detach, .addSharer]) {
            mutant in
            mutant.documents = { desired in
                var desired = desired
                for name in desired.volumes.keys { desired.volumes[name]?.spec.sharing = .writers }
                return desired
            }
        },
        Mutant("lets readers write") {
            $0.exportSteps = { steps in
                steps.map { step in
                    switch step {
                    case .mapLUN(let target, let initiator, let number, let lun, _):
                        .mapLUN(target, initiator: initiator, number: number, lun: lun, readOnly: false)
                    case .setReadOnly(let target, let initiator, let number, _):
                        .setReadOnly(target, initiator: initiator, number: number, readOnly: false)
                    default: step
                    }
                }
            }
        },
        Mutant("lets the next one write before the former one only reads") {
            $0.exportSteps = { steps in
                steps.filter { if case .setReadOnly(_, _, _, true) = $0 { false } else { true } }
            }
        },
    ]

    /// These bend what keeps volumes where they belong.
    static let placing: [Mutant] = [
        Mutant("takes every pool for one that was selected") { mutant in
            mutant.documents = { desired in
                var desired = desired
                var labels: [String: String] = [:]
                for pool in desired.pools.values { labels.merge(pool.metadata.labels) { first, _ in first } }
                for name in desired.pools.keys { desired.pools[name]?.metadata.labels = labels }
                return desired
            }
        },
        Mutant("makes placed volumes in another pool than it said") {
            $0.volumeSteps = { steps in
                steps.map { step in
                    guard case .volume(.create(.thinPool(let group, _), let location, let size, let marks)) = step,
                        marks.name.hasSuffix("-placed")
                    else { return step }
                    return .volume(
                        .create(
                            backend: .thinPool(group: group, pool: "tp0"), location: location, size: size, marks: marks)
                    )
                }
            }
        },
    ]

    /// These bend what keeps adopted volumes the disks that they were.
    static let adopting: [Mutant] = [
        Mutant("adopts under a serial of its own") {
            $0.volumeSteps = { steps in
                steps.map { step in
                    guard case .lvm(.adopt(let location, let uuid, var marks)) = step else { return step }
                    marks.serial = nil
                    return .lvm(.adopt(location: location, uuid: uuid, marks: marks))
                }
            }
        },
        Mutant("forgets that a volume was adopted") { $0.tags = { tags in tags.filter { $0 != "tuff:adopted" } } },
        Mutant("hands an adopted volume out beside its former target", shownBy: [.orderAdoptServed]) { mutant in
            mutant.groups = onVolumes { $0.open = false }
            mutant.targets = { found in
                found.map { inventory in
                    var inventory = inventory
                    inventory.targets.removeAll { !$0.luns.allSatisfy { $0.backstore?.hasPrefix("tuff-") ?? false } }
                    return inventory
                }
            }
        },
    ]
}
