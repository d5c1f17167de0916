import TuffModel

/// Finds objects, present or lost, that a document may mean although they are not found under its name.
extension PlanningPass {
    /// Why something may not be made anew.
    /// - Parameters:
    ///   - iqn: the target name it would get; nil for what nobody attaches.
    ///   - serial: the serial number that its document asks for.
    func recognition(of role: Marks.Role, iqn: String? = nil, serial: String? = nil) -> Obstacle? {
        if let other = serial.flatMap({ serial in index.volumes.first { $0.marks.diskSerial == serial } }) {
            return Obstacle(
                .nameTaken,
                "serial number \(serial ?? "") is that of \(other.location) already, and initiators would take both for one disk"
                    + cureIfUnclaimed(other, role.resource))
        }
        if let obstacle = identityLoss(role, iqn: iqn, serial: serial) { return obstacle }
        guard !isMeantNew(role.resource) else { return nil }
        let renamed = unclaimed.first { !meant.contains($0.uid) && formerNames(of: $0).contains(role) }
        if let renamed {
            return Obstacle(
                .nameTaken,
                "\(renamed.location) was \(role.resource) before it was renamed, and no document declares it. "
                    + cure(role.resource, renamed))
        }
        return unreadable(role, iqn)
    }

    /// An object that was seen under the same identity with another name, and is gone or cannot be made out.
    private func identityLoss(_ role: Marks.Role, iqn: String?, serial: String?) -> Obstacle? {
        guard isRemembered(iqn: iqn, serial: serial) else { return nil }
        let lost = observed.ledger.entries.first { entry in
            guard (iqn != nil && entry.iqn == iqn) || (serial != nil && entry.diskSerial == serial),
                let uid = entry.uid, entry.standing != .purged, entry.stack == context.stack,
                entry.resource != role.resource
            else { return false }
            return index.bearer(of: uid) == nil
        }
        guard let lost, !context.consent.recreate.contains(lost.resource) else { return nil }
        let what = lost.iqn == iqn ? "target name \(iqn ?? "")" : "serial number \(serial ?? "")"
        return Obstacle(
            .lost,
            "\(what) is that of \(lost.resource), last seen at \(lost.seen) as \(lost.place), which \(remains(of: lost)) "
                + "or, if the data is given up: tuff forget \(lost.resource)")
    }

    /// An object whose marks cannot be read and which the ledger does not know is no volume of any name. One that has
    /// the trash's name for a uid, or some of whose marks say so, may be this one.
    private func unreadable(_ role: Marks.Role, _ iqn: String?) -> Obstacle? {
        guard !index.unreadable.isEmpty else { return nil }
        let words =
            ["tuff:\(role.kind == .volume ? "vol" : "snap")=\(role.name)"] + (iqn.map { ["tuff:iqn=\($0)"] } ?? [])
        let known = Set(observed.ledger.entries.compactMap { $0.uid.map { "t-\($0)" } })
        func speaksOfIt(_ tags: [String]) -> Bool { tags.contains(where: words.contains) }
        let found = index.unreadable.first { object in
            let name = object.location.objectName
            guard isInPool(object.location), !known.contains(name) else { return false }
            let isNameless = !object.tags.contains { $0.hasPrefix("tuff:vol=") || $0.hasPrefix("tuff:snap=") }
            return speaksOfIt(object.tags) || (isNameless && name.trashUID != nil)
        }
        guard let found else { return nil }
        let why = speaksOfIt(found.tags) ? "its marks say so" : "it has the name of something in the trash"
        return Obstacle(
            .marksDamaged,
            "\(found.location) may be it: \(why), and its marks cannot be read; put them back, rename it if it is somebody "
                + "else's, or, if this is to be a new one: --allow-blank \(role.resource)")
    }

    private func isInPool(_ location: VolumeLocation) -> Bool {
        poolsByBackend.keys.contains { backend in
            switch (backend, location) {
            case (.thinPool(let home, _), .logicalVolume(let group, _)),
                (.thick(let home), .logicalVolume(let group, _)):
                home == group
            case (.directory(let path), .file(let directory, _)): path == directory
            case (.thinPool, .file), (.thick, .file), (.directory, .logicalVolume): false
            }
        }
    }

    /// With `--prune` something that nobody declares would go and something of its pool and size would come: one
    /// document with another name, as likely as two changes.
    func renameObstacle(_ resource: ResourceID, _ spec: VolumeSpec) -> Obstacle? {
        guard context.consent.prune, !isMeantNew(resource),
            let other = lookalike(of: spec)
        else { return nil }
        return Obstacle(
            .renameUnclear,
            "\(other.location) (\(other.marks.role.resource)) is declared by no document and has the same pool and size; neither "
                + "is this made nor that removed. " + cure(resource, other))
    }

    /// The same said where nothing is removed.
    func likelyRenameNotes(_ resource: ResourceID, _ spec: VolumeSpec) -> [String] {
        guard !isMeantNew(resource), let other = lookalike(of: spec) else { return [] }
        return [
            "\(other.location) (\(other.marks.role.resource)) is declared by no document and has the same pool and size: if this "
                + "is it under another name, write the annotation '\(Metadata.renamedFromKey): \(other.marks.name)' before "
                + "you apply"
        ]
    }

    /// A note about a volume that goes unless one that comes is the same.
    func resemblance(of stored: StoredVolume) -> String {
        guard let size = stored.size, isUnclaimed(stored), stored.marks.kind == .volume,
            let other = newcomers[.shape(stored.backend, size)]
        else { return "" }
        return "; \(other), which is made in this plan, has its pool and size: is it this one's new name?"
    }

