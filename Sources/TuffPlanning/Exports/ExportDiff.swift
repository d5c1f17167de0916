import TuffModel

/// The differences between a desired export and what is there, and the steps that remove them. Pure; one per
/// attachment, of which the first of a volume has the parts that they share.
///
/// Every attribute is compared on its own, so that a half-built or edited target is repaired where it differs and
/// nowhere else. Order of building: backstore, target, settings, LUN, ACL with its secrets before its mapping,
/// portal, and enabling last, so that nobody ever sees a half-protected disk.
struct ExportDiff {
    /// All but those on portals, and the enabling.
    private(set) var steps: [ExportStep] = []
    var portals = PortalSteps()
    private(set) var enabling: [ExportStep] = []
    var differences: [FieldDifference] = []
    private(set) var risk = Risk.online
    /// Something that must not be done now; the steps gathered so far are then not to be used.
    var obstacle: Obstacle?
    /// Differences that are left alone, with the reason.
    var notes: [String] = []
    /// Initiators whose access this attachment's new one replaces.
    private(set) var former: Set<String> = []
    /// The things that the export goes on lacking, and why, when the steps are done.
    var waiting: Obstacle?

    let wanted: DesiredExport
    let target: ObservedTarget?
    private let backstore: ObservedBackstore?
    let capabilities: ExportCapabilities
    let company: ExportCompany

    init(
        _ wanted: DesiredExport, target: ObservedTarget?, backstore: ObservedBackstore?,
        capabilities: ExportCapabilities, company: ExportCompany = ExportCompany()
    ) {
        self.wanted = wanted
        self.target = target
        self.backstore = backstore
        self.capabilities = capabilities
        self.company = company
        compareOwnership()
        guard obstacle == nil else { return }
        guard !company.isBuilt else {
            compareAccess(rebuilt: false)
            return
        }
        let rebuilt = compareBackstore()
        compareTarget()
        compareLUN(rebuilt: rebuilt)
        compareAccess(rebuilt: rebuilt)
        comparePortals()
        guard target?.enabled != true else { return }
        enabling = [.enable(reference)]
        differences.append(FieldDifference("enabled", from: target == nil ? nil : "no", to: "yes"))
    }

    /// The number that initiators see.
    private func seen(_ lun: Int) -> Int { lun + capabilities.firstLUN }

    var reference: TargetRef { TargetRef(iqn: wanted.iqn, place: target?.place ?? "") }

    var sessions: [String] { target?.loggedIn ?? [] }

    var isEmpty: Bool { steps.isEmpty && portals.isEmpty && enabling.isEmpty }

    mutating func add(_ step: ExportStep, _ field: String, from: String?, to: String?) {
        steps.append(step)
        differences.append(FieldDifference(field, from: from, to: to))
    }

    /// A target is ours when every LUN it has is this volume's backstore.
    private mutating func compareOwnership() {
        guard let target else { return }
        for lun in target.luns {
            let isUnfinished = lun.path == wanted.backstore.location.path && lun.number == wanted.lun
            guard let name = lun.backstore ?? (isUnfinished ? nil : lun.path) else { continue }
            if name != wanted.backstore.name || lun.number != wanted.lun {
                obstacle = Obstacle(
                    .notOurs,
                    "target \(target.iqn) hands out '\(name)' as LUN \(seen(lun.number)), which Tuff did not make; "
                        + "remove that LUN or rename the target")
                return
            }
        }
        if !target.extraPortalGroups.isEmpty {
            notes.append("portal groups \(target.extraPortalGroups.joined(separator: ", ")) are not ours and stay")
        }
        if !target.dynamicSessions.isEmpty {
            notes.append("logged in without an ACL: \(target.dynamicSessions.joined(separator: ", "))")
        }
    }

