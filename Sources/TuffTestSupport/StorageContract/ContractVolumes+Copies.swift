import TuffHost
import TuffModel
import TuffPlanning

/// Snapshots and clones within one thin pool.
extension VolumeContract {
    func checkCopies(_ rule: Rule, one: Volume, two: Volume) async throws {
        switch rule {
        case .aCopyHasItsOwnMarksAndItsSourcesSize: try await copying(one, two)
        case .aCopyOfWhatWasMadeInTheSamePlanGrowsByItsUIDAlone: try await copyingWhatIsNew(one, two)
        case .aCopyRefusesAnotherVolumeUnderTheName: try await staleCopies(one, two)
        case .aCopyOutlivesItsSource: try await outliving(one, two)
        case .aSnapshotIsNotActivatedByABootAndACloneIs: try await activationAtBoot(one, two)
        default: preconditionFailure("\(rule) is not about copies")
        }
    }

    private func copy(_ source: Volume, _ uuid: String?, to other: Volume, uid: UID? = nil) -> Step {
        .volume(
            .copy(
                source: VolumeRef(source.location, uid: uid ?? source.uid, uuid: uuid), location: other.location,
                marks: other.marks))
    }

    /// `two`, made from `one`.
    private func descendant(_ two: Volume, of one: Volume, isSnapshot: Bool = false) -> Volume {
        var result = two
        result.marks.origin = one.uid
        guard isSnapshot else { return result }
        result.marks = Marks(uid: two.uid, role: .snapshot(two.marks.name), stack: two.marks.stack, origin: one.uid)
        result.name = result.marks.role.objectName
        result.location = .logicalVolume(group: group, name: result.name)
        return result
    }

    private func copying(_ one: Volume, _ two: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let source = try await find(one)
        let snapshot = descendant(two, of: one, isSnapshot: true)
        try await carryOut([copy(one, source.uuid, to: snapshot)])
        let found = try await find(snapshot)
        try expect(Marks.read(found.tags) == .ours(snapshot.marks), "the tags read \(found.tags)")
        try expect(found.size == Self.size && found.pool == pool, "it is not like its source: \(found)")
        try expect(found.origin == one.name, "its origin is \(found.origin ?? "none")")
        try expect(found.layout == .thin && !found.active && !found.suspended, "it is not at rest: \(found)")
        try expect(try await find(one) == source, "its source changed")
        try await refuse([copy(one, source.uuid, to: snapshot)], .failed)
    }

    private func copyingWhatIsNew(_ one: Volume, _ two: Volume) async throws {
        let clone = descendant(two, of: one)
        try await carryOut([one.creation(Self.size)])
        try await carryOut([copy(one, nil, to: clone)])
        let larger = ByteCount(Self.size.bytes * 2)
        let growth = Step.volume(.extend(VolumeRef(clone.location, uid: clone.uid), from: Self.size, to: larger))
        try await carryOut([growth])
        let found = try await find(clone)
        try expect(found.size == larger && Marks.read(found.tags) == .ours(clone.marks), "it is \(found)")
        try await refuse([growth], .preconditionFailed)
        let other = Step.volume(.extend(VolumeRef(clone.location, uid: one.uid), from: larger, to: larger + larger))
        try await refuse([other], .preconditionFailed)
    }

    private func staleCopies(_ one: Volume, _ two: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        try await refuse([copy(one, "another", to: descendant(two, of: one))], .preconditionFailed)
        try await refuse([copy(one, nil, to: descendant(two, of: one), uid: two.uid)], .preconditionFailed)
    }

    private func outliving(_ one: Volume, _ two: Volume) async throws {
        let clone = descendant(two, of: one)
        try await carryOut([one.creation(Self.size)])
        try await carryOut([copy(one, try await find(one).uuid, to: clone)])
        let gone = try await putInTrash(one)
        try await carryOut([
            .volume(
                .purge(
                    VolumeRef(.logicalVolume(group: group, name: gone.name), uid: one.uid, uuid: gone.uuid),
                    until: Self.deadline))
        ])
        let found = try await find(clone)
        try expect(found.origin == nil && found.size == Self.size, "without its source it is \(found)")
        try expect(Marks.read(found.tags) == .ours(clone.marks), "the tags read \(found.tags)")
    }

    private func activationAtBoot(_ one: Volume, _ two: Volume) async throws {
        let snapshot = descendant(two, of: one, isSnapshot: true)
        try await carryOut([one.creation(Self.size)])
        try await carryOut([copy(one, try await find(one).uuid, to: snapshot)])
        try expect(try await !activatesByItself(snapshot.name), "a snapshot appears by itself")
        var clone = Volume(self, "\(two.marks.name)-clone", byte: 0)
        clone.uid = UID(bytes: two.uid.description.utf8)
        clone.marks = Marks(uid: clone.uid, role: clone.marks.role, stack: "contract", origin: one.uid)
        try await carryOut([copy(one, nil, to: clone)])
        try expect(try await activatesByItself(clone.name), "a clone does not appear")
    }
}
