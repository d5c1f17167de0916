import TuffModel

extension PlanningPass {
    /// Compares one declared attachment, and the export of its volume, with the target stack and adds its change.
    mutating func planAttachment(_ declared: Declared<AttachmentSpec>, _ volume: VolumeOutcome?) {
        let resource = ResourceID(.attachment, declared.metadata.name)
        guard let volume else { return }
        guard case .available(let stored, let after) = volume else {
            return builder.block(
                resource,
                by: Obstacle(
                    .dependencyBlocked, "volume '\(declared.spec.volume)' is not available, see its own line"),
                at: declared.location(of: "spec.volume"))
        }
        switch (desiredExport(of: stored, declared), inventory) {
        case (_, .unknown(let error)):
            builder.block(
                resource,
                by: Obstacle(
                    .unknown, "the \(context.config.targetDriver.rawValue) targets could not be observed: \(error)"),
                at: declared.location(of: "metadata.name"))
        case (.failure(let obstacle), _):
            builder.block(resource, by: obstacle.obstacle, at: declared.location(of: obstacle.field), uid: stored.uid)
        case (.success(let export), .known(let inventory)):
            if let error = inventory.fault(target: export.iqn) ?? inventory.fault(backstore: export.backstore.name) {
                return builder.block(
                    resource, by: Obstacle(.unknown, "its export could not be observed: \(error)"),
                    at: declared.location(of: "metadata.name"), uid: stored.uid)
            }
            planExport(export, stored: stored, declared: declared, resource: resource, after: after)
        }
    }

    struct LocatedObstacle: Error {
        var obstacle: Obstacle
        var field: String
    }

    private mutating func planExport(
        _ export: DesiredExport, stored: StoredVolume, declared: Declared<AttachmentSpec>,
        resource: ResourceID, after: Int?
    ) {
        if let obstacle = formerExportObstacle(stored, export) {
            return builder.block(resource, by: obstacle, at: declared.location(of: "spec.volume"), uid: stored.uid)
        }
        let withdrawal = withdrawals[stored.uid]
        var progress = exports[stored.uid] ?? ExportProgress()
        var target = targets[export.iqn]
        target?.acls.removeAll {
            withdrawal?.going.contains($0.initiator) == true || progress.gone.contains($0.initiator)
        }
        if let obstacle = mixedModes(declared) {
            return builder.block(resource, by: obstacle, at: declared.location(of: "spec.readOnly"), uid: stored.uid)
        }
        let diff = compare(export, declared: declared, target: target, progress: progress)
        // Nothing is begun for a target that nobody could reach.
        let isUnreachable = target == nil && diff.company.takenPortals.count == export.portals.count
        if let obstacle = diff.obstacle ?? (diff.isEmpty || isUnreachable ? diff.waiting : nil) {
            return builder.block(resource, by: obstacle, at: declared.location(of: "spec.volume"), uid: stored.uid)
        }
        var differences = diff.differences, activation: [(Step, ExclusiveKey)] = []
        if !stored.active, !progress.isBuilt {
            // Its own trouble tells more than its pool's.
            if let obstacle = stored.breakage ?? poolsByBackend[stored.backend]?.outage {
                return builder.block(resource, by: obstacle, at: declared.location(of: "spec.volume"), uid: stored.uid)
            }
            activation = activationSteps(stored)
            differences.insert(FieldDifference("device", from: "inactive", to: "active"), at: 0)
        }
        let sequence = activation + diff.steps.map { (.export($0), .target(export.iqn)) }
        if let refusal = stored.refusal, sequence.contains(where: { $0.0.needsDevice }) {
            return builder.block(resource, by: refusal, at: declared.location(of: "spec.volume"), uid: stored.uid)
        }
        progress.access[export.access.initiator] = export.access.readOnly
        progress.gone.formUnion(diff.former)
        Self.listen(
            export.iqn, portals: export.portals.filter { diff.company.takenPortals[$0] == nil }, listening: &listening)
        let before = [after, withdrawal?.after, progress.after].compactMap { $0 }
        defer {
            progress.isBuilt = true
            exports[stored.uid] = progress
        }
        guard !sequence.isEmpty || !diff.isEmpty else {
            let notes =
                diff.notes + secretNotes(export, declared) + handoverNotes(stored, declared: declared, target: target)
            return unchanged(export, resource: resource, declared: declared, uid: stored.uid, notes: notes)
        }
        var change = change(export, diff: diff, differences: differences, target: target, resource: resource)
        change.location = declared.location
        change.uid = stored.uid
        change.notes += secretNotes(export, declared)
        progress.after = add(change, sequence: sequence, diff: diff, after: before)
    }

