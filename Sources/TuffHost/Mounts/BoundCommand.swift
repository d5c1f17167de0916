import CTuffHost
import Glibc
import TuffModel

/// A command that a worker runs on its own thread, since it must see that thread's mounts: `CommandRunner` starts its
/// children from another. It dies with the thread.
struct BoundCommand {
    /// Most bytes of what it says that are taken.
    private static let outputLimit = 4096
    /// Milliseconds between two looks whether it has ended.
    private static let pause: UInt32 = 20
    /// Seconds that a killed process is given to be gone. One that sleeps in the kernel is left to itself.
    private static let grace = 2.0

    let command: Command
    var searchPath = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    /// Seconds until it is killed, whatever it does.
    let limit: Double

    struct Ending: Equatable {
        /// Nil where a signal ended it.
        var status: Int32?
        /// Its output and errors, without white space at the end.
        var text: String
    }

    /// Blocks until it has ended.
    /// - Parameter waiting: called some times a second; what it throws ends the command.
    /// - Throws: `timeout` where it was killed at its limit.
    func run(waiting: () throws(HostError) -> Void) throws(HostError) -> Ending {
        let executable = try find()
        guard let output = OwnedDescriptor(opened: tuff_bounded_memory_file("tuff-output", 1 << 22)) else {
            throw .system(errno, "Cannot make room for what \(command.tool) says")
        }
        let pid = try start(executable, output.raw)
        let end = monotonicSeconds() + limit
        while true {
            if let status = try ended(pid) {
                return Ending(status: status & 0x7f == 0 ? status >> 8 & 0xff : nil, text: Self.text(output.raw))
            }
            guard monotonicSeconds() < end else {
                kill(pid)
                throw HostError(
                    .timeout, "\(command.tool) did not end within \(Int(limit.rounded(.up))) s, and was killed",
                    cause: Self.text(output.raw), subject: command.description)
            }
            do throws(HostError) { try waiting() } catch {
                kill(pid)
                throw error
            }
            usleep(Self.pause * 1000)
        }
    }

    private func start(_ executable: String, _ output: Int32) throws(HostError) -> Int32 {
        var arguments: [UnsafeMutablePointer<CChar>?] = ([executable] + command.arguments).map { strdup($0) }
        let settings = ["PATH=\(searchPath.joined(separator: ":"))", "LC_ALL=C"]
        var environment: [UnsafeMutablePointer<CChar>?] = settings.map { strdup($0) }
        defer { for word in arguments + environment { free(word) } }
        arguments.append(nil)
        environment.append(nil)
        let pid = tuff_start_bound(executable, arguments, environment, output)
        guard pid > 0 else { throw .system(errno, "Cannot start \(command.tool)", subject: command.description) }
        return pid
    }

    /// The status of waitpid(2) once it has ended.
    private func ended(_ pid: Int32) throws(HostError) -> Int32? {
        var status: Int32 = 0
        let found = waitpid(pid, &status, WNOHANG)
        if found == pid { return status }
        guard found < 0, errno != EINTR else { return nil }
        throw .system(errno, "Cannot tell whether \(command.tool) has ended", subject: command.description)
    }

    /// Kills it and what it started, and waits for its end for a while.
    private func kill(_ pid: Int32) {
        let end = monotonicSeconds() + Self.grace
        var status: Int32 = 0
        // Its group is made by itself, and may not be there yet.
        while waitpid(pid, &status, WNOHANG) == 0, monotonicSeconds() < end {
            Glibc.kill(-pid, SIGKILL)
            Glibc.kill(pid, SIGKILL)
            usleep(Self.pause * 1000)
        }
    }

    private func find() throws(HostError) -> String {
        for directory in searchPath where access("\(directory)/\(command.tool)", X_OK) == 0 {
            return "\(directory)/\(command.tool)"
        }
        let places = searchPath.joined(separator: ":")
        throw HostError(
            .notFound, "The program \(command.tool) is not installed: it is in none of \(places)", subject: command.tool
        )
    }

    private static func text(_ output: Int32) -> String {
        // The file is as long as it may become, and the child wrote at our own offset in it.
        let written = min(outputLimit, max(0, Int(lseek(output, 0, SEEK_CUR))))
        let bytes = [UInt8](unsafeUninitializedCapacity: outputLimit) { buffer, count in
            count = max(0, pread(output, buffer.baseAddress, written, 0))
        }
        var text = Substring(String(decoding: bytes, as: UTF8.self))
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
