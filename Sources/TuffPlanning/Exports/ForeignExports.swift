import TuffModel

/// The export of a logical volume that Tuff did not make, as far as it can be taken over.
struct ForeignExport {
    /// Name of the target, where a target of Tuff's can have it and hand out nothing else.
    var iqn: String?
    var serial: String?
    var lun = 0
    var portals: [Portal] = []
    /// Without names but those that Tuff gave.
    var access: [ImportSurvey.Attachment] = []
    var notes: [String] = []
}

/// Backstores and targets that somebody else made, by the logical volume behind them.
struct ForeignExports {
    private let inventory: TargetInventory
    /// Why not everything is known that may hand something out.
    private let fault: String?

    init(_ targets: Observation<TargetInventory>) {
        switch targets {
        case .known(let found):
            inventory = found
            fault = found.unseen.map { unseen in
                let names = (unseen.targets.keys.sorted() + unseen.backstores.keys.sorted()).joined(separator: ", ")
                return names.isEmpty ? "not all backstores could be observed" : "\(names) could not be observed"
            }
        case .unknown(let error):
            inventory = TargetInventory()
            // A stack that is not there hands nothing out.
            fault = error.code == .notFound ? nil : "the targets could not be observed: \(error)"
        }
    }

    private func backstores(of volume: LogicalVolume, group: String) -> [ObservedBackstore] {
        let doubled = [group, volume.name].map { $0.replacing("-", with: "--") }.joined(separator: "-")
        let paths = ["/dev/\(group)/\(volume.name)", "/dev/mapper/\(doubled)"]
        return inventory.backstores.filter { backstore in
            if let held = backstore.device, let own = volume.device { return held == own }
            return backstore.path.map(paths.contains) == true
        }
    }

    /// Why a logical volume that is in use is not imported; nil: a target hands it out, or nobody uses it.
    func obstacle(_ volume: LogicalVolume, group: String) -> String? {
        let found = backstores(of: volume, group: group)
        guard found.isEmpty else {
            let names = Set(found.map(\.name))
            let twins = inventory.backstores.filter { names.contains($0.name) }
            return twins.count > found.count
                ? "is behind a backstore whose name '\(names.sorted()[0])' another has too, so its target cannot be told"
                : nil
        }
        guard volume.open else { return nil }
        if let fault { return "is in use, and perhaps behind a target: \(fault)" }
        return "is in use on this host itself: mounted, swap, part of another device, or behind another target stack"
    }

    /// Exports of other people's targets that are none of these logical volumes, and so are not imported.
    func others(than volumes: [(LogicalVolume, group: String)]) -> [ImportSurvey.Refusal] {
        let known = Set(volumes.flatMap { backstores(of: $0.0, group: $0.group) }.map(\.name))
        return inventory.targets.sorted { $0.iqn < $1.iqn }.flatMap { target in
            Self.groups(of: target).flatMap(\.1.luns).compactMap { lun in
                guard let name = lun.backstore, UID(backstoreName: name) == nil, !known.contains(name) else {
                    return nil
                }
                let path = inventory.backstores.first { $0.name == name }?.path
                return ImportSurvey.Refusal(
                    what: "\(target.iqn) LUN \(lun.number)",
                    reason: "hands out \(path ?? "backstore '\(name)'"), which is no logical volume that can be seen")
            }
        }
    }

    func export(of volume: LogicalVolume, group: String) -> ForeignExport? {
        let stores = backstores(of: volume, group: group)
        guard let store = stores.first else { return nil }
        var export = ForeignExport()
        keepSerial(of: stores, in: &export)
        let names = Set(stores.map(\.name))
        let uses = inventory.targets.flatMap { target in
            Self.groups(of: target).flatMap { name, group in
                group.luns.filter { $0.backstore.map(names.contains) == true }.map { (name, group, $0.number) }
            }
        }
        guard let (group, target, number) = uses.first else {
            let unread = inventory.targets.filter { $0.extraPortalGroups.count > ($0.otherGroups?.count ?? 0) }
            export.notes.append(
                "backstore '\(store.name)' holds it and no target hands it out"
                    + (unread.isEmpty
                        ? "" : ", unless one of the portal groups does that could not be read (\(Self.names(unread)))"))
            return export
        }
        guard uses.count == 1 else {
            let places = uses.map { "\($0.1.iqn) \($0.0.map { "\($0) " } ?? "")LUN \($0.2)" }.joined(separator: ", ")
            export.notes.append(
                "is handed out \(uses.count) times (\(places)); Tuff makes one target for a volume, with a name of its own"
            )
            return export
        }
        keepTarget(target, group: group, number: number, in: &export)
        for acl in target.acls { add(acl, of: target, number, to: &export) }
        demandCHAP(of: &export)
        return export
    }

    private func keepSerial(of stores: [ObservedBackstore], in export: inout ForeignExport) {
        let serials = Set(stores.compactMap(\.identity?.serial))
        guard let serial = serials.first, serials.count == 1, !serial.isEmpty else {
            export.notes.append("its disk has no serial number that is known; it gets one of Tuff's")
            return
        }
        let letters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        guard serial.utf8.count <= 254, serial.allSatisfy(letters.contains) else {
            export.notes.append("its serial number '\(serial)' cannot be kept; it gets one of Tuff's")
            return
        }
        export.serial = serial
    }

