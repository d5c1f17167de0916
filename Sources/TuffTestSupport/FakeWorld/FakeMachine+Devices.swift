import TuffHost
import TuffModel

/// Devices of volumes, as a machine knows them that had LVM asked.
extension FakeMachine {
    /// A condition that held tells the device of its volume.
    static func noteDevice(of action: HostAction, in state: inout State) {
        switch action {
        case .require(.logicalVolume(let group, let name, _, let uid, _)),
            .require(.unfinished(let group, let name, let uid, _)):
            guard let found = state.world.lvm[group], let volume = found.volumes[name] else { return }
            state.identified[uid] = DeviceMapper.uuid(group: found.uuid, volume: volume.uuid)
        default: return
        }
    }

    static func identify(_ group: String, uids: [UID], in state: inout State) throws(HostError) {
        if state.world.lvm[group]?.isLocked == true {
            state.clock.secondsSince1970 += 60
            throw timeout("identify \(group)")
        }
        for uid in uids {
            guard let device = state.world.device(of: uid, in: group) else {
                throw HostError(.failed, "no volume of \(group) carries uid \(uid)")
            }
            state.identified[uid] = device
        }
    }

    /// Its command, also where the machine adds to it before it runs.
    static func command(of action: HostAction) -> Command? {
        switch action {
        case .completeBase(let command, _, _), .joinExtents(let command, _, _, _, _): command
        default: action.command
        }
    }

    static func completed(_ action: HostAction, _ state: State) -> HostAction {
        switch action {
        case .require(.device(let group, let name, let uid, nil)):
            return .require(.device(group: group, name: name, uid: uid, uuid: state.identified[uid]))
        case .wipe(var device, let method) where device.uuid == nil:
            device.uuid = state.identified[device.uid]
            return .wipe(device, method)
        case .copyBytes(let source, let target):
            return .copyBytes(
                from: source.identified { state.identified[$0] }, to: target.identified { state.identified[$0] })
        case .enableBackstore(let path, let place):
            return .enableBackstore(path, opening: place.identified { state.identified[$0] })
        case .copyImage(let image, let target):
            return .copyImage(image, to: target.identified { state.identified[$0] })
        case .restore(let content, let target):
            return .restore(content, to: target.identified { state.identified[$0] })
        case .drill(let task, let target): return .drill(task, on: target.identified { state.identified[$0] })
        case .backUp(let source, let task):
            return .backUp(from: source.identified { state.identified[$0] }, task)
        default: return action
        }
    }
}
