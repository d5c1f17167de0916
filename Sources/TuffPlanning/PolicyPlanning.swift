import TuffModel
import TuffSchedule

/// Snapshots that SnapshotPolicies take, and let expire.
///
/// A policy remembers nothing: what it took bears `tuff:due=POLICY/TIME`, the time by its schedule, and the newest of them
/// tells what was missed since. One run is made up, for the newest time that passed; a volume that has none yet gets its
/// first at once. What a Snapshot document names is that document's and does not expire.
extension PlanningPass {
    /// Whether a declared policy answers for it, so that no document needs to name it.
    func isPolicys(_ stored: StoredVolume) -> Bool {
        guard let policy = stored.marks.occasion?.policy else { return false }
        return snapshotPolicies[policy] != nil && !isDeclared(stored.marks.role)
    }

    mutating func planPolicies(_ desired: DesiredState) {
        for name in snapshotPolicies.keys.sorted() { planPolicy(snapshotPolicies[name]!) }
    }

    private mutating func planPolicy(_ declared: Declared<SnapshotPolicySpec>) {
        let name = declared.metadata.name, resource = ResourceID(.snapshotPolicy, name)
        let zone: ZoneRules, expression: CronExpression
        switch calendar(of: declared.spec.schedule) {
        case .success(let found): (expression, zone) = found
        case .failure(let missing):
            builder.add(
                PlannedChange(
                    resource, .blocked, "\(missing.obstacle.sentence); nothing is taken, and nothing expires",
                    reason: missing.obstacle.reason, location: declared.location(of: "spec.timeZone")))
            return
        }
        let taken = ownVolumes.filter { $0.marks.occasion?.policy == name && $0.marks.kind == .snapshot }
        let byOrigin = Dictionary(grouping: taken) { $0.marks.origin }
        var origins = Set(byOrigin.keys)
        var next: Instant?
        var selected = 0
        for volume in volumes.keys.sorted() where declared.spec.volumes.includes(volumes[volume]!.metadata) {
            // One that is not there yet has nothing to keep.
            guard let stored = index.live(.volume(volume), context.stack).first, outcome(of: .volume(volume)) != nil
            else {
                continue
            }
            selected += 1
            origins.remove(stored.uid)
            let delay = Timetable.delay(
                upTo: declared.spec.schedule.jitter ?? TimeSpan(seconds: 0), key: [name, stored.uid.description])
            let times = Timetable(expression, in: zone, delay: delay)
            let points = byOrigin[stored.uid] ?? []
            let run = PolicyRun(
                declared: declared, zone: zone, volume: volume, origin: stored, taken: points,
                verdict: times.verdict(
                    last: points.compactMap { $0.marks.occasion?.time }.max(),
                    since: Instant(secondsSince1970: .min), now: context.now))
            if case .waiting(_, let start?) = run.verdict { next = min(next ?? start, start) }
            let new = take(run)
            expire(points, declared, zone, new)
        }
        // Those of volumes that the policy does not name any more, or that are gone, grow older all the same.
        for origin in origins.sorted(by: { ($0?.description ?? "") < ($1?.description ?? "") }) {
            expire(byOrigin[origin] ?? [], declared, zone, nil)
        }
        guard selected > 0 || !taken.isEmpty else { return }
        let coming = next.map { ", next at \($0)" } ?? ""
        builder.add(
            PlannedChange(
                resource, .unchanged, "\(selected) volumes, \(taken.count { $0.standing == .live }) snapshots\(coming)",
                location: declared.location))
    }

    private func calendar(of schedule: Schedule) -> Result<(CronExpression, ZoneRules), MissingSource> {
        func stop(_ sentence: String) -> Result<(CronExpression, ZoneRules), MissingSource> {
            .failure(MissingSource(obstacle: Obstacle(.unknown, sentence)))
        }
        let expression: CronExpression
        do { expression = try CronExpression(schedule.cron) } catch { return stop("its schedule \(error)") }
        guard let name = schedule.timeZone else { return .success((expression, .utc)) }
        switch observed.timeZones[name] {
        case .known(let file?):
            do { return .success((expression, try ZoneRules(tzif: file.bytes))) } catch {
                return stop("the file of the time zone \(name) \(error)")
            }
        case .known(nil): return stop("this host does not know the time zone \(name); install tzdata")
        case .unknown(let error): return stop("the time zone \(name) could not be read: \(error)")
        }
    }

