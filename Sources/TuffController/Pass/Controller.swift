package import TuffHost
package import TuffModel
import TuffPlanning
import TuffReconcile

/// The controller of one host, for the life of its process. It remembers stuck workers and running commands from pass
/// to pass; everything else is observed anew by each pass.
package final class Controller: Sendable {
    package let places: HostPlaces
    /// The command as it was typed, without secrets. The lock file names its holder by it.
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

    /// A view of the host under `config`, without the lock: it changes nothing.
    package func view(under config: ControllerConfig) -> HostView { view(under: config, lock: nil) }

    /// The machine alone, for callers that run no pass.
    package func machine(under config: ControllerConfig) -> LinuxMachine { machine(config, lock: nil) }

    /// Surveys every resource, declared or existing, with its conditions.
    /// - Parameters:
    ///   - state: the documents; nil: only existing objects are shown.
    ///   - allStacks: include objects of other stacks.
    ///   - sectors: include the sizes of the groups' sectors.
    package func survey(
        _ state: DesiredState?, of stack: String, under config: ControllerConfig, allStacks: Bool = false,
        sectors: Bool = false, listener: any Listener
    ) async -> Survey {
        let view = view(under: config)
        let context = view.newContext(stack: stack)
        var ledger = Ledger(), fault: HostError?
        // A survey changes nothing, so it goes on without a ledger that cannot be read.
        do throws(HostError) { ledger = try view.reconciler.ledger.load() } catch {
            listener.tell(.warning("what was lost cannot be told: \(error.description)"))
            fault = error
        }
        let observed = await view.reconciler.observe(
            state ?? DesiredState(), context: context, ledger: ledger, sectors: sectors)
        return Survey(desired: state, observed: observed, context: context, ledgerError: fault, allStacks: allStacks)
    }

    /// Sentences on commands and workers that outlived their deadlines and may still change something.
    package var leftBehind: [String] {
        processes.runningCommands.map(\.sentence) + processes.stuckWorkers.map(\.sentence)
    }

    // MARK: Changing

    /// Begins a pass that may change the host. It takes the host lock, which `Pass.end` gives back.
    /// - Parameter patience: time to wait for another process to end; nil: none.
    package func begin(
        under config: ControllerConfig, patience: TimeSpan? = nil, overseer: any Overseer
    ) async throws(PassError) -> Pass {
        let lock = try await lock(patience: patience, overseer)
        let view = view(under: config, lock: lock)
        await view.machine.settleDebts()
        for error in await view.reconciler.volumeGroups.settleHolds(on: view.machine) {
            overseer.tell(.warning(error.description))
        }
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
                config, places, machine: machine, ledger: LedgerFile(directory: places.stateDirectory)),
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
