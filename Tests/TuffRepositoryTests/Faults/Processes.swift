import Glibc
import Testing

/// The end of a process: its exit code, or 128 and the number of the signal that killed it.
struct Ended {
    let code: Int32
    /// The text it wrote to standard output and standard error, as far as it was asked for.
    let text: String
}

/// The program that was built beside the test bundle, and other processes.
enum Processes {
    static let program: String = {
        let folder = CommandLine.arguments[0].split(separator: "/").dropLast().joined(separator: "/")
        return "/\(folder)/tuff"
    }()

    /// Starts a process; everything it says goes into `log`.
    static func start(_ arguments: [String], environment: [String] = [], log: String = "/dev/null") throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var argv = arguments.map { strdup($0) } + [nil]
        var envp =
            (["PATH=/usr/bin:/bin:/usr/sbin:/sbin", "SWIFT_BACKTRACE=enable=no"] + environment).map { strdup($0) } + [
                nil
            ]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let failure = posix_spawnp(&pid, arguments[0], &actions, nil, &argv, &envp)
        try #require(failure == 0, "\(arguments[0]) cannot be started: \(failure)")
        return pid
    }

    static func wait(_ pid: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1, errno == EINTR {}
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }

    static func run(_ arguments: [String], environment: [String] = [], in folder: Folder) throws -> Ended {
        let log = "\(folder.path)/log.\(UInt64.random(in: 0 ... .max))"
        let code = wait(try start(arguments, environment: environment, log: log))
        defer { unlink(log) }
        return Ended(code: code, text: String(decoding: folder.bytes(atPath: log), as: UTF8.self))
    }
}

/// A directory of one test, removed with all in it at its end.
final class Folder: Sendable {
    let path: String

    /// - Parameter parent: where memory is the medium, thousands of runs wear no disk.
    init(in parent: String = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") throws {
        var template = Array("\(parent)/tuff-repository-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!).map { String(cString: $0) } }
        path = try #require(made)
    }

    deinit { if let pid = try? Processes.start(["rm", "-rf", path]) { _ = Processes.wait(pid) } }

    func write(_ bytes: [UInt8], to name: String) throws {
        let descriptor = open("\(path)/\(name)", O_WRONLY | O_TRUNC | O_CLOEXEC)
        let file = descriptor >= 0 ? descriptor : creat("\(path)/\(name)", 0o600)
        try #require(file >= 0)
        defer { close(file) }
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            try #require(count > 0)
            done += count
        }
    }

    func bytes(_ name: String) -> [UInt8] { bytes(atPath: "\(path)/\(name)") }

    /// Nothing where there is no such file.
    func bytes(atPath path: String) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = read(file, &bytes, bytes.count)
        return Array(bytes[..<max(0, count)])
    }
}
