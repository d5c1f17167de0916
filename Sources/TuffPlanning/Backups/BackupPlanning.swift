import TuffModel
import TuffSchedule

/// Restore points that Backup documents and BackupPolicies ask for.
///
/// The repository alone tells which exist: a host that was made anew carries on, and a
/// repository that cannot be read is unknown, never "no backup yet".
extension PlanningPass {
    mutating func planBackups(_ desired: DesiredState) {
        for (_, declared) in desired.backups.inKeyOrder { planBackup(declared) }
        for (_, declared) in desired.backupPolicies.inKeyOrder { planBackups(by: declared) }
    }

    // MARK: Once

    private mutating func planBackup(_ declared: Declared<BackupSpec>) {
        let resource = ResourceID(.backup, declared.metadata.name), volume = declared.spec.volume
        guard let outcome = outcome(of: .volume(volume)) else { return }
        func stop(_ obstacle: Obstacle) {
            builder.block(resource, by: obstacle, at: declared.location)
        }
        let repository: RepositoryView
        switch self.repository(declared.spec.repository) {
        case .success(let found): repository = found
        case .failure(let missing): return stop(missing.obstacle)
        }
        var uid: UID?
        if case .available(let stored, _) = outcome { uid = stored.uid }
        if let own = repository.point(madeFor: declared, of: uid, context) {
            let aside = own.isSetAside ? ["its time is not believed, since somebody set it aside"] : []
            builder.add(
                PlannedChange(
                    resource, action: .unchanged,
                    summary: "restore point \(own.id.prefix(8)) of \(own.time), \(own.size)",
                    location: declared.location, notes: aside))
            return
        }
        guard repository.damaged == 0 else {
            return stop(
                Obstacle(
                    .repositoryUnreachable,
                    "\(repository.damaged) restore points in BackupRepository/\(repository.name) cannot be read, and "
                        + "one may be this; see 'tuff backup check'"))
        }
        if let loss = loss(of: declared, uid: uid, in: repository) { return stop(loss) }
        guard case .available(let stored, let after) = outcome else {
            return stop(Obstacle(.dependencyBlocked, "Volume/\(volume) is not available, see its own line"))
        }
        var task = task(for: stored, to: declared.spec.repository, repository.access)
        task.backup = resource.name
        let run = BackupRun(
            resource: resource, task: task, stored: stored, after: after, location: declared.location, due: nil)
        if let obstacle = add(run) { stop(obstacle) }
    }

    // MARK: By policies

    private mutating func planBackups(by declared: Declared<BackupPolicySpec>) {
        let name = declared.metadata.name, resource = ResourceID(.backupPolicy, name)
        let all = selected(by: declared.spec.volumes)
        let selected = all.filter { outcome(of: .volume($0)) != nil }
        let isElsewhere = selected.isEmpty && !all.isEmpty
        guard !isElsewhere else { return }
        func stop(_ obstacle: Obstacle, of volume: String? = nil, uid: UID? = nil, at field: String = "") {
            let what = volume.map { "no backup of Volume/\($0): " } ?? "no backup is made: "
            builder.add(
                PlannedChange(
                    resource, action: .blocked, summary: what + obstacle.sentence, reason: obstacle.reason,
                    location: declared.location(of: field), uid: uid))
        }
        let repository: RepositoryView, calendar: PolicyCalendar
        switch self.repository(declared.spec.repository) {
        case .success(let found): repository = found
        case .failure(let missing): return stop(missing.obstacle, at: "spec.repository")
        }
        switch self.calendar(of: declared.spec.schedule) {
        case .success(let found): calendar = found
        case .failure(let missing): return stop(missing.obstacle, at: "spec.timeZone")
        }
        var next: Instant?, count = 0
        for volume in selected {
            guard case .available(let stored, let after)? = outcome(of: .volume(volume)) else { continue }
            let points = repository.points(of: volume).filter {
                $0.policy == name && $0.uid == stored.uid && $0.node == context.config.node && !$0.isSetAside
            }
            count += points.count
            let delay = Timetable.delay(
                upTo: declared.spec.schedule.jitter ?? TimeSpan(seconds: 0), key: [name, stored.uid.description])
            let times = Timetable(calendar.expression, in: calendar.zone, delay: delay)
            switch times.verdict(
                last: points.map(\.time).max().map(seen), since: Instant(secondsSince1970: .min), now: context.now)
            {
            case .waiting(_, let start): next = [next, start].compactMap(\.self).min()
            case .clockWentBack(let last):
                // A clock that is set back a little is waited for without a word.
                guard last.secondsSince1970 - context.now.secondsSince1970 > Self.clockTolerance else { continue }
                stop(
                    Obstacle(
                        .clockBehind,
                        "the clock says \(context.now), and one of \(last) is there already; none is made and "
                            + "none goes until that time is past. If it was ahead then and is right now: tuff forget "
                            + "clock --repository \(repository.name) -f PATH"), of: volume)
            case .due(let time, let missedOthers):
                var task = task(for: stored, to: declared.spec.repository, repository.access)
                task.policy = name
                var run = BackupRun(
                    resource: resource, task: task, stored: stored, after: after, location: declared.location,
                    due: time)
                if missedOthers, !points.isEmpty { run.notes = ["it makes up for earlier runs that were missed"] }
                if let obstacle = add(run) { stop(obstacle, of: volume, uid: stored.uid) }
            }
        }
        let coming = next.map { ", next at \($0)" } ?? ""
        builder.add(
            PlannedChange(
                resource, action: .unchanged,
                summary:
                    "\(selected.count) volumes, \(count) restore points\(coming)\(proof(of: name, in: repository))"
                    + practice(of: name, in: repository),
                location: declared.location))
    }

