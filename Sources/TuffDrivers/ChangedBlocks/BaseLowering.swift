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
    /// uid. The machine adds the tags that name the point, which it alone knows.
    package func complete(_ base: BackupBase, at location: VolumeLocation, identity: ThinIdentity) -> [HostAction] {
        let group = location.home
        return [
            .require(.unfinished(group: group, name: base.objectName, uid: base.uid, operation: BackupBase.operation)),
            .completeBase(
                Self.change(
                    ["lvchange", "-qq"] + Self.only(base, at: "\(group)/\(base.objectName)", identity.uuid)),
                base, identity),
        ]
    }

    /// Removes a base. LVM itself selects it by uuid and uid, and refuses while anybody has it open. What somebody made
    /// of it stays: snapshots of thin volumes need no origin.
    static func dropBase(_ base: BackupBase, _ volume: VolumeRef) -> [HostAction] {
        let (group, name) = place(volume.location)
        return [
            .require(.logicalVolume(group: group, name: name, uuid: volume.uuid, uid: base.uid, size: nil)),
            .run(change(["lvremove", "-qq", "--yes"] + only(base, at: "\(group)/\(name)", volume.uuid))),
        ]
    }

    /// - Parameter uuid: nil for one that the same plan made, whose uid nobody else has.
    private static func only(_ base: BackupBase, at place: String, _ uuid: String?) -> [String] {
        let tags = "lv_tags={\"tuff:uid=\(base.uid)\" && \"tuff:base=\(base.volume)\"}"
        return ["-S", (uuid.map { "lv_uuid=\"\($0)\" && " } ?? "") + tags, "--", place]
    }
}
