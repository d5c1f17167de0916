/// A snapshot that is taken of a volume in use, for as long as another volume is filled from it or it is backed up: a
/// copy-on-write one of a thick volume, or a thin one.
package struct TemporarySnapshot: Hashable, Codable, Sendable {
    package var group: String
    package var name: String
    package var uid: UID
    /// LVM's own; nil: made in the same plan.
    package var uuid: String?
    /// LVM's name of the volume it was taken of.
    package var origin: String
    /// LVM's uuid of that, which no renaming changes; nil: made in the same plan.
    package var originUUID: String?
    /// Our uid of that.
    package var originUID: UID
    /// The volume that is filled from it, or the one that is backed up.
    package var purpose: UID

    package init(
        group: String, name: String, uid: UID, uuid: String?, origin: String, originUUID: String?, originUID: UID,
        purpose: UID
    ) {
        self.group = group
        self.name = name
        self.uid = uid
        self.uuid = uuid
        self.origin = origin
        self.originUUID = originUUID
        self.originUID = originUID
        self.purpose = purpose
    }

    package var location: VolumeLocation { .logicalVolume(group: group, name: name) }
    /// The tags that distinguish it from all other volumes.
    package var tags: [String] { ["tuff:uid=\(uid)", "tuff:temp=\(purpose)", "tuff:from=\(originUID)"] }
}
