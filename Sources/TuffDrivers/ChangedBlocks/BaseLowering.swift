package import TuffHost
package import TuffModel
package import TuffPlanning

/// The acts on a backup base, each of which is a list of actions that may be cut off behind any.
extension LVMDriver {
    /// Takes the snapshot of a thin volume, with every mark but those of completion, in one write of the group's
    /// metadata, and activates it. Read-only, so that a person who wants to write to it must say so, which
    /// `BaseVerdict` sees.
    package static func makeBase(_ base: BackupBase, of volume: VolumeRef) -> [HostAction] {
        let (group, origin) = place(volume.location)
        let tags = base.tags.flatMap { ["--addtag", $0] }
        let creation = change(
            [
                "lvcreate", "-qq", "--yes", "--snapshot", "--permission", "r", "--name", base.objectName,
                "--activate", "y", "--setactivationskip", "y", "-K",
            ] + tags + ["--", "\(group)/\(origin)"])
        return [still(volume), .activate(creation, volumes: ["\(group)/\(base.objectName)"])]
    }

    /// Marks a base whose restore point is listed: one write of the group's metadata, for the unfinished volume of this
    /// uuid and uid. LVM selects it itself, ends well where it selects nothing, and the base of the last time would go
    /// then; so the condition comes first. The machine adds the tags that name the point, which it alone knows.
    package func complete(_ base: BackupBase, at location: VolumeLocation, identity: ThinIdentity) -> [HostAction] {
        let place = "\(location.home)/\(base.objectName)"
        return [
            .require(
                .unfinished(
                    group: location.home, name: base.objectName, uid: base.uid, operation: BackupBase.operation)),
            .completeBase(
                Self.change(["lvchange", "-qq"] + Self.only(base, at: place, identity.uuid, isUnfinished: true)), base,
                identity),
        ]
    }

    /// Removes a base. LVM itself selects it by uuid and uid, and refuses while anybody has it open: what is not that
    /// base stays, and so do thin snapshots that somebody made of it, which need no origin.
    static func dropBase(_ base: BackupBase, _ volume: VolumeRef) -> [HostAction] {
        let (group, name) = place(volume.location)
        return [.run(change(["lvremove", "-qq", "--yes"] + only(base, at: "\(group)/\(name)", volume.uuid)))]
    }

    /// - Parameter uuid: nil for one that the same plan made, whose uid nobody else has.
    private static func only(
        _ base: BackupBase, at place: String, _ uuid: String?, isUnfinished: Bool = false
    ) -> [String] {
        let marks =
            ["tuff:uid=\(base.uid)", "tuff:base=\(base.volume)"]
            + (isUnfinished ? ["tuff:op=\(BackupBase.operation)"] : [])
        let tags = "lv_tags={" + marks.map { "\"\($0)\"" }.joined(separator: " && ") + "}"
        return ["-S", (uuid.map { "lv_uuid=\"\($0)\" && " } ?? "") + tags, "--", place]
    }
}
