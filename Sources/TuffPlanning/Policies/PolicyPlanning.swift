import Crypto
package import TuffModel
import TuffSchedule

/// Snapshots that SnapshotPolicies take.
///
/// A policy remembers nothing: what it took bears `tuff:due=POLICY/TIME`, the time by its schedule, and the newest of
/// them tells what was missed since. One run makes up for all of it, for the newest time that passed; a volume that has
/// none yet gets its first at once. What a Snapshot document names is that document's and does not expire.
extension PlanningPass {
    mutating func planPolicies() {
        for name in snapshotPolicies.keys.sorted() { planPolicy(snapshotPolicies[name]!) }
    }

    private mutating func planPolicy(_ declared: Declared<SnapshotPolicySpec>) {
        let name = declared.metadata.name
        let all = selected(by: declared.spec.volumes)
        let selected = all.filter { outcome(of: .volume($0)) != nil }
        let isElsewhere = selected.isEmpty && !all.isEmpty
        guard !isElsewhere else { return }
        let calendar: PolicyCalendar
        switch self.calendar(of: declared.spec.schedule) {
        case .success(let found): calendar = found
        case .failure(let missing):
            stop(declared, missing.obstacle, at: "spec.timeZone")
            return
        }
        let taken = Dictionary(
            grouping: ownVolumes.filter {
                $0.marks.kind == .snapshot && $0.marks.occasion?.policy == name && isAtHome($0)
            }
        ) { $0.marks.origin }
        var next: Instant?
        var count = 0
        for volume in selected {
            guard let origin = policyOrigin(volume) else { continue }
            let all = taken[origin.uid] ?? []
            let points = all.filter { !isAhead($0) }
            for volume in all where volume.standing == .live && isAhead(volume) { tellAhead(volume, declared) }
            let verdict = verdict(declared, calendar: calendar, origin: origin, taken: points)
            if case .waiting(_, let start?) = verdict { next = min(next ?? start, start) }
            let run = PolicyRun(
                declared: declared, calendar: calendar, volume: volume, origin: origin, taken: points, verdict: verdict)
            let new = take(run)
            count += keep(run, new)
        }
        let coming = next.map { ", next at \($0)" } ?? ""
        builder.add(
            PlannedChange(
                ResourceID(.snapshotPolicy, name), action: .unchanged,
                summary: "\(selected.count) volumes, \(count) snapshots\(coming)", location: declared.location))
    }

    /// Taken by a clock that was ahead, as a person's word says. It tells nothing of what is due, and is judged when
    /// its time has come.
    private func isAhead(_ stored: StoredVolume) -> Bool {
        guard let time = stored.marks.occasion?.time, let confirmed = observed.ledger.clockConfirmed else {
            return false
        }
        let tolerated = context.now.secondsSince1970 + Self.clockTolerance
        return time > confirmed && time > context.now && confirmed.secondsSince1970 <= tolerated
    }

    private mutating func tellAhead(_ stored: StoredVolume, _ declared: Declared<SnapshotPolicySpec>) {
        // A document that names it has a line of its own.
        guard custody(of: stored) == .policy, let time = stored.marks.occasion?.time else { return }
        builder.add(
            PlannedChange(
                stored.marks.role.resource, action: .unchanged,
                summary:
                    "\(stored.size ?? .zero) of \(time), taken by a clock that was ahead; kept at least until then "
                    + "(\(stored.location))", location: declared.location, uid: stored.uid))
    }

    /// The volume as it is before this plan; one that is not there yet has nothing to keep.
    private mutating func policyOrigin(_ volume: String) -> StoredVolume? {
        let found = index.live(.volume(volume), context.stack)
        if !found.isEmpty { return found.count == 1 ? found[0] : nil }
        guard case .available(let stored, _)? = outcome(of: .volume(volume)) else { return nil }
        return index.volume(stored.uid)
    }

    private func verdict(
        _ declared: Declared<SnapshotPolicySpec>, calendar: PolicyCalendar, origin: StoredVolume,
        taken: [StoredVolume]
    ) -> Timetable.Verdict {
        let name = declared.metadata.name
        let delay = Timetable.delay(
            upTo: declared.spec.schedule.jitter ?? TimeSpan(seconds: 0), key: [name, origin.uid.description])
        let times = Timetable(calendar.expression, in: calendar.zone, delay: delay)
        let last = taken.filter { $0.marks.lastingOperation == nil }.compactMap { $0.marks.occasion?.time }.max()
        return times.verdict(last: last, since: Instant(secondsSince1970: .min), now: context.now)
    }

    func calendar(of schedule: Schedule) -> Result<PolicyCalendar, MissingSource> {
        PolicyCalendar.of(schedule, observed.timeZones)
    }

