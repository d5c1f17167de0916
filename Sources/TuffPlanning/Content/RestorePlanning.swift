import Crypto
package import TuffModel

/// Rolling volumes back in place, each Restore once.
///
/// A snapshot, which is in the trash from the beginning, keeps the content that is written over. The volume then bears
/// `tuff:op=restore/KEY` until every byte is that of the source; the command that takes the mark off writes
/// `tuff:done=KEY`, so that there is no moment at which it could begin again.
extension PlanningPass {
    /// Name of the snapshot that is taken of a volume before the Restore `name` writes over it.
    static func safetyName(_ name: String, _ key: String) -> String {
        let whole = "before-\(name)"
        return whole.utf8.count <= 63 ? whole : "before-\(name.prefix(47))-\(key)"
    }

    mutating func planRestores(_ desired: DesiredState) {
        for name in desired.restores.keys.sorted() { holdingRoom { $0.planRestore(desired.restores[name]!) } }
        // Nobody gets what is half of one and half of the other.
        for (role, outcome) in outcomes {
            if case .available(let stored, _) = outcome, stored.marks.restoration != nil {
                outcomes[role] = .unavailable("\(role.resource) is not rolled back completely yet")
            }
        }
    }

    /// A volume whose rolling back was interrupted, and whose Restore is not there any more.
    func abandonedRestore(_ stored: StoredVolume, _ declared: Declared<VolumeSpec>) -> Obstacle? {
        guard let key = stored.marks.restoration,
            !restores.values.contains(where: {
                $0.spec.volume == declared.metadata.name && RestoreKey.of($0.metadata.name, stored.uid) == key
            })
        else { return nil }
        let safety = index.volumes.first {
            $0.marks.origin == stored.uid && $0.marks.safety == key && !$0.marks.isCopying
        }
        let kept =
            safety.map { safety in
                let until = safety.marks.until.map { " (in the trash until \($0))" } ?? ""
                return "what it held before is Snapshot/\(safety.marks.name), \(safety.location)\(until)"
            } ?? "no snapshot of what it held before is there"
        return Obstacle(
            .unfinished,
            "rolling \(stored.location) back was interrupted, it holds parts of both, and no Restore that may finish it "
                + "(\(key)) is declared; \(kept). Declare that Restore again, under its name")
    }

    private mutating func planRestore(_ declared: Declared<RestoreSpec>) {
        let role = Marks.Role.volume(declared.spec.volume), uid = declared.spec.volumeUID
        guard let outcome = outcomes[role] else {
            // Another node's, unless nobody declares it.
            if volumes[role.name] == nil {
                builder.block(
                    ResourceID(.restore, declared.metadata.name),
                    by: Obstacle(.dependencyBlocked, "no document declares \(role.resource)"), at: declared.location)
            }
            return
        }
        let key = RestoreKey.of(declared.metadata.name, uid)
        var available: (stored: StoredVolume, after: Int?)?
        if case .available(let stored, let after) = outcome { available = (stored, after) }
        let seen = available?.stored ?? index.live(role, context.stack).first
        if let seen, seen.uid != uid {
            return rest(
                declared, reason: .obsolete,
                sentence: "does nothing: \(role.resource) has uid \(seen.uid), and this is for \(uid)", stored: seen,
                // Said in every plan: nobody shall take a mistyped uid for a restore that was carried out.
                notes: ["it is for another disk that had the name, or volumeUID is mistyped; correct or remove it"])
        }
        if let seen, seen.marks.executed.contains(key) {
            return rest(
                declared, reason: .executed, sentence: "was carried out, and is not again (\(seen.location))",
                stored: seen)
        }
        guard let (stored, after) = available else {
            return builder.block(
                ResourceID(.restore, declared.metadata.name),
                by: Obstacle(.dependencyBlocked, "\(role.resource) is not available, see its own line"),
                at: declared.location)
        }
        switch restoreSource(declared, stored: stored, key: key) {
        case .failure(let missing):
            builder.block(
                ResourceID(.restore, declared.metadata.name), by: missing.obstacle, at: declared.location,
                uid: stored.uid)
        case .success(let source): add(declared, source: source, stored: stored, key: key, after: after)
        }
    }

