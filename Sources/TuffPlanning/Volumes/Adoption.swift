package import TuffModel

/// One logical volume that is to become ours as it is.
package struct Adoption: Hashable, Sendable {
    package var group: String
    package var volume: String
    /// LVM's own uuid of it, which tells it from another that got its name since.
    package var uuid: String
    /// The name of its document.
    package var name: String
    /// Its identity to initiators; parts that are nil are derived as for a new volume.
    package var identity: IdentityOverride

    package init(group: String, volume: String, uuid: String, name: String, identity: IdentityOverride) {
        self.group = group
        self.volume = volume
        self.uuid = uuid
        self.name = name
        self.identity = identity
    }

    var location: VolumeLocation { .logicalVolume(group: group, name: volume) }

    /// - Parameter tags: of the logical volume.
    func marks(on tags: [String], groupUUID: String, context: PlanContext) -> Marks {
        Marks(
            uid: PlanContext.adoptedUID(group: groupUUID, volume: uuid), role: .volume(name), stack: context.stack,
            iqn: identity.iqn ?? "\(context.config.iqnBase):\(name)", serial: identity.serial,
            lun: identity.lun.flatMap { $0 == 0 ? nil : $0 }, adopted: true,
            executed: Marks.remembered(in: tags))
    }
}

extension Metadata {
    /// Annotation of a Volume that `tuff import` wrote: `GROUP/NAME` of the logical volume it is. A document with it
    /// never makes a volume.
    package static let importedFromKey = "tuff.dev/imported-from"

    package var importedFrom: String? { annotations[Self.importedFromKey] }
}

extension PlanningPass {
    mutating func planAdoption(_ adoption: Adoption) {
        let resource = ResourceID(.volume, adoption.name)
        guard case .known(let group?) = observed.volumeGroups[adoption.group],
            let found = group.logicalVolumes.first(where: {
                $0.name == adoption.volume && $0.uuid == adoption.uuid
            })
        else {
            return addBlocked(
                resource, Obstacle(.dataMissing, "\(adoption.location) is not there any more, or is another volume"))
        }
        let marks = adoption.marks(on: found.tags, groupUUID: group.uuid, context: context)
        switch Marks.read(found.tags) {
        case .ours(let present) where present == marks:
            builder.add(
                PlannedChange(
                    resource, action: .unchanged, summary: "\(found.size) is adopted (\(adoption.location))",
                    uid: marks.uid))
            return
        case .ours(let present):
            return addBlocked(
                resource,
                Obstacle(
                    .nameTaken,
                    "\(adoption.location) is \(present.role.resource) of stack \(present.stack) already"))
        case .damaged(let sentence):
            return addBlocked(
                resource,
                Obstacle(
                    .marksDamaged,
                    "\(adoption.location) has marks that cannot be read, it is left alone: \(sentence)"))
        case .foreign: break
        }
        let obstacle =
            door.obstacle(to: .thick(group: group.name)) ?? PoolState.obstacle(of: group)
            ?? ImportSurvey.unfit(found, in: group, health(of: group)).map {
                Obstacle(.notSupportedYet, "\(adoption.location) \($0)")
            }
            ?? adoptedNameObstacle(resource, marks)
        if let obstacle { return addBlocked(resource, obstacle) }
        builder.add(
            PlannedChange(
                resource, action: .adopt, summary: "adopt \(found.size) as it is (\(adoption.location))", risk: .online,
                uid: marks.uid,
                notes: ["known to initiators as \(marks.iqn ?? "") LUN \(marks.lun ?? 0), serial \(marks.diskSerial)"]),
            [.lvm(.adopt(location: adoption.location, uuid: adoption.uuid, marks: marks))])
    }

    /// Made once for each group: it looks at all of its volumes.
    private mutating func health(of group: VolumeGroup) -> StorageHealth {
        if let known = healths[group.name] { return known }
        let health = StorageHealth(group)
        healths[group.name] = health
        return health
    }

    private mutating func addBlocked(_ resource: ResourceID, _ obstacle: Obstacle) {
        builder.block(resource, by: obstacle)
    }

