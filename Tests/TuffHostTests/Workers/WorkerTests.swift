import CTuffHost
import FoundationEssentials
import Glibc
import Synchronization
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@Suite("Workers")
struct WorkerTests {
    let folder: Folder

    init() throws {
        folder = try Folder()
        folder.directory("target")
        folder.directory("pool")
    }

    /// An attribute whose opening for writing blocks until somebody reads it, as a call into configfs may.
    private func makeStuck(_ name: String) -> HostAction {
        mkfifo(folder.at("target/\(name)"), 0o600)
        return .writeAttribute(.target(name), "1", verify: false)
    }

    private func unblock(_ name: String) {
        let descriptor = open(folder.at("target/\(name)"), O_RDONLY | O_NONBLOCK)
        usleep(100_000)
        close(descriptor)
    }

    @Test("A worker that falls silent is reported and left behind; others go on; it begins nothing more")
    func stuck() async throws {
        let machine = folder.machine(deadline: .milliseconds(300))
        let action = makeStuck("fifo")
        let error = await failure { () throws(HostError) in
            try await machine.perform([.makeDirectory(.target("before")), action, .makeDirectory(.target("after"))])
        }
        #expect(error?.code == .timeout)
        #expect(machine.stuckWorkers.map(\.request) == ["3 actions from 'mkdir /sys/kernel/config/target/before' on"])
        try await machine.perform([.makeDirectory(.target("other"))])
        unblock("fifo")
        #expect(await eventually { machine.stuckWorkers.isEmpty })
        #expect(folder.names("target") == ["before", "fifo", "other"])
    }

    @Test("Of several sequences the one that hangs is known; those before it are done, those after it not begun")
    func stuckAmongOthers() async throws {
        let machine = folder.machine(deadline: .seconds(1))
        let hanging = makeStuck("fifo")
        let outcomes = await machine.performEach([
            [.makeDirectory(.target("before"))], [.makeDirectory(.target("own")), hanging],
            [.makeDirectory(.target("after"))],
        ])
        try #require(outcomes.count == 3)
        guard case .performed = outcomes[0], case .failed(let error) = outcomes[1], case .notBegun = outcomes[2] else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(error.code == .timeout)
        #expect(machine.stuckWorkers.map(\.request) == ["2 actions from 'mkdir /sys/kernel/config/target/own' on"])
        unblock("fifo")
        #expect(await eventually { machine.stuckWorkers.isEmpty })
        #expect(folder.names("target") == ["before", "fifo", "own"])
    }

    @Test("A sequence that fails ends the request; the others may be asked for again")
    func failureAmongOthers() async throws {
        let machine = folder.machine(deadline: .seconds(60))
        let outcomes = await machine.performEach([
            [.makeDirectory(.target("a"))], [.writeAttribute(.target("missing/x"), "1", verify: false)],
            [.makeDirectory(.target("b"))],
        ])
        guard case .performed = outcomes[0], case .failed(let error) = outcomes[1], case .notBegun = outcomes[2] else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(error.code == .notFound)
        #expect(folder.names("target") == ["a"])
    }

    @Test("A request does not wait behind a stuck one")
    func concurrent() async throws {
        let machine = folder.machine(deadline: .seconds(60))
        let action = makeStuck("fifo")
        let task = Task { await failure { () throws(HostError) in try await machine.perform([action]) } }
        for number in 0..<20 { try await machine.perform([.makeDirectory(.target("d\(number)"))]) }
        // Only now can the stuck one end well.
        unblock("fifo")
        #expect(await task.value == nil)
    }

    @Test("When eight changes are stuck no more are begun, one can still look, and each that ends makes room again")
    func tooManyStuck() async throws {
        let machine = folder.machine(deadline: .seconds(1))
        for number in 0..<8 {
            let action = makeStuck("fifo\(number)")
            let error = await failure { () throws(HostError) in try await machine.perform([action]) }
            #expect(error?.code == .timeout)
        }
        let refused = await failure { () throws(HostError) in
            try await machine.perform([.makeDirectory(.target("more"))])
        }
        #expect(refused?.code == .exhausted)
        _ = try await machine.space(of: folder.path)
        for number in 0..<8 { unblock("fifo\(number)") }
        #expect(await eventually { machine.stuckWorkers.isEmpty })
        try await machine.perform([.makeDirectory(.target("more"))])
    }

