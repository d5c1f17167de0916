package import TuffModel

/// Conditions on devices take both: a worker that opens them, and a tool that knows signatures.
extension LinuxMachine {
    package func look(at device: String) async throws(HostError) -> CandidateDevice {
        guard case .device(var found) = try await ask(.look(device)) else { throw Self.confused }
        found.signatures = try await DeviceSignatures(commands: commands).read(device)
        return found
    }

    func check(_ condition: Precondition) async throws(HostError) {
        switch condition {
        case .blankDevice(let expected):
            let found = try await look(at: expected.path)
            guard found.number == expected.number, found.size == expected.size else {
                throw condition.failure("it is device \(found.number) of \(found.size)")
            }
            guard found.isBlank else { throw condition.failure(found.holds) }
        case .physicalVolume(let path, let uuid):
            let found = try await look(at: path)
            guard found.physicalVolume == uuid, !found.isInUse, !found.isReadOnly else {
                throw condition.failure(found.holds)
            }
        case .logicalVolume, .device, .file, .vacant, .unopened, .expiredVolume, .unfinished, .restorable,
            .unmarkedVolume, .temporarySnapshot, .scratchVolume, .wholeSnapshot, .wipedExtents, .volumeGroup, .thinPool,
            .text,
            .noSession, .tgtIdle:
            throw HostError(.refused, "That \(condition.sentence) is not asked of a device")
        }
    }
}

extension Precondition {
    var concernsDevice: Bool {
        switch self {
        case .blankDevice, .physicalVolume: true
        case .logicalVolume, .device, .file, .vacant, .unopened, .expiredVolume, .unfinished, .restorable,
            .unmarkedVolume, .temporarySnapshot, .scratchVolume, .wholeSnapshot, .wipedExtents, .volumeGroup, .thinPool,
            .text,
            .noSession, .tgtIdle:
            false
        }
    }
}

extension CandidateDevice {
    /// Why it is not blank, for a person.
    fileprivate var holds: String {
        if isInUse { return "it is in use" }
        if isReadOnly { return "it is read-only" }
        if let first = signatures.first { return "it holds \(first)" }
        return firstData.map { "it holds data at byte \($0)" } ?? "nothing is on it"
    }
}
