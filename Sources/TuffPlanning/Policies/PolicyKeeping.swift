import TuffModel
import TuffSchedule

/// Which of the snapshots that policies took stay, and who answers for them.
extension PlanningPass {
    /// The snapshot that a policy took under this name, for what is made from it or rolled back to it.
    func policySnapshot(_ name: String) -> VolumeOutcome? {
        let found = index.live(.snapshot(name), context.stack)
        guard let stored = found.first, found.count == 1, stored.marks.occasion != nil, stored.size != nil else {
            return nil
        }
        return .available(stored, after: nil)
    }

    /// Who answers for something that no document declares.
    enum Custody {
        /// No policy took it, or a document has named it since.
        case none
        /// A declared policy, which selects the volume.
        case policy
        /// The policy is declared, and does not select the volume any more.
        case deselected
        /// The policy is declared, and the volume is not.
        case volumeGone
        /// The policy is declared, and its volume is not to be seen: lost, or with marks that cannot be read. These may
        /// be all that is left of it.
        case volumeUnseen
        /// The policy is not declared, or was renamed.
        case policyGone
    }

    func custody(of stored: StoredVolume) -> Custody {
        guard let occasion = stored.marks.occasion, !occasion.isKept, stored.marks.kind == .snapshot,
            !isDeclared(stored.marks.role)
        else { return .none }
        guard let policy = snapshotPolicies[occasion.policy] else { return .policyGone }
        guard let volume = declaredVolume(stored.marks.origin) else {
            return isOutOfSight(stored.marks.origin) ? .volumeUnseen : .volumeGone
        }
        return policy.spec.volumes.includes(volume.metadata) ? .policy : .deselected
    }

    /// The document of the volume with this uid, where it is in use or comes back.
    private func declaredVolume(_ uid: UID?) -> Declared<VolumeSpec>? {
        guard let origin = uid.flatMap({ index.volume($0) }), case .volume(let name) = origin.marks.role,
            origin.standing == .live || index.live(origin.marks.role, context.stack).isEmpty
        else { return nil }
        return volumes[name] ?? heirs[origin.marks.role].flatMap { volumes[$0.name] }
    }

    /// True if nothing here bears this uid for certain, and nobody let go of it either: not seen is not gone. Of what
    /// the ledger does not know, nothing is known.
    private func isOutOfSight(_ uid: UID?) -> Bool {
        guard let uid else { return true }
        guard index.volume(uid) == nil else { return false }
        let entry = observed.ledger.entries.first { $0.uid == uid && $0.stack == context.stack }
        guard let entry, index.bearer(of: uid) == nil else { return true }
        let role = Marks.Role.volume(entry.resource.name)
        return entry.standing != .purged && (isDeclared(role) || heirs[role] != nil)
    }

    /// It is not removed though no document names it.
    func isKeptByPolicy(_ stored: StoredVolume) -> Bool { custody(of: stored) == .policy }

    /// True for what a policy's expiry left in the trash, having been cut short; what --prune put there has a time to
    /// be kept for.
    func isExpiring(_ stored: StoredVolume) -> Bool {
        guard let occasion = stored.marks.occasion, !occasion.isKept, stored.marks.policy == Marks.expiry else {
            return false
        }
        return context.consent.runDue && snapshotPolicies[occasion.policy] != nil
    }

    /// A declared policy took it. The guard takes its shares of what people declared, which a hundred of these must not
    /// enlarge; that they go is counted all the same where the policy does not select the volume any more.
    func isOutsideShares(_ stored: StoredVolume) -> Bool {
        [.policy, .deselected, .volumeGone, .volumeUnseen].contains(custody(of: stored))
    }

    func removalReason(_ stored: StoredVolume) -> Reason {
        switch custody(of: stored) {
        case .volumeGone: .volumeNotDeclared
        case .volumeUnseen: .volumeUnseen
        case .none, .policy, .deselected, .policyGone: .notDeclared
        }
    }

    /// Why it is listed.
    func abandonment(of stored: StoredVolume) -> String {
        let policy = "SnapshotPolicy/\(stored.marks.occasion?.policy ?? "")"
        let what = "\(stored.location) was taken by \(policy)"
        return switch custody(of: stored) {
        case .none, .policy: "\(stored.location) is ours and no document declares it"
        case .policyGone: "\(what), which no document declares"
        case .volumeGone: "\(what) of a volume that no document declares"
        case .volumeUnseen:
            "\(what) of a volume (uid \(stored.marks.origin?.description ?? "unknown")) that cannot be seen now; it is kept"
        case .deselected: "\(what), which does not select its volume any more"
        }
    }