    /// - Returns: whether the backstore is taken away and made anew, so that everything above it must be mapped again.
    private mutating func compareBackstore() -> Bool {
        guard let backstore else {
            add(.createBackstore(wanted.backstore), "backstore", from: nil, to: wanted.backstore.name)
            if keepsReservations { steps.append(.keepReservations(wanted.backstore, restoring: true)) }
            return false
        }
        if isUnproven(backstore) {
            add(.repairBackstore(placed(backstore), enable: true), "backstore.enabled", from: "unfinished", to: "yes")
            if keepsReservations { steps.append(.keepReservations(wanted.backstore, restoring: true)) }
            return false
        }
        let fixed = fixedDifferences(backstore)
        if !fixed.isEmpty {
            return rebuild(backstore, fixed)
        }
        let path = wanted.backstore.location.path
        if holdsOurs(backstore) == true, let label = backstore.path, label != path {
            add(.relabelBackstore(placed(backstore)), "backstore.path", from: label, to: path)
        }
        if backstore.path == nil || !backstore.enabled {
            add(
                .repairBackstore(placed(backstore), enable: true), "backstore.enabled", from: "no", to: "yes")
            return false
        }
        for setting in backstore.altered ?? [] {
            add(
                .resetBackstore(placed(backstore), setting), "backstore.\(setting.rawValue)",
                from: setting.isOn ? "off" : "on", to: setting.isOn ? "on" : "off")
        }
        if capabilities.discard, let discard = backstore.discard, discard != wanted.backstore.discard {
            add(
                .repairBackstore(placed(backstore), enable: false), "backstore.discard",
                from: discard ? "on" : "off", to: wanted.backstore.discard ? "on" : "off")
        }
        return false
    }

    /// True if its making was cut between the kernel's opening of the volume and the proof that it opened that one: the
    /// serial number is given after it. Nobody is given such a backstore, and it is made anew.
    private func isUnproven(_ backstore: ObservedBackstore) -> Bool {
        backstore.enabled && backstore.identity?.serial == "" && !wanted.backstore.identity.serial.isEmpty
            && !isHandedOut
    }

    private var isHandedOut: Bool { target?.luns.contains { $0.backstore == wanted.backstore.name } == true }

    /// True if the device is the volume's; nil where that cannot be told. The path is what somebody wrote and a rename
    /// makes it stale; the number is what the backstore holds.
    private func holdsOurs(_ backstore: ObservedBackstore) -> Bool? {
        if let held = backstore.device, let ours = wanted.device { held == ours } else { nil }
    }

    /// Differences that can only be mended by making the backstore anew.
    private func fixedDifferences(_ backstore: ObservedBackstore) -> [FieldDifference] {
        var fixed: [FieldDifference] = []
        let holdsOurs = holdsOurs(backstore)
        let wantedPath = wanted.backstore.location.path
        if holdsOurs == false {
            fixed.append(
                FieldDifference(
                    "backstore.device", from: backstore.device?.description, to: wanted.device?.description))
        } else if holdsOurs == nil, let path = backstore.path, path != wantedPath {
            fixed.append(FieldDifference("backstore.path", from: path, to: wantedPath))
        }
        if let identity = backstore.identity, identity != wanted.backstore.identity, backstore.path != nil {
            let pairs = [
                ("serial", identity.serial, wanted.backstore.identity.serial),
                ("vendor", identity.vendor, wanted.backstore.identity.vendor),
                ("product", identity.product, wanted.backstore.identity.product),
            ]
            fixed += pairs.filter { $0.1 != $0.2 }.map { FieldDifference("backstore.\($0.0)", from: $0.1, to: $0.2) }
        }
        let grows = wanted.backstore.location.isBlockDevice ? capabilities.growsDevices : capabilities.growsFiles
        if !grows, let size = backstore.size, size != wanted.backstore.size {
            let from = backstore.sizeIsRounded == true ? "about \(size.bytes / 1_000_000) MB" : size.description
            fixed.append(FieldDifference("backstore.size", from: from, to: wanted.backstore.size.description))
        }
        if backstore.isBuffered == true {
            fixed.append(FieldDifference("backstore.writes", from: "buffered", to: "synchronous"))
        }
        // Reservations can be read back only before anything hands the backstore out, and only once.
        if keepsReservations, !isHandedOut, sessions.isEmpty {
            fixed.append(FieldDifference("backstore.reservations", from: nil, to: "as kept"))
        }
        return fixed
    }

    /// The wanted backstore where the observer found it.
    private func placed(_ found: ObservedBackstore?) -> BackstoreSpec {
        var spec = wanted.backstore
        spec.place = found?.place ?? ""
        return spec
    }

    /// Takes down and makes anew what cannot change under a live export, but only while nobody is logged in.
    private mutating func rebuild(_ backstore: ObservedBackstore, _ fixed: [FieldDifference]) -> Bool {
        let what = fixed.map(\.field).joined(separator: ", ")
        guard sessions.isEmpty else {
            obstacle = Obstacle(
                .inUse,
                "\(what) can only change while nobody is logged in; logged in: \(sessions.joined(separator: ", "))")
            return false
        }
        risk = .interruptsIO
        differences += fixed
        if let target {
            for acl in target.acls {
                steps += acl.mappedLUNs.map { .unmapLUN(reference, initiator: acl.initiator, number: $0.number) }
            }
            steps += target.luns.map { .removeLUN(reference, number: $0.number) }
        }
        steps.append(.removeBackstore(uid: wanted.backstore.uid, place: backstore.place))
        steps.append(.createBackstore(wanted.backstore))
        if keepsReservations { steps.append(.keepReservations(wanted.backstore, restoring: true)) }
        return true
    }

