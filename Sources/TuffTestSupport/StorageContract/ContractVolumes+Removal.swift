import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Changes of marks and names, and the trash.
extension VolumeContract {
    static let deadline = Instant(secondsSince1970: 1_800_000_000)

    func checkRemoval(_ rule: Rule, one: Volume, two: Volume) async throws {
        switch rule {
        case .trashIsInactiveKeepsItsDataAndComesBack: try await trash(one)
        case .marksAndNameChangeTogetherOrAlone: try await renaming(one)
        case .relabellingIsFinishedAfterACutAtEveryPoint: try await cuts()
        case .relabellingRefusesAStaleUUID: try await staleRelabelling(one, two)
        case .relabellingRefusesATakenName: try await takenTarget(one, two)
        case .whatIsOpenIsNeitherTrashedNorPurged: try await openVolume(one)
        case .aPurgeDestroysWhatIsInTheTrash: try await purging(one)
        case .aPurgeIsRefusedWhereAnythingDiffers: try await refusedPurges(one, two)
        case .aPurgeLooksAgainUnderTheLock: try await selectedPurge(one)
        default: preconditionFailure("\(rule) is not about removal")
        }
    }

    /// The volume of this uid, whatever it is called.
    private func find(_ uid: UID) async throws(ContractViolation) -> LogicalVolume? {
        try await observe().logicalVolumes.first { $0.tags.contains("tuff:uid=\(uid)") }
    }

    /// The change from what is observed now, as a planner would make it.
    func relabelling(_ one: Volume, to name: String, _ after: Marks) async throws -> Relabelling {
        guard let found = try await find(one.uid), case .ours(let before) = Marks.read(found.tags) else {
            throw ContractViolation("\(one.uid) is not seen, or its marks are damaged")
        }
        return Relabelling(
            uuid: found.uuid, from: .logicalVolume(group: group, name: found.name),
            to: .logicalVolume(group: group, name: name), before: before, after: after)
    }

    private func trashed(_ one: Volume) -> (name: String, marks: Marks) {
        var marks = one.marks
        marks.until = Self.deadline
        return ("t-\(one.uid)", marks)
    }

    func putInTrash(_ one: Volume) async throws -> LogicalVolume {
        let (name, marks) = trashed(one)
        try await carryOut([.volume(.relabel(try await relabelling(one, to: name, marks)))])
        guard let found = try await find(one.uid) else { throw ContractViolation("\(one.name) is gone") }
        return found
    }

    /// `lvchange -ay` as a boot does it: without `-K`.
    func activatesByItself(_ name: String) async throws -> Bool {
        try await machine.perform([
            .run(Command("lvm", ["lvchange", "-qq", "--activate", "y", "--", "\(group)/\(name)"], effect: .mutates))
        ])
        return try await observe().logicalVolumes.first { $0.name == name }?.active == true
    }

    private func trash(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let made = try await find(one)
        try await carryOut([.lvm(.activate(VolumeRef(one.location, uid: one.uid, uuid: made.uuid)))])
        let inTrash = try await putInTrash(one)
        try expect(inTrash.name == "t-\(one.uid)" && inTrash.uuid == made.uuid, "it became \(inTrash)")
        try expect(Marks.read(inTrash.tags) == .ours(trashed(one).marks), "the tags read \(inTrash.tags)")
        try expect(!inTrash.active && inTrash.device == nil, "it is active in the trash")
        try expect(try await !activatesByItself(inTrash.name), "it would be activated at boot")
        try await carryOut([.volume(.relabel(try await relabelling(one, to: one.name, one.marks)))])
        let back = try await find(one)
        try expect(back == made, "it came back as another: \(made) -> \(back)")
        try expect(try await activatesByItself(one.name), "it is not activated at boot any more")
        let device = try await find(one).device
        try expect(device != nil, "an active volume has no device number")
    }

    private func renaming(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        try await carryOut([.lvm(.activate(VolumeRef(one.location, uid: one.uid)))])
        let before = try await find(one)
        var marks = one.marks
        marks.policy = RemovalPolicy(.retain)
        marks.protect = true
        marks.lun = nil
        try await carryOut([.volume(.relabel(try await relabelling(one, to: one.name, marks)))])
        var expected = before
        expected.tags = marks.tags
        try expect(try await find(one) == expected, "more than the tags changed")
        marks.role = .volume("\(one.name.dropFirst(2))-renamed")
        try await carryOut([.volume(.relabel(try await relabelling(one, to: "\(one.name)-renamed", marks)))])
        expected.name = "\(one.name)-renamed"
        expected.tags = marks.tags
        let found = try await find(one.uid)
        try expect(found == expected, "renamed while active it became \(String(describing: found))")
    }

    private func cuts() async throws {
        let one = Volume(self, "cut", byte: 240)
        try await carryOut([one.creation(Self.size)])
        let (name, marks) = trashed(one)
        for (target, after) in [(name, marks), (one.name, one.marks)] {
            let whole = driver.lower([.volume(.relabel(try await relabelling(one, to: target, after)))])[0].actions
            let home = after.until == nil ? trashed(one) : (one.name, one.marks)
            for stop in 0...whole.count {
                try await machine.perform(Array(whole.prefix(stop)))
                let rest = try await relabelling(one, to: target, after)
                let marksFollowName = rest.before != after && rest.from.objectName == target
                try expect(!marksFollowName, "after \(stop) actions it has the new name and not the new marks")
                try await carryOut([.volume(.relabel(rest))])
                let found = try await find(one.uid)
                try expect(
                    found?.name == target && Marks.read(found?.tags ?? []) == .ours(after),
                    "cut after \(stop) actions it ended as \(String(describing: found))")
                if stop < whole.count {
                    try await carryOut([.volume(.relabel(try await relabelling(one, to: home.0, home.1)))])
                }
            }
        }
    }