    /// Names are unique within a stack, target names and uids everywhere.
    private func adoptedNameObstacle(_ resource: ResourceID, _ marks: Marks) -> Obstacle? {
        let role = marks.role
        let namesakes =
            index.live(role, context.stack) + index.trashed(role, context.stack) + index.released(role, context.stack)
        if let other = namesakes.first {
            return Obstacle(
                .nameTaken, "\(other.location) is \(resource) already; give one of them another name in its document")
        }
        if let other = marks.iqn.flatMap({ index.volumes(withTarget: $0).first }) {
            return Obstacle(
                .nameTaken, "target name \(marks.iqn ?? "") belongs to \(other.location) already")
        }
        return index.bearer(of: marks.uid).map {
            Obstacle(.nameTaken, "\($0.location) has the marks of this volume; it seems to be a copy of it")
        }
    }

    /// Undoes an adoption: the logical volume is what it was before.
    mutating func planDisowning(_ stored: StoredVolume, _ uuid: String) {
        let marks = stored.marks
        add(
            stored, action: .release,
            summary: "let go of \(stored.size ?? .zero), all marks of Tuff's are taken off"
                + "\(marks.executed.isEmpty ? "" : " but tuff:done=") (\(stored.location))",
            notes: [
                "it was known as \(marks.iqn ?? "") LUN \(marks.lun ?? 0), serial \(marks.diskSerial); adopted again by a "
                    + "document that says so it is the same disk"
            ]
                // A Restore runs once, whoever the volume belonged to meanwhile.
                + (marks.executed.isEmpty
                    ? []
                    : [
                        "tags tuff:done= stay, so that what was carried out on it (\(marks.executed.count) of Restores) never runs again"
                    ]),
            step: .lvm(.disown(location: stored.location, uuid: uuid, marks: marks)))
    }

    /// A document that `tuff import` wrote stands for a volume that is there; without its marks nothing is made in its
    /// place.
    /// - Parameter isThere: ask about one that is there, or about one that is not.
    func adoptionObstacle(_ declared: Declared<VolumeSpec>, isThere: Bool) -> Obstacle? {
        guard let origin = declared.metadata.importedFrom,
            index.places.contains(where: { $0.description == origin }) == isThere
        else { return nil }
        return Obstacle(
            .notAdopted,
            "it was imported from \(origin), which is \(isThere ? "not adopted yet: 'tuff import --adopt -f …'" : "not there") "
                + "(for a new, blank volume remove the annotation \(Metadata.importedFromKey))")
    }

    /// While somebody else's target still hands an adopted volume out, ours would be a second way to the same bytes.
    func formerExportObstacle(_ stored: StoredVolume, _ export: DesiredExport) -> Obstacle? {
        guard stored.marks.adopted, backstores[export.backstore.name] == nil else { return nil }
        let after =
            "'tuff apply' then makes Tuff's own, the same disk for initiators: \(export.iqn) LUN \(export.lun), serial "
            + export.backstore.identity.serial
        if let target = targets[export.iqn],
            let lun = target.luns.first(where: { $0.backstore != nil || $0.path != nil })
        {
            let users = target.acls.filter { !$0.sessions.isEmpty }.map(\.initiator) + target.dynamicSessions
            let logout = users.isEmpty ? "" : "log out \(users.sorted().joined(separator: ", ")), "
            return Obstacle(
                .notOurs,
                "target \(export.iqn) that was there before Tuff still hands it out, from '\(lun.backstore ?? lun.path ?? "")'; "
                    + "\(logout)delete that target and its backstore with the tool that made them, and \(after)")
        }
        guard stored.open else { return nil }
        return Obstacle(
            .inUse,
            "\(stored.location) is held open on this host: by a target that was there before Tuff, or mounted. Log its "
                + "initiators out and delete that target and its backstore with the tool that made them, and \(after)")
    }
}

extension Marks {
    /// Unit serial number that initiators see.
    package var diskSerial: String { serial ?? uid.serial }
}
