import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Changes of marks and names, and the trash.
extension DirectoryContract {
    private static let deadline = Instant(secondsSince1970: 1_800_000_000)

    func checkRemoval(_ rule: Rule, _ one: Volume) async throws {
        switch rule {
        case .marksAndNameChangeTogetherOrAlone: try await moving(one)
        case .aMoveIsFinishedAfterACutAtEveryPoint: try await cutMoves()
        case .aMoveRefusesATakenNameAndOtherMarks: try await refusedMoves(one)
        case .anUnfinishedMoveDoesNotClaimAnothersFile: try await sharedName(one)
        case .aPurgeRemovesDataAndSidecar: try await purging(one)
        case .aPurgeIsFinishedAfterACutAtEveryPoint: try await cutPurges()
        case .aPurgeIsRefusedWhereAnythingDiffers: try await refusedPurges(one)
        default: preconditionFailure("\(rule) is not about removal")
        }
    }

    private func found(_ uid: UID) async throws -> DirectoryFile {
        guard let file = try await observe().files.first(where: { $0.tags.contains("tuff:uid=\(uid)") }) else {
            throw ContractViolation("\(uid) is not seen")
        }
        return file
    }

    /// The change from what is observed now, as a planner would make it.
    private func relabelling(_ uid: UID, to name: String, _ after: Marks) async throws -> Relabelling {
        let file = try await found(uid)
        guard case .ours(let before) = Marks.read(file.tags) else {
            throw ContractViolation("the marks of \(uid) are damaged")
        }
        return Relabelling(
            uuid: nil, from: .file(directory: directory, name: file.name),
            to: .file(directory: directory, name: name), before: before, after: after)
    }

    /// The place and the marks that a volume should have.
    private struct Home {
        var name: String
        var marks: Marks
    }

    private func home(_ one: Volume) -> Home { Home(name: one.name, marks: one.marks) }

    private func trashed(_ one: Volume) -> Home {
        var marks = one.marks
        marks.until = Self.deadline
        return Home(name: "t-\(one.uid)", marks: marks)
    }

    private func renamed(_ one: Volume) -> Home {
        var marks = one.marks
        marks.role = .volume("\(one.name.dropFirst(2))-renamed")
        return Home(name: "\(one.name)-renamed", marks: marks)
    }

    private func move(_ one: Volume, to place: Home) async throws {
        try await carryOut([.relabel(try await relabelling(one.uid, to: place.name, place.marks))])
    }

    private func expectAt(_ one: Volume, _ place: Home, when: String = "") async throws {
        let file = try await found(one.uid)
        try expect(
            file.name == place.name && Marks.read(file.tags) == .ours(place.marks) && file.size == Self.size,
            "\(one.name) ended as \(file) \(when)")
    }

    private func moving(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        var kept = home(one)
        kept.marks.policy = RemovalPolicy(.retain)
        kept.marks.protect = true
        for place in [kept, trashed(one), home(one), renamed(one)] {
            try await move(one, to: place)
            try await expectAt(one, place)
        }
        let file = HostPath(one.file.root, renamed(one).name)
        try await machine.perform([.require(.file(file, size: Self.size)), .require(.vacant(one.file))])
    }

    /// Into the trash, out of it and to another name, cut everywhere; the same file is always found again.
    private func cutMoves() async throws {
        let one = volume("cut-move", byte: 120)
        try await carryOut([one.creation(Self.size)])
        for (start, goal) in [
            (home(one), trashed(one)), (trashed(one), home(one)), (home(one), renamed(one)),
        ] {
            try await move(one, to: start)
            let count = driver.lower([.relabel(try await relabelling(one.uid, to: goal.name, goal.marks))])[0].actions
                .count
            for stop in 0...count {
                try await move(one, to: start)
                try await expectAt(one, start)
                let whole = driver.lower([.relabel(try await relabelling(one.uid, to: goal.name, goal.marks))])[0]
                    .actions
                try await machine.perform(Array(whole.prefix(stop)))
                let size = try await found(one.uid).size
                try expect(size == Self.size, "cut after \(stop) of \(count) actions its data is not found")
                try await move(one, to: goal)
                try await expectAt(one, goal, when: "after a cut after \(stop) of \(count) actions")
            }
        }
    }