    private var keepsReservations: Bool { company.sharing == .writers && capabilities.keepsReservations }

    private mutating func compareTarget() {
        if target == nil { add(.createTarget(reference), "target", from: nil, to: wanted.iqn) }
        let demandsCHAP = wanted.access.chap != nil
        for setting in TargetSetting.allCases where capabilities.settings.contains(setting) {
            let value =
                switch setting {
                case .authentication: demandsCHAP
                case .demoModeWriteProtect: true
                case .generateNodeACLs, .cacheDynamicACLs, .demoModeDiscovery: false
                }
            let found = target?.settings[setting]
            if target != nil, found == value { continue }
            steps.append(.set(reference, setting, value))
            // A new target's settings are part of making it; they are news only where somebody changed them.
            if target != nil {
                differences.append(
                    FieldDifference(
                        "target.\(setting.rawValue)", from: found.map { $0 ? "on" : "off" }, to: value ? "on" : "off"))
            }
        }
        if let methods = target?.loginMethods {
            add(
                .resetLoginMethods(reference, demanding: demandsCHAP), "target.AuthMethod", from: methods,
                to: demandsCHAP ? "CHAP" : "CHAP,None")
        }
    }

    private mutating func compareLUN(rebuilt: Bool) {
        let found = target?.luns.first { $0.number == wanted.lun }
        if !rebuilt, let found, found.backstore == wanted.backstore.name {
            guard let access = found.portAccess else { return }
            return add(
                .reactivateLUN(reference, number: wanted.lun, placed(backstore)), "lun.access",
                from: access.description, to: ObservedPortAccess.active)
        }
        var spec = placed(rebuilt ? nil : backstore)
        spec.isBegun = !rebuilt && found?.path != nil
        steps.append(.addLUN(reference, number: wanted.lun, spec))
        if !rebuilt { differences.append(FieldDifference("lun", from: nil, to: "\(seen(wanted.lun))")) }
    }

    private mutating func compareAccess(rebuilt: Bool) {
        let access = wanted.access
        let acl = target?.acls.first { $0.initiator == access.initiator }
        for other in target?.acls ?? [] where other.initiator != access.initiator {
            compareOther(other, isBeside: acl != nil, rebuilt: rebuilt)
            if obstacle != nil { return }
        }
        compareCompany(acl)
        if obstacle != nil { return }
        if company.sharing == .writers, !capabilities.keepsReservations {
            notes.append(
                "persistent reservations last only as long as the target daemon; with targetDriver: lio they stay")
        }
        if acl == nil {
            // Whoever comes may ask for reservations that are kept, and is refused where there is no place for them.
            if keepsReservations, !steps.contains(where: { if case .keepReservations = $0 { true } else { false } }) {
                steps.append(.keepReservations(wanted.backstore, restoring: false))
            }
            steps.append(.createACL(reference, initiator: access.initiator))
            if !differences.contains(where: { $0.field == "initiator" }) {
                differences.append(FieldDifference("initiator", from: nil, to: access.initiator))
            }
        }
        if capabilities.marksAccess, acl?.mark != access.mark {
            steps.append(.markACL(reference, initiator: access.initiator, access.mark))
            if let acl {
                differences.append(
                    FieldDifference(
                        "mark", from: acl.mark.map(\.text), to: access.mark.text))
            }
        }
        compareCHAP(acl, access)
        compareMapping(acl, access, rebuilt: rebuilt)
    }

    private mutating func compareMapping(_ acl: ObservedACL?, _ access: DesiredExport.Access, rebuilt: Bool) {
        let mapped = acl?.mappedLUNs.first { $0.number == wanted.lun }
        if rebuilt || mapped?.lun != wanted.lun {
            steps.append(
                .mapLUN(
                    reference, initiator: access.initiator, number: wanted.lun, lun: wanted.lun,
                    readOnly: access.readOnly))
            if !rebuilt, acl != nil {
                differences.append(FieldDifference("initiator.lun", from: nil, to: "\(seen(wanted.lun))"))
            }
        } else if let mapped, mapped.readOnly != access.readOnly {
            let others = (target?.acls ?? []).map(\.initiator).filter {
                $0 != access.initiator && !company.declared.contains($0)
            }
            guard capabilities.readOnlyPerInitiator || others.isEmpty else {
                obstacle = Obstacle(
                    .driverCannot,
                    "read-only is one setting for all initiators of a volume with this target driver, and "
                        + "\(others.sorted().joined(separator: ", ")) may use it too; remove that access first")
                return
            }
            add(
                .setReadOnly(
                    reference, initiator: access.initiator, number: wanted.lun, readOnly: access.readOnly),
                "readOnly", from: mapped.readOnly ? "true" : "false", to: access.readOnly ? "true" : "false")
            if access.readOnly { risk = .interruptsIO }
        }
    }

