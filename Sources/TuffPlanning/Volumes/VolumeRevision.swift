import TuffModel

/// The changes that turn a stored volume into the declared one: other marks, another name, more bytes.
struct VolumeRevision {
    let stored: StoredVolume
    /// `update`, `untrash` or `adopt`.
    let action: Action
    private(set) var relabelling: Relabelling
    private(set) var growth: (from: ByteCount, to: ByteCount)?
    var notes: [String] = []
    /// Of a thick pool.
    private let wipe: LVMPoolSpec.Wipe?

    init(_ stored: StoredVolume, declared: Declared<VolumeSpec>, action: Action, wipe: LVMPoolSpec.Wipe? = nil) {
        self.stored = stored
        self.wipe = wipe
        self.action = action
        var after = stored.marks
        after.role = .volume(declared.metadata.name)
        after.policy = declared.spec.removalPolicy
        after.until = nil
        after.released = false
        after.operation = stored.marks.lastingOperation
        // Protection ends by a word, never by a missing line.
        if declared.fields["spec.protect"] != nil { after.protect = declared.spec.protect }
        if after.protect, !declared.spec.protect {
            notes.append("it is protected by an earlier document; 'protect: false' ends that")
        }
        if stored.marks.restoration != nil {
            notes.append("it is being rolled back, and nobody gets it before all of that is done")
        }
        // A growth that died between the file and its marks.
        if let size = stored.size, let recorded = after.size, recorded < size { after.size = size }
        relabelling = Relabelling(
            uuid: stored.uuid, from: stored.location,
            to: stored.location(under: after, formerName: declared.metadata.renamedFrom),
            before: stored.marks, after: after)
    }

    mutating func grow(from size: ByteCount, to wanted: ByteCount) {
        if wanted > size { growth = (size, wanted) }
    }

    var renames: Bool { relabelling.from != relabelling.to }
    var relabels: Bool { renames || relabelling.before != relabelling.after }
    /// Its making was interrupted before all of it was wiped.
    var isUnwiped: Bool { stored.marks.operation == Marks.wiping }
    var isEmpty: Bool { !relabels && growth == nil && !isUnwiped }

    var steps: [StorageStep] {
        var steps: [StorageStep] = relabels ? [.volume(.relabel(relabelling))] : []
        if isUnwiped {
            var moved = stored
            moved.location = relabelling.to
            steps += moved.wiping(wipe ?? .zero)
        }
        if let growth, let wipe, wipe != .none {
            steps += stored.growingWiped(at: relabelling.to, from: growth.from, to: growth.to, wipe)
        } else if let growth {
            var moved = stored
            moved.location = relabelling.to
            moved.marks = relabelling.after
            steps += moved.growing(from: growth.from, to: growth.to)
        }
        return steps
    }

    /// The volume as it will be.
    var result: StoredVolume {
        var result = stored
        result.marks = relabelling.after
        // Who rolls it back looks for the mark of that.
        if result.marks.restoration == nil { result.marks.operation = nil }
        result.location = relabelling.to
        if isUnwiped { result.active = false }
        if let growth {
            result.size = growth.to
            result.marks.size = result.backend.recorded(growth.to)
        }
        return result
    }

    var differences: [FieldDifference] {
        let before = relabelling.before, after = relabelling.after
        var found: [FieldDifference] = []
        if action == .update, before.role != after.role || renames {
            found.append(
                FieldDifference("name", from: relabelling.from.description, to: relabelling.to.description))
        }
        func compare<Value: Equatable>(_ field: String, old: Value, new: Value, text: (Value) -> String) {
            if old != new { found.append(FieldDifference(field, from: text(old), to: text(new))) }
        }
        compare("protect", old: before.protect, new: after.protect) { $0 ? "true" : "false" }
        compare("deletionPolicy", old: before.policy.deletion, new: after.policy.deletion, text: \.rawValue)
        compare("trashFor", old: before.policy.keepFor, new: after.policy.keepFor, text: \.description)
        if growth == nil, let old = before.size, let new = after.size, old != new {
            found.append(FieldDifference("recorded size", from: old.description, to: new.description))
        }
        if let growth {
            found.append(FieldDifference("size", from: growth.from.description, to: growth.to.description))
        }
        return found
    }

    func summary(in pool: PoolState) -> String {
        let size = "\(result.size ?? .zero)"
        switch action {
        case .untrash:
            return "bring back \(size) from the trash, data and identity as they were (\(relabelling.to))"
        case .adopt:
            return "take up \(size) that was released, data and identity as they are (\(relabelling.to))"
        case .create, .update, .withdraw, .takeDown, .release, .trash, .purge, .due, .orphan, .blocked, .unsupported,
            .unchanged:
            if isUnwiped { return "finish the interrupted creation of \(relabelling.to): wipe \(size)" }
            if let growth { return "extend \(growth.from) -> \(growth.to) (\(relabelling.to))" }
            return "set \(differences.map(\.field).joined(separator: ", ")) (\(relabelling.to))"
        }
    }
}

extension StoredVolume {
    /// Makes it larger, and a file's marks say so afterwards: what they say too early would look like damage.
    mutating func growing(from: ByteCount, to: ByteCount) -> [StorageStep] {
        let extend = StorageStep.volume(.extend(ref, from: from, to: to))
        size = to
        guard let recorded = backend.recorded(to) else { return [extend] }
        let before = marks
        marks.size = recorded
        return [
            extend,
            .volume(.relabel(Relabelling(uuid: nil, from: location, to: location, before: before, after: marks))),
        ]
    }

    /// Where an object with these marks belongs: `t-UID` in the trash, `v-NAME` or `s-NAME` when it comes from there or
    /// was renamed. Any other name stays, since an object is found by its uid and somebody chose that name; and one
    /// that was adopted keeps its name in the trash too, so that what comes back is what was there.
    /// - Parameter formerName: the name of its document before `tuff.dev/renamed-from`.
    func location(under marks: Marks, formerName: String? = nil) -> VolumeLocation {
        if marks.adopted { return location }
        var name = location.objectName
        if marks.until != nil {
            name = "t-\(uid)"
        } else {
            var former = marks
            former.role = formerName.map(marks.role.named) ?? marks.role
            if name == "t-\(uid)" || (formerName != nil && name == former.objectName) { name = marks.objectName }
        }
        return switch location {
        case .logicalVolume(let group, _): .logicalVolume(group: group, name: name)
        case .file(let directory, _): .file(directory: directory, name: name)
        }
    }
}

extension VolumeSpec {
    var removalPolicy: RemovalPolicy { RemovalPolicy(deletionPolicy, keepFor: trashFor) }
}
