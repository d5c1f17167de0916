import TuffModel

/// The remains of earlier drills of one policy.
struct LeftScratches {
    /// The steps that remove it.
    var removals: [Int] = []
    /// Why it cannot be removed now.
    var obstacle: Obstacle?
}

/// Restoring for practice. A restore that nobody ever tried is a hope: when a policy's schedule says so, the newest
/// restore point of one of its volumes is restored to a scratch volume, compared with the point by its digest, and the
/// scratch volume removed. The receipt in the repository is all that stays.
///
/// One volume at a time, the one whose last drill is longest ago first: a drill takes room and time of one volume,
/// however many the policy has, and whatever fails holds up no other for ever.
extension PlanningPass {
    mutating func planDrills(_ desired: DesiredState) {
        for (_, declared) in desired.backupPolicies.sorted(by: { $0.key < $1.key }) {
            guard let drill = declared.spec.drill, let pool = pools[drill.pool],
                case .readable(let view)? = repositories[declared.spec.repository],
                let times = times(of: drill, declared, in: view), let due = times.due
            else { continue }
            planDrill(declared, in: pool, of: view, times, due: due)
        }
    }

    /// A restore point that may be restored for practice.
    private struct Candidate {
        var point: ObservedPoint
        var uid: UID
    }

    private mutating func planDrill(
        _ declared: Declared<BackupPolicySpec>, in pool: PoolState, of view: RepositoryView, _ times: DrillTimes,
        due: Instant
    ) {
        let name = declared.metadata.name, resource = ResourceID(.backupPolicy, name)
        let location = declared.location(of: "spec.drill")
        let candidates = candidates(declared, in: view, times)
        var chosen: Candidate?
        for candidate in candidates {
            guard let obstacle = obstacle(to: candidate, in: pool, of: view) else {
                chosen = candidate
                break
            }
            builder.block(
                resource,
                by: Obstacle(
                    obstacle.reason,
                    "Volume/\(candidate.point.volume) is not restored for practice, due at \(due): \(obstacle.sentence)"
                ),
                at: location, uid: candidate.uid)
        }
        guard let chosen else { return }
        let point = chosen.point, size = point.size.roundedUp(to: pool.unit)
        let summary =
            "restore Volume/\(point.volume), \(size), for practice to a scratch volume in pool \(pool.name), from "
            + "restore point \(point.id.prefix(8)) of \(point.time) in BackupRepository/\(view.name), due at \(due)"
        let notes =
            view.damaged == 0
            ? []
            : ["\(PrintedText.count(view.damaged, "restore point")) cannot be read, and the newest may be among them"]
        guard context.consent.runDue else {
            builder.add(
                PlannedChange(resource, action: .due, summary: summary, location: location, notes: notes))
            return
        }
        let left = leftScratches[name] ?? LeftScratches()
        if let obstacle = left.obstacle { return builder.block(resource, by: obstacle, at: location) }
        let content = BackupContent(
            repository: view.name, access: view.access, point: point.id, size: point.size, content: point.content)
        let task = DrillTask(
            of: point, content, uid: chosen.uid, by: context.config.node, of: context.stack, for: name, due: due)
        let scratch = scratch(for: name, of: size, in: pool)
        add(
            PlannedChange(
                resource, action: .update, summary: summary, risk: .online, location: location, uid: scratch.uid,
                notes: notes), task, on: scratch, after: left.removals)
    }

    private mutating func add(
        _ change: PlannedChange, _ task: DrillTask, on scratch: StoredVolume, after removals: [Int]
    ) {
        let making = [scratch.creation(scratch.size ?? .zero)]
        let steps = making + scratch.activation + [.volume(.drill(scratch.ref, task))]
        guard let last = builder.add(change, steps, after: removals) else { return }
        // Once it is made it goes, however the drill ended.
        let removal = StorageStep.volume(.dropScratch(scratch.ref, scratch.marks, isMade: true))
        builder.append(
            [(removal.step, removal.key)], to: builder.lastChange, after: [last - steps.count + 1], behind: [last])
    }