    private func refusedMoves(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let taken = HostPath(one.file.root, trashed(one).name)
        try await machine.perform([.replaceFile(taken, String(repeating: "precious ", count: 2000))])
        let change = try await relabelling(one.uid, to: trashed(one).name, trashed(one).marks)
        try await refuse([.relabel(change)], .preconditionFailed)
        try await machine.perform([.removeFile(taken)])
        // Somebody protected it since the plan was made.
        var protected = home(one)
        protected.marks.protect = true
        try await move(one, to: protected)
        try await refuse([.relabel(change)], .preconditionFailed)
    }

    /// A cut move left the old name in the sidecar, and that name belongs to another volume now.
    private func sharedName(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let whole = driver.lower([.relabel(try await relabelling(one.uid, to: trashed(one).name, trashed(one).marks))])
        try await machine.perform(whole[0].actions.dropLast())
        var two = volume("second", byte: 121)
        two.location = one.location
        try await carryOut([two.creation(Self.size)])
        let first = try await found(one.uid)
        let second = try await found(two.uid)
        try expect(first.name == trashed(one).name, "the moved file is taken for \(first.name)")
        try expect(second.name == one.name && second.size == Self.size, "the new file is \(second)")
        try await move(one, to: trashed(one))
        try await expectAt(one, trashed(one))
        try await lostWhileMoving(one, two)
    }

    /// A moved file that is gone altogether is missing under its new name, and the other volume stays what it is.
    private func lostWhileMoving(_ one: Volume, _ two: Volume) async throws {
        var moving = trashed(one).marks
        moving.operation = Marks.moving
        try await machine.perform([
            .replaceFile(one.sidecar, Sidecar(file: one.name, tags: moving.tags).text),
            .removeFile(HostPath(one.file.root, trashed(one).name)),
        ])
        let lost = try await found(one.uid)
        try expect(lost.name == trashed(one).name && lost.size == nil, "a lost file is seen as \(lost)")
        try expect(try await found(two.uid).size == Self.size, "another volume is lost with it")
    }

    private func purge(_ one: Volume, name: String? = nil, until: Instant = deadline) -> VolumeStep {
        .purge(VolumeRef(.file(directory: directory, name: name ?? trashed(one).name), uid: one.uid), until: until)
    }

    private func purging(_ one: Volume) async throws {
        let before = try await observe().files
        try await carryOut([one.creation(Self.size)])
        try await move(one, to: trashed(one))
        try await carryOut([purge(one)])
        try expect(try await observe().files == before, "the purge did not remove exactly one volume")
        try await machine.perform([.require(.vacant(one.sidecar))])
        try await refuse([purge(one)], .preconditionFailed)
    }

    private func cutPurges() async throws {
        let one = volume("cut-purge", byte: 122)
        let before = try await observe().files
        let actions = driver.lower([purge(one)])[0].actions
        for stop in 0..<actions.count {
            try await carryOut([one.creation(Self.size)])
            try await move(one, to: trashed(one))
            try await machine.perform(Array(actions.prefix(stop)))
            try await carryOut([purge(one)])
            try expect(try await observe().files == before, "cut after \(stop) actions something is left")
        }
    }

    private func refusedPurges(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        try await refuse([purge(one, name: one.name)], .preconditionFailed)
        try await move(one, to: trashed(one))
        try await refuse([purge(one, until: Self.deadline.advanced(by: TimeSpan(seconds: 1)))], .preconditionFailed)
        try await refuse([purge(one, name: one.name)], .preconditionFailed)
        try await refuse([purge(volume("nobody", byte: 123), name: trashed(one).name)], .preconditionFailed)
        try await machine.perform([.replaceFile(one.sidecar, "{\"file\":\"t-")])
        try await refuse([purge(one)], .preconditionFailed)
    }
}
