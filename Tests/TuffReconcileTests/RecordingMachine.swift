import Synchronization
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// A machine that only records commands, in order of start and end, and fails those it is told to.
final class RecordingMachine: Machine {
    struct State {
        var log: [String] = []
        var running = 0
        var mostRunning = 0
        /// Most targets handed over together.
        var mostTogether = 0
        /// The number of times that only the first of several sequences is begun.
        var reluctance = 0
        var failing: Set<String> = []
        var code = HostError.Code.failed
        /// A step that moves data goes on until somebody stops it.
        var isSlow = false
    }

    let state = Mutex(State())

    func clock() -> ClockReading { ClockReading(boot: "this", uptime: 0, civil: Sample.context().now) }
    func read(_ command: Command) async throws(HostError) -> CommandOutput {
        throw HostError(.notFound, "no tools here")
    }
    func readTree(
        _ root: HostPath.Root, _ queries: [TreeQuery], key: FingerprintKey
    ) async throws(HostError) -> [TreeEntry] { [] }
    func space(of directory: String) async throws(HostError) -> FileSystemSpace {
        throw HostError(.notFound, "no directory here")
    }
    func fingerprint(
        _ secret: SecretReference, key: FingerprintKey
    ) async throws(HostError) -> SecretFingerprint {
        throw HostError(.notFound, "no secret here")
    }

    func image(_ source: ImageSource) async throws(HostError) -> ObservedImage {
        throw HostError(.notFound, "no image here")
    }

    func performEach(_ sequences: [[HostAction]]) async -> [SequenceOutcome] {
        let isReluctant = state.withLock { state in
            if "\(sequences[0])".contains("export") { state.mostTogether = max(state.mostTogether, sequences.count) }
            defer { state.reluctance -= 1 }
            return state.reluctance > 0
        }
        guard isReluctant else { return await performOneByOne(sequences) }
        return await performOneByOne(Array(sequences.prefix(1))) + sequences.dropFirst().map { _ in .notBegun }
    }

    func perform(
        _ actions: [HostAction], telling: @escaping @Sendable (DataProgress) -> Void,
        until isOver: @escaping @Sendable () -> Bool
    ) async throws(HostError) {
        let isSlow = state.withLock { $0.isSlow }
        guard isSlow, let name = actions.first.map({ "\($0)" }), name.hasPrefix("write") else {
            return try await perform(actions)
        }
        state.withLock { $0.log.append("+\(name)") }
        telling(DataProgress(done: ByteCount(1), total: ByteCount(2)))
        while !isOver() { try? await Task.sleep(for: .milliseconds(10)) }
        throw HostError(.interrupted, "stopped")
    }

    func perform(_ actions: [HostAction]) async throws(HostError) {
        let names = actions.map { "\($0)" }
        let fails = state.withLock { state in
            state.log += names.map { "+\($0)" }
            state.running += 1
            state.mostRunning = max(state.mostRunning, state.running)
            return names.contains { state.failing.contains($0) }
        }
        for _ in 0..<20 { await Task.yield() }
        state.withLock { state in
            state.running -= 1
            state.log += names.map { "-\($0)" }
        }
        if fails { throw HostError(state.withLock { $0.code }, "told to fail") }
    }
}

/// Lowers each step to one command named for it.
struct NamingDriver: VolumeGroupDriver, DirectoryDriver, ExportDriver {
    func observe(_ machine: any Machine) async -> ObservationMap<VolumeGroup> { ObservationMap() }
    func observe(
        _ paths: [String], on machine: any Machine, key: FingerprintKey
    ) async -> ObservationMap<DirectoryPool> { ObservationMap() }
    func observe(_ machine: any Machine, key: FingerprintKey) async -> Observation<TargetInventory> {
        .known(TargetInventory())
    }

    func reading(_ volume: VolumeRef) -> ContentReading {
        ContentReading(conditions: [], place: .file(HostPath(.directory("/"), volume.location.objectName)))
    }

    func lower(_ steps: [PoolStep]) -> [LoweredBatch] { [] }
    func observeProfiles(_ machine: any Machine, key: FingerprintKey) async -> ObservationMap<String> {
        ObservationMap()
    }

    func lower(_ steps: [VolumeStep]) -> [LoweredBatch] {
        steps.enumerated().map { index, step in
            let verb =
                switch step {
                case .create: "create"
                case .copy: "copy"
                case .extend: "extend"
                case .fill, .fillFromImage, .fillFromBackup, .drill: "write"
                case .dropScratch: "drop"
                case .confirmMade: "confirm"
                case .relabel: "relabel"
                case .purge: "purge"
                }
            return LoweredBatch(steps: [index], actions: [action(verb, step.location.path)])
        }
    }

    func lower(_ steps: [LVMStep]) -> [LoweredBatch] {
        steps.enumerated().map { index, step in
            let verb =
                switch step {
                case .snapshotThick, .makeBase: "copy"
                case .takeExtents, .joinExtents: "extend"
                case .begin: "begin"
                case .wipe, .wipeExtents: "write"
                case .deactivate: "deactivate"
                case .complete: "complete"
                case .dropGrowth, .dropTemporary, .dropBase: "drop"
                case .confirmWhole: "confirm"
                case .activate: "activate"
                case .adopt: "adopt"
                case .disown: "disown"
                }
            return LoweredBatch(steps: [index], actions: [action(verb, step.location.path)])
        }
    }

    func lower(_ steps: [ExportStep]) -> [LoweredBatch] {
        steps.enumerated().map { index, step in
            LoweredBatch(steps: [index], actions: [action("export", "\(index)", step.target?.iqn ?? "backstore")])
        }
    }

    private func action(_ words: String...) -> HostAction {
        .run(Command(words[0], Array(words.dropFirst()), effect: .mutates))
    }
}

/// The same, and sees what it is given.
struct SeeingDriver: VolumeGroupDriver {
    let groups: ObservationMap<VolumeGroup>

    func observe(_ machine: any Machine) async -> ObservationMap<VolumeGroup> { groups }
    func lower(_ steps: [VolumeStep]) -> [LoweredBatch] { NamingDriver().lower(steps) }
    func lower(_ steps: [LVMStep]) -> [LoweredBatch] { NamingDriver().lower(steps) }
    func lower(_ steps: [PoolStep]) -> [LoweredBatch] { NamingDriver().lower(steps) }
    func reading(_ volume: VolumeRef) -> ContentReading { NamingDriver().reading(volume) }
    func observeProfiles(_ machine: any Machine, key: FingerprintKey) async -> ObservationMap<String> {
        ObservationMap()
    }
}