    /// The content to write, when nothing at all is in the way.
    private mutating func restoreSource(
        _ declared: Declared<RestoreSpec>, stored: StoredVolume, key: String
    ) -> Result<RestoreOrigin, MissingSource> {
        func missing(_ obstacle: Obstacle) -> Result<RestoreOrigin, MissingSource> {
            .failure(MissingSource(obstacle: obstacle))
        }
        if let obstacle = competitor(declared, stored: stored, key: key) { return missing(obstacle) }
        if stored.marks.protect {
            let what = "\(stored.location) is protected, and is not rolled back while it is"
            return missing(
                Obstacle(
                    .protected,
                    "\(what); declare it with 'protect: false', or: tuff unprotect "
                        + stored.marks.name))
        }
        let source: RestoreOrigin
        switch restoreOrigin(declared.spec, stored) {
        case .success(let found): source = found
        case .failure(let obstacle): return .failure(obstacle)
        }
        let snapshot = source.stored
        if let obstacle = stateObstacle(stored) ?? snapshot.flatMap(stateObstacle) ?? stored.refusal
            ?? snapshot?.breakage ?? snapshot.flatMap(unfinishedContent) ?? source.obstacle(in: stored)
            ?? userObstacle(stored) ?? restoreCapacity(stored, from: source, key)
            ?? bystanderObstacle(stored, from: snapshot)
        {
            return missing(obstacle)
        }
        if let snapshot, snapshot.open {
            return missing(Obstacle(.inUse, "\(snapshot.location) is in use on this host itself"))
        }
        if !keepsSafety(stored), stored.marks.restoration == nil, !context.consent.allowDestroy {
            return missing(
                Obstacle(
                    .consentNeeded,
                    "what \(stored.location) holds now would be lost, since its pool takes no safety snapshot; "
                        + "--allow-destroy allows that"))
        }
        return .success(source)
    }

    private func keepsSafety(_ stored: StoredVolume) -> Bool {
        if case .thick = stored.backend { false } else { true }
    }

    /// At most one waits for a volume, or nobody could tell which content it ends with.
    private mutating func competitor(
        _ declared: Declared<RestoreSpec>, stored: StoredVolume, key: String
    ) -> Obstacle? {
        if stored.marks.restoration == key { return nil }
        let waiting = waitingRestores(for: stored, named: declared.spec.volume)
        guard let other = waiting.first(where: { $0 != declared.metadata.name }) else { return nil }
        return Obstacle(
            .conflict,
            "Restore/\(other) is to roll Volume/\(declared.spec.volume) back as well, and is not carried out yet; remove one "
                + "of them")
    }

    /// The first two by name of the Restores that wait for a volume. They are looked for once, since each of many asks.
    private mutating func waitingRestores(for stored: StoredVolume, named volume: String) -> [String] {
        let executed = stored.marks.executed
        if let known = waitingRestores[volume], known.uid == stored.uid, known.executed == executed {
            return known.names
        }
        if restoresByVolume.isEmpty {
            restoresByVolume = Dictionary(grouping: restores.values, by: \.spec.volume)
        }
        let names = (restoresByVolume[volume] ?? []).filter { $0.spec.volumeUID == stored.uid }.map(\.metadata.name)
            .filter { !executed.contains(RestoreKey.of($0, stored.uid)) }.sorted().prefix(2)
        waitingRestores[volume] = WaitingRestores(uid: stored.uid, executed: executed, names: Array(names))
        return Array(names)
    }

    /// Who has it or may have it. Nobody is detached for a restore.
    private func userObstacle(_ stored: StoredVolume) -> Obstacle? {
        let name = stored.marks.name
        let export = ObservedExport(stored, targets: targets, backstores: backstores)
        let isShown = export.target != nil || export.backstore != nil
        let attached = (attachments[name] ?? []).map { "Attachment/\($0.metadata.name)" }.sorted()
        // Once it was begun nobody has it, and who is declared by now gets it when it is whole.
        if !attached.isEmpty, stored.marks.restoration == nil || isShown {
            return Obstacle(
                .attached,
                "it waits for Volume/\(name) to be detached: \(attached.joined(separator: ", ")) "
                    + (attached.count == 1 ? "attaches it" : "attach it"))
        }
        guard let obstacle = accessObstacle(stored) else { return nil }
        return obstacle.reason == .inUse ? Obstacle(.attached, "it waits: \(obstacle.sentence)") : obstacle
    }