    /// A target's first portal group, without a name, and the others.
    private static func groups(of target: ObservedTarget) -> [(String?, ObservedTarget)] {
        [(nil, target)] + (target.otherGroups ?? [:]).inKeyOrder.map { ($0.key, $0.value) }
    }

    private static func names(_ targets: [ObservedTarget]) -> String {
        targets.map { "\($0.iqn) \($0.extraPortalGroups.joined(separator: " "))" }.joined(separator: ", ")
    }

    /// - Parameters:
    ///   - target: The portal group it is in, as if it were a target.
    ///   - group: Its name, where it is not the first.
    private func keepTarget(
        _ target: ObservedTarget, group: String?, number: Int, in export: inout ForeignExport
    ) {
        export.notes.append("is handed out by \(target.iqn)\(group.map { " \($0)" } ?? "") LUN \(number)")
        export.lun = number
        let whole = inventory.targets.first { $0.iqn == target.iqn }
        let others = whole.map { Self.groups(of: $0).filter { $0.0 != group && !$0.1.luns.isEmpty } } ?? []
        if let group {
            let tag = group.dropFirst("tpgt_".count)
            export.notes.append(
                "Tuff makes portal group 1 alone: initiators that remember group \(tag) must discover the target anew "
                    + "(open-iscsi: node.tpgt)")
        }
        if !others.isEmpty {
            export.lun = 0
            export.notes.append(
                "that target hands out more through \(others.map { $0.0 ?? "tpgt_1" }.joined(separator: ", ")), and Tuff makes "
                    + "one target for a volume: initiators will log in to a new name")
        } else if target.luns.count > 1 {
            export.lun = 0
            export.notes.append(
                "that target has \(target.luns.count) LUNs, and Tuff makes one target for a volume: initiators will log "
                    + "in to a new name")
        } else if !NameRule.isIQN(target.iqn) {
            export.notes.append("that is no name Tuff can give a target; initiators will log in to a new one")
        } else {
            export.iqn = target.iqn
        }
        let unread = Set(whole?.extraPortalGroups ?? []).subtracting((whole?.otherGroups ?? [:]).keys).sorted()
        if !unread.isEmpty {
            export.notes.append("portal groups \(unread.joined(separator: ", ")) could not be read")
        }
        export.portals = target.portals
        let wildcards = target.portals.filter(\.isWildcard)
        if !wildcards.isEmpty {
            export.notes.append(
                "its target listens on every address (\(wildcards.map(\.description).joined(separator: ", "))); Tuff "
                    + "listens where the documents or the controller's config say")
        }
        if target.settings[.generateNodeACLs] == true {
            let users = target.dynamicSessions.isEmpty ? "" : "; now: \(target.dynamicSessions.joined(separator: ", "))"
            export.notes.append(
                "its target lets any initiator in\(users). Write an Attachment for each that shall have it")
        }
    }

    private func add(_ acl: ObservedACL, of target: ObservedTarget, _ number: Int, to export: inout ForeignExport) {
        guard let mapped = acl.mappedLUNs.first(where: { $0.lun == number }) else { return }
        guard let initiator = NameRule.initiator(acl.initiator.lowercased()) else {
            export.notes.append("initiator '\(acl.initiator)' has no name that an Attachment can have")
            return
        }
        if initiator != acl.initiator {
            export.notes.append(
                "its ACL for '\(acl.initiator)' has capitals in its name and so lets nobody in: the kernel looks for small letters"
            )
        }
        if export.iqn != nil {
            if export.access.isEmpty {
                export.lun = mapped.number
            } else if export.lun != mapped.number {
                export.notes.append("initiator \(acl.initiator) sees it as LUN \(mapped.number)")
            }
        }
        var access = ImportSurvey.Attachment(
            name: acl.mark?.attachment ?? "", initiator: initiator, readOnly: mapped.readOnly)
        let demanded = target.settings[.authentication] == true || !acl.chap.followsTarget
        if demanded {
            guard let user = acl.chap.user, Self.isUser(user) else {
                // Never as an access without CHAP, which the next apply would make of it.
                export.notes.append(
                    "initiator \(acl.initiator) logs in with CHAP and has no user of its own; write its Attachment")
                return
            }
            access.chapUser = user
            if let mutual = acl.chap.mutualUser, Self.isUser(mutual) { access.mutualUser = mutual }
        }
        export.access.append(access)
    }

    /// All attachments of a volume have CHAP, or none has.
    private func demandCHAP(of export: inout ForeignExport) {
        guard export.access.contains(where: { $0.chapUser != nil }) else { return }
        for open in export.access where open.chapUser == nil {
            export.notes.append(
                "initiator \(open.initiator) logs in without CHAP and others do not; write its Attachment with CHAP")
        }
        export.access.removeAll { $0.chapUser == nil }
    }

    private static func isUser(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }
}
