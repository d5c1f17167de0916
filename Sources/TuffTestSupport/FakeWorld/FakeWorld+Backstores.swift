import TuffHost
import TuffModel

/// Does as `BackstoreOpening`: the volume must be free before the kernel opens a path, and held after.
extension FakeWorld {
    mutating func enable(_ backstore: HostPath, opening place: BytesPlace) throws(HostError) {
        let action = HostAction.enableBackstore(backstore, opening: place)
        guard try isThere(place), !isHeld(place) else { throw Self.unmet(action) }
        let world = self
        func perform(_ action: HostAction) throws(HostError) {
            try targets.perform(
                action, secret: { (reference) throws(HostError) in try world.secret(reference) },
                device: { world.deviceSize($0) == nil ? nil : world.minor($0) })
        }
        try perform(.writeAttribute(HostPath(backstore.root, backstore.relative + "/enable"), "1", verify: true))
        guard !isHeld(place) else { return }
        try perform(.removeDirectory(backstore))
        throw Self.unmet(action)
    }

    private func isThere(_ place: BytesPlace) throws(HostError) -> Bool {
        switch place {
        case .device(let device):
            return device.uuid != nil && deviceUUID("/dev/\(device.group)/\(device.name)") == device.uuid
        case .file(let path):
            guard case .file(let file)? = try files.entry(path) else { return false }
            return !file.isForeign
        }
    }

    /// True if a target stack has it open.
    private func isHeld(_ place: BytesPlace) -> Bool {
        switch place {
        case .device(let device):
            let path = "/dev/\(device.group)/\(device.name)"
            // What is no logical volume has no number here.
            return otherDeviceUUIDs[path] == nil
                ? exportedMinors().contains(minor(path)) : targets.openPaths.contains(path)
        case .file(let path): return isOpen(path)
        }
    }
}
