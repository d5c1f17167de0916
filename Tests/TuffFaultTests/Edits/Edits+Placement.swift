import TuffModel
import TuffPlanning
import TuffTestSupport

/// Volumes that name no pool, and two small pools which promise three times what they have, so that room runs out.
extension Simulation {
    private static let shelves = ["left", "right"]
    private static let label = "shelf"

    static func addShelves(_ world: inout FakeWorld, _ desired: inout DesiredState) {
        for name in shelves {
            try? world.lvm.addThinPool(
                "tp-\(name)", in: "vg0", size: ByteCount(28 << 20), metadataSize: ByteCount(4 << 20))
            var spec = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp-\(name)")))
            spec.overprovision = 3
            desired.pools[name] = Sample.declared(name, spec, labels: [label: "yes"])
        }
    }

    mutating func editPlacement(_ edit: Edit, _ name: String) -> Bool {
        switch edit {
        case .place: return place(name)
        case .relabelShelf:
            let isOff = desired.pools["left"]?.metadata.labels == [:]
            desired.pools["left"]?.metadata.labels = isOff ? [Self.label: "yes"] : [:]
        default:
            let placed = machine.world.lvm["vg0"]?.volumes.keys.filter { $0.hasSuffix("-placed") }.sorted() ?? []
            guard !placed.isEmpty else { return false }
            meddle { world in
                for name in placed { world.lvm.write(to: name, in: "vg0") }
            }
        }
        return true
    }

    /// A volume that is a copy where there is something to copy; a second time it goes.
    private mutating func place(_ name: String) -> Bool {
        let placed = "\(name)-placed"
        guard desired.volumes.removeValue(forKey: placed) == nil else { return true }
        let selector = LabelSelector(matchLabels: [Self.label: "yes"])
        var spec = VolumeSpec(size: ByteCount(24 << 20), placement: .selector(selector))
        if desired.snapshots["\(name)-snap"] != nil {
            spec.source = .snapshot("\(name)-snap")
        } else if desired.volumes[name] != nil {
            spec.source = .volume(name)
        }
        if let source = desired.volumes[name]?.spec.size { spec.size = max(spec.size, source) }
        desired.volumes[placed] = Sample.declared(placed, spec)
        return true
    }

    /// Does as a person whose plan is refused since its changes do not fit together: leaves out the one it names.
    mutating func leaveOut(_ refusal: Refusal) -> Bool {
        let named = desired.volumes.keys.filter { refusal.sentence.contains("Volume/\($0) ") }
        for name in named { desired.volumes[name] = nil }
        return !named.isEmpty
    }
}