    // MARK: Keeping

    /// Judges a volume's snapshots of one policy by its rule, the one that is due now among them.
    /// - Returns: how many there are.
    mutating func keep(_ run: PolicyRun, _ new: PolicyRun.Taken?) -> Int {
        let live = run.taken.filter { $0.standing == .live && custody(of: $0) == .policy }
        let stored = Dictionary(live.map { ($0.uid.description, $0) }) { first, _ in first }
        var points = live.map { volume in
            RetentionPoint(
                id: volume.uid.description, time: volume.marks.occasion?.time ?? context.now,
                isUsable: volume.size != nil && volume.marks.operation == nil)
        }
        if let new { points.append(RetentionPoint(id: "", time: new.time)) }
        let retention = Retention(of: points, by: run.declared.spec.keep, in: run.calendar.zone, now: context.now)
        for judgement in retention.judgements {
            guard let volume = stored[judgement.point.id] else { continue }
            // What was cut short is made to its end while its time is the one that is due, and is nothing afterwards.
            if volume.marks.lastingOperation != nil, judgement.point.time == new?.time { continue }
            guard judgement.isKept, volume.marks.lastingOperation == nil else {
                expire(volume, declared: run.declared, time: judgement.point.time, after: new?.step)
                continue
            }
            let reasons = judgement.reasons.map(\.description).joined(separator: ", ")
            builder.add(
                PlannedChange(
                    volume.marks.role.resource, action: .unchanged,
                    summary:
                        "\(volume.size ?? .zero) of \(judgement.point.time), kept: \(reasons) (\(volume.location))",
                    location: run.declared.location, uid: volume.uid))
        }
        return live.count
    }

    /// Through the trash and out of it in one plan: what is cut short is in the trash, and its time is over.
    private mutating func expire(
        _ stored: StoredVolume, declared: Declared<SnapshotPolicySpec>, time: Instant, after: Int?
    ) {
        let resource = stored.marks.role.resource
        func add(_ action: Action, sentence: String, reason: Reason) {
            builder.add(
                PlannedChange(
                    resource, action: action, summary: sentence, reason: reason, location: declared.location,
                    uid: stored.uid))
        }
        if let obstacle = waitObstacle(of: stored) {
            return add(.unchanged, sentence: "kept beyond its time: \(obstacle.sentence)", reason: .expired)
        }
        let summary =
            "destroy \(stored.size ?? .zero) of \(time), which SnapshotPolicy/\(declared.metadata.name) no longer keeps "
            + "(\(stored.location))"
        guard context.consent.runDue else { return add(.due, sentence: summary, reason: .expired) }
        var gone = stored.marks
        gone.until = context.now
        gone.policy = Marks.expiry
        let trash = stored.location(under: gone)
        let obstacle =
            removalObstacle(of: stored) ?? purgeObstacle(stored)
            ?? (trash != stored.location && index.isTaken(trash)
                ? Obstacle(.nameTaken, "\(trash) exists and is not this snapshot; rename it") : nil)
        if let obstacle { return add(.blocked, sentence: obstacle.sentence, reason: obstacle.reason) }
        let change = Relabelling(
            uuid: stored.uuid, from: stored.location, to: trash, before: stored.marks, after: gone)
        let steps: [StorageStep] = [
            .volume(.relabel(change)),
            .volume(.purge(VolumeRef(trash, uid: stored.uid, uuid: stored.uuid), until: context.now)),
        ]
        builder.add(
            PlannedChange(
                resource, action: .purge, summary: summary, risk: .destroysData, reason: .expired,
                location: declared.location,
                uid: stored.uid), steps,
            after: after.map { [$0] } ?? [])
    }
}

extension Marks {
    /// Stored on what expires, and on nothing else that a policy took.
    fileprivate static var expiry: RemovalPolicy { RemovalPolicy(.trash, keepFor: TimeSpan(seconds: 0)) }

    /// A snapshot that expired and was brought back is kept in the trash as long as others when it comes there again.
    mutating func endExpiry() {
        if occasion != nil, policy == Self.expiry { policy = RemovalPolicy() }
    }
}
