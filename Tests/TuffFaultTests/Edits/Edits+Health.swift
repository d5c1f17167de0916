import TuffTestSupport

/// Faults of pools that come without anybody's will, and their repair by people.
extension Simulation {
    var isUnwell: Bool {
        let world = machine.world
        return world.lvm["vg0"]?.missingDevices != 0 || world.lvm["vg0", "tp0"]?.needsCheck == true
            || world.lvm["vg0", "tp0"]?.dataPercent ?? 0 > 0
    }

    mutating func heal() {
        meddle { world in
            world.lvm["vg0"]?.missingDevices = 0
            world.lvm["vg0", "tp0"]?.needsCheck = false
            world.lvm["vg0", "tp0"]?.dataPercent = 0
        }
    }

    mutating func fall(_ edit: Edit) -> Bool {
        guard !isUnwell else { return false }
        meddle { world in
            switch edit {
            case .askForCheck: world.lvm["vg0", "tp0"]?.needsCheck = true
            case .loseDevice: world.lvm["vg0"]?.missingDevices = 1
            case .fillPool: world.lvm["vg0", "tp0"]?.dataPercent = 100
            default: world.lvm["vg0", "tp0"]?.dataPercent = 95
            }
        }
        return true
    }
}
