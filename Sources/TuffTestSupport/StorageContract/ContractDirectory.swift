import TuffDrivers
package import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Rules that hold for directory pools on every machine. `directory` exists and is empty or holds only what earlier
/// rules left; rules use names of their own and do not run side by side.
package struct DirectoryContract: Sendable {
    package enum Rule: String, CaseIterable, Sendable {
        case aCreatedVolumeHasItsMarksAndSize
        case creationIsCompletedAfterACrashAtEveryPoint
        case creationAgainChangesNothing
        case anInterruptedCreationMayEndInAnotherSize
        case aTakenNameIsRefusedBeforeAnySidecar
        case extendingGrows
        case extendingRefusesAStaleSize
        case extendingRefusesAFileWithoutItsSidecar
        case aDamagedSidecarIsReported
        case aMissingDirectoryIsKnownToBeAbsent
        case marksAndNameChangeTogetherOrAlone
        case aMoveIsFinishedAfterACutAtEveryPoint
        case aMoveRefusesATakenNameAndOtherMarks
        case anUnfinishedMoveDoesNotClaimAnothersFile
        case aPurgeRemovesDataAndSidecar
        case aPurgeIsFinishedAfterACutAtEveryPoint
        case aPurgeIsRefusedWhereAnythingDiffers
        case aCopyIsBegunAnewAfterACutAtEveryPoint
        case aCopyRefusesASourceThatIsNotTheOne
        case aFillingNeedsTheMarkOfItsWork
    }

    package var machine: any Machine
    package var directory: String
    let driver = DirectoryPoolDriver()
    static let size = ByteCount(8 << 20)

    package init(_ machine: any Machine, directory: String) {
        self.machine = machine
        self.directory = directory
    }

    package func check(_ rule: Rule) async throws {
        let number = Rule.allCases.firstIndex(of: rule)!
        let one = volume("d\(number)", byte: UInt8(number))
        switch rule {
        case .aCreatedVolumeHasItsMarksAndSize: try await creation(one)
        case .creationIsCompletedAfterACrashAtEveryPoint: try await crashes()
        case .creationAgainChangesNothing: try await repetition(one)
        case .anInterruptedCreationMayEndInAnotherSize: try await resized(one)
        case .aTakenNameIsRefusedBeforeAnySidecar: try await takenName(one)
        case .extendingGrows: try await extending(one)
        case .extendingRefusesAStaleSize: try await staleSize(one)
        case .extendingRefusesAFileWithoutItsSidecar: try await withoutSidecar(one)
        case .aDamagedSidecarIsReported: try await damagedSidecar(one)
        case .aMissingDirectoryIsKnownToBeAbsent: try await missingDirectory()
        case .aCopyIsBegunAnewAfterACutAtEveryPoint, .aCopyRefusesASourceThatIsNotTheOne,
            .aFillingNeedsTheMarkOfItsWork:
            try await checkCopies(rule, one)
        default: try await checkRemoval(rule, one)
        }
    }

    struct Volume {
        var name: String
        var uid: UID
        var marks: Marks
        var location: VolumeLocation
        var file: HostPath
        var sidecar: HostPath

        func creation(_ size: ByteCount) -> VolumeStep {
            guard case .file(let directory, _) = location else { preconditionFailure("no file") }
            return .create(backend: .directory(path: directory), location: location, size: size, marks: marks)
        }
    }

    func volume(_ label: String, byte: UInt8) -> Volume {
        let uid = UID(bytes: [UInt8](repeating: byte, count: UID.byteCount))
        return Volume(
            name: "v-\(label)", uid: uid,
            marks: Marks(uid: uid, role: .volume(label), stack: "contract", iqn: "iqn.2026-01.dev.tuff:\(label)"),
            location: .file(directory: directory, name: "v-\(label)"),
            file: HostPath(.directory(directory), "v-\(label)"),
            sidecar: HostPath(.directory(directory), Sidecar.path(of: uid)))
    }

    func observe() async throws(ContractViolation) -> DirectoryPool {
        let key = FingerprintKey(bytes: [])
        switch await driver.observe([directory], on: machine, key: key)[directory] {
        case .known(let found?): return found
        case .known(nil): throw ContractViolation("\(directory) is not seen")
        case .unknown(let error): throw ContractViolation("\(directory) is unknown: \(error)")
        }
    }

    func find(_ volume: Volume) async throws(ContractViolation) -> DirectoryFile? {
        try await observe().files.first { $0.name == volume.name }
    }

    func carryOut(_ steps: [VolumeStep]) async throws(HostError) {
        for batch in driver.lower(steps) { try await machine.perform(batch.actions) }
    }

    func refuse(_ steps: [VolumeStep], _ code: HostError.Code) async throws {
        let before = try await observe()
        do {
            try await carryOut(steps)
        } catch {
            try expect(error.code == code, "refused as \(error.code) rather than \(code): \(error)")
            let after = try await observe()
            return try expect(after.files == before.files, "refused, and yet something changed: \(after.files)")
        }
        throw ContractViolation("not refused: \(steps)")
    }

    func expectFinished(_ volume: Volume, size: ByteCount, _ when: String = "") async throws {
        let found = try await find(volume)
        try expect(found?.size == size, "\(volume.name) has \(found?.size.map(\.description) ?? "no file") \(when)")
        try expect(Marks.read(found?.tags ?? []) == .ours(volume.marks), "the tags read \(found?.tags ?? []) \(when)")
    }

    private func creation(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        try await expectFinished(one, size: Self.size)
        let pool = try await observe()
        try expect(pool.free <= pool.size && pool.size > .zero, "\(pool.free) of \(pool.size) are free")
        try expect(try await find(one)?.allocated == .zero, "a new volume takes space")
        let entries = try await machine.readTree(
            .directory(directory), [TreeQuery("*", .status), TreeQuery(".tuff/*", .status)],
            key: FingerprintKey(bytes: []))
        for (path, mode) in [one.file.relative: UInt16(0o600), one.sidecar.relative: 0o600, ".tuff": 0o700] {
            let found = entries.first { $0.path == path }?.mode.map { $0 & 0o7777 }
            try expect(found == mode, "the mode of \(path) is 0\(String(found ?? 0, radix: 8))")
        }
    }

    private func crashes() async throws {
        let count = driver.lower([volume("x", byte: 100).creation(Self.size)])[0].actions.count
        for stop in 0...count {
            let one = volume("crash\(stop)", byte: UInt8(100 + stop))
            let actions = driver.lower([one.creation(Self.size)])[0].actions
            try await machine.perform(Array(actions.prefix(stop)))
            if let found = try await find(one), case .ours(let marks) = Marks.read(found.tags) {
                try expect(
                    stop == count || marks.operation == Marks.creating,
                    "after \(stop) of \(count) actions it does not say that it is unfinished")
                try expect(marks.uid == one.uid, "after \(stop) actions it has another uid")
            } else {
                let found = try await find(one)
                try expect(found == nil, "after \(stop) actions there is a file without marks")
            }
            try await machine.perform(actions)
            try await expectFinished(one, size: Self.size, "after a crash after \(stop) actions")
        }
    }

    private func repetition(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let before = try await observe()
        try await carryOut([one.creation(Self.size)])
        let after = try await observe()
        try expect(after.files == before.files, "it changed: \(after.files)")
    }

    private func resized(_ one: Volume) async throws {
        let actions = driver.lower([one.creation(ByteCount(2 * Self.size.bytes))])[0].actions
        try await machine.perform(actions.dropLast())
        try await carryOut([one.creation(Self.size)])
        try await expectFinished(one, size: Self.size)
    }

    /// A file that holds something, as anybody may have put it there.
    private func takenName(_ one: Volume) async throws {
        try await machine.perform([.replaceFile(one.file, String(repeating: "precious ", count: 2000))])
        let before = try await find(one)
        try expect(Marks.read(before?.tags ?? []) == .foreign, "it has marks")
        try await refuse([one.creation(Self.size)], .preconditionFailed)
        let files = try await observe().files
        try expect(!files.contains { $0.tags.contains("tuff:uid=\(one.uid)") }, "a sidecar claims it now")
    }

    private func extending(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        let wanted = ByteCount(3 * Self.size.bytes)
        let step = VolumeStep.extend(VolumeRef(one.location, uid: one.uid), from: Self.size, to: wanted)
        try await carryOut([step])
        try await expectFinished(one, size: wanted)
        try await refuse([step], .preconditionFailed)
    }

    private func staleSize(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        try await refuse(
            [
                .extend(
                    VolumeRef(one.location, uid: one.uid), from: ByteCount(Self.size.bytes - 1),
                    to: ByteCount(2 * Self.size.bytes))
            ], .preconditionFailed)
    }

    private func withoutSidecar(_ one: Volume) async throws {
        try await machine.perform([.createFile(one.file, size: Self.size)])
        try await refuse(
            [
                .extend(VolumeRef(one.location, uid: one.uid), from: Self.size, to: ByteCount(2 * Self.size.bytes))
            ], .preconditionFailed)
    }

    private func damagedSidecar(_ one: Volume) async throws {
        try await carryOut([one.creation(Self.size)])
        try await machine.perform([.replaceFile(one.sidecar, "{\"file\":\"v-")])
        let files = try await observe().files
        try expect(files.first { $0.name == one.name }?.tags == [], "the data file is still taken for ours")
        let damaged = files.first { $0.name == one.sidecar.relative }
        guard case .damaged? = damaged.map({ Marks.read($0.tags) }) else {
            throw ContractViolation("the sidecar is not reported as damaged: \(String(describing: damaged))")
        }
    }

    private func missingDirectory() async throws {
        let path = directory + "/no-such-directory"
        let seen = await driver.observe([path], on: machine, key: FingerprintKey(bytes: []))
        try expect(seen[path] == .known(nil), "it is seen as \(seen[path])")
    }
}
