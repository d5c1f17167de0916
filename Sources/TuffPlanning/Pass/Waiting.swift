import TuffModel

/// Something by which an object may be the one that a document means: the document asks for it and the object bears it.
enum Claim: Hashable, Sendable {
    /// A volume or snapshot is still to be made from it or rolled back to it.
    case source(Marks.Role)
    /// The name of its document, now or before it was renamed.
    case name(Marks.Role)
    case target(String)
    case serial(String)
    /// Its name in its group or directory: `v-db`.
    case objectName(String)
    /// `GROUP/NAME` of the logical volume that a document was imported from.
    case place(String)
    /// This very object: another stack's document asks for its place or target, or a volume was made beside it that may
    /// have been meant to be it.
    case object(UID)
    /// Pool and size of a volume that would be new.
    case shape(StorageBackend, ByteCount)
}

/// Documents that are not carried out, and what they may be waiting for. Nothing of that is withdrawn, put in the
/// trash, let go or destroyed: one document's obstacle and another's removal would add up to a loss.
struct Waiting {
    struct Waiter: Hashable {
        var resource: ResourceID
        var claim: Claim
        /// Nil: the stack that is planned.
        var stack: String?
    }

    private var waiters: [Claim: Waiter] = [:]
    /// Attachments whose volume is not available, by the name that access bears (`AccessMark.nameLimit`).
    private(set) var access: [String: (resource: ResourceID, volume: String)] = [:]
    /// Resources that are not made while their source is in use.
    var forDisuse: Set<ResourceID> = []

    /// The first that asks for something speaks for all.
    mutating func add(_ resource: ResourceID, _ claims: [Claim], stack: String? = nil) {
        for claim in claims where waiters[claim] == nil {
            waiters[claim] = Waiter(resource: resource, claim: claim, stack: stack)
        }
    }

    mutating func add(_ attachment: Declared<AttachmentSpec>) {
        let name = String(attachment.metadata.name.prefix(AccessMark.nameLimit))
        access[name] = (ResourceID(.attachment, attachment.metadata.name), attachment.spec.volume)
    }

    func first(of claims: [Claim]) -> Waiter? { claims.lazy.compactMap { waiters[$0] }.first }

    var isEmpty: Bool { waiters.isEmpty }
}

extension PlanningPass {
    /// Once declared volumes and snapshots were compared with what is stored: who of them waits, and for what.
    mutating func findWaiting(_ desired: DesiredState) {
        meant = builder.uids
        let blocked = builder.blocked
        waiting.forDisuse = builder.inUse
        for name in volumes.keys.sorted() where outcomes.index(forKey: .volume(name)) != nil {
            let declared = volumes[name]!
            let resource = ResourceID(.volume, name)
            waiting.add(resource, sourceClaims(declared))
            guard !isMeantNew(resource) else { continue }
            waiting.add(resource, claims(of: declared, isBlocked: blocked.contains(resource)))
        }
        for (name, declared) in snapshots.inKeyOrder where outcomes[.snapshot(name)] != nil {
            let resource = ResourceID(.snapshot, name), role = Marks.Role.snapshot(name)
            guard !isMeantNew(resource) else { continue }
            var claims = unspentRename(role, declared.metadata).map { [Claim.name($0)] } ?? []
            if blocked.contains(resource) { claims += [.name(role), .objectName(role.objectName)] }
            waiting.add(resource, claims)
        }
        for (name, declared) in restores.inKeyOrder {
            waiting.add(ResourceID(.restore, name), sourceClaims(declared))
        }
        for declared in desired.attachments.values {
            if case .unavailable? = outcomes[.volume(declared.spec.volume)] { waiting.add(declared) }
        }
        let now = context.now.secondsSince1970
        for wait in observed.ledger.waits ?? [] where wait.stack != context.stack && wait.isCurrent(at: now) {
            waiting.add(wait.resource, [.object(wait.uid)], stack: wait.stack)
        }
    }

    /// A person said that nothing which is there is meant by it.
    func isMeantNew(_ resource: ResourceID) -> Bool {
        context.consent.allowBlank.contains(resource) || context.consent.recreate.contains(resource)
    }

