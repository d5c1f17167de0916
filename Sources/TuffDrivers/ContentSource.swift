import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// The source of a volume's bytes, in either kind of pool.
struct ContentSource {
    /// Conditions that must hold of it right before it is read.
    let conditions: [HostAction]
    let place: BytesPlace

    init(_ source: VolumeRef) {
        switch source.location {
        case .logicalVolume(let group, let name):
            conditions = [
                .require(.logicalVolume(group: group, name: name, uuid: source.uuid, uid: source.uid, size: nil))
            ]
            place = .device(DevicePlace(group: group, name: name, uid: source.uid, uuid: nil))
        case .file(let directory, let name):
            let file = HostPath(.directory(directory), name)
            conditions = Self.conditions(of: file, source.uid)
            place = .file(file)
        }
    }

    var reading: ContentReading { ContentReading(conditions: conditions, place: place) }

    /// That a file is there with the sidecar of this uid, which names it.
    static func conditions(of file: HostPath, _ uid: UID) -> [HostAction] {
        let sidecar = HostPath(file.root, Sidecar.path(of: uid))
        return [
            .require(.file(sidecar, size: nil)),
            .require(.text(sidecar, containing: [Sidecar.beginning(of: file.relative), "\"tuff:uid=\(uid)\""])),
            .require(.file(file, size: nil)),
        ]
    }
}