    // MARK: Taking

    /// A snapshot that is due: its time by the schedule, and the step that takes it.
    private typealias Taken = (time: Instant, step: Int?)

    private mutating func take(_ run: PolicyRun) -> Taken? {
        let occurrence: Instant, missedOthers: Bool
        switch run.verdict {
        case .waiting: return nil
        case .clockWentBack(let last):
            builder.add(
                PlannedChange(
                    ResourceID(.snapshotPolicy, run.declared.metadata.name), .blocked,
                    "the clock says \(context.now), and Volume/\(run.volume) has a snapshot of \(last); none is taken until that "
                        + "time is past",
                    reason: .clockBehind, location: run.declared.location))
            return nil
        case .due(let time, let others):
            occurrence = time
            missedOthers = others && !run.taken.isEmpty
        }
        let role = Marks.Role.snapshot(run.name(at: occurrence))
        let notes = missedOthers ? ["earlier runs were missed; this one makes up for them"] : []
        func add(_ action: Action, _ sentence: String, _ reason: Reason? = nil) {
            builder.add(
                PlannedChange(
                    role.resource, action, sentence, reason: reason, location: run.declared.location,
                    notes: action == .due ? notes : []))
        }
        let source: CopySource, location: VolumeLocation
        switch place(of: role, run) {
        case .failure(let missing):
            let action: Action = missing.obstacle.reason == .notSupportedYet ? .unsupported : .blocked
            add(action, missing.obstacle.sentence, missing.obstacle.reason)
            return nil
        case .success(let found): (source, location) = found
        }
        let summary = "take a snapshot of Volume/\(run.volume), \(source.size), due at \(occurrence) (\(location))"
        guard context.consent.runDue else {
            add(.due, summary)
            return (occurrence, nil)
        }
        let marks = Marks(
            uid: context.mintUID(for: role.resource), role: role, stack: context.stack, origin: run.origin.uid,
            occasion: Marks.Occasion(policy: run.declared.metadata.name, time: occurrence))
        let stored = StoredVolume(
            marks: marks, backend: source.stored.backend, location: location, uuid: nil, size: source.size,
            active: false)
        let step = builder.add(
            PlannedChange(
                role.resource, .create, summary, risk: .online, location: run.declared.location, uid: marks.uid,
                notes: notes),
            [(.volume(copyStep(source, stored)), key(of: location))], after: source.after.map { [$0] } ?? [])
        return (occurrence, step)
    }

    /// Where a snapshot can be taken now.
    private mutating func place(
        of role: Marks.Role, _ run: PolicyRun
    ) -> Result<(CopySource, VolumeLocation), MissingSource> {
        func stop(_ reason: Reason, _ sentence: String) -> Result<(CopySource, VolumeLocation), MissingSource> {
            .failure(MissingSource(obstacle: Obstacle(reason, sentence)))
        }
        guard let pool = poolsByBackend[run.origin.backend] else {
            return stop(
                .dependencyBlocked, "no document declares the pool \(run.origin.backend) of Volume/\(run.volume)")
        }
        guard case .thinPool(let group, _) = pool.backend else {
            return stop(
                .notSupportedYet,
                "policies take snapshots in thin pools only, and \(pool.backend), where Volume/\(run.volume) is, is none"
            )
        }
        let location = VolumeLocation.logicalVolume(group: group, name: role.objectName)
        let obstacle =
            clockObstacle() ?? pool.obstacle ?? unseen() ?? loss(of: role.resource)
            ?? (index.isTaken(location) ? Obstacle(.nameTaken, "\(location) \(whose(location))") : nil)
            ?? pool.budget.exhausted
        if let obstacle { return .failure(MissingSource(obstacle: obstacle)) }
        return copySource(.volume(run.volume), into: pool).map { ($0, location) }
    }

    // MARK: Keeping

