import Synchronization
package import TuffModel

/// The processes that a controller has started and watches over. They may outlive the pass that started them, so they
/// are kept for as long as the controller lives, while each pass has a `LinuxMachine` of its own.
package final class HostProcesses: Sendable {
    let workers: WorkerPool
    let running = RunningCommands()

    /// - Parameter configuration: its search path, worker and deadline count for all passes.
    package init(configuration: LinuxMachine.Configuration) {
        workers = WorkerPool(
            command: configuration.workerCommand,
            environment: LinuxMachine.environment(searchPath: configuration.searchPath),
            deadline: configuration.progressDeadline / .seconds(1), early: configuration.earlyWorker,
            jobs: configuration.jobHandlers)
    }

    /// Mutating commands that have been started and have not ended, overdue ones included, in the order of starting.
    package var runningCommands: [RunningCommand] { running.all }

    /// Workers that passed their deadline and have not ended since.
    package var stuckWorkers: [StuckWorker] { workers.stuck }

    /// Servers on which a worker hangs that was given up (`NFSMount.serverKey`), and since when: no job that mounts
    /// from one of them is begun.
    package var stuckServers: [String: Instant] {
        var result: [String: Instant] = [:]
        for worker in stuckWorkers {
            for server in worker.servers { result[server] = min(result[server] ?? worker.since, worker.since) }
        }
        return result
    }
}

/// The mutating commands that run, by process number.
final class RunningCommands: Sendable {
    private let commands = Mutex<[Int32: RunningCommand]>([:])

    var all: [RunningCommand] {
        commands.withLock { $0.values.sorted { ($0.since, $0.pid) < ($1.since, $1.pid) } }
    }

    func add(_ command: RunningCommand) { commands.withLock { $0[command.pid] = command } }
    func remove(_ pid: Int32) { commands.withLock { _ = $0.removeValue(forKey: pid) } }
    func markOverdue(_ pid: Int32) { commands.withLock { $0[pid]?.overdue = true } }
}