    /// A note about what initiators or people knew by the identity that something new gets. None about one that comes
    /// back as what it was.
    /// - Parameter isBlank: it begins with nothing.
    func formerNotes(_ marks: Marks, isBlank: Bool = true) -> [String] {
        let ledger = observed.ledger, resource = marks.role.resource
        let blank = isBlank ? ", and blank" : ""
        if let entry = ledger.entry(resource, stack: context.stack) {
            guard entry.uid != marks.uid else { return [] }
            return ["a volume of this name was last seen at \(entry.seen); this is a new one\(blank)"]
        }
        guard isRemembered(iqn: marks.iqn, serial: marks.serial) else { return [] }
        let same = ledger.entries.first {
            ($0.iqn != nil && $0.iqn == marks.iqn) || (marks.serial != nil && $0.diskSerial == marks.serial)
        }
        guard let same, same.uid != marks.uid else { return [] }
        let what = same.iqn == marks.iqn ? "target name \(marks.iqn ?? "")" : "serial number \(marks.serial ?? "")"
        let stack = same.stack == context.stack ? "" : " of stack '\(same.stack)'"
        return [
            "\(what) was that of \(same.resource)\(stack), last seen at \(same.seen); this is a new one\(blank)"
        ]
    }

    /// The ledger may know this identity. Each new volume asks, and few are known, so the search is worth avoiding.
    private func isRemembered(iqn: String?, serial: String?) -> Bool {
        serial != nil || iqn.map(formerTargets.contains) == true
    }

    // MARK: Several of one name in the trash

    /// Which of several it is, and what the others are.
    func namesakeNotes(_ role: Marks.Role) -> [String] {
        let trashed = index.trashed(role, context.stack)
        guard let first = trashed.first, trashed.count > 1 else { return [] }
        return [
            "\(trashed.count) of this name are in the trash; this is the last to get there, \(first.trashLine). The others: "
                + others(trashed)
        ]
    }

    /// The cure for a document that is smaller than what the trash has under its name.
    func trashedShrink(_ stored: StoredVolume, _ declared: Declared<VolumeSpec>) -> Obstacle {
        let trashed = index.trashed(stored.marks.role, context.stack), size = stored.size ?? .zero
        let more = trashed.count > 1 ? " The others of this name in the trash: " + others(trashed) : ""
        return Obstacle(
            .wouldShrink,
            "the document says \(declared.spec.size), and what the trash would bring back under this name is larger: "
                + "\(stored.trashLine). To have that back, with its data, write \(size.quantity); for a new, blank volume choose "
                + "another name, or destroy it first: tuff trash purge \(stored.uid).\(more)")
    }

    private func others(_ trashed: [StoredVolume]) -> String {
        trashed.dropFirst().map(\.trashLine).joined(separator: "; ")
            + ". 'tuff trash restore UID', before this is applied, brings back one of them instead"
    }

    // MARK: Other nodes

    /// A volume that lives here and is declared in a pool of another node: it stays as it is, and that is said.
    mutating func planDepartures(_ desired: DesiredState) {
        let departing = ownVolumes.filter { stored in
            stored.standing == .live && outcomes.index(forKey: stored.marks.role) == nil && isAtHome(stored)
        }
        for stored in departing.sorted(by: { $0.uid < $1.uid }) {
            guard case .volume(let name) = stored.marks.role, let declared = volumes[name] else { continue }
            builder.add(
                PlannedChange(
                    stored.marks.role.resource, action: .blocked,
                    summary:
                        "it lives on this node, in \(stored.location), and its document puts it in a pool of another; "
                        + "moving data between pools is not supported yet, and there it would be a blank one. It "
                        + "stays as it is",
                    reason: .moveNotSupported, location: declared.location(of: "spec.pool"), uid: stored.uid))
        }
    }

    /// ` If …` where nobody declares what has the name.
    func cureIfUnclaimed(_ other: StoredVolume, _ resource: ResourceID) -> String {
        isUnclaimed(other) ? ". " + cure(resource, other) : ""
    }

    /// Access that an attachment gave which is declared for another volume by now, and cannot be given there yet.
    func accessWait(_ acl: ObservedACL?, of stored: StoredVolume) -> Obstacle? {
        guard let acl, let mark = acl.mark, let wait = waiting.access[mark.attachment],
            !isKeptBusy(.volume(wait.volume), by: stored)
        else { return nil }
        return Obstacle(
            .awaited,
            "\(wait.resource) is declared for Volume/\(wait.volume), which is not available, see its own line; until it is, "
                + "\(acl.initiator) keeps \(stored.location)")
    }

    /// Whether a volume that is awaited is made, through any chain of sources, from one that cannot be copied while it
    /// is in use: kept until then, the access would keep the volume from being made for ever.
    private func isKeptBusy(_ awaited: Marks.Role, by stored: StoredVolume) -> Bool {
        let source = heirs[stored.marks.role] ?? stored.marks.role
        var link = awaited, seen: Set<Marks.Role> = []
        // Documents that refer to each other in a circle are refused when they are read; this ends one all the same.
        while seen.insert(link).inserted, let next = origin(of: link) {
            if next == source { return waiting.forDisuse.contains(link.resource) }
            link = next
        }
        return false
    }
}

extension StoredVolume {
    /// `uid aaaabbbbccccdddd, 10 GiB, until 2026-11-22T09:30:00Z`
    fileprivate var trashLine: String {
        let deadline = marks.until.map { ", until \($0)" } ?? ""
        return "uid \(uid), \(size.map { "\($0)" } ?? "without data")\(deadline)"
    }
}

extension String {
    /// The uid in a name that only the trash gives: `t-UID`.
    var trashUID: UID? { hasPrefix("t-") ? UID(dropFirst(2)) : nil }
}

extension Ledger.Entry {
    /// As initiators saw it.
    var diskSerial: String? { serial ?? uid?.serial }
}
