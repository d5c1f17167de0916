import Synchronization
import TuffHost
import TuffModel
import TuffReconcile
import TuffTestSupport

/// An act of somebody else between two actions of a pass.
struct Interference: Sendable {
    var before: Int
    var act: @Sendable () async -> Void
}

/// The machine as the controller reaches it: through a mutant where there is one, and with others at work beside it.
final class Door: Machine {
    private struct State {
        var count = 0
        var interruptions: [(FakeWorld, FakeWorld)] = []
        var descriptions: [String] = []
    }

    private let machine: FakeMachine
    private let mutant: Mutant?
    private let interference: Interference?
    private let state = Mutex(State())

    init(_ machine: FakeMachine, mutant: Mutant?, interference: Interference?) {
        self.machine = machine
        self.mutant = mutant
        self.interference = interference
    }

    var performed: Int { state.withLock { $0.count } }
    var descriptions: [String] { state.withLock { $0.descriptions } }
    /// The world before and after each act of others.
    var interruptions: [(FakeWorld, FakeWorld)] { state.withLock { $0.interruptions } }

    func clock() -> ClockReading { machine.clock() }

    func read(_ command: Command) async throws(HostError) -> CommandOutput { try await machine.read(command) }

    func readTree(
        _ root: HostPath.Root, _ queries: [TreeQuery], key: FingerprintKey
    ) async throws(HostError) -> [TreeEntry] { try await machine.readTree(root, queries, key: key) }

    func space(of directory: String) async throws(HostError) -> FileSystemSpace {
        try await machine.space(of: directory)
    }

    func fingerprint(_ secret: SecretReference, key: FingerprintKey) async throws(HostError) -> SecretFingerprint {
        try await machine.fingerprint(secret, key: key)
    }

    func image(_ source: ImageSource) async throws(HostError) -> ObservedImage {
        try await machine.image(source)
    }

    func jobs() -> ObservationMap<RunningJob> { machine.jobs() }

    /// Listings of repositories; the jobs of plans are actions.
    func run<Request: JobRequest>(
        _ request: Request, telling: @escaping @Sendable (WorkProgress) -> Void,
        until isOver: @escaping @Sendable () -> Bool
    ) async throws(HostError) -> Request.Outcome {
        try await machine.run(request, telling: telling, until: isOver)
    }

    func mount(of share: NFSShare, at directory: String) async throws(HostError) -> ObservedMount {
        let seen = try await machine.mount(of: share, at: directory)
        return mutant?.mounts.map { $0(seen) } ?? seen
    }

    func expect(_ shares: [String: NFSShare]) { machine.expect(mutant?.trustsPaths == true ? [:] : shares) }

    func look(at device: String) async throws(HostError) -> CandidateDevice { try await machine.look(at: device) }

    func perform(_ actions: [HostAction]) async throws(HostError) {
        var isChecked = false
        for action in mutant?.actions.map({ $0(actions) }) ?? actions {
            let index = state.withLock { state in
                defer { state.count += 1 }
                if mutant != nil { state.descriptions.append(action.description) }
                return state.count
            }
            // lvextend and lvrename know no selection: nobody can close the moment between a check and its act.
            defer { isChecked = if case .require = action { true } else { false } }
            if let interference, interference.before == index, !isChecked {
                let before = machine.world
                await interference.act()
                let after = machine.world
                state.withLock { $0.interruptions.append((before, after)) }
            }
            try await machine.perform([action])
        }
    }
}

/// A ledger on the simulated machine's disk: it survives the controller, and a dead controller writes nothing.
final class SimulatedLedger: LedgerStore {
    private struct State {
        var ledger = Ledger()
        /// The save after which the controller is killed, counted from now; and whether it still counts.
        var crashAt: (save: Int, isDurable: Bool)?
        var saves = 0
    }

    private let machine: FakeMachine
    private let state = Mutex(State())
    let mutant: Mutant?

    init(_ machine: FakeMachine, _ ledger: Ledger = Ledger(), mutant: Mutant?) {
        self.machine = machine
        self.mutant = mutant
        state.withLock { $0.ledger = ledger }
    }

    /// The controller dies at its n-th save from now, before or after the file is in place.
    func crash(at save: Int, isDurable: Bool) {
        state.withLock {
            $0.crashAt = (save, isDurable)
            $0.saves = 0
        }
    }

    func heal() { state.withLock { $0.crashAt = nil } }

    var contents: Ledger {
        get { state.withLock { $0.ledger } }
        set { state.withLock { $0.ledger = newValue } }
    }

    func load() throws(HostError) -> Ledger {
        if machine.isCrashed { throw HostError(.failed, "the controller was killed (injected)") }
        return mutant?.ledgerRead.map { $0(contents) } ?? contents
    }

    func save(_ ledger: Ledger) throws(HostError) {
        if machine.isCrashed { throw HostError(.failed, "the controller was killed (injected)") }
        let dies = state.withLock { state in
            defer { state.saves += 1 }
            guard let crash = state.crashAt, crash.save == state.saves else {
                if mutant?.keepsNoLedger != true { state.ledger = ledger }
                return false
            }
            if crash.isDurable { state.ledger = ledger }
            return true
        }
        if dies { throw HostError(.exhausted, "the ledger cannot be written (injected)") }
    }
}
