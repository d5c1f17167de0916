import TuffHost
import TuffModel

/// What a volume gets its bytes from, of either kind of pool.
struct ContentSource {
    /// What must hold of it right before it is read.
    let conditions: [HostAction]
    let place: BytesPlace

    init(_ location: VolumeLocation, uid: UID, uuid: String?) {
        switch location {
        case .logicalVolume(let group, let name):
            conditions = [
                .identify(group: group, [uid]),
                .require(.logicalVolume(group: group, name: name, uuid: uuid, uid: uid, size: nil)),
            ]
            place = .device(DevicePlace(group: group, name: name, uid: uid, uuid: nil))
        case .file(let directory, let name):
            let root = HostPath.Root.directory(directory)
            let file = HostPath(root, name), sidecar = HostPath(root, Sidecar.path(of: uid))
            conditions = [
                .require(.file(sidecar, size: nil)),
                .require(.text(sidecar, containing: [Sidecar.beginning(of: name), "\"tuff:uid=\(uid)\""])),
                .require(.file(file, size: nil)),
            ]
            place = .file(file)
        }
    }
}