    /// Judges a volume's snapshots of one policy by its rule, the one that is taken in this plan among them.
    private mutating func expire(
        _ taken: [StoredVolume], _ declared: Declared<SnapshotPolicySpec>, _ zone: ZoneRules, _ new: Taken?
    ) {
        let live = taken.filter { $0.standing == .live && !isDeclared($0.marks.role) }
        let stored = Dictionary(live.map { ($0.uid.description, $0) }) { first, _ in first }
        var points = live.map { volume in
            RetentionPoint(
                id: volume.uid.description, time: volume.marks.occasion?.time ?? context.now,
                isUsable: volume.size != nil && volume.marks.operation == nil)
        }
        if let new { points.append(RetentionPoint(id: "", time: new.time)) }
        for judgement in Retention(of: points, by: declared.spec.keep, in: zone, now: context.now).judgements {
            guard let volume = stored[judgement.point.id] else { continue }
            if judgement.isKept {
                let reasons = judgement.reasons.map(\.description).joined(separator: ", ")
                builder.add(
                    PlannedChange(
                        volume.marks.role.resource, .unchanged,
                        "\(volume.size ?? .zero) of \(judgement.point.time), kept: \(reasons) (\(volume.location))",
                        location: declared.location, uid: volume.uid))
            } else {
                expire(volume, declared, judgement.point.time, after: new?.step)
            }
        }
    }

    private mutating func expire(
        _ stored: StoredVolume, _ declared: Declared<SnapshotPolicySpec>, _ time: Instant, after: Int?
    ) {
        let resource = stored.marks.role.resource
        let what = "\(stored.size ?? .zero) of \(time), which SnapshotPolicy/\(declared.metadata.name) no longer keeps"
        guard context.consent.runDue else {
            builder.add(
                PlannedChange(
                    resource, .due, "destroy \(what) (\(stored.location))", location: declared.location,
                    uid: stored.uid))
            return
        }
        if let obstacle = removalObstacle() ?? purgeObstacle(stored) {
            builder.add(
                PlannedChange(
                    resource, .blocked, obstacle.sentence, reason: obstacle.reason, location: declared.location,
                    uid: stored.uid))
            return
        }
        var gone = stored.marks
        gone.until = context.now
        let trash = stored.location(under: gone)
        guard trash == stored.location || !index.isTaken(trash) else {
            builder.add(
                PlannedChange(
                    resource, .blocked, "\(trash) exists and is not this snapshot; rename it", reason: .nameTaken,
                    uid: stored.uid))
            return
        }
        let change = Relabelling(
            uuid: stored.uuid, from: stored.location, to: trash, before: stored.marks, after: gone)
        builder.add(
            PlannedChange(
                resource, .purge, "destroy \(what) (\(stored.location))", risk: .destroysData,
                location: declared.location, uid: stored.uid),
            [
                (.volume(.relabel(change)), key(of: stored.location)),
                (
                    .volume(.purge(location: trash, uid: stored.uid, uuid: stored.uuid, until: context.now)),
                    key(of: stored.location)
                ),
            ], after: after.map { [$0] } ?? [])
    }
}

/// What one policy has to do for one volume.
private struct PolicyRun {
    var declared: Declared<SnapshotPolicySpec>
    var zone: ZoneRules
    var volume: String
    var origin: StoredVolume
    /// What the policy has taken of it, the trash included.
    var taken: [StoredVolume]
    var verdict: Timetable.Verdict

    /// `hourly-db-data-20261123-0600`, by UTC, so that no two runs share one where clocks are set back. What is too long
    /// is cut and ends with the volume's uid, which tells it from others that are cut alike.
    func name(at time: Instant) -> String {
        let digits = time.description.filter { $0.isNumber || $0 == "T" }.split(separator: "T")
        let suffix = "-\(digits[0])-\(digits[1].prefix(4))"
        let plain = "\(declared.metadata.name)-\(volume)"
        // Hyphens count twice in the kernel's names, which have 127 bytes for group and volume together.
        guard plain.utf8.count > 40 else { return plain + suffix }
        var head = plain.prefix(23)
        while head.last == "-" { head.removeLast() }
        return "\(head)-\(origin.uid)\(suffix)"
    }
}

extension VolumeSelection {
    fileprivate func includes(_ metadata: Metadata) -> Bool {
        switch self {
        case .labels(let selector): selector.matches(metadata.labels)
        case .names(let names): names.contains(metadata.name)
        }
    }
}
