import TuffHost
package import TuffModel

/// A repository of backups: no bytes, but a number for what each restore point holds.
package struct FakeRepository: Equatable, Sendable {
    package var id: String
    /// Oldest first.
    package var points: [ObservedPoint] = []
    package var damaged = 0
    /// Stands for the content of each point, by its id.
    package var stamps: [String: UInt64] = [:]
    /// Number of points that were ever made.
    package var made: Int64 = 0
    /// Why it cannot be read.
    package var fault: HostError?

    package init(id: String) { self.id = id }
}

extension FakeWorld {
    func observed(_ access: RepositoryAccess) throws(HostError) -> ObservedRepository? {
        guard let found = repositories[access.site.description] else { return nil }
        if let fault = found.fault { throw fault }
        return ObservedRepository(id: found.id, points: found.points, damaged: found.damaged)
    }

    mutating func make(_ access: RepositoryAccess) throws(HostError) {
        guard repositories[access.site.description] == nil else {
            throw HostError(.refused, "there is a repository at \(access.site) already")
        }
        madeRepositories += 1
        repositories[access.site.description] = FakeRepository(id: "\(madeRepositories)")
    }

    /// Does as `RestoreIntoVolume`: refused before anything is written, or all of it.
    mutating func restore(_ content: BackupContent, to place: BytesPlace) throws(HostError) {
        guard let repository = repositories[content.access.site.description], repository.fault == nil,
            let point = repository.points.first(where: { $0.id == content.point }),
            let stamp = repository.stamps[point.id]
        else { throw HostError(.notFound, "there is no restore point \(content.point)") }
        try fill(place, with: FakeImage(format: .raw, size: point.content, stamp: stamp), size: point.size)
    }

    /// Does as `BackupOfVolume`.
    mutating func backUp(_ place: BytesPlace, _ task: BackupTask) throws(HostError) {
        let found = try read(place)
        guard var repository = repositories[task.access.site.description], repository.fault == nil else {
            throw HostError(.notFound, "there is no repository at \(task.access.site)")
        }
        repository.made += 1
        let id = "\(task.uid)\(repository.made)"
        repository.points.append(
            ObservedPoint(
                id: id, volume: task.volume, stack: task.stack, node: task.node, uid: task.uid,
                time: task.time ?? Instant(secondsSince1970: repository.made), size: found.size, content: found.content,
                policy: task.policy,
                backup: task.backup))
        repository.stamps[id] = found.stamp
        repositories[task.access.site.description] = repository
    }

    /// What a place holds: of an image or a restore point what stands for that, and otherwise its own.
    private func read(
        _ place: BytesPlace
    ) throws(HostError) -> (size: ByteCount, content: ByteCount, stamp: UInt64) {
        switch place {
        case .device(let device):
            guard let uuid = device.uuid, deviceUUID("/dev/\(device.group)/\(device.name)") == uuid,
                let volume = lvm[device.group, device.name], !isOpen(device.group, volume), !volume.suspended
            else { throw HostError(.preconditionFailed, "\(place) is not to be read") }
            return (volume.size, volume.mapped, volume.image ?? volume.content)
        case .file(let path):
            guard case .directory(let directory) = path.root, let file = files[directory, path.relative],
                !file.isForeign
            else { throw HostError(.preconditionFailed, "\(path) is not to be read") }
            return (file.size, file.allocated, file.image ?? file.content)
        }
    }
}
