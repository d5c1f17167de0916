import Synchronization
package import TuffHost
package import TuffModel

/// A machine that behaves: LVM, directory pools, the kernel's targets and tgtd keep their rules in a `FakeWorld`, time
/// is virtual, and a `FaultPlan` makes calls fail, hang, lie or kill the controller.
///
/// After a crash every call throws until `restartController` or `reboot`; a test then plans anew, as a new process
/// would.
package final class FakeMachine: Machine {
    /// One action as it was asked for, and what became of it.
    package struct LogEntry: Equatable, Sendable {
        /// Counted from the last fault plan.
        package var index: Int
        package var action: HostAction
        package var fault: FaultPlan.ActionFault?
        /// True if the world is another than before.
        package var changed: Bool
        /// The error that the caller was told; nil: success.
        package var error: HostError?
    }

    struct State {
        var world: FakeWorld
        /// The world before the last action that changed it, for stale reads.
        var earlier: FakeWorld
        var clock: Instant
        /// The time that the clock said at the last boot, or would have, had nobody set it since.
        var booted: Instant
        var boots = 1
        var faults: FaultPlan
        var actions = 0
        var reads: [FaultPlan.Source: Int] = [:]
        var crashed = false
        /// The objects that this controller has had identified.
        var identified: [UID: String] = [:]
        /// Shares that belong at directories, as this controller says.
        var shares: [String: NFSShare] = [:]
        var log: [LogEntry] = []
        /// Actions whose effect comes later, and how many calls later.
        var pending: [(calls: Int, action: HostAction)] = []
    }

    let state: Mutex<State>
    /// Handlers of its jobs.
    let handlers: JobHandlers

    package init(
        _ world: FakeWorld = FakeWorld(), faults: FaultPlan = FaultPlan(),
        clock: Instant = Instant(secondsSince1970: 1_795_339_800), jobs: JobHandlers = JobHandlers()
    ) {
        handlers = jobs
        state = Mutex(State(world: world, earlier: world, clock: clock, booted: clock, faults: faults))
    }

    /// A machine as another is now: what is there and what its clocks say. Faults, logs and work under way are not
    /// copied.
    package convenience init(copying other: FakeMachine) {
        let (world, clock, booted, boots) = other.state.withLock { ($0.world, $0.clock, $0.booted, $0.boots) }
        self.init(world, clock: clock, jobs: other.handlers)
        state.withLock { ($0.booted, $0.boots) = (booted, boots) }
    }

    // MARK: For tests

    /// A copy of everything there is.
    package var world: FakeWorld { state.withLock { $0.world } }
    package var log: [LogEntry] { state.withLock { $0.log } }
    package var isCrashed: Bool { state.withLock { $0.crashed } }
    /// Actions and reads since the last fault plan.
    package var calls: (actions: Int, reads: [FaultPlan.Source: Int]) { state.withLock { ($0.actions, $0.reads) } }

    /// Somebody else changes the machine, whatever Tuff is doing.
    package func meddle(_ change: (inout FakeWorld) -> Void) {
        state.withLock { state in
            state.earlier = state.world
            change(&state.world)
        }
    }

    /// From now on calls are counted from 0 and fail as `faults` says.
    package func setFaults(_ faults: FaultPlan) {
        state.withLock { state in
            state.faults = faults
            state.actions = 0
            state.reads = [:]
        }
    }

    package func clearLog() { state.withLock { $0.log = [] } }

    /// Time goes by.
    package func advance(seconds: Int64) { state.withLock { $0.clock.secondsSince1970 += seconds } }

    /// Somebody sets the clock.
    package func setClock(ahead seconds: Int64) {
        state.withLock { state in
            state.clock.secondsSince1970 += seconds
            state.booted.secondsSince1970 += seconds
        }
    }

    /// A new controller process on the same machine. Children of the old one have finished by now.
    package func restartController() {
        state.withLock { state in
            for late in state.pending { Self.land(late.action, &state) }
            state.pending = []
            state.crashed = false
            state.identified = [:]
            state.shares = [:]
            state.world.listed = [:]
        }
    }

    /// Power off and on. Work that was still going on is lost.
    package func reboot() {
        state.withLock { state in
            state.pending = []
            state.crashed = false
            state.identified = [:]
            state.shares = [:]
            state.world.listed = [:]
            state.world.reboot()
            state.earlier = state.world
            state.clock.secondsSince1970 += 60
            state.booted = state.clock
            state.boots += 1
        }
    }

    // MARK: Machine

    package func clock() -> ClockReading {
        state.withLock { state in
            ClockReading(
                boot: "boot \(state.boots)", uptime: state.clock.secondsSince1970 - state.booted.secondsSince1970,
                civil: state.clock)
        }
    }

    package func read(_ command: Command) async throws(HostError) -> CommandOutput {
        precondition(command.effect == .reads, "\(command) is no reading command")
        return try state.withLock { (state) throws(HostError) in
            let (fault, world) = try Self.beginRead(Self.source(of: command), &state)
            var copy = world
            guard case .output(var output) = try copy.run(command) else {
                state.clock.secondsSince1970 += Int64(command.deadline)
                throw Self.timeout(command.description)
            }
            switch fault {
            case .truncated(let percent):
                output.standardOutput = Array(output.standardOutput.prefix(output.standardOutput.count * percent / 100))
            case .status(let status): output.status = status
            case .garbage(let bytes): output.standardOutput = bytes
            default: break
            }
            guard output.standardOutput.count <= command.outputLimit else {
                throw HostError(.malformed, "\(command.tool) printed more than is taken", subject: command.description)
            }
            return output
        }
    }

    package func readTree(
        _ root: HostPath.Root, _ queries: [TreeQuery], key: FingerprintKey
    ) async throws(HostError) -> [TreeEntry] {
        // Of a copy, and not under the lock for which the other readers of the pass wait.
        let source: FaultPlan.Source =
            switch root {
            case .targetConfiguration: .targets
            case .lvmProfiles: .devices
            case .directory: .directories
            }
        let world = try state.withLock { (state) throws(HostError) in
            let world = try Self.beginWholeRead(source, &state)
            if case .directory(let path) = root { try Self.demandShare(at: path, state, in: world) }
            return world
        }
        return switch root {
        case .targetConfiguration: try world.targets.read(queries, key: key)
        case .lvmProfiles: world.profileEntries()
        case .directory(let path): try world.files.read(path, queries)
        }
    }

    package func space(of directory: String) async throws(HostError) -> FileSystemSpace {
        try state.withLock { (state) throws(HostError) in
            let world = try Self.beginWholeRead(.directories, &state)
            try Self.demandShare(at: directory, state, in: world)
            guard let found = world.files.directories[directory] else {
                throw HostError(.notFound, "\(directory) does not exist")
            }
            if let failure = found.failure { throw failure }
            return FileSystemSpace(
                size: found.size, free: found.free, exposure: found.exposure,
                sharesBlocks: found.sharesBlocks)
        }
    }

    package func fingerprint(
        _ secret: SecretReference, key: FingerprintKey
    ) async throws(HostError) -> SecretFingerprint {
        try state.withLock { (state) throws(HostError) in
            let world = try Self.beginWholeRead(.secrets, &state)
            return FakeFingerprint.of(try world.secret(secret), key: key)
        }
    }

    package func image(_ source: ImageSource) async throws(HostError) -> ObservedImage {
        try state.withLock { (state) throws(HostError) in
            try Self.beginWholeRead(.images, &state).image(source)
        }
    }

    package func look(at device: String) async throws(HostError) -> CandidateDevice {
        try state.withLock { (state) throws(HostError) in
            try Self.beginWholeRead(.devices, &state).lvm.look(at: device)
        }
    }

    package func perform(_ actions: [HostAction]) async throws(HostError) {
        for action in actions {
            try state.withLock { (state) throws(HostError) in try Self.perform(action, &state) }
        }
    }

    // MARK: Inside

    private static let crash = HostError(.failed, "the controller was killed here (injected)")

    static func timeout(_ subject: String) -> HostError {
        HostError(.timeout, "the deadline passed", subject: subject)
    }

    /// Counts a call and lets late effects land.
    static func begin(_ state: inout State) throws(HostError) {
        if state.crashed { throw crash }
        state.clock.secondsSince1970 += 1
        for index in state.pending.indices { state.pending[index].calls -= 1 }
        let due = state.pending.filter { $0.calls <= 0 }
        state.pending.removeAll { $0.calls <= 0 }
        for late in due { land(late.action, &state) }
    }

    private static func source(of command: Command) -> FaultPlan.Source {
        switch command.tool {
        case "lvm": .lvm
        case "blockdev": .devices
        case "dmsetup", "thin_delta", "thin_ls", "thin_dump": .pools
        default: .tgt
        }
    }

    private static func beginRead(
        _ source: FaultPlan.Source, _ state: inout State
    ) throws(HostError) -> (FaultPlan.ReadFault?, FakeWorld) {
        try begin(&state)
        let index = state.reads[source, default: 0]
        state.reads[source] = index + 1
        let fault = state.faults.reads[FaultPlan.Read(source, index)]
        switch fault {
        case .fail(let code):
            if code == .timeout { state.clock.secondsSince1970 += 60 }
            throw HostError(code, "the read failed (injected)")
        case .stale: return (fault, state.earlier)
        default: return (fault, state.world)
        }
    }

    /// A read that has no bytes to cut short: a lie about them is an error of the reader.
    static func beginWholeRead(
        _ source: FaultPlan.Source, _ state: inout State
    ) throws(HostError) -> FakeWorld {
        let (fault, world) = try beginRead(source, &state)
        switch fault {
        case .truncated, .status, .garbage: throw HostError(.malformed, "the reader's answer is damaged (injected)")
        default: return world
        }
    }

    /// The effect of an action nobody waits for any more.
    private static func land(_ action: HostAction, _ state: inout State) {
        let before = state.world
        // What is identified is of use to those who wait, and nobody does.
        if case .identify = action { return }
        _ = try? state.world.perform(action)
        if state.world != before { state.earlier = before }
    }

    private static func perform(_ action: HostAction, _ state: inout State) throws(HostError) {
        try begin(&state)
        let index = state.actions
        state.actions += 1
        let fault = state.faults.actions[index]
        let before = state.world
        var entry = LogEntry(index: index, action: action, fault: fault, changed: false, error: nil)
        do throws(HostError) {
            try carryOut(action, fault: fault, in: &state)
        } catch {
            entry.error = error
        }
        entry.changed = state.world != before
        if entry.changed { state.earlier = before }
        state.log.append(entry)
        if let error = entry.error { throw error }
    }

    private static func carryOut(
        _ action: HostAction, fault: FaultPlan.ActionFault?, in state: inout State
    ) throws(HostError) {
        switch fault {
        case nil: try obey(action, &state)
        case .crashBefore:
            leaveHalfDone(action, &state)
            state.crashed = true
            throw crash
        case .crashAfter:
            try? obey(action, &state)
            state.crashed = true
            throw crash
        case .failBefore:
            leaveHalfDone(action, &state)
            throw HostError(.failed, "it failed (injected)", subject: action.description)
        case .failAfter:
            try obey(action, &state)
            throw HostError(.failed, "it failed after the work was done (injected)", subject: action.description)
        case .pretend:
            // Commands lie; the kernel's answers to system calls are believed.
            guard Self.command(of: action) != nil else { return try obey(action, &state) }
        case .hang, .hangAfter, .late:
            if fault == .hang { leaveHalfDone(action, &state) }
            if fault == .hangAfter { try? obey(action, &state) }
            if case .late(let calls) = fault { state.pending.append((calls, action)) }
            state.clock.secondsSince1970 += deadline(action)
            throw timeout(action.description)
        }
    }

    private static func obey(_ action: HostAction, _ state: inout State) throws(HostError) {
        if case .identify(_, let group, let uids) = action { return try identify(group, uids: uids, in: &state) }
        try demandShares(of: action, state)
        guard case .output(let output) = try state.world.perform(completed(action, state)) else {
            state.clock.secondsSince1970 += deadline(action)
            throw timeout(action.description)
        }
        noteDevice(of: action, in: &state)
        guard let command = command(of: action), !command.successStatuses.contains(output.status) else { return }
        throw HostError(
            .failed, "\(command.tool) ended with status \(output.status)", cause: output.standardError,
            subject: command.description)
    }

    private static func deadline(_ action: HostAction) -> Int64 {
        action.command.map { Int64($0.deadline) } ?? 60
    }
}
