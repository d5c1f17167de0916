import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Snapshots and clones in one directory, and what fills a file.
extension DirectoryContract {
    func checkCopies(_ rule: Rule, _ one: Volume) async throws {
        switch rule {
        case .aCopyIsBegunAnewAfterACutAtEveryPoint: try await cutCopies()
        case .aCopyRefusesASourceThatIsNotTheOne: try await staleCopies(one)
        case .aFillingNeedsTheMarkOfItsWork: try await filling(one)
        default: preconditionFailure("\(rule) is not about copies")
        }
    }

    /// `two`, a snapshot of `one`.
    private func snapshot(of one: Volume, _ label: String, byte: UInt8) -> Volume {
        var two = volume(label, byte: byte)
        two.marks = Marks(uid: two.uid, role: .snapshot(label), stack: "contract", origin: one.uid)
        two.name = two.marks.role.objectName
        two.location = .file(directory: directory, name: two.name)
        two.file = HostPath(.directory(directory), two.name)
        return two
    }

    private func copy(_ one: Volume, to two: Volume, uid: UID? = nil, isBegun: Bool = false) -> VolumeStep {
        var marks = two.marks
        if isBegun { marks.operation = Marks.copying }
        return .copy(source: VolumeRef(one.location, uid: uid ?? one.uid), location: two.location, marks: marks)
    }

    /// Where the file system shares no blocks, a copy ends in an error and leaves what says that it is not complete.
    private func cutCopies() async throws {
        let one = volume("copied", byte: 130)
        try await carryOut([one.creation(Self.size)])
        let isPossible = try await observe().sharesBlocks == true
        let count = driver.lower([copy(one, to: snapshot(of: one, "s", byte: 131))])[0].actions.count
        for stop in 0...count {
            let two = snapshot(of: one, "cut\(stop)", byte: UInt8(131 + stop))
            let actions = driver.lower([copy(one, to: two)])[0].actions
            do { try await machine.perform(Array(actions.prefix(stop))) } catch {
                try expect(!isPossible, "after \(stop) actions: \(error)")
            }
            let found = try await find(two)
            guard let found, case .ours(let marks) = Marks.read(found.tags) else {
                try expect(found == nil, "after \(stop) of \(count) actions there is a file without marks")
                continue
            }
            if !isPossible || stop < count {
                try expect(marks.operation == Marks.copying, "after \(stop) of \(count) actions it passes for whole")
            }
            guard isPossible, stop < count else { continue }
            try await carryOut([copy(one, to: two, isBegun: true)])
            try await expectFinished(two, size: Self.size, "after a cut after \(stop) actions")
        }
        try await expectFinished(one, size: Self.size)
    }

    private func staleCopies(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let two = snapshot(of: one, "stale", byte: 150)
        try await refuse([copy(one, to: two, uid: two.uid)], .preconditionFailed)
        try await refuse([copy(one, to: two, isBegun: true)], .preconditionFailed)
        try await machine.perform([.removeFile(one.file)])
        try await refuse([copy(one, to: two)], .preconditionFailed)
    }

    private func filling(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        var two = volume("filled", byte: 151)
        let fill = VolumeStep.fill(
            VolumeRef(two.location, uid: two.uid), source: VolumeRef(one.location, uid: one.uid),
            operation: Marks.copying)
        try await refuse([fill], .preconditionFailed)
        two.marks.operation = Marks.copying
        try await carryOut([two.creation(ByteCount(2 * Self.size.bytes))])
        try await carryOut([fill, fill])
        var whole = two.marks
        whole.operation = nil
        let done = Relabelling(uuid: nil, from: two.location, to: two.location, before: two.marks, after: whole)
        try await carryOut([.relabel(done)])
        try await refuse([fill], .preconditionFailed)
        two.marks = whole
        try await expectFinished(two, size: ByteCount(2 * Self.size.bytes))
    }
}