    /// Says on the policy's own line why something of it is not done, so that whoever looks at the policy sees it.
    private mutating func stop(
        _ declared: Declared<SnapshotPolicySpec>, _ obstacle: Obstacle, of volume: String? = nil, at field: String = ""
    ) {
        let action: Action = obstacle.reason == .notSupportedYet ? .unsupported : .blocked
        let what = volume.map { "no snapshot of Volume/\($0): " } ?? "no snapshot is taken, and none expires: "
        builder.add(
            PlannedChange(
                ResourceID(.snapshotPolicy, declared.metadata.name), action: action, summary: what + obstacle.sentence,
                reason: obstacle.reason, location: declared.location(of: field)))
    }

    // MARK: Taking

    private mutating func take(_ run: PolicyRun) -> PolicyRun.Taken? {
        if let obstacle = impossibility(run) {
            stop(run.declared, obstacle, of: run.volume)
            return nil
        }
        guard case .due(let time, let missedOthers) = run.verdict else { return nil }
        let names = run.names(at: time)
        let isFree = { (name: String) in
            !isDeclared(.snapshot(name)) && index.live(.snapshot(name), context.stack).isEmpty
                && !runNames.contains(name)
        }
        // One of this time whose making was cut short is made to its end.
        let begun = run.taken.first {
            $0.marks.operation == Marks.copying && $0.marks.occasion?.time == time && $0.standing == .live
        }
        let free = names.first(where: isFree)
        guard let name = begun?.marks.name ?? free ?? names.first else {
            let group = run.origin.location
            stop(run.declared, Obstacle(.nameTaken, "beside \(group) no name for it is short enough"), of: run.volume)
            return nil
        }
        runNames.insert(name)
        var marks = Marks(
            uid: context.mintUID(for: ResourceID(.snapshot, name)), role: .snapshot(name), stack: context.stack,
            origin: run.origin.uid)
        marks.occasion = Marks.Occasion(policy: run.declared.metadata.name, time: time)
        let location = begun?.location ?? run.origin.location.renamed(marks.objectName)
        let source: CopySource
        switch runSource(run, resource: marks.role.resource, location: location, isBegun: begun != nil) {
        case .success(let found): source = found
        case .failure(let missing):
            stop(run.declared, missing.obstacle, of: run.volume)
            return nil
        }
        marks.size = source.stored.backend.recorded(source.size)
        var stored = StoredVolume(
            marks: marks, backend: source.stored.backend, location: location, uuid: nil, size: source.size,
            active: !location.traits.activates)
        if let begun {
            stored = begun
            stored.marks.size = marks.size
        }
        let isAllowed = context.consent.runDue
        let change = PlannedChange(
            marks.role.resource, action: isAllowed ? .create : .due,
            summary: "take a snapshot of Volume/\(run.volume), \(source.size), due at \(time) (\(location))",
            risk: isAllowed ? .online : nil, location: run.declared.location, uid: isAllowed ? stored.uid : nil,
            notes: missedOthers && !run.taken.isEmpty ? ["it makes up for earlier runs that were missed"] : [])
        // What expires goes after it, and a command that says it is done may have done nothing.
        let confirmation: [StorageStep] =
            location.traits.isMadeByCommands ? [.volume(.confirmMade(stored.ref))] : []
        let steps = [.volume(copyStep(source, stored))] + confirmation
        return PolicyRun.Taken(
            time: time,
            step: builder.add(change, isAllowed ? steps : [], after: source.after.map { [$0] } ?? []))
    }

    /// The obstacle that keeps a policy from ever taking snapshots of a volume as things are, due or not.
    private func impossibility(_ run: PolicyRun) -> Obstacle? {
        let pool = poolsByBackend[run.origin.backend]
        switch run.origin.backend {
        case .thinPool: break
        // What is not known of a directory is said where a snapshot is to be taken.
        case .directory where pool?.sharesBlocks != false || pool?.obstacle != nil: break
        case .thick, .directory:
            return Obstacle(
                .notSupportedYet,
                "policies take snapshots in thin pools and in directories whose file system shares blocks (XFS with "
                    + "reflink, btrfs), and \(run.origin.backend) is neither")
        }
        // A clock that is set back a little is waited for without a word.
        guard case .clockWentBack(let last) = run.verdict,
            last.secondsSince1970 - context.now.secondsSince1970 > Self.clockTolerance
        else { return nil }
        return Obstacle(
            .clockBehind,
            "the clock says \(context.now), and one of \(last) is there already; none is taken and none expires until that time "
                + "is past. If it was ahead then and is right now: tuff forget clock")
    }

