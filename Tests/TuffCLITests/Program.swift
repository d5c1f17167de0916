import FoundationEssentials
import Glibc
import Testing

/// The end of one run of the built program.
struct Ended {
    /// Exit code; 128 and the signal's number when it was killed.
    var code: Int32
    var out: String
    var err: String
}

/// A run that is still going on.
struct Running {
    var pid: pid_t
    fileprivate var folder: String

    func signal(_ number: Int32) { kill(pid, number) }

    func wait() -> Ended {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1, errno == EINTR {}
        let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
        return Ended(
            code: code, out: TestFolder.text("\(folder)/out.\(pid)"), err: TestFolder.text("\(folder)/err.\(pid)"))
    }
}

/// A folder of one test with documents, a pool, a configuration, and tools that stand in for the host's.
final class TestFolder {
    let path: String
    static let secret = "canary-7f3a-do-not-print"

    init() throws {
        var template = Array("/tmp/tuff-cli-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!).map { String(cString: $0) } }
        path = try #require(made)
        for name in ["pool", "tools", "run"] { try makeFolder(name) }
        try clearTargets()
        chmod("\(path)/run", 0o700)
        try write(
            "tools/lvm", "#!/bin/sh\necho '{\"report\":[]}'\n", mode: 0o755)
        try write("secret", Self.secret + "\n", mode: 0o600)
        try write(
            "config.yaml",
            """
            apiVersion: tuff.dev/v1
            kind: Controller
            spec:
              node: storage1
              portals: ["127.0.0.1:3260"]
              allow: {secrets: [\(path)/secret], images: [\(path)/disk.raw], directories: [\(path)/pool]}
            """)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    private func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(
            atPath: "\(path)/\(name)", withIntermediateDirectories: true, attributes: nil)
    }

    /// An empty tree of plain directories in the place of the kernel's.
    func clearTargets() throws {
        try? FileManager.default.removeItem(atPath: "\(path)/target")
        for name in ["target/iscsi", "target/core"] { try makeFolder(name) }
    }

    static func text(_ path: String) -> String {
        (try? Data(contentsOf: URL(filePath: path))).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    func text(_ name: String) -> String { Self.text("\(path)/\(name)") }

    func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
        chmod("\(path)/\(name)", mode)
        if mode & 0o111 != 0 { try waitUntilNobodyWrites("\(path)/\(name)") }
    }

    /// A program that another test starts at this moment inherits the descriptor until its exec; "Text file busy" until
    /// then.
    private func waitUntilNobodyWrites(_ file: String) throws {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let setLease: Int32 = 1024  // F_SETLEASE of <linux/fcntl.h>, which Glibc's module hides
        // A read lease is granted when nobody has the file open for writing; see fcntl(2).
        while fcntl(descriptor, setLease, Int32(F_RDLCK)) != 0 { usleep(1000) }
        _ = fcntl(descriptor, setLease, Int32(F_UNLCK))
    }

    /// One pool and one volume in it.
    func writeVolume(size: String = "64Mi", rest: String = "") throws {
        try write(
            "volumes.yaml",
            """
            apiVersion: tuff.dev/v1
            kind: Pool
            metadata: {name: local}
            spec: {directory: {path: \(path)/pool}}
            ---
            apiVersion: tuff.dev/v1
            kind: Volume
            metadata: {name: db-data, labels: {backup: nightly}}
            spec: {size: \(size), pool: local}
            \(rest)
            """)
    }

    /// The same with an attachment that needs a CHAP secret.
    func writeAttachment() throws {
        try writeVolume(
            rest: """
                ---
                apiVersion: tuff.dev/v1
                kind: Attachment
                metadata: {name: db-on-web1}
                spec:
                  volume: db-data
                  iscsi:
                    initiator: iqn.2004-10.com.example:web1
                    chap: {user: web1, passwordFrom: {file: \(path)/secret}}
                """)
    }

    /// Options that make this folder the host.
    var host: [String] {
        [
            "--config", "\(path)/config.yaml", "--lock-file", "\(path)/run/lock", "--state-directory",
            "\(path)/run/state", "--target-root", "\(path)/target",
            "--tool-path", "\(path)/tools",
        ]
    }

    /// Starts the program that was built beside the test bundle, in this folder.
    /// - Parameters:
    ///   - out: where standard output goes; nil: into a file that is read at the end. Likewise `err`.
    ///   - asNobody: as user 65534 without groups (setpriv(1)); only root can.
    ///   - within: a command that is given the program and its arguments, and becomes it.
    func start(
        _ arguments: [String], environment: [String] = [], input: String = "/dev/null", out: String? = nil,
        err: String? = nil, asNobody: Bool = false, within: [String] = []
    ) throws -> Running {
        // However the tests were started, by a path from the root or not.
        let bundle = CommandLine.arguments[0]
        let place = bundle.hasPrefix("/") ? bundle : FileManager.default.currentDirectoryPath + "/" + bundle
        let program = "/" + place.split(separator: "/").dropLast().joined(separator: "/") + "/tuff"
        let temporary = "\(path)/\(UInt64.random(in: 0...UInt64.max))"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, out ?? "\(temporary).out", O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, err ?? "\(temporary).err", O_WRONLY | O_CREAT, 0o600)
        // env(1) changes the directory and becomes the program, under the same process id.
        let lowering = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        var argv =
            (["env", "-C", path] + (asNobody ? lowering : []) + within + [program] + arguments).map { strdup($0) } + [
                nil
            ]
        var envp = (["PATH=/usr/bin:/bin", "SWIFT_BACKTRACE=enable=no"] + environment).map { strdup($0) } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, "/usr/bin/env", &actions, nil, &argv, &envp)
        try #require(failure == 0, "\(program) cannot be started: \(failure)")
        rename("\(temporary).out", "\(path)/out.\(pid)")
        rename("\(temporary).err", "\(path)/err.\(pid)")
        return Running(pid: pid, folder: path)
    }

    func run(
        _ arguments: [String], environment: [String] = [], out: String? = nil, asNobody: Bool = false,
        within: [String] = []
    ) throws -> Ended {
        try start(arguments, environment: environment, out: out, asNobody: asNobody, within: within).wait()
    }

    /// False where the tests themselves have no rights, or the build lies where nobody else may look.
    static let canRunAsNobody: Bool = {
        guard geteuid() == 0, let folder = try? TestFolder() else { return false }
        chmod(folder.path, 0o755)
        return (try? folder.run(["version"], asNobody: true))?.code == 0
    }()
}
