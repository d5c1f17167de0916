import TuffDrivers
package import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Rules that hold for logical volumes on every machine, the fake one included. Each rule makes volumes of its own
/// names in one thin pool and leaves them there, so rules may run in any order but not side by side.
package struct VolumeContract: Sendable {
    package enum Rule: String, CaseIterable, Sendable {
        case aCreatedVolumeHasItsMarksAndSizeAndIsInactive
        case anOddSizeIsRoundedUpToExtents
        case aTakenNameIsRefusedAndNothingChanges
        case aMissingPoolIsRefused
        case extendingGrows
        case extendingRefusesAStaleUUID
        case extendingRefusesAStaleSize
        case extendingRefusesForeignMarks
        case activationActivatesSeveralAtOnce
        case activationGoesOnAfterAMissingVolume
        case manyAreMadeTogetherAndOneThatFailsTakesNoOtherWithIt
        case foreignVolumesStayAsTheyAre
        case aReportOnOneGroupSaysTheSame
        case trashIsInactiveKeepsItsDataAndComesBack
        case marksAndNameChangeTogetherOrAlone
        case relabellingIsFinishedAfterACutAtEveryPoint
        case relabellingRefusesAStaleUUID
        case relabellingRefusesATakenName
        case whatIsOpenIsNeitherTrashedNorPurged
        case aPurgeDestroysWhatIsInTheTrash
        case aPurgeIsRefusedWhereAnythingDiffers
        case aPurgeLooksAgainUnderTheLock
        case aCopyHasItsOwnMarksAndItsSourcesSize
        case aCopyOfWhatWasMadeInTheSamePlanGrowsByItsUIDAlone
        case aCopyRefusesAnotherVolumeUnderTheName
        case aCopyOutlivesItsSource
        case aSnapshotIsNotActivatedByABootAndACloneIs
        case adoptionChangesTagsAlone
        case adoptionRefusesWhatItWasNotPlannedFor
        case lettingGoLeavesWhatWasThereBefore
        case aThickVolumeIsCompleteOnceItIsWiped
        case aThickVolumeGrowsByWipedExtentsAndLeavesNothingBeside
        case aThickSnapshotHasRoomOfItsOwn
        case aFillNeedsTheMarkOfItsWork
        case rollingBackBeginsOnceWhatItHeldIsKept
    }

    package var machine: any Machine
    package var group: String
    package var pool: String
    let driver = LVMDriver()

    package init(_ machine: any Machine, group: String, pool: String) {
        self.machine = machine
        self.group = group
        self.pool = pool
    }

    package func check(_ rule: Rule) async throws {
        // Uids and names of their own for each rule: volumes of other rules stay.
        let number = Rule.allCases.firstIndex(of: rule)!
        let one = Volume(self, "c\(number)a", byte: UInt8(number * 2))
        let two = Volume(self, "c\(number)b", byte: UInt8(number * 2 + 1))
        switch rule {
        case .aCreatedVolumeHasItsMarksAndSizeAndIsInactive: try await creation(one)
        case .anOddSizeIsRoundedUpToExtents: try await oddSize(one)
        case .aTakenNameIsRefusedAndNothingChanges: try await takenName(one, two)
        case .aMissingPoolIsRefused: try await missingPool(one)
        case .extendingGrows: try await extending(one)
        case .extendingRefusesAStaleUUID:
            try await staleExtension(one) {
                .volume(.extend(VolumeRef($0, uid: $1, uuid: two.uid.description), from: $3, to: $4))
            }
        case .extendingRefusesAStaleSize:
            try await staleExtension(one) {
                .volume(.extend(VolumeRef($0, uid: $1, uuid: $2), from: ByteCount($3.bytes - 512), to: $4))
            }
        case .extendingRefusesForeignMarks:
            try await staleExtension(one) { .volume(.extend(VolumeRef($0, uid: two.uid, uuid: $2), from: $3, to: $4)) }
        case .activationActivatesSeveralAtOnce: try await activation(one, two)
        case .activationGoesOnAfterAMissingVolume: try await partialActivation(one, two)
        case .manyAreMadeTogetherAndOneThatFailsTakesNoOtherWithIt: try await many(one, two)
        case .foreignVolumesStayAsTheyAre: try await foreign(one, two)
        case .aReportOnOneGroupSaysTheSame: try await reports(one)
        case .aCopyHasItsOwnMarksAndItsSourcesSize, .aCopyOfWhatWasMadeInTheSamePlanGrowsByItsUIDAlone,
            .aCopyRefusesAnotherVolumeUnderTheName, .aCopyOutlivesItsSource, .aSnapshotIsNotActivatedByABootAndACloneIs:
            try await checkCopies(rule, one: one, two: two)
        case .adoptionChangesTagsAlone, .adoptionRefusesWhatItWasNotPlannedFor, .lettingGoLeavesWhatWasThereBefore:
            try await checkAdoption(rule, one: one, two: two)
        case .aThickVolumeIsCompleteOnceItIsWiped, .aThickVolumeGrowsByWipedExtentsAndLeavesNothingBeside,
            .aThickSnapshotHasRoomOfItsOwn, .aFillNeedsTheMarkOfItsWork, .rollingBackBeginsOnceWhatItHeldIsKept:
            try await checkThick(rule, one: one, two: two)
        default: try await checkRemoval(rule, one: one, two: two)
        }
    }

    /// A volume that a rule makes.
    struct Volume {
        var name: String
        var uid: UID
        var location: VolumeLocation
        var marks: Marks
        var backend: StorageBackend

        init(_ contract: VolumeContract, _ label: String, byte: UInt8) {
            name = "v-\(label)"
            uid = UID(bytes: [UInt8](repeating: byte, count: UID.byteCount))
            location = .logicalVolume(group: contract.group, name: name)
            marks = Marks(
                uid: uid, role: .volume(label), stack: "contract", iqn: "iqn.2026-01.dev.tuff:\(label)", lun: 3)
            backend = .thinPool(group: contract.group, pool: contract.pool)
        }

        func creation(_ size: ByteCount) -> Step {
            .volume(.create(backend: backend, location: location, size: size, marks: marks))
        }
    }

    static let size = ByteCount(32 << 20)

    func observe() async throws(ContractViolation) -> VolumeGroup {
        switch await driver.observe(machine)[group] {
        case .known(let found?): return found
        case .known(nil): throw ContractViolation("volume group \(group) is not seen")
        case .unknown(let error): throw ContractViolation("volume group \(group) is unknown: \(error)")
        }
    }

    func find(_ volume: Volume) async throws(ContractViolation) -> LogicalVolume {
        guard let found = try await observe().logicalVolumes.first(where: { $0.name == volume.name }) else {
            throw ContractViolation("\(volume.name) is not seen")
        }
        return found
    }

    func carryOut(_ steps: [Step]) async throws(HostError) {
        for batch in driver.lower(steps) { try await machine.perform(batch.actions) }
    }

    /// Carries out steps that must be refused with `code`, and must change nothing that a report shows.
    func refuse(_ steps: [Step], _ code: HostError.Code) async throws {
        let before = try await observe()
        do {
            try await carryOut(steps)
        } catch {
            try expect(error.code == code, "refused as \(error.code) rather than \(code): \(error)")
            let after = try await observe()
            return try expect(after == before, "refused, and yet something changed: \(before) -> \(after)")
        }
        throw ContractViolation("not refused: \(steps)")
    }

    private func creation(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let found = try await find(one)
        try expect(Marks.read(found.tags) == .ours(one.marks), "the tags read \(found.tags)")
        try expect(found.size == Self.size, "the size is \(found.size)")
        try expect(!found.active && !found.open && !found.suspended, "it is not inactive: \(found)")
        try expect(found.layout == .thin && found.pool == pool, "it is no thin volume of \(pool): \(found)")
        try expect(found.dataPercent == nil && found.origin == nil, "an inactive new volume has no usage: \(found)")
    }

    private func oddSize(_ one: Volume) async throws {
        try await carryOut([one.creation(ByteCount(Self.size.bytes + 1))])
        let extent = try await observe().extentSize
        let found = try await find(one)
        try expect(found.size == Self.size + extent, "one byte more than \(Self.size) became \(found.size)")
    }

    private func takenName(_ one: Volume, _ two: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        var other = two
        other.location = one.location
        try await refuse([other.creation(ByteCount(2 * Self.size.bytes))], .failed)
    }

    private func missingPool(_ one: Volume) async throws {
        var lost = one
        lost.backend = .thinPool(group: group, pool: "no-such-pool")
        try await refuse([lost.creation(Self.size)], .failed)
    }

    private func extending(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let before = try await find(one)
        let wanted = ByteCount(2 * Self.size.bytes)
        let step = Step.volume(
            .extend(VolumeRef(one.location, uid: one.uid, uuid: before.uuid), from: before.size, to: wanted))
        try await carryOut([step])
        var expected = before
        expected.size = wanted
        let after = try await find(one)
        try expect(after == expected, "more than the size changed: \(before) -> \(after)")
        try await refuse([step], .preconditionFailed)
    }

    private func staleExtension(
        _ one: Volume, _ step: (VolumeLocation, UID, String, ByteCount, ByteCount) -> Step
    ) async throws {
        try await carryOut([one.creation(Self.size)])
        let found = try await find(one)
        try await refuse(
            [step(one.location, one.uid, found.uuid, found.size, ByteCount(2 * Self.size.bytes))], .preconditionFailed)
    }

    private func activation(_ one: Volume, _ two: Volume) async throws {
        try await carryOut([one.creation(Self.size), two.creation(Self.size)])
        let first = try await find(one)
        let second = try await find(two)
        let steps = [(one, first), (two, second)].map { volume, found in
            Step.lvm(.activate(VolumeRef(volume.location, uid: volume.uid, uuid: found.uuid)))
        }
        try expect(driver.lower(steps).count == 1, "activations of one group are not one batch")
        try await carryOut(steps)
        for volume in [one, two] {
            let found = try await find(volume)
            try expect(found.active && !found.suspended && !found.open, "it is not active: \(found)")
        }
        // Again: what is active stays so.
        try await carryOut(steps)
    }

    private func partialActivation(_ one: Volume, _ two: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let steps = [two, one].map { Step.lvm(.activate(VolumeRef($0.location, uid: $0.uid))) }
        do {
            try await carryOut(steps)
        } catch {
            try expect(error.code == .failed, "refused as \(error)")
            let found = try await find(one)
            return try expect(found.active, "the volume that exists is not active")
        }
        throw ContractViolation("a volume that does not exist was activated")
    }

    /// Also one whose names are too long for a line of a script.
    private func many(_ one: Volume, _ two: Volume) async throws {
        try await carryOut([two.creation(Self.size)])
        var volumes = (1...5).map { number in
            var bytes = one.uid.bytes
            bytes[0] ^= UInt8(number)
            var volume = one
            volume.uid = UID(bytes: bytes)
            volume.name += number == 4 ? "-" + String(repeating: "x", count: 50) : "-\(number)"
            volume.location = .logicalVolume(group: group, name: volume.name)
            volume.marks = Marks(
                uid: volume.uid, role: .volume(String(volume.name.dropFirst(2))), stack: "contract",
                iqn: "iqn.2026-01.dev.tuff:\(volume.name)", lun: 3)
            return volume
        }
        volumes[2].location = two.location
        var waiting = Array(volumes.indices), failed: [Int] = []
        while !waiting.isEmpty {
            let batches = driver.lower(waiting.map { volumes[$0].creation(Self.size) })
            let outcomes = await machine.performEach(batches.map(\.actions))
            let notBegun = zip(waiting, outcomes).filter { if case .notBegun = $1 { true } else { false } }.map(\.0)
            failed += zip(waiting, outcomes).filter { if case .failed = $1 { true } else { false } }.map(\.0)
            try expect(notBegun.count < waiting.count, "nothing of \(waiting) was begun")
            waiting = notBegun
        }
        try expect(failed == [2], "failed: \(failed), where only the one whose name is taken can")
        let taken = try await find(two)
        try expect(Marks.read(taken.tags) == .ours(two.marks), "the taken name's marks are \(taken.tags)")
        for volume in volumes where volume.uid != volumes[2].uid {
            let made = try await find(volume)
            try expect(Marks.read(made.tags) == .ours(volume.marks), "\(volume.name) is marked \(made.tags)")
            try expect(!made.active && made.size == Self.size, "\(volume.name) is \(made)")
        }
    }

    private func foreign(_ one: Volume, _ two: Volume) async throws {
        let stranger = two
        let command = driver.lower([stranger.creation(Self.size)])[0].actions
        // The same volume as somebody else would make it: without any tag.
        try await machine.perform(command.map(Self.withoutTags))
        let before = try await find(stranger)
        try expect(Marks.read(before.tags) == .foreign, "it has marks: \(before.tags)")
        try await carryOut([one.creation(Self.size)])
        let made = try await find(one)
        try await carryOut([
            .volume(
                .extend(
                    VolumeRef(one.location, uid: one.uid, uuid: made.uuid), from: made.size,
                    to: ByteCount(2 * Self.size.bytes))),
            .lvm(.activate(VolumeRef(one.location, uid: one.uid, uuid: made.uuid))),
        ])
        let after = try await find(stranger)
        try expect(after == before, "somebody else's volume changed: \(before) -> \(after)")
        try await carryOut([.lvm(.activate(VolumeRef(stranger.location, uid: stranger.uid, uuid: before.uuid)))])
        let passedOver = try await find(stranger)
        try expect(passedOver == before, "a volume without our uid was activated: \(passedOver)")
    }

    static func withoutTags(_ action: HostAction) -> HostAction {
        guard case .makeVolume(var command, let group, let uid) = action else { return action }
        while let index = command.arguments.firstIndex(of: "--addtag") {
            command.arguments.removeSubrange(index...index + 1)
        }
        return .makeVolume(command, group: group, uid: uid)
    }

    private func reports(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let output = try await machine.read(LVMDriver.report(of: group))
        try expect(output.status == 0, "the report on one group ended with \(output.status): \(output.standardError)")
        let single = try LVMReportDecoder.decode(output.standardOutput)
        let whole = try await observe()
        try expect(single == [group: .known(whole)], "the report on \(group) alone says something else")
        let list = try await machine.read(LVMDriver.list)
        let names = try LVMReportDecoder.decodeNames(list.standardOutput)
        try expect(list.status == 0 && names.contains(group), "the list of groups lacks \(group): \(names)")
        let none = try await machine.read(LVMDriver.report(of: "no-such-group"))
        try expect(none.status != 0, "a report on no group succeeds")
    }
}
