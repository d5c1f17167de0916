import CTuffHost
import Glibc
import Subprocess
import Synchronization
import TuffModel
import TuffSystem

/// The one answer to whoever waits for a command: what comes first counts.
final class Answer: Sendable {
    private let continuation = Mutex<CheckedContinuation<Result<CommandOutput, HostError>, Never>?>(nil)

    func begin(_ value: CheckedContinuation<Result<CommandOutput, HostError>, Never>) {
        continuation.withLock { $0 = value }
    }

    func give(_ result: Result<CommandOutput, HostError>) {
        let waiting = continuation.withLock { value in
            defer { value = nil }
            return value
        }
        waiting?.resume(returning: result)
    }
}

/// One command being run.
final class Child: Sendable {
    /// Bytes that are kept of a command's standard error.
    static let errorLimit = 4096
    /// Seconds between SIGTERM and SIGKILL, and that a killed process is given to be gone.
    static let grace = 2.0

    enum Event { case ended, overdue, flooded, cancelled }

    let command: Command
    /// Those that it is started with, which may be more than the command says.
    let arguments: [String]
    let executable: String
    let since = HostFacts.now()
    /// On the clock of `monotonicSeconds`.
    let deadline: Double
    let output: SharedDescriptor
    let errors: SharedDescriptor
    /// Held by a mutating child as its standard input: the host stays locked while it runs, whatever becomes of us.
    let lock: HostLock?
    let answer = Answer()
    private let unwanted = Atomic(false)

    /// Its name in sentences: the tool and, for tools of many commands, which one.
    var name: String {
        ([command.tool] + command.arguments.prefix(1).filter { !$0.hasPrefix("-") }).joined(separator: " ")
    }

    init(_ command: Command, _ arguments: [String], executable: String, lock: HostLock?) throws(HostError) {
        self.command = command
        self.arguments = arguments
        self.executable = executable
        self.deadline = monotonicSeconds() + Double(command.deadline)
        self.lock = command.effect == .mutates ? lock : nil
        if let lock = self.lock, lock.descriptor == nil {
            throw HostError(.refused, "The host lock was released before '\(command)'")
        }
        output = try Self.memoryFile(command.outputLimit)
        errors = try Self.memoryFile(1 << 20)
    }

    /// A file with room for more than `limit` bytes, so that too much shows. The kernel takes a write in pieces of at
    /// most a huge page and refuses a piece that would cross the end, so the end is where no piece crosses it.
    private static func memoryFile(_ limit: Int) throws(HostError) -> SharedDescriptor {
        let piece = 4 << 20
        let size = (limit / piece + 1) * piece
        guard let file = OwnedDescriptor(opened: tuff_bounded_memory_file("tuff-output", off_t(size))) else {
            throw .system(errno, "Cannot make room for a command's output")
        }
        return SharedDescriptor(file)
    }

    /// Ends a reading command early, within a tenth of a second; a mutating one goes on.
    func cancel() {
        unwanted.store(true, ordering: .relaxed)
    }

    /// Blocks until something happens. Nothing but its own end and its deadline is looked for in a mutating command.
    func wait(_ pid: Int32, _ process: Int32) -> Event {
        let reads = command.effect == .reads
        while true {
            // How much a reading command has written must be asked for, ten times a second.
            let pause = min(max(0, deadline - monotonicSeconds()), reads ? 0.1 : 60)
            if hasEnded(pid, process, within: pause) { return .ended }
            if reads, unwanted.load(ordering: .relaxed) { return .cancelled }
            if reads, written(output) > command.outputLimit { return .flooded }
            if monotonicSeconds() >= deadline { return .overdue }
        }
    }

    /// Ends a reading command and all of its group; a process that even SIGKILL does not end (it sleeps in the
    /// kernel) is left to itself.
    func end(_ pid: Int32, _ process: Int32) {
        for signal in [SIGTERM, SIGKILL] {
            kill(-pid, signal)
            let limit = monotonicSeconds() + Self.grace
            while monotonicSeconds() < limit {
                guard hasEnded(pid, process, within: limit - monotonicSeconds()) else { continue }
                // The leader is gone and not reaped yet, so the group is still its own: the rest of it goes too.
                kill(-pid, SIGKILL)
                return
            }
        }
    }

    /// Waits for the end of a process without reaping it.
    ///
    /// - Parameter process: its pidfd; -1 on a machine that had none left, where the process is asked for instead.
    private func hasEnded(_ pid: Int32, _ process: Int32, within seconds: Double) -> Bool {
        var watched = pollfd(fd: process, events: Int16(POLLIN), revents: 0)
        let pause = process < 0 ? min(seconds, 0.1) : seconds
        poll(&watched, 1, Int32(max(0, pause) * 1000) + 1)
        guard process < 0 else { return watched.revents != 0 }
        var information = siginfo_t()
        return waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT | WNOHANG) == 0
            && information.si_signo == SIGCHLD
    }

    /// The process was reaped.
    func ended(_ status: TerminationStatus) {
        guard written(output) <= command.outputLimit else { return answer.give(.failure(flood)) }
        switch status {
        case .exited(let code):
            let bytes = contents(output, written(output))
            answer.give(.success(CommandOutput(status: code, standardOutput: bytes, standardError: errorText ?? "")))
        case .signaled(let signal):
            answer.give(
                .failure(
                    HostError(
                        .failed, "\(name) was ended by signal \(signal)", cause: errorText,
                        subject: command.description)))
        }
    }

    var flood: HostError {
        HostError(
            .malformed, "\(name) printed more than the \(command.outputLimit) bytes that are taken",
            subject: command.description)
    }

    /// The beginning of standard error, nil when there is none.
    var errorText: String? {
        let bytes = contents(errors, min(written(errors), Self.errorLimit))
        var text = Substring(String(decoding: bytes, as: UTF8.self))
        while text.last?.isWhitespace == true { text.removeLast() }
        return text.isEmpty ? nil : String(text)
    }

    /// The child writes through the same open file, so its offset is how much there is.
    private func written(_ file: SharedDescriptor) -> Int { max(0, Int(lseek(file.raw, 0, SEEK_CUR))) }

    private func contents(_ file: SharedDescriptor, _ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let room = UnsafeMutableRawBufferPointer(buffer)
            filled = DescriptorIO.read(file.raw, at: 0, into: .init(rebasing: room[..<count])).count
        }
    }
}
