import TuffModel

/// The steps that take initiators' access to one volume away, and the export with it when nobody is left. Pure.
///
/// Order of taking down: mappings and ACLs, the portal group, LUNs, portals, target, backstore. Nobody is ever left
/// with a disk that is half gone, and the kernel refuses every other order.
struct ExportWithdrawal {
    private(set) var steps: [ExportStep] = []
    /// Why nothing may be taken away now.
    private(set) var obstacle: Obstacle?
    private(set) var risk = Risk.online

    private let target: ObservedTarget?
    private let uid: UID

    /// - Parameters:
    ///   - access: whose ACLs go. All of them are ours.
    ///   - isLast: nobody else has access and no document wants any, so the export goes too.
    ///   - otherUser: another target that hands the backstore out, which only whoever made that LUN can end.
    ///   - disconnecting: end live sessions whatever the access says of itself (`tuff detach --force`).
    init(
        of uid: UID, target: ObservedTarget?, backstore: ObservedBackstore?, access: [ObservedACL], isLast: Bool,
        otherUser: String? = nil, disconnecting: Bool = false
    ) {
        self.target = target
        self.uid = uid
        if isLast, backstore != nil, let otherUser {
            obstacle = Obstacle(
                .notOurs,
                "target \(otherUser) hands out backstore '\(uid.backstoreName)' too, by a LUN that Tuff did not make; remove "
                    + "that LUN by hand")
            return
        }
        for acl in access {
            let cuts = disconnecting || acl.mark?.onRemove == .disconnect
            if !acl.sessions.isEmpty, !cuts {
                obstacle = Self.inUse(acl)
                return
            }
            if !acl.sessions.isEmpty { risk = .interruptsIO }
            steps.append(
                .removeACL(
                    reference, initiator: acl.initiator, mapped: acl.mappedLUNs.map(\.number), disconnecting: cuts))
        }
        if isLast { takeDown(backstore) }
    }

    private var reference: TargetRef { TargetRef(iqn: target?.iqn ?? "", place: target?.place ?? "") }

    static func inUse(_ acl: ObservedACL) -> Obstacle {
        let addresses = acl.sessions.flatMap(\.addresses)
        let place = addresses.isEmpty ? "" : " from \(addresses.joined(separator: ", "))"
        return Obstacle(
            .inUse,
            "\(acl.initiator) is logged in\(place); log it out there (iscsiadm --logout), or cut it off with "
                + "tuff detach --force" + (acl.mark.map { " \($0.attachment)" } ?? ""))
    }

    private mutating func takeDown(_ backstore: ObservedBackstore?) {
        if let target {
            if !target.dynamicSessions.isEmpty {
                obstacle = Obstacle(
                    .inUse,
                    "\(target.dynamicSessions.joined(separator: ", ")) is logged in without an ACL; log it out first")
                return
            }
            if !target.extraPortalGroups.isEmpty {
                obstacle = Obstacle(
                    .notOurs,
                    "target \(target.iqn) has portal groups that Tuff did not make: "
                        + target.extraPortalGroups.joined(separator: ", "))
                return
            }
            if target.enabled { steps.append(.disable(reference)) }
            steps += target.luns.map { .removeLUN(reference, number: $0.number) }
            steps += target.portals.sorted().map { .removePortal(reference, $0) }
            steps.append(.removeTarget(reference))
        }
        if let backstore { steps.append(.removeBackstore(uid: uid, place: backstore.place)) }
    }
}

/// One volume's export as it is there.
struct ObservedExport {
    let volume: StoredVolume
    /// Nil: no target, or one of that name which hands out something else and is not ours.
    var target: ObservedTarget?
    let backstore: ObservedBackstore?

    init(_ volume: StoredVolume, targets: [String: ObservedTarget], backstores: [String: ObservedBackstore]) {
        self.volume = volume
        backstore = backstores[volume.uid.backstoreName]
        if let iqn = volume.marks.iqn, let found = targets[iqn],
            found.luns.allSatisfy({ Self.isOurs($0, of: volume) })
        {
            target = found
        }
    }

    /// A LUN that hands out nothing is half made or half taken down, and nobody else makes LUNs in our targets; one
    /// without a name that does hand something out is ours by its path.
    private static func isOurs(_ lun: ObservedLUN, of volume: StoredVolume) -> Bool {
        if let backstore = lun.backstore { return backstore == volume.uid.backstoreName }
        return lun.path == nil || lun.path == volume.location.path
    }

    /// Access that Tuff granted. Where a stack has no room for marks, all access to a target of ours counts as such.
    func granted(_ capabilities: ExportCapabilities) -> [ObservedACL] {
        (target?.acls ?? []).filter { $0.mark != nil || !capabilities.marksAccess }
    }

    func foreign(_ capabilities: ExportCapabilities) -> [ObservedACL] {
        (target?.acls ?? []).filter { $0.mark == nil && capabilities.marksAccess }
    }
}