    private func compare(
        _ export: DesiredExport, declared: Declared<AttachmentSpec>, target: ObservedTarget?,
        progress: ExportProgress
    ) -> ExportDiff {
        let capabilities = context.config.exportCapabilities
        var company = company(of: declared, target, progress)
        if capabilities.portalsPerTarget { company.takenPortals = takenPortals(export) }
        company.leaving = moves.leaving[export.iqn] ?? []
        return ExportDiff(
            export, target: target, backstore: backstores[export.backstore.name], capabilities: capabilities,
            company: company)
    }

    private mutating func unchanged(
        _ export: DesiredExport, resource: ResourceID, declared: Declared<AttachmentSpec>, uid: UID,
        notes: [String]
    ) {
        builder.add(
            PlannedChange(
                resource, action: .unchanged, summary: describe(export), location: declared.location, uid: uid,
                notes: notes))
    }

    private func activationSteps(_ stored: StoredVolume) -> [(Step, ExclusiveKey)] {
        stored.activation.map { ($0.step, $0.key) }
    }

    /// The change of an export that is made or mended.
    private func change(
        _ export: DesiredExport, diff: ExportDiff, differences: [FieldDifference], target: ObservedTarget?,
        resource: ResourceID
    ) -> PlannedChange {
        let isReplaced = diff.differences.contains { $0.field == "initiator" && $0.from != nil }
        let isNew = !isReplaced && target?.acls.contains { $0.initiator == export.access.initiator } != true
        let fields = differences.map(\.field)
        return PlannedChange(
            resource, action: isNew ? .create : .update,
            summary: isNew ? "export \(describe(export))" : "repair \(fields.joined(separator: ", "))",
            differences: isNew ? [] : differences, risk: diff.risk, reason: diff.waiting?.reason, notes: diff.notes)
    }

    /// `db-data as iqn.…:db-data LUN 0 to iqn.…:web1 (read-write, CHAP)`
    private func describe(_ export: DesiredExport) -> String {
        var modes = [export.access.readOnly ? "read-only" : "read-write"]
        if let chap = export.access.chap { modes.append(chap.mutualUser == nil ? "CHAP" : "mutual CHAP") }
        let lun = export.lun + context.config.exportCapabilities.firstLUN
        return "\(export.iqn) LUN \(lun) to \(export.access.initiator) (\(modes.joined(separator: ", ")))"
    }

