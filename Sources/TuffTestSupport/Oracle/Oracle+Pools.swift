import TuffModel

/// Devices and volume groups: nothing that held anything is written to, and nothing is made that nobody asked for.
extension Oracle {
    func devices(before: OracleView, after: OracleView, intent: Intent) -> [Violation] {
        var found: [Violation] = []
        let offered = intent.newGroups.values.reduce(into: Set<String>()) { $0.formUnion($1) }
        for (path, old) in before.world.lvm.devices.sorted(by: { $0.key < $1.key }) {
            guard let new = after.world.lvm.devices[path] else {
                found.append(Violation(.bytes, "device \(path) is gone"))
                continue
            }
            if new.content != old.content, !old.isBlank, !Self.isBegun(old) {
                found.append(Violation(.bytes, "device \(path) held something and was written to"))
            }
            if new.content != old.content || new.group != old.group, !offered.contains(path) {
                found.append(Violation(.foreign, "device \(path) was taken and nobody offered it"))
            }
        }
        let earlier = Set(before.world.lvm.groups.map(\.uuid))
        for group in after.world.lvm.groups where !earlier.contains(group.uuid) {
            if intent.newGroups[group.name] == nil {
                found.append(Violation(.foreign, "volume group \(group.name) was made without consent"))
            }
            if before.world.lvm[group.name] != nil {
                found.append(Violation(.identity, "volume group \(group.name) was made a second time"))
            }
        }
        for group in after.world.lvm.groups {
            let pools = group.volumes.values.filter { if case .thinPool = $0.kind { true } else { false } }
            let known = Set(before.world.lvm[group.name]?.volumes.values.map(\.uuid) ?? [])
            for pool in pools where !known.contains(pool.uuid) && intent.newGroups[group.name] == nil {
                found.append(Violation(.foreign, "thin pool \(group.name)/\(pool.name) was made without consent"))
            }
        }
        return found
    }

    /// A physical volume that the product made and that is in no group yet holds nothing.
    private static func isBegun(_ device: FakeLVM.Device) -> Bool {
        device.group == nil && device.signatures.count == 1 && device.signatures[0].uuid?.hasPrefix("tuff") == true
    }
}
