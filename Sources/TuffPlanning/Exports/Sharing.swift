package import TuffModel

/// One volume's export as the attachments planned so far leave it.
struct ExportProgress {
    /// One of them makes or mends everything that they share; the others add their own access to it.
    var isBuilt = false
    /// The last step of theirs, after which the next one's come.
    var after: Int?
    /// Read-only or not, by initiator, when that step has ended.
    var access: [String: Bool] = [:]
    /// Initiators that are replaced.
    var gone: Set<String> = []
}

/// Who else may use a volume that one attachment gives to an initiator.
struct ExportCompany {
    var sharing = VolumeSpec.Sharing.none
    /// Initiators that other attachments of the volume declare.
    var declared: Set<String> = []
    /// Everybody else who may use it when this attachment's turn comes, by initiator: read-only or not.
    var present: [String: Bool] = [:]
    /// The export itself is another attachment's to make and to mend.
    var isBuilt = false
    /// Portals of this export that cannot be listened on beside what other targets listen on, and why.
    var takenPortals: [Portal: String] = [:]
    /// Portals that this target gives up before any target of the plan gets one.
    var leaving: Set<Portal> = []
}

extension VolumeSpec.Sharing {
    /// True if one more may use a volume beside others.
    /// - Parameters:
    ///   - readOnly: of the one more.
    ///   - others: read-only or not, of each of the others.
    func admits(readOnly: Bool, beside others: some Collection<Bool>) -> Bool {
        switch self {
        case .none: others.isEmpty
        case .handover: others.count < 2
        case .readers: readOnly || !others.contains(false)
        case .writers: true
        }
    }

    /// The users it lets have a volume, for messages.
    var limit: String {
        switch self {
        case .none: "one initiator"
        case .handover: "two initiators at once"
        case .readers: "one writer at once"
        case .writers: "any number of initiators"
        }
    }
}

/// A live migration that does not end: two initiators that write to one disk, with nothing but the migration between
/// them and a destroyed file system.
package enum Handover {
    /// Seconds after which it is reported.
    package static let limit: Int64 = 3600

    /// Since when two initiators have had the volume, where that is too long.
    package static func overdue(
        _ volume: StoredVolume, _ target: ObservedTarget?, sharing: VolumeSpec.Sharing?, ledger: Ledger, now: Instant
    ) -> Instant? {
        guard (sharing ?? .handover) == .handover, let target, target.acls.count > 1,
            let entry = ledger.entry(volume.marks.role.resource, stack: volume.marks.stack), entry.uid == volume.uid,
            let since = entry.sharedSince, now.secondsSince1970 - since.secondsSince1970 > limit
        else { return nil }
        return since
    }

    package static func sentence(_ target: ObservedTarget, since: Instant) -> String {
        let names = target.acls.map(\.initiator).sorted().joined(separator: " and ")
        return "\(names) have both had it since \(since); remove the attachment of the one that is done"
    }
}

extension PlanningPass {
    /// Readers before writers, so that a volume whose writer becomes a reader has never two writers.
    static func inTurn(_ attachments: [String: Declared<AttachmentSpec>]) -> [Declared<AttachmentSpec>] {
        let sorted = attachments.keys.sorted().map { attachments[$0]! }
        return sorted.filter(\.spec.readOnly) + sorted.filter { !$0.spec.readOnly }
    }

    func company(
        of declared: Declared<AttachmentSpec>, _ target: ObservedTarget?, _ progress: ExportProgress
    ) -> ExportCompany {
        let all = attachments[declared.spec.volume] ?? []
        let others = all.count > 1 ? all.filter { $0.metadata.name != declared.metadata.name } : []
        var present: [String: Bool] = [:]
        for acl in target?.acls ?? [] {
            // Access without a mapping is half made, and nothing says how it is meant.
            present[acl.initiator] = !acl.mappedLUNs.isEmpty && acl.mappedLUNs.allSatisfy(\.readOnly)
        }
        if !progress.access.isEmpty { present.merge(progress.access) { _, planned in planned } }
        present[declared.spec.initiator] = nil
        return ExportCompany(
            sharing: sharing[declared.spec.volume] ?? .none, declared: Set(others.map(\.spec.initiator)),
            present: present, isBuilt: progress.isBuilt)
    }

    /// On the attachments of a volume that two initiators have had for too long.
    func handoverNotes(
        _ stored: StoredVolume, declared: Declared<AttachmentSpec>, target: ObservedTarget?
    ) -> [String] {
        let since = Handover.overdue(
            stored, target, sharing: sharing[declared.spec.volume], ledger: observed.ledger, now: context.now)
        guard let since, let target else { return [] }
        return ["a long handover: \(Handover.sentence(target, since: since))"]
    }

    /// Readers beside a writer, where read-only is one setting for all initiators of a volume.
    func mixedModes(_ declared: Declared<AttachmentSpec>) -> Obstacle? {
        guard declared.spec.readOnly,
            !context.config.exportCapabilities.readOnlyPerInitiator,
            let writer = attachments[declared.spec.volume]?.first(where: { !$0.spec.readOnly })
        else { return nil }
        return Obstacle(
            .driverCannot,
            "read-only is one setting for all initiators of a volume with \(context.config.targetDriver.rawValue), and "
                + "attachment '\(writer.metadata.name)' writes; use targetDriver: lio")
    }
}

extension ExportDiff {
    /// The owner of an access, as part of a sentence.
    func grant(of acl: ObservedACL) -> String {
        acl.mark.map { "the attachment \($0.attachment), which --prune withdraws" }
            ?? "an ACL that Tuff did not make and a person must remove"
    }
}
