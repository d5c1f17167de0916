import TuffModel
import TuffPlanning

extension Mutant {
    /// These bend what keeps plans from running out of room.
    static let room: [Mutant] = [
        Mutant("does not prove that its changes fit together") {
            $0.plan = { plan, _ in
                var plan = plan
                if plan.refusal?.reason == .insufficientCapacity { plan.refusal = nil }
                return plan
            }
        },
        Mutant("does not count what initiators filled") { mutant in
            mutant.groups = onVolumes { volume in
                if volume.layout == .thinPool, volume.dataPercent != nil { volume.dataPercent = 0 }
                if volume.layout == .thinPool, volume.health == "out_of_data" { volume.health = "" }
            }
        },
        Mutant("counts extents that are not there", shownBy: [.declareAttached, .crowd, .extend, .clone], on: .thick) {
            mutant in
            mutant.groups = { map in
                var map = map
                map.entries = map.entries.mapValues { entry in
                    entry.map { group in
                        var group = group
                        group.free += ByteCount(1 << 30)
                        return group
                    }
                }
                return map
            }
        },
        Mutant(
            "takes copies for empty", shownBy: Story(.declareAttached, .write, .detach, .place, of: ["a", "b", "c"])
        ) {
            mutant in
            mutant.groups = onVolumes { volume in
                if volume.layout == .thin, volume.dataPercent != nil { volume.dataPercent = 0 }
            }
        },
    ]

    static func onVolumes(
        _ change: @escaping @Sendable (inout LogicalVolume) -> Void
    ) -> @Sendable (ObservationMap<VolumeGroup>) -> ObservationMap<VolumeGroup> {
        { map in
            var map = map
            map.entries = map.entries.mapValues { entry in
                entry.map { group in
                    var group = group
                    for index in group.logicalVolumes.indices { change(&group.logicalVolumes[index]) }
                    return group
                }
            }
            return map
        }
    }
}
