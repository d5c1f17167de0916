import TuffHost
package import TuffModel

/// A repository of backups: no bytes, but a number for what each restore point holds.
package struct FakeRepository: Equatable, Sendable {
    package var id: String
    /// Oldest first.
    package var points: [ObservedPoint] = []
    package var damaged = 0
    package var receipts: [ObservedReceipt] = []
    /// Stands for the content of each point, by its id.
    package var stamps: [String: UInt64] = [:]
    /// Points of which a restore writes other bytes than were backed up, without an error.
    package var rotten: Set<String> = []
    /// Drills compare what they restored.
    package var isCompared = true
    /// Backups hash a sample of what is said not to have changed.
    package var isSampled = true
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
        return ObservedRepository(
            id: found.id, points: found.points, damaged: found.damaged, receipts: found.receipts)
    }

    mutating func make(_ access: RepositoryAccess) throws(HostError) {
        guard repositories[access.site.description] == nil else {
            throw HostError(.refused, "there is a repository at \(access.site) already")
        }
        madeRepositories += 1
        repositories[access.site.description] = FakeRepository(id: FakeRepository.name(UInt64(madeRepositories)))
    }

    /// Does as `RestoreIntoVolume`: refused before anything is written, or all of it.
    mutating func restore(_ content: BackupContent, to place: BytesPlace) throws(HostError) {
        guard let repository = repositories[content.access.site.description], repository.fault == nil,
            let point = repository.points.first(where: { $0.id == content.point }),
            let stamp = repository.stamps[point.id]
        else { throw HostError(.notFound, "there is no restore point \(content.point)") }
        try fill(place, with: FakeImage(format: .raw, size: point.content, stamp: stamp), size: point.size)
    }

    /// Does as `RepositoryPrune`, and trusts its task: a test sees what a plan wanted.
    mutating func prune(_ task: PruneTask) throws(HostError) {
        guard var repository = repositories[task.access.site.description], repository.fault == nil else {
            throw HostError(.notFound, "there is no repository at \(task.access.site)")
        }
        let gone = Set(task.expired.map(\.point))
        repository.points.removeAll { gone.contains($0.id) }
        var receipt = ObservedReceipt(
            .prune, at: task.packsDue ?? Instant(secondsSince1970: 0), by: task.node, of: task.stack)
        receipt.packs = task.packsDue != nil
        receipt.removed = gone.count
        repository.receipts.append(receipt)
        repositories[task.access.site.description] = repository
    }

    /// Does as `RepositoryVerification`.
    mutating func verify(_ task: VerifyTask) throws(HostError) {
        guard var repository = repositories[task.access.site.description], repository.fault == nil else {
            throw HostError(.notFound, "there is no repository at \(task.access.site)")
        }
        var receipt = ObservedReceipt(.verify, at: Instant(secondsSince1970: 0), by: task.node, of: task.stack)
        receipt.policy = task.policy
        receipt.share = task.share
        repository.receipts.append(receipt)
        repositories[task.access.site.description] = repository
    }

    /// Does as `DrillOnVolume`: a receipt tells what came of it, also where that is an error.
    mutating func drill(_ task: DrillTask, on place: BytesPlace) throws(HostError) {
        guard var repository = repositories[task.content.access.site.description], repository.fault == nil else {
            throw HostError(.notFound, "there is no repository at \(task.content.access.site)")
        }
        var receipt = ObservedReceipt(.drill, at: task.due, by: task.node, of: task.stack)
        (receipt.policy, receipt.volume, receipt.uid) = (task.policy, task.volume, task.uid)
        receipt.point = task.content.point
        if let stamp = repository.stamps[task.content.point] {
            let written = repository.rotten.contains(task.content.point) ? stamp ^ 1 : stamp
            try fill(
                place, with: FakeImage(format: .raw, size: task.content.content, stamp: written),
                size: task.content.size)
            if repository.isCompared, try read(place).stamp != stamp { receipt.fault = "its digest is another one" }
        } else {
            receipt.fault = "there is no restore point \(task.content.point)"
        }
        repository.receipts.append(receipt)
        repositories[task.content.access.site.description] = repository
        if let fault = receipt.fault { throw HostError(.malformed, fault) }
    }

    /// Does as `BackupOfVolume`: of a list of changes only what it says is read, and the rest is as it was.
    mutating func backUp(_ place: BytesPlace, _ task: BackupTask) throws(HostError) {
        let found = try read(place)
        guard var repository = repositories[task.access.site.description], repository.fault == nil else {
            throw HostError(.notFound, "there is no repository at \(task.access.site)")
        }
        let (stamp, doubt) = Self.stamp(of: found.stamp, task, in: repository)
        repository.made += 1
        let id = FakeRepository.name(UInt64(repository.made))
        var point = ObservedPoint(
            id: id, volume: task.volume, stack: task.stack, node: task.node, uid: task.uid,
            time: task.time ?? Instant(secondsSince1970: repository.made), size: found.size, content: found.content,
            policy: task.policy, backup: task.backup)
        point.root = FakeRepository.name(stamp) + FakeRepository.name(stamp)
        point.fullRead = doubt
        repository.points.append(point)
        repository.stamps[id] = stamp
        repositories[task.access.site.description] = repository
        if let uid = place.uid { listed[uid] = point }
    }

    /// The content of the restore point, and why more was read than what changed.
    private static func stamp(
        of read: UInt64, _ task: BackupTask, in repository: FakeRepository
    ) -> (UInt64, FullRead?) {
        guard let changes = task.reading?.changes else { return (read, task.reading?.full) }
        guard let point = repository.points.first(where: { $0.id == changes.point && $0.uid == task.uid }),
            let before = repository.stamps[point.id],
            point.root.map(BackupBase.Completion.digest) == changes.digest
        else { return (read, FullRead(.pointGone, "restore point \(changes.point) is not in the repository")) }
        guard changes.ranges.isEmpty else { return (read, nil) }
        guard before == read || !repository.isSampled else {
            return (read, FullRead(.sampleDiffers, "a sample differs"))
        }
        return (before, nil)
    }
}

extension FakeRepository {
    /// 32 hexadecimal digits.
    package static func name(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }
}

extension FakeWorld {
    /// The content of a place: of an image or a restore point its stamp, and otherwise its own.
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
