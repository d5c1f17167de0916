import TuffHost
import TuffModel
import TuffPlanning

/// Volumes of whole extents, and work that bears a mark until it is done.
extension VolumeContract {
    func checkThick(_ rule: Rule, one: Volume, two: Volume) async throws {
        switch rule {
        case .aThickVolumeIsCompleteOnceItIsWiped: try await wiping(one)
        case .aThickVolumeGrowsByWipedExtentsAndLeavesNothingBeside: try await growing(one, two)
        case .aThickSnapshotHasRoomOfItsOwn: try await snapshots(one, two)
        case .aFillNeedsTheMarkOfItsWork: try await filling(one, two)
        case .rollingBackBeginsOnceWhatItHeldIsKept: try await rollingBack(one, two)
        default: preconditionFailure("\(rule) is not about thick volumes or marks of work")
        }
    }

    private func thick(_ volume: Volume, _ operation: String? = nil) -> Volume {
        var result = volume
        result.backend = .thick(group: group)
        result.marks.operation = operation
        return result
    }

    private func activation(_ volume: Volume) -> Step {
        .lvm(.activate(VolumeRef(volume.location, uid: volume.uid)))
    }

    private func completion(_ volume: Volume, _ operation: String) -> Step {
        .lvm(.complete(VolumeRef(volume.location, uid: volume.uid), size: Self.size, operation: operation))
    }

    private func wiping(_ one: Volume) async throws {
        let begun = thick(one, Marks.wiping)
        let wipe = Step.lvm(.wipe(VolumeRef(one.location, uid: one.uid), wipe: .zero))
        try await carryOut([begun.creation(Self.size), activation(one)])
        let made = try await find(one)
        try expect(made.layout == .linear && made.pool == nil && made.origin == nil, "it is no thick volume: \(made)")
        try expect(Marks.read(made.tags) == .ours(begun.marks), "the tags read \(made.tags)")
        try await refuse([completion(one, Marks.copying)], .preconditionFailed)
        try await carryOut([wipe, completion(one, Marks.wiping)])
        let done = try await find(one)
        try expect(Marks.read(done.tags) == .ours(one.marks) && !done.active, "complete, it is \(done)")
        // What is complete has somebody's bytes.
        try await carryOut([activation(one)])
        try await refuse([wipe], .preconditionFailed)
        try await refuse([completion(one, Marks.wiping)], .preconditionFailed)
    }

    private func growing(_ one: Volume, _ two: Volume) async throws {
        let larger = Self.size + Self.size
        try await carryOut([thick(one).creation(Self.size), activation(one)])
        let before = try await find(one)
        let holder = "x-\(one.uid)"
        func taking(uid: UID? = nil, uuid: String? = nil, from: ByteCount = Self.size) -> Step {
            .lvm(
                .takeExtents(
                    VolumeRef(one.location, uid: uid ?? one.uid, uuid: uuid ?? before.uuid), from: from, to: larger))
        }
        let wiping = Step.lvm(
            .wipeExtents(holder: VolumeRef(.logicalVolume(group: group, name: holder), uid: one.uid), wipe: .zero))
        func joining(uuid: String? = nil, from: ByteCount = Self.size) -> Step {
            .lvm(.joinExtents(VolumeRef(one.location, uid: one.uid, uuid: uuid ?? before.uuid), from: from, to: larger))
        }
        try await refuse([taking(uid: two.uid)], .preconditionFailed)
        try await refuse([taking(uuid: "another")], .preconditionFailed)
        try await refuse([taking(from: larger)], .preconditionFailed)
        // Nothing took any.
        try await refuse([wiping], .preconditionFailed)
        try await refuse([joining()], .preconditionFailed)
        try await carryOut([taking()])
        let held = try await observe().logicalVolumes.first { $0.name == holder }
        try expect(
            held?.size == Self.size && held?.tags == ["tuff-growth"],
            "what has the extents is \(String(describing: held))")
        try await refuse([joining()], .preconditionFailed)
        // Taken once more: what was wiped before is not what is there.
        try await carryOut([wiping, taking()])
        try await refuse([joining()], .preconditionFailed)
        try await carryOut([wiping])
        try await refuse([joining(uuid: "another")], .preconditionFailed)
        try await refuse([joining(from: larger)], .preconditionFailed)
        try await carryOut([joining()])
        var expected = before
        expected.size = larger
        let after = try await observe()
        let found = after.logicalVolumes.first { $0.name == one.name }
        try expect(found == expected, "more than the size changed: \(before) -> \(String(describing: found))")
        try expect(!after.logicalVolumes.contains { $0.name == holder }, "what took the extents is still there")
        try await refuse([taking()], .preconditionFailed)
        try await refuse([joining()], .preconditionFailed)
    }

