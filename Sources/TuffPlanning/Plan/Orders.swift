package import TuffModel

/// An order that a person gives by hand, beside all documents. It becomes a plan like any other: shown, carried out by
/// the same steps under the same preconditions, judged by planning again. Volumes are named as people do, or by uid
/// where a name is not enough.
package enum Order: Hashable, Sendable {
    /// Brings a volume or a snapshot back from the trash.
    case restore(String)
    /// Destroys something in the trash before its time.
    case purge(String)
    /// Takes an initiator's access away; `force` ends its session.
    case detach(attachment: String, force: Bool)
    /// Ends the protection stored on a volume.
    case unprotect(String)
    /// Lets a volume go: its data and its marks stay, and no plan touches it until a document of its name adopts it.
    case release(String)
    /// Marks logical volumes that were there before Tuff as ours, as they are.
    case adopt([Adoption])
    /// Brings the exports of existing volumes back as last accepted.
    case restoreExports(AcceptedExports)
    /// Takes every export of ours down, whatever its stack, and ends its sessions: the host goes down.
    case withdrawExports
}

/// Why an order names nothing that it could be about.
package struct OrderError: Error, Hashable, Sendable {
    package var sentence: String
    package var help: String

    init(_ sentence: String, help: String) {
        self.sentence = sentence
        self.help = help
    }
}

extension Planner {
    /// Plans one order. Pure, like planning documents.
    package static func plan(
        _ order: Order, observed: ObservedState, context: PlanContext
    ) throws(OrderError) -> Plan {
        var pass = PlanningPass(desired: DesiredState(), observed: observed, context: context)
        try pass.carryOut(order)
        let (plan, _) = pass.builder.finish(context: context).besides(observed.jobs)
        if case .restoreExports = order { return plan.withoutTakingAway() }
        return plan
    }
}

extension PlanningPass {
    fileprivate mutating func carryOut(_ order: Order) throws(OrderError) {
        switch order {
        case .restore(let name): planUntrash(try find(name, standings: [.trashed, .live], place: "in the trash"))
        case .purge(let name): planPurge(try find(name, standings: [.trashed], place: "in the trash"))
        case .detach(let attachment, let force): try planDetach(attachment, force: force)
        case .unprotect(let name):
            planUnprotect(try find(name, standings: [.live, .trashed], place: "there", kinds: [.volume]))
        case .release(let name):
            planRelease(try find(name, standings: [.live, .released], place: "in use", kinds: [.volume]))
        case .adopt(let adoptions): for adoption in adoptions { planAdoption(adoption) }
        case .restoreExports(let accepted): planExports(of: accepted)
        case .withdrawExports: try planWithdrawalOfAll()
        }
    }

    /// The one volume of this stack that is meant.
    private func find(
        _ text: String, standings: [StoredVolume.Standing], place: String,
        kinds: Set<Kind> = [.volume, .snapshot]
    ) throws(OrderError) -> StoredVolume {
        if let unseen = unseenStorage {
            throw OrderError(
                "\(unseen) could not be observed, so it is not certain what is meant", help: "mend that first")
        }
        let mine = index.volumes.filter {
            $0.marks.stack == context.stack && standings.contains($0.standing) && kinds.contains($0.marks.kind)
        }
        let twins = index.twins.first { same in
            same.contains {
                $0.marks.stack == context.stack && kinds.contains($0.marks.kind)
                    && ($0.uid.description == text || ($0.marks.name == text && standings.contains($0.standing)))
            }
        }
        if let twins { throw OrderError(twins.twinSentence, help: "take the tags off the copy") }
        // By uid first: nobody names a volume like another's uid by accident.
        if let found = mine.first(where: { $0.uid.description == text }) { return found }
        for standing in standings {
            let found = mine.filter { $0.standing == standing && $0.marks.name == text }
            if found.count == 1 { return found[0] }
            if found.count > 1 {
                let uids = found.map { "\($0.uid) (\($0.location))" }.sorted().joined(separator: ", ")
                let what = Set(found.map(\.marks.kind)) == [.volume] ? "volumes" : "things"
                throw OrderError("\(found.count) \(what) are called '\(text)': \(uids)", help: "name one by its uid")
            }
        }
        throw OrderError(
            "no volume '\(text)' of stack '\(context.stack)' is \(place)",
            help: "'tuff get volumes' and 'tuff trash ls' list what there is")
    }