    /// The export as it should be, or the obstacle to it.
    private func desiredExport(
        of stored: StoredVolume, _ declared: Declared<AttachmentSpec>
    ) -> Result<DesiredExport, LocatedObstacle> {
        func fail(_ reason: Reason, sentence: String, field: String) -> Result<DesiredExport, LocatedObstacle> {
            .failure(LocatedObstacle(obstacle: Obstacle(reason, sentence), field: field))
        }
        // A line of the volume's that is blocked for another reason must not hand out what is not wiped or not copied
        // yet.
        let obstacle = door.obstacle(to: stored.backend) ?? suspension(of: stored) ?? unfinishedContent(stored)
        if let obstacle {
            return .failure(LocatedObstacle(obstacle: obstacle, field: "spec.volume"))
        }
        guard let size = stored.size, let iqn = stored.marks.iqn else {
            return fail(
                .marksDamaged, sentence: "\(stored.location) has no tag tuff:iqn=, so its disk has no name",
                field: "spec.volume")
        }
        let capabilities = context.config.exportCapabilities
        let portals = portals[declared.spec.volume] ?? context.config.portals
        guard !portals.isEmpty else {
            return fail(
                .noPortal,
                sentence: "no portal to listen on: set 'portals' in the controller's config or 'iscsi.portals' of the "
                    + "volume", field: "spec.iscsi")
        }
        if capabilities.portalsPerTarget, let obstacle = portalObstacle(portals) {
            return .failure(LocatedObstacle(obstacle: obstacle, field: "spec.iscsi"))
        }
        var access = DesiredExport.Access(
            initiator: declared.spec.initiator, readOnly: declared.spec.readOnly,
            mark: AccessMark(attachment: declared.metadata.name, onRemove: declared.spec.onRemove))
        if let chap = declared.spec.chap {
            guard capabilities.chap else {
                return fail(
                    .driverCannot,
                    sentence: "\(context.config.targetDriver.rawValue) takes CHAP secrets only on its command "
                        + "line, where every user can read them; use targetDriver: lio", field: "spec.iscsi.chap")
            }
            switch fingerprints(of: chap) {
            case .failure(let obstacle): return .failure(obstacle)
            case .success(let found): (access.password, access.mutualPassword) = found
            }
            if let obstacle = secretObstacle(declared, chap: chap, access: access) { return .failure(obstacle) }
            access.chap = CHAPCredentials(
                user: chap.initiator.user, password: chap.initiator.password, mutualUser: chap.mutual?.user,
                mutualPassword: chap.mutual?.password)
        }
        let backstore = BackstoreSpec(
            uid: stored.uid, location: stored.location, deviceUUID: stored.deviceUUID, size: size,
            identity: DiskIdentity(serial: stored.marks.serial ?? stored.uid.serial), discard: stored.backend.isThin)
        return .success(
            DesiredExport(
                iqn: iqn, lun: stored.marks.lun ?? 0, backstore: backstore, device: stored.device, portals: portals,
                access: access))
    }

    private func fingerprints(
        of chap: CHAPSpec
    ) -> Result<(SecretFingerprint?, SecretFingerprint?), LocatedObstacle> {
        var found: [SecretFingerprint?] = []
        for (credential, field) in [
            (Optional(chap.initiator), "spec.iscsi.chap.passwordFrom"),
            (chap.mutual, "spec.iscsi.chap.mutual.passwordFrom"),
        ] {
            guard let credential else {
                found.append(nil)
                continue
            }
            if let refusal = door.refusal(of: credential.password, at: "\(field).file") {
                return .failure(LocatedObstacle(obstacle: refusal.obstacle, field: refusal.field))
            }
            switch observed.secrets[credential.password.file] {
            case .known(let fingerprint?): found.append(fingerprint)
            case .known(nil):
                return .failure(
                    LocatedObstacle(
                        obstacle: Obstacle(
                            .secretUnavailable, "secret file \(credential.password.file) does not exist"),
                        field: field))
            case .unknown(let error):
                let reason: Reason = error.code == .exposed ? .exposed : .secretUnavailable
                return .failure(LocatedObstacle(obstacle: Obstacle(reason, error.description), field: field))
            }
        }
        return .success((found[0], found[1]))
    }

    private func secretObstacle(
        _ declared: Declared<AttachmentSpec>, chap: CHAPSpec, access: DesiredExport.Access
    ) -> LocatedObstacle? {
        func fail(_ sentence: String, isMutual: Bool) -> LocatedObstacle {
            LocatedObstacle(
                obstacle: Obstacle(.secretUnusable, sentence),
                field: isMutual ? "spec.iscsi.chap.mutual.passwordFrom" : "spec.iscsi.chap.passwordFrom")
        }
        guard let password = access.password else { return nil }
        if let fault = SecretUses.fault(chap.initiator, password) { return fail(fault, isMutual: false) }
        if let mutual = chap.mutual, let secret = access.mutualPassword, let fault = SecretUses.fault(mutual, secret) {
            return fail(fault, isMutual: true)
        }
        return secretUses.obstacle(
            declared.metadata.name, chap: chap, password: password, mutual: access.mutualPassword
        )
        .map { fail($0.sentence, isMutual: $0.isMutual) }
    }

    private func secretNotes(_ export: DesiredExport, _ declared: Declared<AttachmentSpec>) -> [String] {
        guard let chap = declared.spec.chap, let password = export.access.password else { return [] }
        var notes = SecretUses.notes(chap.initiator, password)
        if let mutual = chap.mutual, let secret = export.access.mutualPassword {
            notes += SecretUses.notes(mutual, secret)
        }
        return notes
    }
}
