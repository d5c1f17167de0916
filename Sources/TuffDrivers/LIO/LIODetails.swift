package import TuffHost
package import TuffModel

/// Looks behind backstores that Tuff did not make.
extension LIODriver {
    /// Of block devices and files only: other plugins hand out no logical volume.
    package static let detailQueries = ["core/iblock_*/*", "core/fileio_*/*"].flatMap { object in
        [TreeQuery(object, .presence)]
            + ["info", "udev_path", "wwn/vpd_unit_serial"].map { TreeQuery("\(object)/\($0)", .text) }
    }

    package func detailed(_ inventory: TargetInventory, on machine: any Machine) async -> TargetInventory {
        // Fingerprints under it are compared with none.
        let key = FingerprintKey(bytes: [])
        let groups = inventory.targets.flatMap { target in target.extraPortalGroups.map { (target.iqn, $0) } }
            .filter { !$0.hasSuffix("*") && !$1.hasSuffix("*") }
        let queries = Self.detailQueries + groups.flatMap { Self.targetQueries($0, group: $1) }
        guard
            let entries = try? await machine.readTree(.targetConfiguration, queries, key: key)
        else { return inventory }
        var detailed = inventory
        let tree = LIOTree(entries)
        for index in detailed.targets.indices {
            let found = detailed.targets[index]
            for name in found.extraPortalGroups {
                var group = ObservedTarget(iqn: found.iqn)
                guard tree.fault(of: "iscsi/\(found.iqn)/\(name)") == nil,
                    (try? LIODecoder.read("iscsi/\(found.iqn)/\(name)", into: &group, tree)) != nil
                else { continue }
                detailed.targets[index].otherGroups = (detailed.targets[index].otherGroups ?? [:]).merging([name: group]
                ) {
                    $1
                }
            }
        }
        for (index, backstore) in inventory.backstores.enumerated() where UID(backstoreName: backstore.name) == nil {
            let object = "core/\(backstore.place)/\(backstore.name)"
            if let found = LIODecoder.details(of: backstore, object, tree) { detailed.backstores[index] = found }
        }
        return detailed
    }
}

extension LIODecoder {
    /// Nil where it cannot be told; nobody relies on other people's backstores reading as ours do.
    fileprivate static func details(
        of backstore: ObservedBackstore, _ object: String, _ tree: LIOTree
    ) -> ObservedBackstore? {
        guard tree.fault(of: object) == nil, let text = try? tree.text("\(object)/info"),
            let info = try? deviceInfo(text, "\(object)/info")
        else { return nil }
        var found = backstore
        found.device = info.device
        found.size = info.size
        found.path = info.path
        if let path = try? tree.text("\(object)/udev_path"), found.path == nil, !path.isEmpty { found.path = path }
        let label = "T10 VPD Unit Serial Number: "
        if let serial = try? tree.text("\(object)/wwn/vpd_unit_serial"), serial.hasPrefix(label) {
            let words = serial.dropFirst(label.count).split(separator: " ", omittingEmptySubsequences: true)
            found.identity = DiskIdentity(serial: words.joined(separator: " "), vendor: "", product: "")
        }
        return found
    }
}
