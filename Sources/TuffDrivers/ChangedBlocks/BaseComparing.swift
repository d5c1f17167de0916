package import TuffHost
package import TuffModel

extension LVMDriver {
    /// Asks LVM and the pool. Whatever cannot be told is read.
    ///
    /// Both bases are looked at now: the plan was made before the new one, and before whatever a person did to the old
    /// one since.
    package func compare(_ comparison: BaseComparison, on machine: any Machine) async -> ComparedBase {
        let volumes: [String: ThinVolumeReport.Volume]
        do throws(HostError) {
            let report = try await output(of: ThinVolumeReport.command(group: comparison.group), on: machine)
            volumes = try ThinVolumeReport.decode(report)
        } catch {
            return ComparedBase(.nothing(FullRead(.deltaUnknown, error.description)), identity: nil)
        }
        let made = volumes.values.filter { BackupBase.read($0.tags) == .base(comparison.base) }
        guard let new = made.first, made.count == 1, new.pool == comparison.pool else {
            let sentence = "\(comparison.location) is not there as it was made"
            return ComparedBase(.nothing(FullRead(.deltaUnknown, sentence)), identity: nil)
        }
        guard new.isReadOnly else {
            let sentence = "\(comparison.location) was made writable by somebody"
            return ComparedBase(.nothing(FullRead(.baseExchanged, sentence)), identity: nil)
        }
        guard let stateDirectory else {
            let sentence = "there is no directory of state to write a reserve of a pool's metadata down in"
            return ComparedBase(.nothing(FullRead(.deltaUnknown, sentence)), identity: new.identity)
        }
        let pool = ThinPoolPlace(
            group: comparison.group, name: comparison.pool, groupUUID: comparison.groupUUID, uuid: comparison.poolUUID,
            chunkSize: comparison.chunkSize)
        let old: KeptBase?, doubt: FullRead?
        switch BaseVerdict.judge(
            volumes.values.compactMap { $0.kept(in: comparison.group) }, for: comparison.base.purpose,
            in: comparison.backend, size: new.size, points: nil)
        {
        case .serves(let base): (old, doubt) = (base, nil)
        case .full(let reason): (old, doubt) = (nil, reason)
        }
        let subject = ChangedBlocks.Subject(
            new.identity, size: UInt64(clamping: new.size.bytes), base: old?.identity,
            readsOrigin: comparison.readsOrigin)
        let blocks = ChangedBlocks(MetadataHold(HoldIntents(in: stateDirectory), on: machine), on: machine)
        let answer = await blocks.answers(for: [subject], in: pool).first
        return ComparedBase(Self.reading(answer, since: old, doubt: doubt), identity: new.identity)
    }

    private static func reading(
        _ answer: ChangedBlocks.Answer?, since old: KeptBase?, doubt: FullRead?
    ) -> BackupReading {
        switch answer {
        case .changes(let delta)?:
            guard let completion = old?.marks.completion else {
                return BackupReading(mapped: delta.mapped, full: doubt)
            }
            let changes = BackupReading.Changes(
                since: completion.point, digest: completion.digest, ranges: delta.changed)
            return BackupReading(changes: changes, mapped: delta.mapped)
        case .mapped(let delta, let reason)?: return BackupReading(mapped: delta.mapped, full: doubt ?? reason)
        case .nothing(let reason)?: return .nothing(reason)
        case nil: return .nothing(doubt ?? FullRead(.deltaUnknown, "the pool was not asked"))
        }
    }

    /// Gives back what an earlier process that died had reserved of pools' metadata.
    /// - Returns: sentences on what stays as it is.
    package func settleHolds(on machine: any Machine) async -> [HostError] {
        guard let stateDirectory else { return [] }
        return await MetadataHold(HoldIntents(in: stateDirectory), on: machine).settle()
    }
}

extension ThinVolumeReport.Volume {
    /// The base that it is; nil for anything else, and for one that is not complete.
    fileprivate func kept(in group: String) -> KeptBase? {
        guard case .base(let marks) = BackupBase.read(tags), marks.completion != nil else { return nil }
        return KeptBase(
            marks, pool: .thinPool(group: group, pool: pool), identity: identity, size: size, isWritable: !isReadOnly,
            at: .logicalVolume(group: group, name: name))
    }
}

extension BackupReading {
    fileprivate static func nothing(_ reason: FullRead) -> BackupReading { BackupReading(full: reason) }
}
