package import TuffHost
package import TuffModel
package import TuffPlanning

/// The acts on a backup base, each of which is a list of actions that may be cut off behind any.
extension LVMDriver {
    /// Takes the snapshot of a thin volume, with every mark but those of completion, in one write of the group's
    /// metadata. Read-only, so that a person who wants to write to it must say so, which `BaseVerdict` sees.
    package static func makeBase(_ base: BackupBase, of volume: VolumeRef) -> [HostAction] {
        let (group, origin) = place(volume.location)
        let tags = base.tags.flatMap { ["--addtag", $0] }
        return [
            still(volume),
            .run(
                change(
                    [
                        "lvcreate", "-qq", "--yes", "--snapshot", "--permission", "r", "--name", base.objectName,
                        "--activate", "n", "--setactivationskip", "y",
                    ] + tags + ["--", "\(group)/\(origin)"])),
        ]
    }

    /// Marks a base whose restore point is listed: one write of the group's metadata, for the volume of this uuid and
    /// uid.
    package static func completeBase(
        _ base: BackupBase, in group: String, uuid: String, with completion: BackupBase.Completion
    ) -> [HostAction] {
        let (added, removed) = base.completing(with: completion)
        let tags = added.flatMap { ["--addtag", $0] } + removed.flatMap { ["--deltag", $0] }
        return [
            .require(.unfinished(group: group, name: base.objectName, uid: base.uid, operation: BackupBase.operation)),
            .run(change(["lvchange", "-qq"] + tags + only(base, in: group, uuid))),
        ]
    }

    /// Gives a base a device, to be read for as long as a backup lasts, or takes it away again.
    package static func showBase(_ base: BackupBase, in group: String, uuid: String) -> [HostAction] {
        [
            .activate(
                change(["lvchange", "-qq", "--activate", "y", "-K"] + only(base, in: group, uuid)),
                volumes: ["\(group)/\(base.objectName)"])
        ]
    }

    package static func hideBase(_ base: BackupBase, in group: String, uuid: String) -> [HostAction] {
        [.run(change(["lvchange", "-qq", "--activate", "n"] + only(base, in: group, uuid)))]
    }

    /// Removes a base. LVM itself selects it by uuid and uid, and refuses while anybody has it open. What somebody made
    /// of it stays: snapshots of thin volumes need no origin.
    package static func dropBase(_ base: BackupBase, in group: String, uuid: String) -> [HostAction] {
        [
            .require(
                .logicalVolume(group: group, name: base.objectName, uuid: uuid, uid: base.uid, size: nil)),
            .run(change(["lvremove", "-qq", "--yes"] + only(base, in: group, uuid))),
        ]
    }

    private static func only(_ base: BackupBase, in group: String, _ uuid: String) -> [String] {
        [
            "-S", selection(uuid, ["tuff:uid=\(base.uid)", "tuff:base=\(base.volume)"]), "--",
            "\(group)/\(base.objectName)",
        ]
    }
}