    private func snapshots(_ one: Volume, _ two: Volume) async throws {
        let reserve = ByteCount(8 << 20)
        try await carryOut([thick(one).creation(Self.size), activation(one)])
        let source = try await find(one)
        var snapshot = two
        snapshot.marks = Marks(uid: two.uid, role: .snapshot(two.marks.name), stack: two.marks.stack, origin: one.uid)
        snapshot.name = snapshot.marks.role.objectName
        snapshot.location = .logicalVolume(group: group, name: snapshot.name)
        func taking(_ uuid: String) -> Step {
            .lvm(
                .snapshotThick(
                    source: VolumeRef(one.location, uid: one.uid, uuid: uuid), location: snapshot.location,
                    reserve: reserve, marks: snapshot.marks))
        }
        try await refuse([taking("another")], .preconditionFailed)
        try await carryOut([taking(source.uuid)])
        let found = try await find(snapshot)
        try expect(Marks.read(found.tags) == .ours(snapshot.marks), "the tags read \(found.tags)")
        try expect(found.origin == one.name && found.isThickSnapshot && !found.isOverflowed, "it is \(found)")
        try expect(found.size == reserve && found.active, "its room and device come with its origin's: \(found)")
        try await carryOut([.lvm(.confirmWhole(VolumeRef(snapshot.location, uid: snapshot.uid, uuid: found.uuid)))])
        try await refuse(
            [.lvm(.confirmWhole(VolumeRef(snapshot.location, uid: one.uid, uuid: found.uuid)))], .preconditionFailed)
    }

    private func filling(_ one: Volume, _ two: Volume) async throws {
        var begun = two
        begun.marks.operation = Marks.copying
        let fill = Step.volume(
            .fill(
                VolumeRef(two.location, uid: two.uid), source: VolumeRef(one.location, uid: one.uid),
                operation: Marks.copying))
        try await carryOut([one.creation(Self.size), begun.creation(Self.size), activation(one), activation(two)])
        let source = try await find(one)
        try await carryOut([fill, completion(two, Marks.copying)])
        let done = try await find(two)
        try expect(Marks.read(done.tags) == .ours(two.marks) && !done.active, "complete, it is \(done)")
        try expect(try await find(one) == source, "its source changed")
        try await carryOut([activation(two)])
        try await refuse([fill], .preconditionFailed)
    }

    private func rollingBack(_ one: Volume, _ two: Volume) async throws {
        let key = "abcdefgh", operation = Marks.restoring(key)
        try await carryOut([one.creation(Self.size)])
        let uuid = try await find(one).uuid
        func begin(_ uuid: String, keptBy snapshot: Volume?) -> Step {
            .lvm(
                .begin(
                    VolumeRef(one.location, uid: one.uid, uuid: uuid), operation: operation,
                    kept: snapshot.map { VolumeRef($0.location, uid: $0.uid) }))
        }
        try await refuse([begin(uuid, keptBy: two)], .preconditionFailed)
        try await refuse([begin("another", keptBy: nil)], .preconditionFailed)
        try await carryOut([begin(uuid, keptBy: nil)])
        var marks = one.marks
        marks.operation = operation
        let begun = try await find(one)
        try expect(Marks.read(begun.tags) == .ours(marks), "begun, the tags read \(begun.tags)")
        try await carryOut([completion(one, operation)])
        marks.operation = nil
        marks.executed = [key]
        let done = try await find(one)
        try expect(Marks.read(done.tags) == .ours(marks), "done, the tags read \(done.tags)")
        try await refuse([completion(one, operation)], .preconditionFailed)
    }
}
