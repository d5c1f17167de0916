import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Taking over what somebody else made, and giving it back.
extension VolumeContract {
    func checkAdoption(_ rule: Rule, one: Volume, two: Volume) async throws {
        switch rule {
        case .adoptionChangesTagsAlone: try await adoption(one)
        case .adoptionRefusesWhatItWasNotPlannedFor: try await refusedAdoptions(one, two)
        case .lettingGoLeavesWhatWasThereBefore: try await lettingGo(one)
        default: preconditionFailure("\(rule) is not about adoption")
        }
    }

    /// A volume as somebody else makes it: active, with a tag of its own and none of ours.
    private func makeForeign(_ volume: Volume) async throws -> LogicalVolume {
        try await machine.perform(driver.lower([volume.creation(Self.size)])[0].actions.map(Self.withoutTags))
        try await machine.perform([
            .run(Command("lvm", ["lvchange", "-qq", "--activate", "y", "--", path(volume)], effect: .mutates)),
            .run(Command("lvm", ["lvchange", "-qq", "--addtag", "theirs", "--", path(volume)], effect: .mutates)),
        ])
        let found = try await find(volume)
        try expect(found.active && found.tags == ["theirs"], "it is \(found)")
        return found
    }

    private func path(_ volume: Volume) -> String { "\(group)/\(volume.name)" }

    private func marks(_ volume: Volume) -> Marks {
        var marks = volume.marks
        marks.adopted = true
        marks.serial = "3f1b0c52-5a9e-4a0f-9c5e-2f7a6f1d0b11"
        return marks
    }

    private func adoption(_ one: Volume) async throws {
        let before = try await makeForeign(one)
        let marks = marks(one)
        try await carryOut([.lvm(.adopt(location: one.location, uuid: before.uuid, marks: marks))])
        let after = try await find(one)
        try expect(Marks.read(after.tags) == .ours(marks), "the tags read \(after.tags)")
        try expect(after.tags.contains("theirs"), "a tag of somebody else is gone: \(after.tags)")
        var expected = before
        expected.tags = after.tags
        try expect(after == expected, "more than the tags changed: \(before) -> \(after)")
        try await refuse([.lvm(.adopt(location: one.location, uuid: before.uuid, marks: marks))], .preconditionFailed)
    }

    private func refusedAdoptions(_ one: Volume, _ two: Volume) async throws {
        let found = try await makeForeign(one)
        try await refuse(
            [.lvm(.adopt(location: one.location, uuid: "stale-\(found.uuid)", marks: marks(one)))], .preconditionFailed)
        try await carryOut([two.creation(Self.size)])
        let ours = try await find(two)
        try await refuse(
            [.lvm(.adopt(location: two.location, uuid: ours.uuid, marks: marks(one)))], .preconditionFailed)
        // Any tag under our prefix will do: what it means is for a person to say.
        try await machine.perform([
            .run(Command("lvm", ["lvchange", "-qq", "--addtag", "tuff:x", "--", path(one)], effect: .mutates))
        ])
        try await refuse(
            [.lvm(.adopt(location: one.location, uuid: found.uuid, marks: marks(one)))], .preconditionFailed)
    }

    private func lettingGo(_ one: Volume) async throws {
        let before = try await makeForeign(one)
        var marks = marks(one)
        // What was carried out on it is remembered, and nothing else.
        marks.executed = [RestoreKey.of("undo", marks.uid)]
        try await carryOut([.lvm(.adopt(location: one.location, uuid: before.uuid, marks: marks))])
        try await refuse([.lvm(.disown(location: one.location, uuid: "stale", marks: marks))], .preconditionFailed)
        try await carryOut([.lvm(.disown(location: one.location, uuid: before.uuid, marks: marks))])
        let after = try await find(one)
        var expected = before
        expected.tags = (before.tags + marks.executed.map { "tuff:done=\($0)" }).sorted()
        try expect(after == expected, "it is not as it was: \(before) -> \(after)")
        try expect(Marks.read(after.tags) == .foreign, "it still is ours: \(after.tags)")
        try await refuse([.lvm(.disown(location: one.location, uuid: before.uuid, marks: marks))], .preconditionFailed)
        try await carryOut([.lvm(.adopt(location: one.location, uuid: before.uuid, marks: marks))])
        try expect(Marks.read(try await find(one).tags) == .ours(marks), "adopted again it forgot something")
    }
}
