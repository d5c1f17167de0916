import TuffModel
import TuffPlanning

/// Health of storage, which is independent of plans: an object can be as declared and still be broken.
extension SurveyBuilder {
    static func degradation(_ pool: PoolState) -> [Condition] {
        guard let first = pool.complaints.first else { return [] }
        return [
            Condition(
                "Degraded", .yes, reason: first.reason.rawValue,
                message: pool.complaints.map(\.sentence).joined(separator: "; "))
        ]
    }

    /// The condition that follows from the object alone.
    func state(_ stored: StoredVolume) -> Condition {
        if stored.size == nil {
            return Condition("Ready", .no, reason: "DataMissing", message: "\(stored.location) has marks and no data")
        }
        if stored.suspended {
            return Condition("Ready", .no, reason: "Suspended", message: "\(stored.location) is suspended")
        }
        if let operation = stored.marks.operation {
            let running = observed.jobs?.entries.inKeyOrder.compactMap(\.value.value) ?? []
            let key = "data:\(stored.location.path)"
            if let job = running.first(where: { $0.objects.contains(stored.uid) || $0.keys.contains(key) }) {
                let far = job.progress?.sentence ?? ""
                return Condition(
                    "Ready", .no, reason: Reason.jobRunning.rawValue,
                    message: job.sentence + (far.isEmpty ? "" : ": \(far)"))
            }
            return Condition("Ready", .no, reason: "Unfinished", message: "'\(operation)' was not finished")
        }
        if stored.standing == .released {
            return Condition("Ready", .yes, reason: "Released", message: "\(stored.location) was let go")
        }
        return Condition("Ready", .yes, reason: "Exists", message: "\(stored.location)")
    }

    /// A pool that no document names.
    func undeclaredState(of backend: StorageBackend) -> Condition {
        if let name = backend.group, let group = observed.volumeGroups.entries[name]?.value,
            let obstacle = PoolState.obstacle(of: group)
        {
            return Condition("Ready", .no, reason: obstacle.reason.rawValue, message: obstacle.sentence)
        }
        return Condition("Ready", .yes, reason: "Exists", message: "holds volumes of ours")
    }

    func faults(of backend: StorageBackend) -> [VolumeFault] {
        guard case .thinPool(let name, let pool) = backend, let group = observed.volumeGroups.entries[name]?.value,
            let found = group.logicalVolumes.first(where: { $0.name == pool })
        else { return [] }
        return StorageHealth(group).faults(of: found)
    }

    /// Adjusts conditions to faults: a broken resource, or one that cannot be judged, is not ready, and an impaired one
    /// is degraded. A fault of another resource is named only, since it has a line of its own.
    static func judge(_ conditions: [Condition], by faults: [VolumeFault]) -> [Condition] {
        var conditions = conditions
        guard let worst = faults.worst else { return conditions }
        if let index = conditions.firstIndex(where: { $0.type == "Ready" }), conditions[index].status == .yes,
            worst.gravity != .impaired
        {
            conditions[index] = Condition("Ready", .no, faults: [worst])
        }
        let impairing = faults.filter { $0.gravity == .impaired }
        let isSaid = conditions.contains {
            $0.type == "Degraded" || $0.status == .no && $0.reason == worst.reason.rawValue
        }
        if !impairing.isEmpty, !isSaid { conditions.append(Condition("Degraded", .yes, faults: impairing)) }
        return conditions
    }

    /// Adjusts an attachment's conditions to those of its volume.
    static func judge(_ conditions: [Condition], of volume: VolumeFacts) -> [Condition] {
        guard let stored = volume.stored, let worst = stored.faults.worst, worst.gravity == .broken else {
            return conditions
        }
        return conditions.map { condition in
            guard condition.type == "Ready", condition.status == .yes else { return condition }
            var broken = Condition(
                "Ready", .no, reason: worst.reason.rawValue,
                message: "\(stored.marks.role.resource) is not well, see its own line")
            broken.cause = "\(stored.marks.role.resource)"
            return broken
        }
    }
}

extension Condition {
    /// - Parameter faults: at least one, the first of which gives the reason.
    fileprivate init(_ type: String, _ status: Status, faults: [VolumeFault]) {
        let sentences = faults.map { fault in
            fault.cause == .itself
                ? fault.sentence : "\(fault.cause) is not well (\(fault.reason.rawValue)), see its own line"
        }
        self.init(type, status, reason: faults[0].reason.rawValue, message: sentences.joined(separator: "; "))
        if !faults.contains(where: { $0.cause == .itself }) { cause = faults[0].cause.description }
    }
}
