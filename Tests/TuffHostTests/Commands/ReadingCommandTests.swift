import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@Suite("Commands that change nothing")
struct ReadingCommandTests {
    let folder: Folder
    let machine: LinuxMachine

    init() throws {
        folder = try Folder()
        machine = folder.machine()
    }

    private func run(_ script: String, deadline: Int = 30, limit: Int = 1 << 20) async throws -> CommandOutput {
        try folder.tool("tool", script)
        return try await machine.read(Command("tool", [], effect: .reads, deadline: deadline, outputLimit: limit))
    }

    private func runFailing(_ script: String, deadline: Int = 30, limit: Int = 1 << 20) async throws -> HostError {
        try folder.tool("tool", script)
        let error = await failure { () throws(HostError) in
            _ = try await machine.read(
                Command("tool", ["-v"], effect: .reads, deadline: deadline, outputLimit: limit))
        }
        return try #require(error)
    }

    @Test(
        "Output, error text and status are returned, whatever the status", arguments: [0, 1, 2, 3, 4, 5, 126, 127, 255])
    func status(_ status: Int32) async throws {
        let output = try await run("printf 'out\\n'; printf 'complaint\\n' >&2; exit \(status)")
        #expect(
            output == CommandOutput(status: status, standardOutput: Array("out\n".utf8), standardError: "complaint"))
    }

    @Test("A command ended by a signal is a failure that names it", arguments: [SIGHUP, SIGKILL, SIGSEGV, SIGTERM])
    func signal(_ signal: Int32) async throws {
        let error = try await runFailing("echo why >&2; kill -\(signal) $$")
        #expect(error.code == .failed)
        #expect(error.sentence.contains("signal \(signal)"))
        #expect(error.cause == "why")
    }

    @Test("Of standard error the first 4 KiB are kept, and a flood of it harms nobody")
    func longErrorText() async throws {
        let output = try await run("head -c 5000000 /dev/zero | tr '\\0' e >&2; echo done")
        #expect(output.standardError == String(repeating: "e", count: 4096))
        #expect(output.standardOutput == Array("done\n".utf8))
    }

    @Test("Output of exactly the limit is taken whole, one byte more is malformed")
    func limit() async throws {
        let output = try await run("head -c 100000 /dev/zero", limit: 100_000)
        #expect(output.standardOutput.count == 100_000)
        let error = try await runFailing("head -c 100001 /dev/zero", limit: 100_000)
        #expect(error.code == .malformed)
    }

    @Test("A flood of 100 MB ends early as malformed")
    func flood() async throws {
        let error = try await runFailing("dd if=/dev/zero bs=1M count=100 2>/dev/null")
        #expect(error.code == .malformed)
    }

    @Test("A flooder that ignores write errors is ended long before its deadline")
    func stubbornFlood() async throws {
        let start = ContinuousClock.now
        let error = try await runFailing(
            "echo $$ >\(folder.at("pid")); while :; do echo flood; done 2>/dev/null", limit: 1000)
        #expect(error.code == .malformed)
        #expect(ContinuousClock.now - start < .seconds(25))
        let pid = try #require(await readPID(folder, "pid"))
        #expect(await eventually { !isAlive(pid) })
    }

    @Test("A hanging command is ended at its deadline, with its whole group")
    func hang() async throws {
        let error = try await runFailing("sleep 1000 & echo $! >\(folder.at("pid")); wait", deadline: 1)
        #expect(error.code == .timeout)
        #expect(error.subject == "tool -v")
        let grandchild = try #require(await readPID(folder, "pid"))
        #expect(await eventually { !isAlive(grandchild) })
    }

    @Test("A command that ignores SIGTERM is killed two seconds later")
    func ignoresTerm() async throws {
        let start = ContinuousClock.now
        let script = "trap '' TERM; echo $$ >\(folder.at("pid")); while :; do sleep 1; done"
        let error = try await runFailing(script, deadline: 1)
        #expect(error.code == .timeout)
        #expect(ContinuousClock.now - start < .seconds(30))
        let pid = try #require(await readPID(folder, "pid"))
        #expect(await eventually { !isAlive(pid) })
    }

    @Test("A command that closes its output but lives on is ended at its deadline")
    func closesOutput() async throws {
        let error = try await runFailing("exec >&- 2>&-; sleep 1000", deadline: 1)
        #expect(error.code == .timeout)
    }

    @Test("A grandchild that keeps the output open is not waited for")
    func grandchild() async throws {
        let start = ContinuousClock.now
        let output = try await run("sleep 1000 & echo $! >\(folder.at("pid")); echo out")
        #expect(output.standardOutput == Array("out\n".utf8))
        // Sixteen minutes are what it would be waited for.
        #expect(ContinuousClock.now - start < .seconds(300))
        kill(try #require(await readPID(folder, "pid")), SIGKILL)
    }

    @Test("Cancelling the task ends the command at once")
    func cancellation() async throws {
        try folder.tool("tool", "echo $$ >\(folder.at("pid")); exec sleep 1000")
        let task = Task { [machine] in
            await failure { () throws(HostError) in _ = try await machine.read(Command("tool", [], effect: .reads)) }
        }
        let pid = try #require(await readPID(folder, "pid"))
        task.cancel()
        #expect(await task.value?.code == .failed)
        #expect(await eventually { !isAlive(pid) })
    }

    @Test("A child sees a fixed environment and nothing of ours")
    func environment() async throws {
        let output = try await machine.read(Command("env", [], effect: .reads))
        let names = String(decoding: output.standardOutput, as: UTF8.self).split(separator: "\n")
            .map { String($0.prefix { $0 != "=" }) }
        let allowed: Set = [
            "PATH", "LC_ALL", "LVM_SUPPRESS_FD_WARNINGS", "SWIFT_BACKTRACE", "DM_DISABLE_UDEV", "TGT_IPC_SOCKET",
        ]
        #expect(Set(names).isSubset(of: allowed))
        #expect(Set(names).isSuperset(of: ["PATH", "LC_ALL", "LVM_SUPPRESS_FD_WARNINGS"]))
    }

    @Test("A child inherits no descriptor but its three, and reads nothing from the first")
    func descriptors() async throws {
        // The fourth is the listing's own.
        let listing = try await machine.read(Command("ls", ["/proc/self/fd"], effect: .reads))
        #expect(String(decoding: listing.standardOutput, as: UTF8.self) == "0\n1\n2\n3\n")
        let input = try await machine.read(Command("readlink", ["/proc/self/fd/0"], effect: .reads))
        #expect(input.standardOutput == Array("/dev/null\n".utf8))
    }

    @Test("A child leads a process group of its own")
    func processGroup() async throws {
        let output = try await machine.read(
            Command("cut", ["-d", " ", "-f", "1,5", "/proc/self/stat"], effect: .reads))
        let numbers = String(decoding: output.standardOutput, as: UTF8.self).split { $0 == " " || $0 == "\n" }
        #expect(numbers.count == 2)
        #expect(numbers.first == numbers.last)
    }

    @Test("A missing tool, one that cannot run and a path in a name are told apart")
    func cannotStart() async throws {
        try folder.write("plain", "not executable")
        try folder.write("broken", "#!/nonexistent/interpreter\n", mode: 0o755)
        for (tool, code) in [
            ("no-such-tool", HostError.Code.notFound), ("plain", .notFound), ("broken", .failed), ("../tool", .refused),
            ("/nonexistent/tool", .notFound), ("", .refused),
        ] {
            let error = await failure { () throws(HostError) in
                _ = try await machine.read(Command(tool, [], effect: .reads))
            }
            #expect(error?.code == code, "\(tool)")
        }
    }

    @Test("A command that changes something is not for reading")
    func mutating() async throws {
        let error = await failure { () throws(HostError) in
            _ = try await machine.read(Command("true", [], effect: .mutates))
        }
        #expect(error?.code == .refused)
    }

    @Test("Forty commands at once all get their own output")
    func many() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask { [machine] in
                    let output = try await machine.read(Command("echo", ["\(number)"], effect: .reads))
                    #expect(output.standardOutput == Array("\(number)\n".utf8))
                }
            }
            try await group.waitForAll()
        }
    }
}
