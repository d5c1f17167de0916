package import TuffModel

/// An object that is there, or that the same plan makes before: where it is, whose marks it bears, and LVM's own word
/// for it. Steps name their objects by this, and what it says is read again immediately before they are carried out.
package struct VolumeRef: Hashable, Codable, Sendable, CustomStringConvertible {
    package var location: VolumeLocation
    package var uid: UID
    /// LVM's uuid; nil for files, and for what the same plan makes.
    package var uuid: String?

    package init(_ location: VolumeLocation, uid: UID, uuid: String? = nil) {
        self.location = location
        self.uid = uid
        self.uuid = uuid
    }

    package var description: String { location.description }
}

extension StoredVolume {
    package var ref: VolumeRef { VolumeRef(location, uid: uid, uuid: uuid) }

    /// Makes it as it is here, blank.
    func creation(_ size: ByteCount) -> StorageStep {
        .volume(.create(backend: backend, location: location, size: size, marks: marks))
    }

    /// Makes its device appear, where it has one that does not appear by itself.
    var activation: [StorageStep] { location.traits.activates ? [.lvm(.activate(ref))] : [] }
}
