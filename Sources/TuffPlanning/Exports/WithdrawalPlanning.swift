import TuffModel

/// The part of one volume's export that goes before its declared attachments are looked at.
struct Withdrawal {
    /// Initiators whose access goes.
    var going: Set<String> = []
    /// The step by whose end it is gone.
    var after: Int?
    /// Something has to go and cannot.
    var obstacle: Obstacle?
}

extension PlanningPass {
    /// Access of this stack's volumes that no document declares: listed, and with consent taken away.
    mutating func planWithdrawals() {
        guard case .known = inventory else { return }
        // Uids are sorted, which are small, and not volumes.
        let order = ownVolumes.indices.map { (uid: ownVolumes[$0].uid, position: $0) }.sorted { $0.uid < $1.uid }
        for (_, position) in order {
            let volume = ownVolumes[position]
            guard case .volume(let name) = volume.marks.role, volume.standing != .released else { continue }
            let wanted = volume.standing == .live ? attachments[heirs[volume.marks.role]?.name ?? name] ?? [] : []
            let export = ObservedExport(volume, targets: targets, backstores: backstores)
            guard export.target != nil || export.backstore != nil, fault(volume) == nil else { continue }
            planWithdrawal(of: export, name, wanted)
        }
    }

    private mutating func planWithdrawal(
        of export: ObservedExport, _ name: String, _ wanted: [Declared<AttachmentSpec>]
    ) {
        let capabilities = context.config.exportCapabilities
        let undeclared = export.granted(capabilities).filter { acl in
            !isDeclared(acl, wanted: wanted, target: export.target, capabilities: capabilities)
        }
        let strangers = export.foreign(capabilities)
        let staying = (export.target?.acls.count ?? 0) - undeclared.count
        let isLast = wanted.isEmpty && staying == 0
        guard !undeclared.isEmpty || isLast else {
            if wanted.isEmpty { listStrangers(strangers, export: export, name: name) }
            return
        }
        if !strangers.isEmpty, wanted.isEmpty { listStrangers(strangers, export: export, name: name) }
        if let obstacle = door.obstacle(to: export.volume.backend) {
            return keep(undeclared, export: export, name: name, obstacle: obstacle)
        }
        guard context.consent.prune else {
            for acl in undeclared.isEmpty ? [nil] : undeclared.map(Optional.some) {
                builder.add(
                    PlannedChange(
                        ResourceID(.attachment, acl?.mark?.attachment ?? name), action: .orphan,
                        summary: orphanSentence(acl, export: export, name: name), reason: .notDeclared,
                        uid: export.volume.uid))
            }
            return
        }
        withdraw(undeclared.sorted { $0.initiator < $1.initiator }, isLast: isLast, export: export, name: name)
    }

    /// Access to what is out of reach stays.
    private mutating func keep(_ access: [ObservedACL], export: ObservedExport, name: String, obstacle: Obstacle) {
        let uid = export.volume.uid
        withdrawals[uid] = Withdrawal(obstacle: obstacle)
        for acl in access.isEmpty ? [nil] : access.map(Optional.some) {
            builder.add(
                PlannedChange(
                    ResourceID(.attachment, acl?.mark?.attachment ?? name), action: .blocked,
                    summary: "\(export.volume.location): \(obstacle.sentence)", reason: obstacle.reason, uid: uid))
        }
    }

    /// The last of several takes the export down, unless one of them has to stay; a leftover goes by itself.
    private mutating func withdraw(_ access: [ObservedACL], isLast: Bool, export: ObservedExport, name: String) {
        let uid = export.volume.uid
        var withdrawal = withdrawals[uid] ?? Withdrawal()
        var isLast = isLast
        for (position, acl) in (access.isEmpty ? [nil] : access.map(Optional.some)).enumerated() {
            let resource = ResourceID(.attachment, acl?.mark?.attachment ?? name)
            let takesDown = isLast && position >= access.count - 1
            let plan = ExportWithdrawal(
                of: uid, target: export.target, backstore: export.backstore, access: acl.map { [$0] } ?? [],
                isLast: takesDown, otherUser: takesDown ? otherUser(of: uid, besides: export.target?.iqn) : nil)
            if let obstacle = removalObstacle(of: export.volume) ?? accessWait(acl, of: export.volume) ?? plan.obstacle
            {
                withdrawal.obstacle = obstacle
                isLast = false
                builder.block(resource, by: obstacle, uid: uid)
                continue
            }
            let iqn = export.target?.iqn ?? export.volume.marks.iqn ?? uid.backstoreName
            let what =
                acl.map { "withdraw volume \(name) from \($0.initiator)" } ?? "take down what is left of its export"
            withdrawal.after = builder.add(
                PlannedChange(
                    resource, action: acl == nil ? .takeDown : .withdraw,
                    summary: takesDown ? "\(what), and its target \(iqn)" : what,
                    risk: plan.risk,
                    reason: .notDeclared, uid: uid),
                plan.steps.map { (.export($0), .target(iqn)) }, after: withdrawal.after.map { [$0] } ?? [])
            if let acl { withdrawal.going.insert(acl.initiator) }
        }
        withdrawals[uid] = withdrawal
    }

    /// Another target that hands out a volume's backstore.
    func otherUser(of uid: UID, besides iqn: String?) -> String? {
        users[uid.backstoreName]?.first { $0 != iqn }
    }

    /// True if this access is what an attachment declares, or what one is about to replace. Without marks any
    /// attachment whose initiator has no access yet may be about to replace it.
    private func isDeclared(
        _ acl: ObservedACL, wanted: [Declared<AttachmentSpec>], target: ObservedTarget?,
        capabilities: ExportCapabilities
    ) -> Bool {
        if wanted.contains(where: { $0.spec.initiator == acl.initiator }) { return true }
        guard !capabilities.marksAccess else {
            return wanted.contains { acl.mark?.isOf($0.metadata.name) == true }
        }
        return wanted.contains { declared in
            target?.acls.contains { $0.initiator == declared.spec.initiator } != true
        }
    }

    private func orphanSentence(_ acl: ObservedACL?, export: ObservedExport, name: String) -> String {
        let iqn = export.target?.iqn ?? export.volume.uid.backstoreName
        guard let acl else { return "\(iqn) is left of an export that nobody uses; --prune takes it down" }
        return "\(acl.initiator) may use volume \(name) through \(iqn) and no document says so; --prune withdraws it"
    }

    /// Access that somebody else granted on a target of ours is never taken away by a plan.
    private mutating func listStrangers(_ acls: [ObservedACL], export: ObservedExport, name: String) {
        guard !acls.isEmpty else { return }
        let initiators = acls.map(\.initiator).sorted().joined(separator: ", ")
        let sentence =
            "\(initiators) may use volume \(name) through \(export.target?.iqn ?? ""), which Tuff did not grant; "
            + "remove that ACL by hand"
        if context.consent.prune { withdrawals[export.volume.uid] = Withdrawal(obstacle: Obstacle(.notOurs, sentence)) }
        builder.add(
            PlannedChange(
                ResourceID(.attachment, name), action: .orphan, summary: sentence, reason: .notOurs,
                uid: export.volume.uid))
    }
}
