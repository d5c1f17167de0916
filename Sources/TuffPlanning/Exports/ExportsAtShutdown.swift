import TuffModel

extension PlanningPass {
    /// Takes every export of ours down. An export is known by its backstore, whose name is of a uid, and not by its
    /// volume: a volume group that hangs at shutdown must not keep its devices held open.
    mutating func planWithdrawalOfAll() throws(OrderError) {
        guard case .known(let inventory) = inventory else {
            throw OrderError("the targets could not be observed", help: "mend that first; see the warning above")
        }
        var exports: [UID: (target: ObservedTarget?, backstore: ObservedBackstore?)] = [:]
        for backstore in inventory.backstores {
            guard let uid = UID(backstoreName: backstore.name) else { continue }
            exports[uid] = (nil, backstore)
        }
        for target in inventory.targets {
            if let uid = owner(of: target) { exports[uid] = (target, exports[uid]?.backstore) }
        }
        for (iqn, error) in (inventory.unseen?.targets ?? [:]).inKeyOrder {
            guard let volume = index.volumes(withTarget: iqn).first else { continue }
            exports[volume.uid] = nil
            block(volume.uid, Obstacle(.unknown, "\(iqn) could not be observed: \(error)"))
        }
        for (uid, export) in exports.inKeyOrder {
            takeDown(uid, target: export.target, backstore: export.backstore)
        }
    }

    /// The uid of the volume that a target exports: every LUN is the backstore of one uid; without LUNs a stored volume
    /// says that it is the volume's.
    private func owner(of target: ObservedTarget) -> UID? {
        let names = Set(target.luns.map(\.backstore))
        guard let name = names.first else { return index.volumes(withTarget: target.iqn).first?.uid }
        guard names.count == 1 else { return nil }
        return name.flatMap { UID(backstoreName: $0) }
    }

    private mutating func takeDown(_ uid: UID, target: ObservedTarget?, backstore: ObservedBackstore?) {
        let capabilities = context.config.exportCapabilities
        let access = target?.acls ?? []
        let granted = access.filter { $0.mark != nil || !capabilities.marksAccess }
        let strangers = access.filter { $0.mark == nil && capabilities.marksAccess }.map(\.initiator).sorted()
        let iqn = target?.iqn ?? uid.backstoreName
        guard strangers.isEmpty else {
            return block(
                uid,
                Obstacle(
                    .notOurs,
                    "\(strangers.joined(separator: ", ")) may use \(iqn) by an ACL that Tuff did not make; remove that "
                        + "by hand"))
        }
        if target == nil, let user = otherUser(of: uid, besides: nil) {
            return block(
                uid,
                Obstacle(
                    .notOurs, "\(user) hands it out beside what Tuff did not make; remove that LUN by hand"))
        }
        let withdrawal = ExportWithdrawal(
            of: uid, target: target, backstore: backstore, access: granted.sorted { $0.initiator < $1.initiator },
            isLast: true, otherUser: otherUser(of: uid, besides: target?.iqn), disconnecting: true)
        if let obstacle = withdrawal.obstacle { return block(uid, obstacle) }
        guard !withdrawal.steps.isEmpty else { return }
        let users = granted.isEmpty ? "" : " for \(granted.map(\.initiator).sorted().joined(separator: ", "))"
        let cut = granted.filter { !$0.sessions.isEmpty }.map(\.initiator).sorted()
        builder.add(
            PlannedChange(
                resource(uid), action: .withdraw, summary: "take its export down: \(iqn)\(users)",
                risk: withdrawal.risk, uid: uid,
                notes: cut.isEmpty ? [] : ["ends the session of \(cut.joined(separator: ", "))"]),
            withdrawal.steps.map { (.export($0), .target(iqn)) })
    }

    private func resource(_ uid: UID) -> ResourceID {
        ResourceID(.volume, index.volume(uid)?.marks.name ?? uid.description)
    }

    private mutating func block(_ uid: UID, _ obstacle: Obstacle) {
        builder.block(resource(uid), by: obstacle, uid: uid)
    }
}