    mutating func add(_ stored: StoredVolume, _ obstacle: Obstacle) {
        builder.block(stored.marks.role.resource, by: obstacle, uid: stored.uid)
    }

    mutating func add(
        _ stored: StoredVolume, action: Action, summary: String, risk: Risk = .online, notes: [String] = [],
        step: StorageStep
    ) {
        builder.add(
            PlannedChange(
                stored.marks.role.resource, action: action, summary: summary, risk: risk, uid: stored.uid,
                notes: notes),
            [step])
    }

    private mutating func addNothing(_ stored: StoredVolume, _ summary: String) {
        builder.add(PlannedChange(stored.marks.role.resource, action: .unchanged, summary: summary, uid: stored.uid))
    }

    private func relabelling(_ stored: StoredVolume, _ change: (inout Marks) -> Void) -> Relabelling {
        var after = stored.marks
        after.operation = stored.marks.lastingOperation
        change(&after)
        return Relabelling(
            uuid: stored.uuid, from: stored.location, to: stored.location(under: after), before: stored.marks,
            after: after, isThickSnapshot: stored.isThickSnapshot)
    }

    private mutating func planUntrash(_ stored: StoredVolume) {
        guard stored.standing == .trashed else {
            return addNothing(stored, "it is in use, not in the trash (\(stored.location))")
        }
        let change = relabelling(stored) {
            $0.until = nil
            $0.endExpiry()
        }
        if stored.size == nil {
            return add(stored, Obstacle(.dataMissing, "the data of \(stored.location) is gone"))
        }
        if let other = index.live(stored.marks.role, context.stack).first {
            return add(
                stored, Obstacle(.nameTaken, "\(other.location) is \(stored.marks.role.resource) now; rename that one"))
        }
        if change.to != stored.location, index.isTaken(change.to) {
            return add(stored, Obstacle(.nameTaken, "\(change.to) exists and is not this volume; rename that one"))
        }
        if let obstacle = stateObstacle(stored) { return add(stored, obstacle) }
        add(
            stored, action: .untrash, summary: "bring back \(stored.size ?? .zero) from the trash (\(change.to))",
            notes: ["no document was looked at; 'apply --prune' puts it back unless one declares it"],
            step: .volume(.relabel(change)))
    }

    private mutating func planPurge(_ stored: StoredVolume) {
        guard let until = stored.marks.until else { return }
        if let obstacle = purgeObstacle(stored) { return add(stored, obstacle) }
        var steps = [StorageStep.volume(.purge(stored.ref, until: until))]
        if !stored.location.traits.isOneObject, until > context.now {
            // A file and its sidecar go one after the other: the sidecar says first that its time is over, so that a
            // later pass finishes what ends between the two.
            let change = relabelling(stored) { $0.until = context.now }
            steps = [
                .volume(.relabel(change)),
                .volume(.purge(VolumeRef(change.to, uid: stored.uid, uuid: stored.uuid), until: context.now)),
            ]
        }
        builder.add(
            PlannedChange(
                stored.marks.role.resource, action: .purge,
                summary: "destroy \(stored.size ?? .zero), kept in the trash until \(until) (\(stored.location))",
                risk: .destroysData, uid: stored.uid), steps)
    }

