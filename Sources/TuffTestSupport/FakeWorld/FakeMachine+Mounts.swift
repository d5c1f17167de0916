import Synchronization
import TuffHost
package import TuffModel

/// Mounts of directory pools on the machine of tests.
extension FakeMachine {
    package func mount(of share: NFSShare, at directory: String) async throws(HostError) -> ObservedMount {
        try state.withLock { (state) throws(HostError) in
            try Self.beginWholeRead(.directories, &state).files.observe(share, at: directory)
        }
    }

    package func expect(_ shares: [String: NFSShare]) { state.withLock { $0.shares = shares } }

    /// A directory that is read is on the share that belongs there.
    static func demandShare(at path: String, _ state: State, in world: FakeWorld) throws(HostError) {
        if let share = state.shares[path] { try world.files.demand(share, at: path) }
    }

    /// So are those that an action works in.
    static func demandShares(of action: HostAction, _ state: State) throws(HostError) {
        var roots: [HostPath.Root?] = []
        func note(_ place: BytesPlace) { if case .file(let path) = place { roots.append(path.root) } }
        switch action {
        case .copyBytes(let source, let target):
            note(source)
            note(target)
        case .copyImage(_, let target), .restore(_, let target), .enableBackstore(_, let target): note(target)
        case .backUp(let source, _): note(source)
        default: roots.append(action.root)
        }
        for case .directory(let path) in roots.compactMap({ $0 }) { try demandShare(at: path, state, in: state.world) }
    }

    // MARK: Work that is cut short

    /// Copying takes hours, and what ends it finds a part of it done: neither the former content nor the new one.
    static func leaveHalfDone(_ action: HostAction, _ state: inout State) {
        switch action {
        case .copyBytes(_, .device(let device)): leaveHalfDone(action, at: device, in: &state)
        case .copyBytes(_, .file(let path)), .cloneFile(_, let path):
            guard (try? state.world.perform(completed(action, state))) != nil else { return }
            state.world.files.leaveHalfDone(path)
        default: break
        }
    }

    private static func leaveHalfDone(_ action: HostAction, at target: DevicePlace, in state: inout State) {
        let showsEarlierData = state.world.lvm[target.group, target.name]?.showsEarlierData
        guard (try? state.world.perform(completed(action, state))) != nil else { return }
        state.world.lvm.spoil(target.name, in: target.group)
        state.world.lvm[target.group, target.name]?.showsEarlierData = showsEarlierData ?? false
    }
}
