import Glibc
import Subprocess
import SystemPackage
package import TuffModel
import TuffSystem

/// A command that changes something and has not ended. It is never killed: whoever wants to go on waits for it.
package struct RunningCommand: Hashable, Sendable {
    package var pid: Int32
    package var since: Instant
    package var command: String
    /// It has passed its deadline, and whoever asked for it was told so.
    package var overdue: Bool
}

/// Starts commands and watches over them. Each child leads a process group of its own; its output goes into bounded
/// files in memory rather than pipes, so that nobody can hold a pipe open, fill it or be killed by its closing.
package final class CommandRunner: Sendable {
    let searchPath: [String]
    let environment: Environment
    private let lock: HostLock?
    private let tools: MachineTools
    private let running: RunningCommands

    /// - Parameters:
    ///   - tools: those that complete their own commands.
    ///   - running: where mutating commands are entered for as long as they run.
    init(
        searchPath: [String], environment: Environment, lock: HostLock?, tools: MachineTools,
        running: RunningCommands
    ) {
        self.tools = tools
        self.searchPath = searchPath
        self.environment = environment
        self.lock = lock
        self.running = running
    }

    /// Runs a command to its end, or to its deadline. A status is returned, whatever it is.
    ///
    /// Every command of a tool that a driver brought, whoever asks for it, gets here what the driver adds to all of
    /// them (`HostTool.arguments`). Errors and plans name the command without that.
    package func run(_ command: Command) async throws(HostError) -> CommandOutput {
        guard let name = ToolName(rawValue: command.tool) else { return try await start(command, command.arguments) }
        return try await start(command, try await tools.tool(name).arguments(of: command, by: self))
    }

    /// Runs a command that must end with one of its statuses of success.
    /// - Parameter name: the command in a word or two, for the error; nil: its tool.
    @discardableResult
    package func demand(_ command: Command, named name: String? = nil) async throws(HostError) -> CommandOutput {
        let output = try await run(command)
        guard command.successStatuses.contains(output.status) else { throw output.failure(of: command, named: name) }
        return output
    }

    /// Starts a command with exactly these arguments: for tools themselves.
    package func start(_ command: Command, _ arguments: [String]) async throws(HostError) -> CommandOutput {
        let executable = try find(command.tool)
        let child = try Child(command, arguments, executable: executable, lock: lock)
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                child.answer.begin(continuation)
                // Outside the caller's task tree: its cancellation would end in SIGKILL for the child.
                Task.detached { [self] in await supervise(child) }
            }
        } onCancel: {
            child.cancel()
        }.get()
    }

    private func supervise(_ child: Child) async {
        var options = PlatformOptions()
        options.processGroupID = 0
        let noInput = OwnedDescriptor(tuffOpen("/dev/null", O_RDONLY))
        let input = FileDescriptor(rawValue: child.lock?.descriptor ?? noInput.raw)
        let mutates = child.command.effect == .mutates
        do {
            let result = try await Subprocess.run(
                .path(FilePath(child.executable)), arguments: Arguments(child.arguments),
                environment: environment, platformOptions: options,
                input: .fileDescriptor(input, closeAfterSpawningProcess: false),
                output: .fileDescriptor(FileDescriptor(rawValue: child.output.raw), closeAfterSpawningProcess: false),
                error: .fileDescriptor(FileDescriptor(rawValue: child.errors.raw), closeAfterSpawningProcess: false)
            ) { execution in
                let pid = execution.processIdentifier.value
                if mutates { remember(pid, child) }
                // The child is reaped after this returns, so its number stays its own until then.
                let process = execution.processIdentifier.processDescriptor
                let watched: Void? = await OwnedThread.run { [self] in watch(child, pid: pid, process: process) }
                // Without a thread a mutating command is waited for without a deadline.
                if watched == nil, !mutates {
                    kill(-pid, SIGKILL)
                    child.answer.give(.failure(HostError(.exhausted, "No thread is left to watch over \(child.name)")))
                }
                return pid
            }
            running.remove(result.closureResult)
            child.ended(result.terminationStatus)
        } catch {
            child.answer.give(
                .failure(
                    HostError(
                        .failed, "Cannot start \(child.name)", cause: "\(error)",
                        subject: child.command.description)))
        }
    }

    private func remember(_ pid: Int32, _ child: Child) {
        let entry = RunningCommand(
            pid: pid, since: child.since, command: child.command.description, overdue: false)
        running.add(entry)
    }

    /// Waits for the child's end, its deadline or a reason to end it. Blocks: for owned threads only.
    private func watch(_ child: Child, pid: Int32, process: Int32) {
        switch child.wait(pid, process) {
        case .ended: return
        case .overdue where child.command.effect == .mutates:
            running.markOverdue(pid)
            child.answer.give(
                .failure(
                    HostError(
                        .timeout,
                        "\(child.name) is still running as pid \(pid) since \(child.since), and is left running",
                        subject: child.command.description)))
        case .overdue:
            child.end(pid, process)
            let error = HostError(
                .timeout, "\(child.name) did not end within \(child.command.deadline) s",
                cause: child.errorText, subject: child.command.description)
            child.answer.give(.failure(error))
        case .flooded:
            child.end(pid, process)
            child.answer.give(.failure(child.flood))
        case .cancelled:
            child.end(pid, process)
            child.answer.give(
                .failure(
                    HostError(
                        .failed, "\(child.name) was ended because its result is no longer wanted",
                        subject: child.command.description)))
        }
    }

    private func find(_ tool: String) throws(HostError) -> String {
        if tool.hasPrefix("/") {
            guard access(tool, X_OK) == 0 else { throw .system(errno, "Cannot run \(tool)", subject: tool) }
            return tool
        }
        guard !tool.isEmpty, !tool.contains("/") else {
            throw HostError(.refused, "'\(tool)' is neither a tool's name nor an absolute path")
        }
        for directory in searchPath where access("\(directory)/\(tool)", X_OK) == 0 {
            return "\(directory)/\(tool)"
        }
        throw HostError(
            .notFound, "The program \(tool) is not installed: it is in none of \(searchPath.joined(separator: ":"))",
            subject: tool)
    }
}