    private mutating func planUnprotect(_ stored: StoredVolume) {
        guard stored.marks.protect else { return addNothing(stored, "it is not protected (\(stored.location))") }
        if let obstacle = stateObstacle(stored) { return add(stored, obstacle) }
        let change = relabelling(stored) {
            $0.protect = false
            $0.operation = stored.marks.operation
        }
        add(
            stored, action: .update, summary: "end its protection (\(stored.location))",
            notes: ["a document with 'protect: true' protects it again"], step: .volume(.relabel(change)))
    }

    private mutating func planRelease(_ stored: StoredVolume) {
        if stored.standing == .released, !stored.marks.adopted {
            return addNothing(stored, "it was let go before (\(stored.location))")
        }
        // Held open by somebody else is no obstacle: nothing but marks changes.
        if let obstacle = standingObstacle(stored) ?? exportObstacle(stored) { return add(stored, obstacle) }
        if let operation = stored.marks.lastingOperation {
            return add(
                stored,
                Obstacle(
                    .unfinished,
                    "work on it is unfinished (tuff:op=\(operation)): without its marks it would look whole; apply its documents "
                        + "until it is"))
        }
        if stored.marks.adopted, let uuid = stored.uuid { return planDisowning(stored, uuid) }
        if stored.size == nil { return add(stored, Obstacle(.dataMissing, "the data of \(stored.location) is gone")) }
        let change = relabelling(stored) { $0.released = true }
        add(
            stored, action: .release, summary: "let go of \(stored.size ?? .zero), the data stays (\(stored.location))",
            notes: ["a document of its name adopts it again, with its identity"], step: .volume(.relabel(change)))
    }

    private mutating func planDetach(_ attachment: String, force: Bool) throws(OrderError) {
        guard case .known = inventory else {
            throw OrderError("the targets could not be observed", help: "mend that first; see the warning above")
        }
        let capabilities = context.config.exportCapabilities
        var found: [(ObservedExport, ObservedACL)] = []
        for volume in index.volumes where volume.marks.stack == context.stack {
            let export = ObservedExport(volume, targets: targets, backstores: backstores)
            for acl in export.granted(capabilities)
            where "\(volume.marks.name)@\(acl.initiator)" == attachment
                || acl.mark?.isOf(attachment) ?? (volume.marks.name == attachment)
            {
                found.append((export, acl))
            }
        }
        guard let (export, acl) = found.first else {
            throw OrderError(
                "no initiator has access by an attachment '\(attachment)' of stack '\(context.stack)'",
                help: "'tuff get attachments' lists those there are"
                    + (capabilities.marksAccess ? "" : "; with tgt they go by the volume's name"))
        }
        guard found.count == 1 else {
            let places = found.map { "\($0.0.volume.marks.name) for \($0.1.initiator)" }.sorted()
            throw OrderError(
                "several go by the name '\(attachment)': \(places.joined(separator: ", "))",
                help: capabilities.marksAccess
                    ? "remove the documents and apply with --prune" : "name one as VOLUME@INITIATOR")
        }
        if let error = fault(export.volume) {
            throw OrderError("the export of this volume could not be observed: \(error)", help: "mend that first")
        }
        let isLast = export.target?.acls.count == 1
        let withdrawal = ExportWithdrawal(
            of: export.volume.uid, target: export.target, backstore: export.backstore, access: [acl], isLast: isLast,
            otherUser: isLast ? otherUser(of: export.volume.uid, besides: export.target?.iqn) : nil,
            disconnecting: force)
        let resource = ResourceID(.attachment, attachment)
        if let obstacle = withdrawal.obstacle {
            builder.block(resource, by: obstacle, uid: export.volume.uid)
            return
        }
        let iqn = export.target?.iqn ?? export.volume.uid.backstoreName
        builder.add(
            PlannedChange(
                resource, action: .withdraw,
                summary: "withdraw volume \(export.volume.marks.name) from \(acl.initiator)",
                risk: withdrawal.risk, uid: export.volume.uid,
                notes: ["a document that declares it brings it back at the next apply"]),
            withdrawal.steps.map { (.export($0), .target(iqn)) })
    }
}