    /// A worker that answers nothing, ever.
    @Test("Secret files that hang use up two workers and no more; what hangs is not asked again")
    func hangingReadings() async throws {
        try folder.tool("silent", "exec sleep 60")
        let machine = folder.machine(worker: [folder.at("silent")], deadline: .milliseconds(300))
        defer { for worker in machine.stuckWorkers { if let pid = worker.pid { kill(pid, SIGKILL) } } }
        func read(_ name: String) async -> HostError.Code? {
            await failure { () throws(HostError) in
                _ = try await machine.fingerprint(SecretReference(file: folder.at(name)), key: key)
            }?.code
        }
        #expect(await read("a") == .timeout)
        #expect(await read("a") == .timeout)
        #expect(machine.stuckWorkers.count == 1, "the same reading was tried again")
        #expect(await read("b") == .timeout)
        for name in ["c", "d", "e"] { #expect(await read(name) == .exhausted) }
        #expect(machine.stuckWorkers.count == 2)
        // Other work is not refused for their sake.
        let other = await failure { () throws(HostError) in _ = try await machine.space(of: folder.path) }
        #expect(other?.code == .timeout)
    }

    @Test("A worker says that slow work goes on")
    func progress() async throws {
        let actions = (0..<4).map { makeStuck("fifo\($0)") }
        let roots = HostRoots(target: folder.at("target"), reach: Reach(everythingBeneath: []))
        var ends: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let message = try WorkerRequest(roots: roots, work: .perform([actions])).message()
        #expect(send(ends[0], message, message.count, 0) == message.count)
        let theirs = ends[1]
        onThread {
            _ = WorkerServer.run(input: theirs, output: theirs)
            close(theirs)
        }
        var frames: [UInt8] = []
        for number in 0..<4 {
            try await Task.sleep(for: .milliseconds(300))
            unblock("fifo\(number)")
        }
        while frames.last != 5 {
            var header = [UInt8](repeating: 0, count: 5)
            try #require(recv(ends[0], &header, 5, Int32(MSG_WAITALL)) == 5)
            frames.append(header[0])
            var body = [UInt8](repeating: 0, count: Int(header[1]))
            try #require(body.isEmpty || recv(ends[0], &body, body.count, Int32(MSG_WAITALL)) == body.count)
        }
        #expect(frames.count > 2)
        #expect(frames.dropLast().allSatisfy { $0 == 2 })
        close(ends[0])
    }

    @Test("Work that goes on is not taken for stuck work, however long it takes")
    func slowButAlive() async throws {
        try folder.tool(
            "slow", "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do printf '\\002\\0\\0\\0\\0'; sleep 3; done; echo nonsense"
        )
        let machine = folder.machine(worker: [folder.at("slow")], deadline: .seconds(30))
        // Longer than any wait for a thread of the suite's own, which counts as silence too.
        let error = await failure { () throws(HostError) in _ = try await machine.space(of: folder.path) }
        #expect(error?.code == .malformed)
    }

    @Test("A file system that says it is larger than any number is as large as a number can be")
    func absurdSpace() {
        #expect(WorkerServer.bytes(blocks: 10, of: 4096) == ByteCount(40960))
        #expect(WorkerServer.bytes(blocks: .max, of: 4096) == ByteCount(.max))
        #expect(WorkerServer.bytes(blocks: .max, of: 1) == ByteCount(.max))
    }

    @Test("What --show-commands prints can be typed, whatever the paths")
    func printedActions() {
        let pool = HostPath(.directory("/srv/a b"), "v-$(id)")
        let quoted = "'/srv/a b/v-$(id)'"
        #expect(HostAction.makeDirectory(pool).description == "mkdir \(quoted)")
        #expect(HostAction.link(pool, to: pool).description == "ln -s \(quoted) \(quoted)")
        #expect(HostAction.growFile(pool, to: ByteCount(5)).description == "truncate -s 5 \(quoted)")
        #expect(HostAction.writeAttribute(pool, "a'b", verify: true).description == #"echo -n 'a'\''b' > \#(quoted)"#)
        #expect(
            HostAction.writeSecret(pool, SecretReference(file: "/etc/tuff/my key")).description
                == #"tr -d '\n' < '/etc/tuff/my key' > \#(quoted)"#)
        #expect(HostAction.unlink(.target("x/*")).description == "rm /sys/kernel/config/target/x/*")
    }

    @Test("Descriptors are closed from a number on, and none below it")
    func closeFrom() {
        let pid = tuff_fork_with_heap(1 << 16)
        if pid == 0 {
            // Only calls that are safe between fork and exit in a process with threads.
            let low = fcntl(STDIN_FILENO, F_DUPFD, 200)
            // Other tests have descriptors open meanwhile, so that no fixed number is free.
            let high = fcntl(STDIN_FILENO, F_DUPFD, low + 1)
            tuff_close_from(low + 1)
            _exit(low >= 0 && fcntl(low, F_GETFD) >= 0 && fcntl(high, F_GETFD) == -1 ? 0 : 1)
        }
        var status: Int32 = -1
        #expect(waitpid(pid, &status, 0) == pid && status == 0)
    }

    @Test("A tree larger than a socket's buffers arrives whole")
    func largeTree() async throws {
        for number in 0..<3000 { try folder.write("target/a\(number)", "\(number)") }
        let entries = try await folder.machine().readTree(.targetConfiguration, [TreeQuery("*")], key: key)
        #expect(entries.count == 3000)
        #expect(entries.allSatisfy { "a\($0.text ?? "")" == $0.path })
    }

    @Test("A hundred requests at once are all answered")
    func many() async throws {
        let machine = folder.machine()
        await withTaskGroup(of: HostError?.self) { group in
            for number in 0..<100 {
                group.addTask {
                    await failure { () throws(HostError) in
                        try await machine.perform([.makeDirectory(.target("d\(number)"))])
                    }
                }
            }
            for await error in group { #expect(error == nil) }
        }
        #expect(folder.names("target").count == 100)
    }

    @Test("A batch is not cut short by cancelling the task that waits for it")
    func cancellation() async throws {
        let machine = folder.machine()
        let action = makeStuck("fifo")
        let task = Task {
            await failure { () throws(HostError) in
                try await machine.perform([action, .makeDirectory(.target("after"))])
            }
        }
        try await Task.sleep(for: .milliseconds(100))
        task.cancel()
        unblock("fifo")
        #expect(await task.value == nil)
        #expect(folder.names("target") == ["after", "fifo"])
    }

    @Test("A worker that cannot be started, ends at once, says nonsense or nothing is an error that says so")
    func badWorkers() async throws {
        try folder.tool("nonsense", "echo 'Usage: something else entirely'; exec sleep 5")
        try folder.tool("dies", "head -c 20 >/dev/null; kill -9 $$")
        for (command, code) in [
            (["/nonexistent/worker", "_worker"], HostError.Code.failed), (["/bin/true"], .failed),
            ([folder.at("nonsense")], .malformed), ([folder.at("dies")], .failed), (["/bin/sleep", "5"], .timeout),
        ] {
            let machine = folder.machine(worker: command, deadline: code == .timeout ? .seconds(1) : .seconds(120))
            for _ in 0..<2 {
                let error = await failure { () throws(HostError) in _ = try await machine.space(of: folder.path) }
                #expect(error?.code == code, "\(command): \(String(describing: error))")
            }
        }
    }

    @Test("What no controller sends ends a worker with status 1, the end of input with 0")
    func protocolErrors() throws {
        var random = Seeded("worker input")
        for round in 0..<200 {
            var ends: [Int32] = [-1, -1]
            #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
            var bytes = (0..<Int.random(in: 5...40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            // Every other time a well-formed header over a body that is none.
            if round % 2 == 0 { bytes.replaceSubrange(0..<5, with: [1, UInt8(bytes.count - 5), 0, 0, 0]) }
            #expect(send(ends[0], bytes, bytes.count, 0) == bytes.count)
            shutdown(ends[0], Int32(SHUT_WR))
            let status = WorkerServer.run(input: ends[1], output: ends[1])
            #expect(status == 1, "seed \(random.seed), round \(round)")
            close(ends[0])
            close(ends[1])
        }
        let empty = open("/dev/null", O_RDONLY)
        #expect(WorkerServer.run(input: empty, output: empty) == 0)
        close(empty)
    }

    @Test("A reply says which sequence failed, and no command runs in a worker")
    func handle() {
        let roots = HostRoots(target: folder.at("target"), reach: Reach(everythingBeneath: []))
        let command = HostAction.run(Command("true", [], effect: .mutates))
        let reply = WorkerServer.handle(
            WorkerRequest(
                roots: roots,
                work: .perform([[.makeDirectory(.target("b"))], [.makeDirectory(.target("a")), command]])))
        guard case .stopped(1, let error) = reply else {
            Issue.record("\(reply)")
            return
        }
        #expect(error.code == .refused)
        let gone = WorkerServer.handle(
            WorkerRequest(roots: roots, work: .perform([[.makeDirectory(.target("c"))]])), mayBegin: { false })
        guard case .stopped(0, _) = gone else {
            Issue.record("\(gone)")
            return
        }
        #expect(folder.names("target") == ["a", "b"])
    }
}

/// The program beside the tests' bundle; nil when it was not built or has no worker.
let program: String? = {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    guard readlink("/proc/self/exe", &buffer, buffer.count - 1) > 0 else { return nil }
    let ours = buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    let bundle = ours.hasSuffix(".xctest") ? ours : CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? ours
    let candidate = bundle.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/tuff"
    return access(candidate, X_OK) == 0 ? candidate : nil
}()

@Suite("The worker process")
struct WorkerProcessTests {
    let folder: Folder
    let machine: LinuxMachine

    init() throws {
        folder = try Folder()
        folder.directory("target")
        machine = folder.machine(worker: [try #require(program), "_worker"])
    }

    @Test("Does what it is asked, query after query, in one process that ends with its controller")
    func process() async throws {
        try await machine.perform([
            .makeDirectory(.target("core")),
            .createFile(HostPath(.directory(folder.path), "disk"), size: ByteCount(1 << 20)),
        ])
        for number in 0..<50 { try folder.write("target/core/a\(number)", "\(number)\n") }
        let entries = try await machine.readTree(.targetConfiguration, [TreeQuery("core/*")], key: key)
        #expect(entries.count == 50)
        #expect(entries.first == TreeEntry(path: "core/a0", kind: .file, text: "0"))
        #expect(try await machine.space(of: folder.path).size > .zero)
        let error = await failure { () throws(HostError) in
            try await machine.perform([.writeAttribute(.target("none"), "1", verify: false)])
        }
        #expect(error?.code == .notFound)
        #expect(error?.subject == folder.at("target/none"))
    }
}