    /// Every block that may differ takes room of its own, since the safety snapshot keeps the former one.
    private mutating func restoreCapacity(
        _ stored: StoredVolume, from source: RestoreOrigin, _ key: String
    ) -> Obstacle? {
        guard keepsSafety(stored), let declared = poolsByBackend[stored.backend], let pool = pools[declared.name] else {
            return nil
        }
        if let obstacle = pool.obstacleToFilling { return obstacle }
        let isBegun = stored.marks.restoration != nil
        if !isBegun, let obstacle = pool.budget.exhausted { return obstacle }
        let size = stored.size ?? .zero
        var worst = min(size, occupied(stored) + content(of: source))
        if case .directory = stored.backend, !pool.sharesBlocks {
            worst = worst + occupied(stored) - min(occupied(stored), leftSafety(of: stored, key).map(occupied) ?? .zero)
        }
        // What was begun is not given up for want of room that it has taken itself.
        if !isBegun, worst > pool.budget.realFree {
            return Obstacle(
                .insufficientCapacity,
                "rolling back may write \(worst), and pool '\(pool.name)' has \(max(pool.budget.realFree, .zero)) of real "
                    + "room beyond its reserve")
        }
        spend(worst, in: declared.name)
        return nil
    }

    /// Bytes a thin volume has blocks for, as far as LVM tells, and otherwise at most.
    func mapped(_ stored: StoredVolume, in group: String, _ pool: String) -> ByteCount {
        let size = stored.size ?? .zero
        guard case .known(let found?) = observed.volumeGroups[group] else { return size }
        func share(_ of: ByteCount, _ percent: Double) -> ByteCount {
            ByteCount(Int64(exactly: (Double(of.bytes) * min(percent, 100) / 100).rounded(.up)) ?? of.bytes)
        }
        if let used = stored.uuid.flatMap({ index.logicalVolumes[$0] })?.dataPercent {
            return share(size, used)
        }
        guard let home = found.logicalVolumes.first(where: { $0.name == pool }), let used = home.dataPercent else {
            return size
        }
        return min(size, share(home.size, used))
    }

    // MARK: Steps

    private mutating func add(
        _ declared: Declared<RestoreSpec>, source: RestoreOrigin, stored: StoredVolume, key: String, after: Int?
    ) {
        let operation = Marks.restoring(key), from = source.stored
        let overlay = from.flatMap { $0.isThickSnapshot ? $0 : nil }
        let isBegun = stored.marks.restoration == key
        var steps: [StorageStep] = [], notes = source.warnings
        var begun = stored
        begun.marks.operation = operation
        var whole = stored
        whole.marks.operation = nil
        whole.marks.executed.append(key)
        whole.active = !stored.location.traits.activates
        let up = stored.active ? [] : stored.activation
        if let overlay {
            // Its device comes with the volume's, and only then LVM tells whether it overflowed while nobody looked. So
            // the volume is not marked before, since what is marked waits for a content that may be lost.
            steps += up + [.lvm(.confirmWhole(overlay.ref))]
        }
        if !isBegun {
            let beginning = beginning(declared.metadata.name, stored: stored, as: begun.marks, key: key)
            steps += beginning.steps
            notes += beginning.notes
        }
        var device: (up: [StorageStep], down: [StorageStep]) = ([], [])
        if overlay == nil {
            device = from.map(bringing) ?? ([], [])
            steps += up + device.up
        }
        steps.append(source.filling(begun.ref, operation))
        // It keeps what is written over meanwhile, and once full it shows that instead.
        if let overlay { steps.append(.lvm(.confirmWhole(overlay.ref))) }
        steps.append(completion(of: begun, as: whole.marks))
        steps += device.down
        let size = stored.size ?? .zero
        if size > source.size {
            notes.append("the last \(size - source.size), which \(source.word) does not have, become zeros")
        }
        let verb = isBegun ? "finish rolling" : "roll"
        // What is still to be made of the volume's own content comes first and must succeed: it is written over here.
        let before = [after, source.after, transfers[stored.uid], withdrawals[stored.uid]?.after]
        let last = builder.add(
            PlannedChange(
                ResourceID(.restore, declared.metadata.name), action: .update,
                summary:
                    "\(verb) Volume/\(declared.spec.volume) back to \(source.description), \(size) "
                    + "(\(stored.location))",
                risk: keepsSafety(stored) ? .online : .destroysData, location: declared.location, uid: stored.uid,
                notes: notes), steps,
            after: Set(before.compactMap { $0 } + builder.readers(of: stored.uid)).sorted(),
            behind: from.flatMap { transfers[$0.uid] }.map { [$0] } ?? [])
        if let from { transfers[from.uid] = last }
        outcomes[.volume(declared.spec.volume)] = .available(whole, after: last)
    }

