import TuffHost
import TuffModel
import TuffTestSupport

/// Room that runs out, and what a pass makes of it.
extension Simulation {
    private static let crowd = "crowd"

    /// Somebody makes a volume that leaves next to no extents in the group of the thick pool, or takes it away again.
    mutating func crowdGroup() -> Bool {
        meddle { world in
            guard world.lvm["vg0", Self.crowd] == nil else {
                try? world.lvm.remove(Self.crowd, in: "vg0")
                return
            }
            let rest = ByteCount(28 << 20)
            guard let free = world.lvm["vg0"]?.free, free > rest else { return }
            try? world.lvm.create(Self.crowd, in: "vg0", size: free - rest, tags: ["somebody"])
        }
        return true
    }

    /// The changes that failed for lack of room since the log had `logged` entries. Nothing where others were at work,
    /// or where what was looked at was not what is there.
    func shortages(since logged: Int, _ faults: FaultPlan, _ door: Door) -> [Oracle.Shortage] {
        guard door.interruptions.isEmpty, !faults.reads.values.contains(.stale) else { return [] }
        return machine.log.dropFirst(logged).compactMap { entry in
            guard let error = entry.error, error.isLackOfRoom else { return nil }
            let place = entry.action.filled
            return Oracle.Shortage(
                home: place?.home ?? "the host", name: place?.name, sentence: "\(entry.action): \(error)")
        }
    }
}

extension HostAction {
    /// The place that a copy writes to.
    fileprivate var filled: (home: String, name: String)? {
        switch self {
        case .copyBytes(_, let place), .copyImage(_, let place), .restore(_, let place):
            switch place {
            case .device(let device): return (device.group, device.name)
            case .file(let path):
                guard case .directory(let directory) = path.root else { return nil }
                return (directory, path.relative)
            }
        default: return nil
        }
    }
}
