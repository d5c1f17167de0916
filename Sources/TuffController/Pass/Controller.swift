package import TuffHost
package import TuffModel
import TuffPlanning
import TuffReconcile

/// The controller of one host, for as long as its process lives. Workers that are stuck and commands that still run are
/// remembered from pass to pass; everything else that a pass finds out is found anew by the next.
package final class Controller: Sendable {
    package let places: HostPlaces
    /// The command as it was typed, without secrets: what the lock file says of its holder.
    private let purpose: String
    private let jobs: JobHandlers
    private let processes: HostProcesses

    /// - Parameter jobs: for threads that stand in for workers; worker processes have the table of their own program.
    package init(places: HostPlaces = HostPlaces(), purpose: String, jobs: JobHandlers = .ours) {
        self.places = places
        self.purpose = purpose
        self.jobs = jobs
        processes = HostProcesses(
            configuration: Composition.machine(places, reach: Reach(), jobs: jobs, earlyWorker: EarlyWorker.claim()))
    }

    // MARK: Looking

    /// The host as `config` has it looked at. Changes nothing.
    package func view(under config: ControllerConfig) -> HostView { view(under: config, lock: nil) }

    /// The machine alone, for what is no pass.
    package func machine(under config: ControllerConfig) -> LinuxMachine { machine(config, lock: nil) }

    /// Every resource, declared or there, and its conditions.
    /// - Parameters:
    ///   - state: nil: only what exists is shown.
    ///   - allStacks: also what belongs to other stacks.
    ///   - sectors: also how large the sectors of groups are.
    package func survey(
        _ state: DesiredState?, of stack: String, under config: ControllerConfig, allStacks: Bool = false,
        sectors: Bool = false, listener: any Listener
    ) async -> Survey {
        let view = view(under: config)
        let context = view.newContext(stack: stack)
        var ledger = Ledger(), fault: HostError?
        // Who only looks does without a ledger that cannot be read.
        do throws(HostError) { ledger = try view.reconciler.ledger.load() } catch {
            listener.tell(.warning("what was lost cannot be told: \(error.description)"))
            fault = error
        }
        let observed = await view.reconciler.observe(
            state ?? DesiredState(), context: context, ledger: ledger, sectors: sectors)
        return Survey(desired: state, observed: observed, context: context, ledgerError: fault, allStacks: allStacks)
    }

    /// Sentences on what outlived its deadline and may still do something.
    package var leftBehind: [String] {
        processes.runningCommands.map(\.sentence) + processes.stuckWorkers.map(\.sentence)
    }

    // MARK: Changing

    /// Begins a pass that may change the host: takes its lock, which `Pass.end` gives back.
    /// - Parameter patience: how long another's end is waited for; nil: not at all.
    package func begin(
        under config: ControllerConfig, patience: TimeSpan? = nil, overseer: any Overseer
    ) async throws(PassError) -> Pass {
        let lock = try await lock(patience: patience, overseer)
        let view = view(under: config, lock: lock)
        await view.machine.settleDebts()
        return Pass(controller: self, view: view, lock: lock, overseer: overseer)
    }

    func lock(patience: TimeSpan?, _ overseer: any Overseer) async throws(PassError) -> HostLock {
        try await HostLocking.acquire(places.lockFile, purpose: purpose, patience: patience, overseer: overseer)
    }

    func view(under config: ControllerConfig, lock: HostLock?) -> HostView {
        let machine = machine(config, lock: lock)
        return HostView(
            config: config,
            reconciler: Composition.reconciler(
                config, machine: machine, ledger: LedgerFile(directory: places.stateDirectory)),
            machine: machine, accepted: AcceptedStore(directory: places.stateDirectory))
    }

    private func machine(_ config: ControllerConfig, lock: HostLock?) -> LinuxMachine {
        LinuxMachine(
            configuration: Composition.machine(places, reach: config.allow, jobs: jobs, lock: lock),
            processes: processes)
    }
}

extension RunningCommand {
    package var sentence: String {
        "process \(pid) still runs since \(since) and is left to finish: \(command); "
            + "no other apply begins before it has ended"
    }
}

extension StuckWorker {
    package var sentence: String {
        let who = pid.map { "worker process \($0)" } ?? "a worker"
        return "\(who) is stuck since \(since) in \(request), which may still happen"
    }
}
