import FoundationEssentials
import Glibc
import Testing
import TuffHost

/// The real program where something is missing that it needs: a sentence and exit code 1, at once, whatever the
/// command.
@Suite(.timeLimit(.minutes(2))) struct SurroundingsTests {
    let folder: TestFolder

    init() throws {
        folder = try TestFolder()
        try folder.writeVolume()
    }

    private func shell(_ script: String) -> [String] { ["sh", "-c", script + #"; exec "$@""#, "sh"] }

    /// Commands that need nothing, read, look, and change.
    private var commands: [[String]] {
        [
            ["version"], ["validate", "-f", "volumes.yaml"], ["plan", "-f", "volumes.yaml"] + folder.host,
            ["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host, ["help"],
        ]
    }

    private var isMade: Bool { FileManager.default.fileExists(atPath: "\(folder.path)/pool/v-db-data") }

    private func expectSentence(
        _ sentence: String, within: [String], asNobody: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for command in commands {
            let ended = try folder.run(command, asNobody: asNobody, within: within)
            #expect(ended.code == 1, "\(command[0]): \(ended)", sourceLocation: sourceLocation)
            #expect(ended.out.isEmpty, "\(ended)", sourceLocation: sourceLocation)
            #expect(ended.err.hasPrefix("error: "), "\(ended)", sourceLocation: sourceLocation)
            #expect(ended.err.contains(sentence), "\(ended)", sourceLocation: sourceLocation)
        }
        #expect(!isMade, sourceLocation: sourceLocation)
    }

    @Test(.enabled(if: TestFolder.canRunAsNobody), arguments: [1, 3, 8])
    func withoutThreads(_ processes: Int) throws {
        chmod(folder.path, 0o755)
        try expectSentence("threads can be started", within: ["prlimit", "--nproc=\(processes)"], asNobody: true)
    }

    /// In a container, or with `CPUAffinity=`, a large machine is a small one.
    @Test(.enabled(if: TestFolder.canRunAsNobody)) func threadsAreThoseOfTheProcessorsThatMayBeUsed() throws {
        chmod(folder.path, 0o755)
        let status = TestFolder.text("/proc/self/status").split(separator: "\n")
        let allowed = try #require(status.first { $0.hasPrefix("Cpus_allowed_list:") })
        let first = try #require(allowed.split { !$0.isNumber }.first.map(String.init))
        try expectSentence(
            "of 9 threads can be started", within: ["taskset", "-c", first, "prlimit", "--nproc=1"], asNobody: true)
    }

    @Test func aCommandThatRestsNeedsFewThreads() {
        #expect([1, 4, 8, 64].map { Surroundings.threads(processors: $0, rests: true) } == [9, 12, 16, 16])
        #expect([1, 8, 24, 64].map { Surroundings.threads(processors: $0, rests: false) } == [9, 16, 32, 32])
    }

    @Test(arguments: [4, 8, 40]) func withoutDescriptors(_ count: Int) throws {
        try expectSentence("files can be opened", within: ["prlimit", "--nofile=\(count)"])
    }

    /// A soft limit is the host's taste, and goes up to the hard one.
    @Test func aSoftLimitIsRaised() throws {
        let within = ["prlimit", "--nofile=10:", "--stack=524288:"]
        for command in commands {
            let ended = try folder.run(command, within: within)
            #expect(ended.code == 0, "\(ended)")
        }
        #expect(isMade)
    }

    @Test(arguments: [
        ("--as=500000000", "of memory"), ("--data=100000000", "of memory"), ("--stack=300000", "a stack of"),
    ])
    func withoutMemory(_ limit: String, _ sentence: String) throws {
        try expectSentence(sentence, within: ["prlimit", limit])
    }

    @Test func standardOutputIsClosed() throws {
        for command in commands {
            let ended = try folder.run(command, within: shell("exec >&-"))
            #expect(ended.code == 1)
            #expect(ended.err.contains("standard output is closed"), "\(ended)")
        }
        #expect(!isMade)
    }

    /// Nothing is written into what would have its number.
    @Test(arguments: ["<&-", "2>&-", "<&- 2>&-"]) func otherStreamsAreNotNeeded(_ closed: String) throws {
        let ended = try folder.run(
            ["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host, within: shell("exec \(closed)"))
        #expect(ended.code == 0, "\(ended)")
        #expect(ended.out.contains("Apply: 1 done"))
        let made = try Data(contentsOf: URL(filePath: "\(folder.path)/pool/v-db-data"))
        #expect(made.allSatisfy { $0 == 0 })
    }

    @Test func aFullStandardOutputIsSaid() throws {
        let ended = try folder.run(["version"], out: "/dev/full")
        #expect(ended.code == 1)
        #expect(ended.err.contains("standard output cannot be written"))
    }

    /// Mounts of its own hide them; only root can make such a place.
    static let canHide: Bool = {
        guard geteuid() == 0, let folder = try? TestFolder() else { return false }
        return (try? folder.run(["version"], within: ["unshare", "-m"]))?.code == 0
    }()

    @Test(.enabled(if: canHide)) func withoutProc() throws {
        try expectSentence(
            "/proc does not show this process", within: ["unshare", "-m"] + shell("mount -t tmpfs tmpfs /proc"))
    }

    @Test(.enabled(if: canHide)) func withoutDevNull() throws {
        try expectSentence(
            "/dev/null cannot be used",
            within: ["unshare", "-m"] + shell("mount -t tmpfs tmpfs /dev"))
    }

    @Test(.enabled(if: canHide)) func withAPlainFileForDevNull() throws {
        try expectSentence(
            "it is no device", within: ["unshare", "-m"] + shell("mount -t tmpfs tmpfs /dev; : >/dev/null"))
    }

    /// The usual places of the lock and of what is kept, which the test's own options leave out.
    @Test(.enabled(if: canHide), arguments: ["/run", "/var/lib"]) func whereNothingCanBeKept(_ place: String) throws {
        let hidden = ["unshare", "-m"] + shell("mount -t tmpfs -o ro tmpfs \(place)")
        let ended = try folder.run(
            [
                "apply", "-f", "volumes.yaml", "--auto-approve", "--config", "\(folder.path)/config.yaml",
                "--target-root",
                "\(folder.path)/target", "--tool-path", "\(folder.path)/tools",
            ]
                + (place == "/run"
                    ? ["--state-directory", "\(folder.path)/run/state"] : ["--lock-file", "\(folder.path)/run/lock"]),
            within: hidden)
        #expect(ended.code == 1, "\(ended)")
        #expect(ended.err.hasPrefix("error: ") && ended.err.contains("\(place)/tuff"), "\(ended)")
        #expect(!isMade)
    }

    @Test func whereFilesMayNotGrow() throws {
        let ended = try folder.run(
            ["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host, within: ["prlimit", "--fsize=4096"])
        #expect([1, 3].contains(ended.code), "\(ended)")
        #expect(ended.err.contains("File too large"), "\(ended)")
    }

    @Test func whereTheDirectoryIsGone() throws {
        for command in [["version"], ["validate", "-f", "\(folder.path)/volumes.yaml"]] {
            let ended = try folder.run(command, within: shell("mkdir gone; cd gone; rmdir ../gone"))
            #expect(ended.code == 0, "\(ended)")
        }
        let ended = try folder.run(
            ["validate", "-f", "volumes.yaml"], within: shell("mkdir gone; cd gone; rmdir ../gone"))
        #expect(ended.code == 1)
        #expect(ended.err.contains("'volumes.yaml' cannot be read: No such file or directory"))
    }

    @Test(arguments: ["unset HOME TMPDIR TERM", "HOME=; TMPDIR=/nowhere; export HOME TMPDIR", "PATH=; export PATH"])
    func whateverTheEnvironmentLacks(_ script: String) throws {
        let ended = try folder.run(
            ["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host, within: shell(script))
        #expect(ended.code == 0, "\(ended)")
        #expect(isMade)
    }

    /// The lock and the tools at their usual places: PATH is not asked.
    @Test func withoutEnvironment() throws {
        let ended = try folder.run(["plan", "-f", "volumes.yaml"] + folder.host, within: ["env", "-i"])
        #expect(ended.code == 0, "\(ended)")
    }
}