    private func staleRelabelling(_ one: Volume, _ two: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        var stale = try await relabelling(one, to: trashed(one).name, trashed(one).marks)
        stale.uuid = "no-such-uuid"
        try await refuse([.volume(.relabel(stale))], .preconditionFailed)
        stale = try await relabelling(one, to: trashed(one).name, trashed(one).marks)
        stale.before.uid = two.uid
        try await refuse([.volume(.relabel(stale))], .preconditionFailed)
    }

    private func takenTarget(_ one: Volume, _ two: Volume) async throws {
        try await carryOut([one.creation(Self.size), two.creation(Self.size)])
        try await refuse([.volume(.relabel(try await relabelling(one, to: two.name, one.marks)))], .failed)
    }

    /// Held open by a backstore of the kernel's target.
    private func openVolume(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        try await carryOut([.lvm(.activate(VolumeRef(one.location, uid: one.uid)))])
        let spec = BackstoreSpec(
            uid: one.uid, location: one.location, size: Self.size, identity: DiskIdentity(serial: one.uid.serial),
            discard: true)
        try await export(.createBackstore(spec))
        try expect(try await find(one).open, "a volume that a backstore holds is not seen as open")
        let (name, marks) = trashed(one)
        try await refuse([.volume(.relabel(try await relabelling(one, to: name, marks)))], .failed)
        // As if it had been marked by hand: the deadline is there, and it still is in use.
        let marking = try await relabelling(one, to: one.name, marks)
        let add = marking.addedTags.flatMap { ["--addtag", $0] }
        try await machine.perform([
            .run(Command("lvm", ["lvchange", "-qq"] + add + ["--", "\(group)/\(one.name)"], effect: .mutates))
        ])
        let step = Step.volume(.purge(VolumeRef(one.location, uid: one.uid, uuid: marking.uuid), until: Self.deadline))
        try await refuse([step], .preconditionFailed)
        // lvremove alone, should somebody open it after the look: LVM refuses too.
        let before = try await observe()
        do {
            try await machine.perform(Array(driver.lower([step])[0].actions.dropFirst()))
        } catch {
            try expect(error.code == .failed, "lvremove of an open volume: \(error)")
        }
        try expect(try await observe() == before, "an open volume was removed")
        try await export(.removeBackstore(uid: one.uid, place: LIOPath.adapter(one.uid, isBlockDevice: true)))
        try expect(try await !find(one).open, "a released volume is still open")
    }

    private func export(_ step: ExportStep) async throws(HostError) {
        for batch in LIODriver().lower([step]) { try await machine.perform(batch.actions) }
    }

    private func purge(_ found: LogicalVolume, _ one: Volume) -> Step {
        .volume(
            .purge(
                VolumeRef(.logicalVolume(group: group, name: found.name), uid: one.uid, uuid: found.uuid),
                until: Self.deadline))
    }

    private func purging(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let before = try await observe()
        let step = purge(try await putInTrash(one), one)
        try await carryOut([step])
        let after = try await observe()
        // The pool has that much less in it.
        func others(_ group: VolumeGroup) -> [LogicalVolume] {
            group.logicalVolumes.filter { $0.name != one.name && $0.layout != .thinPool }
        }
        try expect(
            others(after) == others(before) && after.logicalVolumes.count == before.logicalVolumes.count - 1,
            "the purge did not remove exactly one volume: \(after.logicalVolumes)")
        try await refuse([step], .preconditionFailed)
    }

    private func refusedPurges(_ one: Volume, _ two: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let live = try await find(one)
        try await refuse([purge(live, one)], .preconditionFailed)
        let found = try await putInTrash(one)
        var other = found
        other.uuid = "no-such-uuid"
        try await refuse([purge(other, one)], .preconditionFailed)
        try await refuse([purge(found, two)], .preconditionFailed)
        let place = VolumeLocation.logicalVolume(group: group, name: found.name)
        let later = Self.deadline.advanced(by: TimeSpan(seconds: 1))
        try await refuse(
            [.volume(.purge(VolumeRef(place, uid: one.uid, uuid: found.uuid), until: later))], .preconditionFailed)
        try await refuse(
            [.volume(.purge(VolumeRef(place, uid: one.uid), until: Self.deadline))], .preconditionFailed)
    }

    /// The condition of the command itself, for what changes between the look and the act.
    private func selectedPurge(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let found = try await putInTrash(one)
        let before = try await observe()
        var other = found
        other.uuid = "no-such-uuid"
        let later = Step.volume(
            .purge(
                VolumeRef(.logicalVolume(group: group, name: found.name), uid: one.uid, uuid: found.uuid),
                until: Self.deadline.advanced(by: TimeSpan(seconds: 1))))
        for step in [later, purge(other, one)] {
            try await machine.perform(Array(driver.lower([step])[0].actions.dropFirst()))
            try expect(try await observe() == before, "lvremove took what it was not to select: \(step)")
        }
        try await machine.perform(Array(driver.lower([purge(found, one)])[0].actions.dropFirst()))
        try expect(try await find(one.uid) == nil, "lvremove did not find what it was to select")
    }
}
