import TuffModel

extension FakeWorld {
    /// The question that `Precondition.temporarySnapshot` asks LVM.
    func isTemporary(_ snapshot: TemporarySnapshot) -> Bool {
        guard let volume = lvm[snapshot.group, snapshot.name], snapshot.uuid == nil || volume.uuid == snapshot.uuid,
            snapshot.tags.allSatisfy(volume.tags.contains), let origin = volume.kind.origin,
            snapshot.originUUID.map({ lvm[snapshot.group, origin]?.uuid == $0 }) ?? (origin == snapshot.origin)
        else { return false }
        return !volume.active || !isOpen(snapshot.group, volume)
    }

    /// The question that `Precondition.scratchVolume` asks LVM.
    func isScratch(group: String, name: String, uuid: String?, tags: [String]) -> Bool {
        guard let volume = lvm[group, name], uuid == nil || volume.uuid == uuid,
            volume.tags.filter({ $0.hasPrefix("tuff:") }).sorted() == tags.sorted(),
            lvm.snapshots(of: name, in: group).isEmpty
        else { return false }
        return !volume.active || !isOpen(group, volume)
    }

    /// The question that `Precondition.wholeSnapshot` asks LVM.
    func isWhole(group: String, name: String, uuid: String?, uid: UID) -> Bool {
        guard let volume = lvm[group, name], uuid == nil || volume.uuid == uuid,
            volume.tags.contains("tuff:uid=\(uid)"), case .copyOnWrite = volume.kind
        else { return false }
        return volume.active && volume.dataPercent < 100
    }
}

extension FakeLVM {
    /// More is written to origins than any snapshot that serves a copy has room for.
    /// - Returns: false where there is none, or none whose device is there.
    package mutating func overflowTemporaries(in group: String) -> Bool {
        let names =
            self[group]?.volumes.values.filter { volume in
                guard case .copyOnWrite = volume.kind else { return false }
                return volume.active && volume.tags.contains { $0.hasPrefix("tuff:temp=") }
            }.map(\.name).sorted() ?? []
        for name in names { overflow(name, in: group) }
        return !names.isEmpty
    }
}

extension FakeLVM.Volume.Kind {
    /// The volume that it is a snapshot of.
    fileprivate var origin: String? {
        switch self {
        case .copyOnWrite(let origin): origin
        case .thin(_, let origin): origin
        case .thinPool, .linear: nil
        }
    }
}