    /// A point's time as this plan counts it. One that was made since the plan began, by the plan itself when it is
    /// judged, is of now: its clock is not ahead.
    private func seen(_ time: Instant) -> Instant {
        time > context.now && time <= observed.takenAt ? context.now : time
    }

    // MARK: Steps

    /// One restore point that is to be made.
    struct BackupRun {
        var resource: ResourceID
        var task: BackupTask
        var stored: StoredVolume
        var after: Int?
        var location: SourceLocation
        /// The time by the schedule at which it was due; nil: a document asks for it.
        var due: Instant?
        var notes: [String] = []
    }

    private func task(for stored: StoredVolume, to repository: String, _ access: RepositoryAccess) -> BackupTask {
        let name = stored.marks.name
        let compression = backupRepositories[repository]?.spec.compression ?? .zstd(level: 1)
        let level: Int? =
            switch compression {
            case .zstd(let level): level
            case .none: nil
            }
        var task = BackupTask(
            of: name, stack: context.stack, node: context.config.node, uid: stored.uid, to: repository, access,
            level: level)
        // Ours say what a point was made for, and come from no document.
        task.labels = (volumes[name]?.metadata.labels ?? [:]).filter { !$0.key.hasPrefix("tuff.dev/") }
        // Its content is what the restore point has, wherever it came from at first.
        var declared = volumes[name]
        declared?.spec.source = nil
        task.document = declared?.document.yaml
        return task
    }

    /// Adds what makes a restore point: a snapshot that nobody changes, the reading of it, and its removal, whatever
    /// becomes of the reading.
    /// - Returns: why it is not made.
    private mutating func add(_ run: BackupRun) -> Obstacle? {
        if let obstacle = clockObstacle() ?? run.stored.refusal ?? unfinishedContent(run.stored) { return obstacle }
        let isAllowed = run.due == nil || context.consent.runDue
        let due = run.due.map { ", due at \($0)" } ?? ""
        let summary =
            "back up Volume/\(run.task.volume), \(run.stored.size ?? .zero), to "
            + "BackupRepository/\(run.task.repository)\(due)"
        guard isAllowed else {
            builder.add(
                PlannedChange(run.resource, action: .due, summary: summary, location: run.location, notes: run.notes))
            return nil
        }
        let moment: BackupMoment
        switch self.moment(of: run.stored, for: run) {
        case .success(let found): moment = found
        case .failure(let missing): return missing.obstacle
        }
        let change = PlannedChange(
            run.resource, action: .create, summary: summary, risk: .online, location: run.location, uid: run.stored.uid,
            notes: run.notes + moment.notes)
        let begun = builder.add(
            change, moment.first + [.backup(.backUp(moment.source, run.task))],
            after: [run.after, repositoryMakers[run.task.repository]].compactMap(\.self),
            behind: transfers[run.stored.uid].map { [$0] } ?? [])
        if let begun { repositoryWriters[run.task.repository, default: []].append(begun) }
        // Whatever was brought up or taken goes, however the reading ended.
        var last = begun
        if let begun, !moment.last.isEmpty {
            last = builder.append(
                moment.last.map { ($0.step, $0.key) }, to: builder.lastChange,
                after: moment.first.isEmpty ? [] : [begun - moment.first.count + moment.made], behind: [begun])
        }
        if let begun, !moment.then.isEmpty {
            last = builder.append(
                moment.then.map { ($0.step, $0.key) }, to: builder.lastChange, after: [begun],
                behind: [last].compactMap(\.self))
        }
        // One reader of a volume after another, each with a snapshot of its own.
        transfers[run.stored.uid] = last
        return nil
    }
}