    /// Keeps what is written over, where the pool can, and marks the volume.
    private func beginning(
        _ name: String, stored: StoredVolume, as marks: Marks, key: String
    ) -> (steps: [StorageStep], notes: [String]) {
        var steps: [StorageStep] = [], notes: [String] = []
        let safety =
            keepsSafety(stored)
            ? begunSafety(of: stored, key) ?? safetySnapshot(of: stored, for: name, key) : nil
        if let safety {
            var former = CopySource(
                resource: stored.marks.role.resource, stored: stored, size: stored.size ?? .zero, sharesBlocks: true)
            if case .directory = stored.backend {
                former.sharesBlocks = poolsByBackend[stored.backend]?.sharesBlocks == true
            }
            steps = copySteps(former, to: safety, goingOn: leftSafety(of: stored, key))
            notes = [
                "what it holds now is kept as \(safety.marks.role.resource) in the trash until "
                    + "\(safety.marks.until ?? context.now) (\(safety.location))"
            ]
        }
        steps.append(
            stored.location.traits.changesSingleMarks
                ? .lvm(
                    .begin(
                        stored.ref, operation: Marks.restoring(key),
                        kept: safety.map { VolumeRef($0.location, uid: $0.uid) }))
                : relabelling(stored, as: marks))
        return (steps, notes)
    }

    /// A safety snapshot whose making was cut short: the next attempt goes on in its place, or each would leave one in
    /// the trash.
    private func leftSafety(of stored: StoredVolume, _ key: String) -> StoredVolume? {
        guard case .directory = stored.backend else { return nil }
        return index.volumes.first {
            $0.marks.origin == stored.uid && $0.marks.safety == key && $0.marks.isCopying
                && $0.marks.stack == context.stack && $0.backend == stored.backend
                && $0.marks.until.map { $0 > context.now } == true
        }
    }

    /// Where blocks are shared it is made anew under its own marks, which say for how long it is kept.
    private func begunSafety(of stored: StoredVolume, _ key: String) -> StoredVolume? {
        poolsByBackend[stored.backend]?.sharesBlocks == true ? leftSafety(of: stored, key) : nil
    }

    /// The snapshot of what is written over. It is in the trash from its first moment: kept as long as a removed volume
    /// is, and at least as long as by default.
    private func safetySnapshot(of stored: StoredVolume, for name: String, _ key: String) -> StoredVolume {
        let keeping = max(stored.marks.policy.keepFor.seconds, RemovalPolicy.defaultKeeping.seconds)
        var snapshot = stored
        snapshot.marks = Marks(
            uid: context.mintUID(for: ResourceID(.restore, name)), role: .snapshot(Self.safetyName(name, key)),
            stack: context.stack, policy: RemovalPolicy(keepFor: TimeSpan(seconds: keeping)),
            until: context.now.advanced(by: TimeSpan(seconds: keeping)), origin: stored.uid, safety: key,
            size: stored.size.flatMap(stored.backend.recorded))
        snapshot.location = snapshot.location.renamed("t-\(snapshot.uid)")
        // What was copied of it is not copied again, and its marks are written anew when all of it is.
        if poolsByBackend[stored.backend]?.sharesBlocks != true, let left = leftSafety(of: stored, key) {
            snapshot.marks.uid = left.uid
            snapshot.location = left.location
        }
        return snapshot
    }

    /// A line that does nothing and is well.
    private mutating func rest(
        _ declared: Declared<RestoreSpec>, reason: Reason, sentence: String, stored: StoredVolume,
        notes: [String] = []
    ) {
        builder.add(
            PlannedChange(
                ResourceID(.restore, declared.metadata.name), action: .unchanged, summary: sentence, reason: reason,
                location: declared.location, uid: stored.uid, notes: notes))
    }
}

extension VolumeLocation {
    /// Another name in the same group or directory.
    func renamed(_ name: String) -> VolumeLocation {
        switch self {
        case .logicalVolume(let group, _): .logicalVolume(group: group, name: name)
        case .file(let directory, _): .file(directory: directory, name: name)
        }
    }
}

/// Restores that are declared for one volume and not carried out.
struct WaitingRestores {
    var uid: UID
    var executed: [String]
    var names: [String]
}

/// The key of a Restore on its volume, the same for ever.
package enum RestoreKey {
    /// Eight characters of a hash of its name and the volume's uid.
    package static func of(_ name: String, _ uid: UID) -> String {
        String(UID(bytes: SHA256.hash(data: Array("tuff restore\0\(name)\0\(uid)".utf8))).description.prefix(8))
    }
}