    private func claims(of declared: Declared<VolumeSpec>, isBlocked: Bool) -> [Claim] {
        let role = Marks.Role.volume(declared.metadata.name), former = unspentRename(role, declared.metadata)
        var claims = (former.map { [Claim.name($0)] } ?? []) + besides(role)
        guard isBlocked else { return claims }
        claims.append(.objectName(role.objectName))
        // Its own object is there, and the only thing that it can wait for is a name.
        guard index.live(role, context.stack).isEmpty else { return claims }
        let identity = declared.spec.identity
        claims += [.name(role), .target(identity?.iqn ?? "\(context.config.iqnBase):\(role.name)")]
        if let serial = identity?.serial { claims.append(.serial(serial)) }
        if let origin = declared.metadata.importedFrom {
            claims.append(.place(origin))
        } else if isNew(role, declared.metadata) {
            claims += shapes(of: declared.spec)
        }
        return claims
    }

    /// Nothing that is there, or was, is known to be it.
    private func isNew(_ role: Marks.Role, _ metadata: Metadata) -> Bool {
        [role, former(role, metadata)].compactMap { $0 }.allSatisfy { role in
            home(of: [role]) == nil && twinObstacle(role) == nil
                && [nil, .purged].contains(observed.ledger.entry(role.resource, stack: context.stack)?.standing)
        }
    }

    func shapes(of spec: VolumeSpec) -> [Claim] {
        let places =
            switch spec.placement {
            case .pool(let name): pools[name].map { [$0] } ?? []
            case .selector(let selector): pools.values.filter { selector.matches($0.labels) }
            }
        return places.map { .shape($0.backend, spec.size.roundedUp(to: $0.unit)) }
    }

    /// The former name that its annotation gives, if something is there under it besides what has the new name, and the
    /// renaming was not carried out before.
    func unspentRename(_ role: Marks.Role, _ metadata: Metadata) -> Marks.Role? {
        guard let former = former(role, metadata) else { return nil }
        guard let stored = index.live(role, context.stack).first else { return former }
        let isSpent = formerNames(of: stored).contains(former)
        return isSpent || home(of: [former]) == nil ? nil : former
    }

    /// A note beside a volume that is there although its former name is in use as well.
    func otherFormerNotes(_ role: Marks.Role, _ metadata: Metadata) -> [String] {
        guard let former = unspentRename(role, metadata), let stored = index.live(role, context.stack).first,
            let other = (index.live(former, context.stack) + index.trashed(former, context.stack)).first
        else { return [] }
        return [
            "\(other.location) (\(former.resource)), which '\(Metadata.renamedFromKey)' names, is another one than "
                + "\(stored.location) and is kept: to have it here, declare \(former.resource) again in the place of "
                + "\(role.resource), apply with --prune, and rename it then; if it is to go, remove the annotation"
        ]
    }

    /// The object that was declared by nobody when this volume was made beside it with the same size in the same pool,
    /// and nobody has said since which of them is meant.
    private func besides(_ role: Marks.Role) -> [Claim] {
        guard !histories.isEmpty else { return [] }
        return index.live(role, context.stack).flatMap { stored in
            (histories[stored.uid]?.beside ?? []).map { Claim.object($0) }
        }
    }

    /// Names that its document had before it was renamed, as the ledger remembers.
    func formerNames(of stored: StoredVolume) -> [Marks.Role] {
        (histories[stored.uid]?.formerly ?? []).map(stored.marks.role.named)
    }

    private func sourceClaims(_ declared: Declared<VolumeSpec>) -> [Claim] {
        guard let role = declared.spec.source?.role else { return [] }
        let stored = index.live(.volume(declared.metadata.name), context.stack)
        return stored.contains { $0.marks.operation == nil } ? [] : [.source(role)]
    }

    private func sourceClaims(_ declared: Declared<RestoreSpec>) -> [Claim] {
        guard case .snapshot(let snapshot) = declared.spec.from else { return [] }
        let volume = index.live(.volume(declared.spec.volume), context.stack).first
        let key = RestoreKey.of(declared.metadata.name, declared.spec.volumeUID)
        if let volume, volume.uid != declared.spec.volumeUID || volume.marks.executed.contains(key) { return [] }
        return [.source(.snapshot(snapshot))]
    }

    // MARK: What it keeps

    /// Why nothing of this object may be taken away in this pass. Every removal asks.
    func removalObstacle(of stored: StoredVolume) -> Obstacle? {
        removalObstacle() ?? waitObstacle(of: stored)
    }

    func waitObstacle(of stored: StoredVolume) -> Obstacle? {
        waiter(for: stored).map { Obstacle(.awaited, sentence($0, stored)) }
    }