    private func scratch(for policy: String, of size: ByteCount, in pool: PoolState) -> StoredVolume {
        let marks = Marks.scratch(
            context.mintUID(for: ResourceID(.backupPolicy, "drill/\(policy)")), of: policy, stack: context.stack)
        let location: VolumeLocation =
            switch pool.backend {
            case .thinPool(let group, _), .thick(let group): .logicalVolume(group: group, name: marks.objectName)
            case .directory(let path): .file(directory: path, name: marks.objectName)
            }
        return StoredVolume(
            marks: marks, backend: pool.backend, location: location, uuid: nil, size: size, active: false)
    }

    /// The newest restore point that the policy made of each of its volumes here, that whose last drill is longest ago
    /// first.
    private mutating func candidates(
        _ declared: Declared<BackupPolicySpec>, in view: RepositoryView, _ times: DrillTimes
    ) -> [Candidate] {
        let name = declared.metadata.name
        let selected = selected(by: declared.spec.volumes).filter { outcome(of: .volume($0)) != nil }
        let found = selected.compactMap { volume -> Candidate? in
            let newest = view.points(of: volume).last { isJudged($0, by: name) && !isOfFuture($0.time) }
            return newest.flatMap { point in point.uid.map { Candidate(point: point, uid: $0) } }
        }
        func last(_ candidate: Candidate) -> Instant {
            times.last(of: candidate.point.volume)?.time ?? Instant(secondsSince1970: .min)
        }
        return found.sorted { (last($0), $0.point.volume) < (last($1), $1.point.volume) }
    }

    /// Why a point cannot be restored for practice now. It takes nothing of what others may promise: what all steps
    /// together take is proven in the end, and a drill makes way (`CapacityProof`).
    private func obstacle(to candidate: Candidate, in pool: PoolState, of view: RepositoryView) -> Obstacle? {
        let point = candidate.point
        if let obstacle = point.obstacle(in: view.name) ?? pool.obstacleToFilling ?? pool.budget.exhausted {
            return obstacle
        }
        if case .thick = pool.backend {
            let size = point.size.roundedUp(to: pool.unit)
            return pools[pool.name]?.budget.obstacle(to: size).map {
                Obstacle($0.reason, "\($0.sentence) in pool '\(pool.name)'")
            }
        }
        return writingObstacle(point.content, of: "the restore point", into: pool)
    }

    // MARK: Leftovers

    /// Removes what a drill that was cut off left. It is a cache, so nobody is asked; one whose job still runs is that
    /// job's.
    mutating func planLeftScratches() {
        for scratch in index.scratches
        where scratch.marks.stack == context.stack && !foreignBackends.contains(scratch.backend) && isAtHome(scratch) {
            guard let pool = poolsByBackend[scratch.backend] else { continue }
            planLeft(scratch, of: scratch.marks.name, in: ResourceID(.pool, pool.name))
        }
    }

    private mutating func planLeft(_ scratch: StoredVolume, of policy: String, in pool: ResourceID) {
        if let job = job(on: scratch) {
            leftScratches[policy, default: LeftScratches()].obstacle =
                Obstacle(.jobRunning, "it waits for \(job.sentence)")
            return
        }
        let obstacle =
            stateObstacle(scratch)
            ?? (scratch.open
                ? Obstacle(.inUse, "\(scratch.location), left by a drill of BackupPolicy/\(policy), is in use") : nil)
        if let obstacle {
            leftScratches[policy, default: LeftScratches()].obstacle = Obstacle(
                obstacle.reason, "what an earlier one left cannot be removed: \(obstacle.sentence)")
            return builder.block(pool, by: obstacle, uid: scratch.uid)
        }
        // Of a file the marks may be there alone.
        let isMade = scratch.location.traits.isOneObject || scratch.size != nil
        let size = scratch.size.map { ", \($0)" } ?? ""
        let removal = builder.add(
            PlannedChange(
                pool, action: .update,
                summary:
                    "remove \(scratch.location)\(size), which a drill of BackupPolicy/\(policy) left that was cut off",
                risk: .online, uid: scratch.uid),
            [.volume(.dropScratch(scratch.ref, scratch.marks, isMade: isMade))])
        if let removal { leftScratches[policy, default: LeftScratches()].removals.append(removal) }
    }

    private func job(on scratch: StoredVolume) -> RunningJob? {
        observed.jobs?.entries.sorted { $0.key < $1.key }.compactMap(\.value.value).first {
            $0.objects.contains(scratch.uid) || $0.keys.contains("data:\(scratch.location.path)")
        }
    }
}