    /// The source of which a snapshot can be taken now.
    private mutating func runSource(
        _ run: PolicyRun, resource: ResourceID, location: VolumeLocation, isBegun: Bool
    ) -> Result<CopySource, MissingSource> {
        guard let pool = poolsByBackend[run.origin.backend] else {
            return .failure(
                MissingSource(
                    obstacle: Obstacle(.dependencyBlocked, "no document declares its pool, \(run.origin.backend)")))
        }
        let obstacle =
            clockObstacle() ?? pool.obstacleToVolumes ?? unseen()
            // What was begun and is there is not lost, though an earlier pass took note of it.
            ?? (isBegun ? nil : loss(of: resource))
            ?? (!isBegun && index.isTaken(location) ? Obstacle(.nameTaken, "\(location) \(whose(location))") : nil)
            ?? pool.budget.exhausted
        if let obstacle { return .failure(MissingSource(obstacle: obstacle)) }
        return copySource(.volume(run.volume), into: pool)
    }
}

/// When a policy runs.
struct PolicyCalendar {
    var expression: CronExpression
    var zone: ZoneRules

    /// - Parameter zones: as they were read.
    static func of(
        _ schedule: Schedule, _ zones: ObservationMap<ZoneFile>
    ) -> Result<PolicyCalendar, MissingSource> {
        func stop(_ sentence: String) -> Result<PolicyCalendar, MissingSource> {
            .failure(MissingSource(obstacle: Obstacle(.unknown, sentence)))
        }
        let expression: CronExpression
        do { expression = try CronExpression(schedule.cron) } catch { return stop("its schedule \(error)") }
        guard let name = schedule.timeZone else { return .success(PolicyCalendar(expression: expression, zone: .utc)) }
        switch zones[name] {
        case .known(let file?):
            do {
                return .success(PolicyCalendar(expression: expression, zone: try ZoneRules(tzif: file.bytes)))
            } catch {
                return stop("the file of the time zone \(name) \(error)")
            }
        case .known(nil): return stop("this host does not know the time zone \(name): see the name, or install tzdata")
        case .unknown(let error): return stop("the time zone \(name) could not be read: \(error)")
        }
    }
}

/// The work of one policy for one volume.
struct PolicyRun {
    /// A snapshot that is due: its time by the schedule, and the step that takes it; nil without consent.
    struct Taken {
        var time: Instant
        var step: Int?
    }

    var declared: Declared<SnapshotPolicySpec>
    var calendar: PolicyCalendar
    var volume: String
    var origin: StoredVolume
    /// Snapshots that the policy has taken of it, the trash included.
    var taken: [StoredVolume]
    var verdict: Timetable.Verdict

    /// Names for the snapshot of `time` that are short enough, the plainest first. The other ones bear a hash of policy
    /// and volume: policy `a` of volume `b-c` and policy `a-b` of volume `c` would have one name, and long names are
    /// cut.
    func names(at time: Instant) -> [String] {
        // Files have names of their own length, and no hyphens to double.
        let group = if case .logicalVolume(let group, _) = origin.location { group } else { "" }
        let policy = declared.metadata.name, suffix = PolicySnapshotName.suffix(time)
        let digest = SHA256.hash(data: Array("tuff run\0\(policy)\0\(origin.uid)".utf8))
        let hash = UID(bytes: digest).description.prefix(6)
        var head = "\(policy)-\(volume)"
        let plain = head + suffix
        while !head.isEmpty, head.hasSuffix("-") || !Self.fits("\(head)-\(hash)\(suffix)", in: group) {
            head.removeLast()
        }
        let other = (head.isEmpty ? "" : "\(head)-") + "\(hash)\(suffix)"
        return [plain, other].filter { Self.fits($0, in: group) }
    }

    /// Names have 63 characters at most; in the kernel's there are group and volume, hyphens doubled, within 127 bytes.
    private static func fits(_ name: String, in group: String) -> Bool {
        func doubled(_ text: String) -> Int { text.utf8.count + text.utf8.count { $0 == UInt8(ascii: "-") } }
        return name.utf8.count <= 63 && doubled(group) + 1 + doubled("p-\(name)") <= 127
    }
}

extension PlanningPass {
    /// The names of the volumes that it selects, sorted. Names are looked up: a hundred policies that are each asked
    /// about a thousand volumes were a quarter of their planning.
    func selected(by selection: VolumeSelection) -> [String] {
        switch selection {
        case .names(let names): Set(names).filter { volumes[$0] != nil }.sorted()
        case .labels: volumes.filter { selection.includes($0.value.metadata) }.map(\.key).sorted()
        }
    }
}

extension VolumeSelection {
    package func includes(_ metadata: Metadata) -> Bool {
        switch self {
        case .labels(let selector): selector.matches(metadata.labels)
        case .names(let names): names.contains(metadata.name)
        }
    }
}