    func waiter(for stored: StoredVolume) -> Waiting.Waiter? {
        // What a document stands for in use goes by what documents say of it.
        let role = stored.marks.role
        let isTheirs = meant.contains(stored.uid) || isDeclared(role) || isBeingRenamed(role)
        guard !waiting.isEmpty, stored.standing != .live || !isTheirs else { return nil }
        let marks = stored.marks
        var claims: [Claim] = [.source(marks.role), .name(marks.role)] + formerNames(of: stored).map { .name($0) }
        if let iqn = marks.iqn { claims.append(.target(iqn)) }
        claims += [
            .serial(marks.diskSerial), .objectName(stored.location.objectName), .place(stored.location.description),
            .object(stored.uid),
        ]
        if stored.standing == .live, let size = stored.size, marks.kind == .volume {
            claims.append(.shape(stored.backend, size))
        }
        return waiting.first(of: claims)
    }

    private func sentence(_ waiter: Waiting.Waiter, _ stored: StoredVolume) -> String {
        let place = stored.location, by = waiter.resource
        if let stack = waiter.stack {
            return
                "\(by) of stack '\(stack)' asks for the name or the target of \(place), which therefore stays; declare it here "
                + "again, or remove that document and apply stack '\(stack)' once more"
        }
        let meanwhile = "nothing of \(place) is taken away meanwhile"
        switch waiter.claim {
        case .source:
            let isTrashed = stored.standing == .trashed
            return "\(by) still needs \(place)" + (isTrashed ? "; bring it back: tuff trash restore \(stored.uid)" : "")
        case .name(stored.marks.role) where isDeclared(stored.marks.role):
            return "\(by) is declared and waits, see its own line; \(meanwhile)"
        case .name(stored.marks.role):
            return "\(by) says that it was \(stored.marks.role.resource) before; \(meanwhile), see its own line"
        case .name(let former):
            return "\(by) waits, and \(place) was \(former.resource) before it was renamed; \(meanwhile). "
                + cure(by, stored)
        case .target(let iqn):
            return "\(by) waits for the target name \(iqn) of \(place); \(meanwhile). " + cure(by, stored)
        case .serial(let serial):
            return "\(by) waits for the serial number \(serial) of \(place); \(meanwhile). " + cure(by, stored)
        case .objectName(let name):
            return "\(by) waits for the name \(name), which \(place) has; \(meanwhile). " + cure(by, stored)
        case .place:
            return "\(by) was imported from \(place), which is adopted as \(stored.marks.role.resource); \(meanwhile). "
                + cure(by, stored)
        case .object, .shape:
            return "\(by) is new and has the pool and the size of \(place), so that one may be the other's new name; "
                + "\(meanwhile). " + cure(by, stored)
        }
    }

    /// The words that a person writes to say whether an object that nobody declares is what a document means.
    func cure(_ by: ResourceID, _ stored: StoredVolume) -> String {
        let name = stored.marks.name
        if let other = index.live(by.kind == .volume ? .volume(by.name) : .snapshot(by.name), context.stack).first,
            other.uid != stored.uid
        {
            return
                "If \(place(stored)) is meant, declare \(stored.marks.role.resource) again in the place of \(by); if not: "
                + "--allow-blank \(by)"
        }
        // Its target's name and its number are its own until it is destroyed.
        if stored.standing == .trashed {
            return
                "If \(by) is this one under another name, write the annotation '\(Metadata.renamedFromKey): \(name)' in it; "
                + "if it is to be a new one, destroy the other first: tuff trash purge \(stored.uid)"
        }
        return
            "If \(by) is this one under another name, write the annotation '\(Metadata.renamedFromKey): \(name)' in it; "
            + "if it is to be a new one: --allow-blank \(by)"
    }

    private func place(_ stored: StoredVolume) -> String { stored.location.description }

    /// Nobody declares it or takes it over: what a document may mean that does not say so.
    func isUnclaimed(_ stored: StoredVolume) -> Bool {
        let role = stored.marks.role
        return stored.marks.stack == context.stack && !isDeclared(role) && heirs[role] == nil
            && custody(of: stored) == .none
    }

    /// The first volume that nobody declares, in use, with the size of what is new and in a pool where that may be.
    func lookalike(of spec: VolumeSpec) -> StoredVolume? {
        guard !unclaimed.isEmpty else { return nil }
        let shapes = shapes(of: spec)
        return unclaimed.first {
            $0.standing == .live && $0.marks.kind == .volume && $0.marks.operation == nil && !meant.contains($0.uid)
                && shapes.contains(.shape($0.backend, $0.size ?? .zero))
        }
    }
}