    /// Somebody else's access. What this very attachment granted to its former initiator is taken away first; never may
    /// both use it, not for a moment. The rest is not this attachment's to take.
    private mutating func compareOther(_ other: ObservedACL, isBeside: Bool, rebuilt: Bool) {
        let isDeclared = company.declared.contains(other.initiator)
        let isFormer =
            other.mark?.isOf(wanted.access.mark.attachment) == true || (!capabilities.marksAccess && !isBeside)
        if isFormer, !isDeclared {
            let withdrawal = ExportWithdrawal(
                of: wanted.backstore.uid, target: target, backstore: nil, access: [other], isLast: false)
            obstacle = withdrawal.obstacle
            risk = max(risk, .interruptsIO)
            steps += withdrawal.steps
            former.insert(other.initiator)
            differences.append(FieldDifference("initiator", from: other.initiator, to: wanted.access.initiator))
            return
        }
        guard isBeside || company.sharing != .none else {
            obstacle = Obstacle(
                .inUse,
                "initiator \(other.initiator) may use this unshared volume, by \(grant(of: other)); two never may at "
                    + "once")
            return
        }
        if !isDeclared { notes.append("initiator \(other.initiator) may use it and no document says so") }
        guard rebuilt else { return }
        // What a rebuild unmapped is mapped as it was, other people's access included.
        steps += other.mappedLUNs.compactMap { mapped in
            mapped.lun.map {
                .mapLUN(
                    reference, initiator: other.initiator, number: mapped.number, lun: $0, readOnly: mapped.readOnly)
            }
        }
    }

    /// Asks the volume's sharing for room for this access, beside what others will have by then. Access that is there
    /// is never cut by this; only a new one, and one that begins to write, must find room.
    private mutating func compareCompany(_ acl: ObservedACL?) {
        let access = wanted.access
        let begins = acl?.mappedLUNs.isEmpty == false && acl?.mappedLUNs.allSatisfy(\.readOnly) == true
        let others = company.present.filter { !former.contains($0.key) }
        guard acl == nil || (begins && !access.readOnly && company.sharing == .readers),
            !company.sharing.admits(readOnly: access.readOnly, beside: others.values)
        else { return }
        let names = others.filter { company.sharing != .readers || !$0.value }.keys.sorted()
        let acls = (target?.acls ?? []).filter {
            names.contains($0.initiator) && !company.declared.contains($0.initiator)
        }
        let whose = acls.first.map { "; \($0.initiator) by \(grant(of: $0))" } ?? ""
        obstacle = Obstacle(
            .inUse,
            "\(names.joined(separator: " and ")) may use this volume already, and sharing: \(company.sharing.rawValue) "
                + "lets it have \(company.sharing.limit)\(whose)")
    }

    private mutating func compareCHAP(_ acl: ObservedACL?, _ access: DesiredExport.Access) {
        guard capabilities.chap else { return }
        let found = acl?.chap ?? ObservedCHAP()
        var fields: [FieldDifference] = []
        if found.user != access.chap?.user {
            fields.append(FieldDifference("chap.user", from: found.user, to: access.chap?.user))
        }
        if found.mutualUser != access.chap?.mutualUser {
            fields.append(FieldDifference("chap.mutual.user", from: found.mutualUser, to: access.chap?.mutualUser))
        }
        for (field, old, new) in [
            ("chap.password", found.password, access.password),
            ("chap.mutual.password", found.mutualPassword, access.mutualPassword),
        ] where old != new {
            fields.append(
                FieldDifference(field, from: old.map { _ in "(sensitive)" }, to: new.map { _ in "(sensitive)" }))
        }
        if !found.followsTarget {
            fields.append(FieldDifference("chap.demand", from: "by initiator", to: "by target"))
        }
        if !fields.isEmpty {
            steps.append(.setCHAP(reference, initiator: access.initiator, access.chap))
            if acl != nil { differences += fields }
        } else if !found.exposed.isEmpty {
            add(
                .protectSecrets(reference, initiator: access.initiator), "chap.files",
                from: "readable by others: \(found.exposed.joined(separator: ", "))", to: "0600")
        }
    }
}
